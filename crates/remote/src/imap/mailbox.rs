//! One mailbox: its numbers, and opening it read-only (RFC 9051 §6.3.3, §6.3.11, RFC 7162).

use std::collections::{HashMap, HashSet};

use message::{MailboxName, ModSeq, Uid, UidSet, UidValidity};

use super::ahead::Open;
use super::command::Command;
use super::conversation::{Answer, Code, Event, Status as Outcome, Tag};
use super::data::{Data, Row, StatusLine};
use super::rows::{FlagChange, must_stop};
use super::{Heard, Session, tolerance};
use crate::error::Error;

/// The numbers of a mailbox, without opening it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Messages in it.
    pub messages: u32,
    /// A hint: saves work, proves nothing.
    pub uid_next: Option<Uid>,
    /// `None`: the server has no stable UIDs.
    pub uid_validity: Option<UidValidity>,
    /// With CONDSTORE.
    pub highest_modseq: Option<ModSeq>,
    /// With OBJECTID: stays when the mailbox is renamed.
    pub object_id: Option<String>,
}

impl Status {
    /// `None` when the line does not say how many messages there are.
    pub(super) fn from_line(line: &StatusLine) -> Option<Self> {
        Some(Self {
            messages: line.messages?,
            uid_next: line.uid_next,
            uid_validity: line.uid_validity,
            highest_modseq: line.highest_modseq,
            object_id: line.object_id.clone(),
        })
    }
}

/// What was known of a mailbox when it was last completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    /// Its UIDVALIDITY then.
    pub validity: UidValidity,
    /// Its HIGHESTMODSEQ then.
    pub modseq: ModSeq,
}

/// A mailbox as it was when it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examined {
    /// Messages in it.
    pub exists: u32,
    /// `None` when missing or 0: UIDs hold for this session only.
    pub uid_validity: Option<UidValidity>,
    /// A hint: saves work, proves nothing.
    pub uid_next: Option<Uid>,
    /// `None` without CONDSTORE, or when this mailbox keeps none (NOMODSEQ).
    pub highest_modseq: Option<ModSeq>,
    /// With OBJECTID.
    pub object_id: Option<String>,
    /// With QRESYNC: UIDs that the server says are gone. A claim to be compared, not a fact.
    pub vanished: UidSet,
    /// With QRESYNC: messages that are new or changed.
    pub changed: Vec<FlagChange>,
    /// `vanished` and `changed` are all that happened since. False: list afresh.
    pub resynced: bool,
    /// The server says that the mailbox can be written to, although EXAMINE was asked for.
    pub read_write: bool,
}

impl Session {
    /// The numbers of a mailbox that is not open.
    ///
    /// # Errors
    /// `Refused` when there is no such mailbox or it cannot be looked into.
    pub async fn status(&mut self, name: &MailboxName) -> Result<Status, Error> {
        let command = self.status_command(name);
        let shown = command.to_string();
        let mut status = None;
        let answer = self
            .run(command, &mut |heard| {
                // Only one is asked for, so the name in the answer need not be compared: servers
                // spell it as they like.
                if let Heard::Data(Data::Status(line)) = heard {
                    status = Status::from_line(&line).or(status.take());
                }
            })
            .await?;
        status.ok_or_else(|| Error::Refused { command: shown, refusal: answer.refusal() })
    }

    fn status_command(&self, name: &MailboxName) -> Command {
        let items = self.status_items(self.capabilities.condstore);
        Command::new("STATUS").mailbox(name).text(" (").text(&items).text(")")
    }

    /// The numbers of these mailboxes, several asked for at a time, for servers that do not tell them in
    /// their list. What is refused, or answered under another name, is absent.
    ///
    /// # Errors
    /// When the connection is lost, or the server is asked too much.
    pub async fn statuses(&mut self, names: &[MailboxName]) -> Result<HashMap<MailboxName, Status>, Error> {
        self.check()?;
        let asked: HashSet<&MailboxName> = names.iter().collect();
        let mut statuses = HashMap::new();
        let mut waiting = names.iter();
        let mut under_way: Vec<Tag> = Vec::new();
        loop {
            while under_way.len() < self.limits.commands_in_flight.max(1)
                && let Some(name) = waiting.next()
            {
                under_way.push(self.talk.send(&self.status_command(name)).await?);
            }
            if under_way.is_empty() {
                return Ok(statuses);
            }
            match self.next().await? {
                Event::Data(Data::Status(line)) => {
                    let name = MailboxName::new(line.name.clone(), self.encoding, None);
                    if asked.contains(&name) {
                        statuses.extend(Status::from_line(&line).map(|status| (name, status)));
                    }
                }
                Event::Done { tag, status, answer } => {
                    under_way.retain(|under_way| *under_way != tag);
                    let refusal = answer.refusal();
                    if status != Outcome::Ok && must_stop(&refusal.kind()) {
                        return Err(Error::Refused { command: "STATUS".to_owned(), refusal });
                    }
                }
                _ => {}
            }
        }
    }

    pub(super) fn status_items(&self, condstore: bool) -> String {
        let mut items = "MESSAGES UIDNEXT UIDVALIDITY".to_owned();
        if condstore {
            items.push_str(" HIGHESTMODSEQ");
        }
        if self.capabilities.object_id {
            items.push_str(" MAILBOXID");
        }
        items
    }

    /// What a line of a listing says of a mailbox: without a modification sequence where CONDSTORE was
    /// asked for in the same breath, and is not switched on.
    pub(super) fn status_of(&self, line: &StatusLine) -> Option<Status> {
        let status = Status::from_line(line)?;
        let highest_modseq = status.highest_modseq.filter(|_| self.capabilities.condstore);
        Some(Status { highest_modseq, ..status })
    }

    /// Opens a mailbox read-only, in place of any that is open. With `since` and QRESYNC the
    /// server tells what has happened from then on; where it refuses the option, the mailbox is
    /// opened plainly.
    ///
    /// # Errors
    /// `Refused` when it cannot be opened; SELECT is never tried instead.
    pub async fn examine(&mut self, name: &MailboxName, since: Option<Since>) -> Result<Examined, Error> {
        Ok(self.open_mailbox("EXAMINE", name, since).await?.0)
    }

    /// Opens a mailbox with this command; tells which flags can be kept in it, if the server does.
    pub(super) async fn open_mailbox(
        &mut self,
        verb: &'static str,
        name: &MailboxName,
        since: Option<Since>,
    ) -> Result<(Examined, Option<Vec<String>>), Error> {
        let option = self.open_option(since);
        match self.open_with(verb, name, &option, since).await {
            Err(Error::Refused { refusal, .. }) if !option.is_empty() => {
                let opened = self.open_with(verb, name, "", None).await?;
                // It was the option, then.
                tracing::warn!(%refusal, option = option.trim(), "{verb} with this option is refused; opened without");
                Ok(opened)
            }
            result => result,
        }
    }

    /// What is asked for in opening a mailbox, with a blank before it.
    pub(super) fn open_option(&self, since: Option<Since>) -> String {
        match since {
            Some(Since { validity, modseq }) if self.capabilities.qresync => {
                format!(" (QRESYNC ({validity} {}))", modseq.0)
            }
            _ if self.capabilities.condstore => " (CONDSTORE)".to_owned(),
            _ => String::new(),
        }
    }

    async fn open_with(
        &mut self,
        verb: &'static str,
        name: &MailboxName,
        option: &str,
        since: Option<Since>,
    ) -> Result<(Examined, Option<Vec<String>>), Error> {
        self.check()?;
        let command = open_command(verb, name, option);
        let sent = self.issue(&command).await?;
        self.open = None;
        let since = since.filter(|_| option.starts_with(" (QRESYNC"));
        let opened = self.hear_opened(sent, command, since).await?;
        self.open = Some(Open { name: name.clone(), validity: opened.0.uid_validity });
        Ok(opened)
    }

    /// What is said while a mailbox is opened.
    pub(super) async fn hear_opened(
        &mut self,
        sent: Tag,
        command: Command,
        since: Option<Since>,
    ) -> Result<(Examined, Option<Vec<String>>), Error> {
        let mut opening = Opening { most_changes: self.limits.changes, ..Opening::default() };
        self.exists = 0;
        self.uid_next = None;
        self.answer(sent, command, &mut |heard| opening.hear(heard)).await?;
        self.ahead.forget_rows();
        self.uid_next = opening.examined.uid_next;
        // Counted by the session too, with messages that left while it was opened.
        let exists = self.exists;
        let permanent_flags = opening.permanent_flags.take();
        Ok((opening.finish(exists, since), permanent_flags))
    }

    /// How many messages the open mailbox has by now.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn recount(&mut self) -> Result<u32, Error> {
        self.run(recount_command(), &mut |_| {}).await?;
        Ok(self.exists)
    }
}

pub(super) fn recount_command() -> Command {
    Command::new("NOOP")
}

pub(super) fn open_command(verb: &'static str, name: &MailboxName, option: &str) -> Command {
    Command::new(verb).mailbox(name).text(option)
}

/// What is heard while a mailbox is opened.
#[derive(Default)]
struct Opening {
    examined: Examined,
    permanent_flags: Option<Vec<String>>,
    most_changes: usize,
    /// The answer is not to be trusted with what has vanished and changed.
    incomplete: bool,
}

impl Opening {
    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Data(Data::Vanished { uids: Some(uids), .. }) => self.examined.vanished.extend_from(&uids),
            Heard::Data(Data::Vanished { uids: None, .. }) => self.incomplete = true,
            Heard::Data(Data::Fetch(row)) => self.change(row),
            Heard::Data(_) => {}
            Heard::Said(answer) => self.said(&answer),
        }
    }

    fn change(&mut self, row: Row) {
        match FlagChange::from_row(row) {
            Some(change) if self.examined.changed.len() < self.most_changes => {
                self.examined.changed.push(change);
            }
            _ => self.incomplete = true,
        }
    }

    fn said(&mut self, answer: &Answer) {
        let examined = &mut self.examined;
        match &answer.code {
            Some(Code::UidValidity(number)) => examined.uid_validity = UidValidity::new(*number),
            Some(Code::UidNext(number)) => examined.uid_next = Uid::new(*number),
            Some(Code::HighestModSeq(number)) => {
                examined.highest_modseq = Some(*number).filter(|&number| number > 0).map(ModSeq);
            }
            Some(Code::ReadOnly) => examined.read_write = false,
            Some(Code::ReadWrite) => examined.read_write = true,
            Some(Code::PermanentFlags(flags)) => self.permanent_flags = Some(flags.clone()),
            Some(Code::Other(word, rest)) => match word.as_str() {
                "MAILBOXID" => {
                    let id = rest.trim_start_matches('(').trim_end_matches(')');
                    examined.object_id = Some(id.to_owned()).filter(|id| tolerance::is_object_id(id));
                }
                "NOMODSEQ" => examined.highest_modseq = None,
                // What came before was about the mailbox that was open until now (RFC 7162 §3.2.11).
                "CLOSED" => {
                    *examined = Examined::default();
                    self.permanent_flags = None;
                    self.incomplete = false;
                }
                _ => {}
            },
            Some(Code::Capability(_) | Code::AppendUid(..)) | None => {}
        }
    }

    fn finish(mut self, exists: u32, since: Option<Since>) -> Examined {
        self.examined.exists = exists;
        self.examined.resynced = !self.incomplete
            && self.examined.highest_modseq.is_some()
            && since.is_some_and(|since| self.examined.uid_validity == Some(since.validity));
        if !self.examined.resynced {
            self.examined.vanished = UidSet::new();
            self.examined.changed.clear();
        }
        self.examined
    }
}
