//! What tests share whose server, line and clock are in this process.

use std::io;

use remote::{Credentials, Endpoint, Security};
use restante_sync::{FolderFilter, Job, Protocol, PullLimits};

/// The one user.
pub(crate) const USER: &str = "anna";

/// A job for all mail of the user; where it connects to is the network's affair.
pub(crate) fn job(account: &str, protocol: Protocol, limits: &PullLimits) -> Job {
    Job {
        account: account.to_owned(),
        protocol,
        endpoint: Endpoint {
            host: "localhost".into(),
            port: 143,
            security: Security::Plain,
            extra_authorities: Vec::new(),
            extra_authorities_from: String::new(),
        },
        credentials: Credentials { user: USER.into(), password: "pass".to_owned().into() },
        filter: FolderFilter::new(&[], &[]).unwrap(),
        limits: limits.clone(),
    }
}

/// A runtime whose time goes by as soon as all wait.
pub(crate) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
}
