//! Telling people of trouble: the hands of `daemon::alerts`, which decides what is told.
//!
//! * [`channel`]: the ways to a person, [`mail`], [`web`] and [`command`]; each tries once and says
//!   why not.
//! * [`store`]: what is known, kept across restarts. [`rules`]: what of the configuration and of
//!   ledgers counts.
//! * [`once`]: the same for one round of runs, without a daemon.
//!
//! Rule: no address of a webhook or ping, no password and no word of a server is in an error here, for
//! errors are logged.

pub(crate) mod channel;
mod command;
mod mail;
pub(crate) mod once;
pub(crate) mod rules;
pub(crate) mod store;
pub(crate) mod summary;
#[cfg(test)]
mod tests;
pub(crate) mod web;

use std::path::Path;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// How long a channel may take for one message.
const PATIENCE: Duration = Duration::from_secs(30);

/// The name of this computer.
pub(crate) fn machine() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// The authorities that are trusted: the system's, and those in a file.
fn authorities(file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut trusted = rustls_native_certs::load_native_certs().certs;
    if let Some(path) = file {
        let shown = path.display();
        let unreadable =
            |error: &dyn std::fmt::Display| format!("cannot read {shown}: {error} (tls_ca_file)");
        let found = CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))?;
        let own = found.collect::<Result<Vec<_>, _>>().map_err(|error| unreadable(&error))?;
        if own.is_empty() {
            return Err(format!("there is no certificate in {shown} (tls_ca_file; PEM is expected)"));
        }
        trusted.extend(own);
    }
    Ok(trusted)
}
