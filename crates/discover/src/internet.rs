//! DNS and the web of this machine.

mod dns;
mod https;

pub use dns::Dns;
pub use https::Https;
