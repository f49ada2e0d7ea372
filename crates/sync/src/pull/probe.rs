//! Logs in and looks around, which changes nothing: what `check-config --connect` does, and what a new
//! account is tried with.

use remote::imap::Session;

use super::{Job, Protocol};
use crate::watchdog::is_bin;

/// Folders without LIST-STATUS are asked one by one for their messages; so many at most.
const MOST_ASKED: usize = 200;

/// A folder that would be backed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// Its name, as people see it; not escaped.
    pub name: String,
    /// How many messages the server says that it has; `None`: it was not asked, or did not say.
    pub messages: Option<u64>,
    /// By its special use or its usual names it is for what is thrown away: Trash or Junk.
    pub is_bin: bool,
}

/// Logs in, lists the wanted folders, and logs out. Messages are told where that costs nothing.
///
/// # Errors
/// Why the server cannot be used as configured.
pub async fn probe(job: &Job) -> Result<Vec<Probed>, remote::Error> {
    look(job, 0).await
}

/// The same, and the folders are asked for their messages one by one where the server does not tell
/// them in the list.
///
/// # Errors
/// Why the server cannot be used as configured.
pub async fn probe_and_count(job: &Job) -> Result<Vec<Probed>, remote::Error> {
    look(job, MOST_ASKED).await
}

async fn look(job: &Job, most_asked: usize) -> Result<Vec<Probed>, remote::Error> {
    if let Protocol::Pop3(options) = job.protocol {
        return super::pop3::probe(job, options).await;
    }
    let mut session = Session::open(&job.endpoint, &job.credentials, &job.limits.remote).await?;
    let listed = session.list().await?;
    let mut asked = 0;
    let mut probed = Vec::new();
    for folder in listed.iter().filter(|folder| folder.selectable && !folder.outside) {
        let name = folder.name.text();
        if !job.filter.wants(&name) {
            continue;
        }
        let mut messages = folder.status.as_ref().map(|status| u64::from(status.messages));
        if messages.is_none() && asked < most_asked {
            asked += 1;
            messages = match session.status(&folder.name).await {
                Ok(status) => Some(u64::from(status.messages)),
                // A folder that cannot be looked into today is there all the same.
                Err(remote::Error::Refused { .. }) => None,
                Err(error) => return Err(error),
            };
        }
        let delimiter = folder.name.delimiter().map(char::from);
        let is_bin = is_bin(folder.special_use.as_deref(), &name, delimiter);
        probed.push(Probed { name, messages, is_bin });
    }
    session.logout().await;
    Ok(probed)
}
