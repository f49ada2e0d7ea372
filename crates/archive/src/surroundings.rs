//! Chance and time, which come in from outside so that a test can fix both.

use std::time::SystemTime;

/// Where ids and times come from.
pub trait Surroundings: Send + Sync + std::fmt::Debug {
    /// Sixteen bytes that nobody can foresee.
    ///
    /// # Errors
    /// Those of the system.
    fn random(&self) -> std::io::Result<[u8; 16]>;

    /// Milliseconds since 1970. Shown to people; nothing is decided by it.
    fn unix_ms(&self) -> i64;
}

/// The machine's own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine;

impl Surroundings for Machine {
    fn random(&self) -> std::io::Result<[u8; 16]> {
        let mut bytes = [0; 16];
        let mut filled = 0;
        while filled < bytes.len() {
            filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())?;
        }
        Ok(bytes)
    }

    fn unix_ms(&self) -> i64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
pub(crate) mod fixed {
    //! Chance that counts and a clock that stands.

    use std::sync::atomic::{AtomicU8, Ordering};

    use super::Surroundings;

    #[derive(Debug, Default)]
    pub(crate) struct Fixed(AtomicU8);

    impl Surroundings for Fixed {
        fn random(&self) -> std::io::Result<[u8; 16]> {
            Ok([self.0.fetch_add(1, Ordering::Relaxed) + 0x11; 16])
        }

        fn unix_ms(&self) -> i64 {
            1_795_000_000_000
        }
    }
}
