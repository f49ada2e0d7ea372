//! Where mail can go: namespaces, new mailboxes, and what a mailbox takes (RFC 9051 §6.3, RFC 2342,
//! RFC 6154, RFC 7889, RFC 9208).
//!
//! What a server offers and then refuses is done without, where it is only an ease: the special use
//! of a new mailbox, namespaces, quotas. Whether a mailbox is made and opened is never guessed at.

use message::MailboxName;

use super::{PermanentFlags, Target};
use crate::error::Error;
use crate::imap::command::Command;
use crate::imap::data::{Data, Resource};
use crate::imap::{Examined, Heard};

/// Where the user's own mailboxes live (RFC 2342).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// What their names begin with, the delimiter included: `INBOX.`, or nothing.
    pub prefix: Vec<u8>,
    /// What divides the levels; `None` where names have no levels.
    pub delimiter: Option<u8>,
}

/// A mailbox that is open for reading and writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    /// As it was when it was opened. `read_write` says whether messages and flags can be changed.
    pub examined: Examined,
    /// Which flags are kept; `None` when the server does not say, which means all (RFC 9051 §6.3.2).
    pub permanent_flags: Option<PermanentFlags>,
}

/// How much may be stored, and is: of the tightest quota that a mailbox is under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Octets, in steps of 1,024.
    pub used_bytes: u64,
    /// Octets, in steps of 1,024.
    pub limit_bytes: u64,
}

impl Target {
    /// The first personal namespace. `None` where the server has no NAMESPACE or refuses it.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn namespace(&mut self) -> Result<Option<Namespace>, Error> {
        if !self.capabilities().namespace {
            return Ok(None);
        }
        let mut first = None;
        let mut hear = |heard| {
            if let Heard::Data(Data::Namespace(mut namespaces)) = heard
                && !namespaces.personal.is_empty()
            {
                let prefix = namespaces.personal.swap_remove(0);
                first = Some(Namespace { prefix, delimiter: namespaces.delimiter });
            }
        };
        match self.session.run(Command::new("NAMESPACE"), &mut hear).await {
            Ok(_) => Ok(first),
            Err(Error::Refused { refusal, .. }) => {
                tracing::warn!(%refusal, "NAMESPACE is offered and refused; names are taken to have no prefix");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes a mailbox; one that is there already is as good. With CREATE-SPECIAL-USE it gets this use
    /// (`\Sent`, …), unless the server refuses that. False: the server says that it was there.
    ///
    /// # Errors
    /// `Refused` when the server does not make it, whatever is asked for.
    pub async fn create(&mut self, name: &MailboxName, special_use: Option<&str>) -> Result<bool, Error> {
        if let Some(special_use) = special_use
            && self.capabilities().create_special_use
        {
            let command = Command::new("CREATE").mailbox(name).text(&format!(" (USE ({special_use}))"));
            match self.make(command).await {
                Err(Error::Refused { refusal, .. }) => {
                    tracing::warn!(%refusal, special_use, "a mailbox of this use is refused; made without");
                }
                result => return result,
            }
        }
        self.make(Command::new("CREATE").mailbox(name)).await
    }

    async fn make(&mut self, command: Command) -> Result<bool, Error> {
        match self.session.run(command, &mut |_| {}).await {
            Err(Error::Refused { refusal, .. }) if refusal.already_exists() => Ok(false),
            result => result.map(|_| true),
        }
    }

    /// Subscribes to a mailbox.
    ///
    /// # Errors
    /// `Refused` when the server does not, which is no harm to the mail.
    pub async fn subscribe(&mut self, name: &MailboxName) -> Result<(), Error> {
        self.session.run(Command::new("SUBSCRIBE").mailbox(name), &mut |_| {}).await?;
        Ok(())
    }

    /// Opens a mailbox for reading and writing (SELECT), in place of any that is open.
    ///
    /// # Errors
    /// `Refused` when it cannot be opened.
    pub async fn select(&mut self, name: &MailboxName) -> Result<Selected, Error> {
        let (examined, flags) = self.session.open_mailbox("SELECT", name, None).await?;
        Ok(Selected { examined, permanent_flags: flags.map(PermanentFlags::new) })
    }

    /// Closes the open mailbox without a change to it (RFC 3691). Where the server cannot, it stays open:
    /// CLOSE would expunge what is marked as deleted.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn unselect(&mut self) -> Result<(), Error> {
        if !self.capabilities().unselect {
            return Ok(());
        }
        match self.session.run(Command::new("UNSELECT"), &mut |_| {}).await {
            Ok(_) | Err(Error::Refused { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// How much may be stored in a mailbox and all that shares its quota. `None` where there is no
    /// quota, or no telling.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn quota(&mut self, name: &MailboxName) -> Result<Option<Quota>, Error> {
        if !self.capabilities().quota {
            return Ok(None);
        }
        let mut tightest: Option<Quota> = None;
        let mut hear = |heard| {
            let Heard::Data(Data::Quota(resources)) = heard else { return };
            for quota in resources.iter().filter_map(Quota::of) {
                tightest = Some(tightest.filter(|other| other.free() <= quota.free()).unwrap_or(quota));
            }
        };
        match self.session.run(Command::new("GETQUOTAROOT").mailbox(name), &mut hear).await {
            Ok(_) => Ok(tightest),
            Err(Error::Refused { refusal, .. }) => {
                tracing::debug!(%refusal, "the quota is not known");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The largest message that can be added to a mailbox, in octets. `None` where the server does not
    /// say, or says that there is no limit (RFC 7889).
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn append_limit(&mut self, name: &MailboxName) -> Result<Option<u64>, Error> {
        let capabilities = self.capabilities();
        if capabilities.append_limit.is_some() || !capabilities.append_limit_by_mailbox {
            return Ok(capabilities.append_limit);
        }
        let mut limit = None;
        let command = Command::new("STATUS").mailbox(name).text(" (APPENDLIMIT)");
        let mut hear = |heard| {
            if let Heard::Data(Data::Status(line)) = heard {
                limit = line.append_limit;
            }
        };
        match self.session.run(command, &mut hear).await {
            Ok(_) => Ok(limit),
            Err(Error::Refused { refusal, .. }) => {
                tracing::debug!(%refusal, "APPENDLIMIT is offered and refused");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl Quota {
    fn of(resource: &Resource) -> Option<Self> {
        /// STORAGE counts in these (RFC 9208 §5.1).
        const UNIT: u64 = 1024;
        (resource.name == "STORAGE").then(|| Self {
            used_bytes: resource.used.saturating_mul(UNIT),
            limit_bytes: resource.limit.saturating_mul(UNIT),
        })
    }

    /// Octets that still fit.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.limit_bytes.saturating_sub(self.used_bytes)
    }
}
