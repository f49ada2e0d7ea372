//! A line for the server, and what may be shown of it.

use std::fmt;

use message::escape::escape;
use secrecy::zeroize::Zeroizing;

/// A command without its line end. `Display` and `Debug` show no secret.
pub(super) struct Command {
    line: Zeroizing<String>,
    /// From here on it is secret.
    shown: usize,
}

impl Command {
    /// A command without secrets.
    pub(super) fn new(line: impl Into<String>) -> Self {
        let line = Zeroizing::new(line.into());
        Self { shown: line.len(), line }
    }

    /// `public` is shown, `secret` never.
    pub(super) fn secret(public: &str, secret: &str) -> Self {
        // Made at its full length: a string that grows leaves copies behind.
        let mut line = Zeroizing::new(String::with_capacity(public.len() + secret.len()));
        line.push_str(public);
        line.push_str(secret);
        Self { line, shown: public.len() }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.line.as_bytes()
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&self.line[..self.shown]))?;
        if self.shown < self.line.len() { f.write_str("***") } else { Ok(()) }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({self})")
    }
}
