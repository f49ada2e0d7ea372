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

#[cfg(any(test, feature = "simulation"))]
pub use seeded::Seeded;

#[cfg(any(test, feature = "simulation"))]
mod seeded {
    //! Chance that comes from a seed, and a clock that stands where it was set.

    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

    use super::Surroundings;

    /// Surroundings of a simulation: the same seed gives the same ids in the same order.
    #[derive(Debug)]
    pub struct Seeded {
        seed: u64,
        drawn: AtomicU64,
        unix_ms: AtomicI64,
    }

    impl Seeded {
        /// Ids by this seed; the clock stands at a moment in November 2026.
        #[must_use]
        pub fn new(seed: u64) -> Self {
            Self { seed, drawn: AtomicU64::new(0), unix_ms: AtomicI64::new(1_795_000_000_000) }
        }

        /// Sets the clock: milliseconds since 1970.
        pub fn set_clock(&self, unix_ms: i64) {
            self.unix_ms.store(unix_ms, Ordering::Relaxed);
        }
    }

    impl Surroundings for Seeded {
        fn random(&self) -> std::io::Result<[u8; 16]> {
            let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
            let hash = blake3::hash(&[self.seed.to_le_bytes(), drawn.to_le_bytes()].concat());
            let mut id = [0; 16];
            id.copy_from_slice(&hash.as_bytes()[..16]);
            Ok(id)
        }

        fn unix_ms(&self) -> i64 {
            self.unix_ms.load(Ordering::Relaxed)
        }
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
