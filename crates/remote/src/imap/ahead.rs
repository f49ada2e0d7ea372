//! Asking ahead, so that the line does not lie idle between an answer and the next question.
//!
//! Who uses a session often knows what it will ask next, and says so ([`Session::expect`]). These
//! commands go out behind the last body that is asked for, or together with the first of them. When
//! their turn comes, the answers are there, or on their way, and are read as if the commands had been
//! sent only then. So nothing changes by it but the time.
//!
//! What was expected may turn out otherwise. Then the answers that nobody wants any more are read and
//! dropped, and the mailbox that the caller has open is opened again, if another one was meanwhile.
//!
//! This rests on the order of answers: a server completes what it was asked first, where one command
//! changes what the next one is about (RFC 9051 §5.5). One that does not is found out by it, and the
//! connection is given up; on the next one nothing should be expected.
//!
//! Within one mailbox a server may say what the next command is about before it completes the one before;
//! Dovecot does. So what is said of messages while answers are due is heard once more by those whose
//! answers they may be.

use std::collections::VecDeque;

use message::{MailboxName, ModSeq, UidSet, UidValidity};

use super::command::Command;
use super::conversation::{Event, Tag};
use super::data::{Data, Row};
use super::mailbox::Since;
use super::rows::{self, ContentIds};
use super::uids;
use super::{Session, mailbox};
use crate::error::Error;

/// What will be asked of a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// [`Session::recount`].
    Recount,
    /// [`Session::examine`].
    Examine(MailboxName, Option<Since>),
    /// [`Session::uids`] of a mailbox that is not empty.
    Uids,
    /// [`Session::uids_by_fetch`] of a mailbox that counts no messages.
    UidsOfNone,
    /// [`Session::survey_all`].
    SurveyAll,
    /// [`Session::survey`].
    Survey(UidSet),
    /// [`Session::flags`].
    Flags(UidSet, Option<ModSeq>),
}

/// What is expected, and what of it has been asked.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    expected: VecDeque<Command>,
    /// Sent before their turn, oldest first.
    sent: VecDeque<(Command, Tag)>,
    /// Rows that came while some were due, and may be theirs.
    early: VecDeque<Row>,
    /// Those of them that are heard before anything else.
    again: VecDeque<Row>,
}

/// More early rows than this are no answers to what was asked.
const MOST_EARLY_ROWS: usize = 100_000;

impl Ahead {
    /// How many answers are due that nobody has asked for yet.
    pub(super) fn under_way(&self) -> usize {
        self.sent.len()
    }

    /// An early row that is to be heard once more.
    pub(super) fn again(&mut self) -> Option<Event> {
        self.again.pop_front().map(|row| Event::Data(Data::Fetch(row)))
    }

    /// Keeps a row that may be an answer to what was asked ahead; false: there are too many.
    pub(super) fn keep(&mut self, event: &Event) -> bool {
        if let Event::Data(Data::Fetch(row)) = event
            && !self.sent.is_empty()
            && row.body.is_none()
        {
            self.early.push_back(row.clone());
        }
        self.early.len() <= MOST_EARLY_ROWS
    }

    /// Rows so far are about another mailbox, or about nothing that is asked.
    pub(super) fn forget_rows(&mut self) {
        self.early.clear();
        self.again.clear();
    }

    /// Whether this is a completion before its turn.
    pub(super) fn is_early(&self, event: &Event) -> bool {
        matches!(event, Event::Done { tag, .. } if self.sent.iter().any(|(_, sent)| sent == tag))
    }

    /// Whether a command can be issued while others of the same caller are under way: not when what was
    /// asked ahead has to be read first, for their answers would be lost.
    pub(super) fn lets_through(&self, command: &Command) -> bool {
        self.sent.front().is_none_or(|(sent, _)| sent == command)
    }
}

/// The mailbox that is open, to be opened again.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) name: MailboxName,
    pub(super) validity: Option<UidValidity>,
}

impl Session {
    /// Says what will be asked next, in this order. Nothing is expected where only one command may be
    /// under way, and nothing anew while answers are due to what was expected before.
    pub fn expect(&mut self, next: &[Next]) {
        self.ahead.expected.clear();
        if self.limits.commands_in_flight > 1 && self.ahead.sent.is_empty() {
            for next in next {
                let (commands, is_all) = self.commands_of(next);
                self.ahead.expected.extend(commands);
                if !is_all {
                    break;
                }
            }
        }
    }

    /// The commands with which it begins, and whether these are all.
    fn commands_of(&self, next: &Next) -> (Vec<Command>, bool) {
        let most = self.limits.commands_in_flight;
        let sweep = |uids: &UidSet, items: &str| {
            let sets = rows::cut(uids, self.limits.set_text, self.limits.rows_per_command);
            let is_all = sets.len() <= most;
            (sets.iter().take(most).map(|set| rows::sweep_command(set, items)).collect(), is_all)
        };
        match next {
            Next::Recount => (vec![mailbox::recount_command()], true),
            Next::Examine(name, since) => {
                (vec![mailbox::open_command("EXAMINE", name, &self.open_option(*since))], true)
            }
            Next::Uids if self.capabilities.esearch => (vec![uids::search_command()], false),
            Next::Uids => (Vec::new(), false),
            Next::UidsOfNone => (vec![mailbox::recount_command(), uids::list_command(1, None)], true),
            // One message is tried first.
            Next::SurveyAll | Next::Survey(_) if self.content_ids == ContentIds::Untried => {
                (Vec::new(), false)
            }
            Next::SurveyAll => (vec![rows::survey_all_command(self.content_id_item())], true),
            Next::Survey(uids) => sweep(uids, &rows::survey_items(self.content_id_item())),
            Next::Flags(uids, since) => sweep(uids, &self.flag_items(*since)),
        }
    }

    /// Sends what is expected. To be called when nothing else is left to be sent.
    pub(super) async fn ask_ahead(&mut self) -> Result<(), Error> {
        while let Some(command) = self.ahead.expected.pop_front() {
            // A literal that waits for its leave would wait behind everything that is under way.
            if !self.talk.goes_at_once(&command) {
                self.ahead.expected.clear();
                break;
            }
            let tag = self.talk.send(&command).await?;
            self.ahead.sent.push_back((command, tag));
        }
        Ok(())
    }

    /// Sends a command, unless it was sent ahead; an answer to it is due then.
    pub(super) async fn issue(&mut self, command: &Command) -> Result<Tag, Error> {
        if self.ahead.expected.front() == Some(command) {
            self.ask_ahead().await?;
        }
        self.ahead.expected.clear();
        if let Some((_, tag)) = self.ahead.sent.pop_front_if(|(sent, _)| sent == command) {
            if command.opens_mailbox() {
                self.ahead.forget_rows();
            } else {
                self.ahead.again.extend(self.ahead.early.drain(..));
            }
            return Ok(tag);
        }
        self.take_back(!command.opens_mailbox()).await?;
        self.talk.send(command).await
    }

    /// Reads and drops what was asked ahead, and now is not wanted; if the caller `stays` in the mailbox
    /// that is open, it is open afterwards.
    pub(super) async fn take_back(&mut self, stays: bool) -> Result<(), Error> {
        if self.ahead.sent.is_empty() {
            return Ok(());
        }
        let sent = std::mem::take(&mut self.ahead.sent);
        tracing::debug!(commands = sent.len(), "what was asked ahead is not wanted");
        let has_left = sent.iter().any(|(command, _)| command.opens_mailbox());
        let mut due: Vec<Tag> = sent.into_iter().map(|(_, tag)| tag).collect();
        while !due.is_empty() {
            if let Event::Done { tag, .. } = self.next().await? {
                due.retain(|due| *due != tag);
            }
        }
        self.ahead.forget_rows();
        if !has_left || !stays {
            return Ok(());
        }
        let Some(Open { name, validity }) = self.open.take() else { return Err(Error::GivenUp) };
        let command = mailbox::open_command("EXAMINE", &name, "");
        let tag = self.talk.send(&command).await?;
        let (again, _) = self.hear_opened(tag, command, None).await?;
        if again.uid_validity != validity {
            return Err(Error::Cut {
                received: self.talk.counters().received(),
                cause: "the mailbox was another one when it was opened again".to_owned(),
            });
        }
        self.open = Some(Open { name, validity });
        Ok(())
    }
}
