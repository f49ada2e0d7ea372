//! From an account of the configuration to a job for the engine.

use sync::{FolderFilter, Job, PullLimits};

use crate::config::{Account, Config, Protocol, SecretError};

/// Why an account cannot be worked on, though its configuration is right.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoJob {
    #[error("pulling over POP3 is not in this version; use protocol = \"imap\" where the server has it")]
    Pop3,
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("cannot read {path}: {source} (tls_ca_file)")]
    Authorities { path: String, source: std::io::Error },
    #[error(transparent)]
    Globs(#[from] sync::InvalidGlob),
}

/// Fetches the account's password and authorities and puts the job together.
///
/// # Errors
/// When something that the account needs is not there.
pub(super) fn job(config: &Config, account: &Account) -> Result<Job, NoJob> {
    if account.protocol == Protocol::Pop3 {
        return Err(NoJob::Pop3);
    }
    let (extra_authorities, extra_authorities_from) = match &account.tls_ca_file {
        None => (Vec::new(), String::new()),
        Some(path) => {
            let from = path.display().to_string();
            let read =
                std::fs::read(path).map_err(|source| NoJob::Authorities { path: from.clone(), source })?;
            (read, from)
        }
    };
    Ok(Job {
        account: account.name.clone(),
        protocol: sync::Protocol::Imap,
        endpoint: remote::Endpoint {
            host: account.host.clone(),
            port: account.port,
            security: account.tls,
            extra_authorities,
            extra_authorities_from,
        },
        credentials: remote::Credentials { user: account.user.clone(), password: account.password.reveal()? },
        filter: FolderFilter::new(&account.include, &account.exclude)?,
        limits: PullLimits {
            reserve_bytes: config.archive.reserve,
            watchdog: account.watchdog,
            patience: account.limits.patience.clone(),
            recheck: account.limits.recheck,
            remote: account.limits.remote.clone(),
            ..PullLimits::default()
        },
    })
}
