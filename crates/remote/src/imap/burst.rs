//! Commands that do not depend on each other's answers, sent together: one round trip for all.
//!
//! What they are answered with is told apart by what it is, and the two listings by which of them is
//! complete, for a server completes what it was asked first (RFC 9051 §5.5 lets it do otherwise only
//! where that makes no difference).

use std::collections::VecDeque;

use super::Session;
use super::command::Command;
use super::conversation::{Event, Status as Outcome, Tag};
use super::data::Data;
use super::list::Answers;
use crate::error::Error;
use crate::refusal::Refusal;

/// What a command of a burst is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// May never be completed: servers are known that do not. It is over when a later one is.
    Enable,
    Identify,
    /// Only to see that what was sent before it is over.
    End,
    Namespace,
    List,
    Subscribed,
    /// The last of its burst: nothing may be said until it is answered (RFC 4978 §3).
    Compress,
}

/// What was heard in answer to a burst.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) answers: Answers,
    pub(super) enabled: Vec<String>,
    refused: Vec<(Aim, Command, Refusal)>,
}

impl Heard {
    /// The command that was for this, and the server's words, if it was refused.
    pub(super) fn refused(&self, aim: Aim) -> Option<(&Command, &Refusal)> {
        let found = self.refused.iter().find(|(refused, ..)| *refused == aim);
        found.map(|(_, command, refusal)| (command, refusal))
    }

    /// An error if this was refused.
    pub(super) fn check(&self, aim: Aim) -> Result<(), Error> {
        self.refused(aim).map_or(Ok(()), |(command, refusal)| {
            Err(Error::Refused { command: command.to_string(), refusal: refusal.clone() })
        })
    }
}

impl Session {
    /// Sends these commands, and waits until all are answered. Where only one may be under way, each
    /// waits for the one before it.
    ///
    /// # Errors
    /// When the connection is lost, or more mailboxes are listed than the bound.
    pub(super) async fn burst(&mut self, commands: Vec<(Aim, Command)>) -> Result<Heard, Error> {
        self.check()?;
        let at_once = self.limits.commands_in_flight > 1;
        let mut waiting = VecDeque::from(commands);
        let mut due: Vec<(Tag, Aim, Command)> = Vec::new();
        let mut heard = Heard::default();
        loop {
            let is_due = |due: &[(Tag, Aim, Command)], aim| due.iter().any(|(_, due, _)| *due == aim);
            let is_free = |due: &[(Tag, Aim, Command)]| due.iter().all(|(_, aim, _)| *aim == Aim::Enable);
            while (at_once || is_free(&due))
                && let Some((aim, command)) = waiting.pop_front()
            {
                due.push((self.talk.send(&command).await?, aim, command));
            }
            if is_free(&due) {
                break;
            }
            match self.next().await? {
                Event::Data(Data::List(line)) if is_due(&due, Aim::List) => {
                    heard.answers.lines.push(self.shortened(line));
                }
                Event::Data(Data::List(line) | Data::Subscribed(line)) if is_due(&due, Aim::Subscribed) => {
                    heard.answers.subscribed.push(self.shortened(line));
                }
                Event::Data(Data::Status(line)) => heard.answers.statuses.push(line),
                Event::Data(Data::Namespace(namespaces)) => heard.answers.namespaces = namespaces,
                Event::Data(Data::Enabled(words)) => heard.enabled.extend(words),
                Event::Done { tag, status, answer } => {
                    let Some(at) = due.iter().position(|(due, ..)| *due == tag) else { continue };
                    let (_, aim, command) = due.remove(at);
                    if status != Outcome::Ok {
                        heard.refused.push((aim, command, answer.refusal()));
                    }
                }
                _ => {}
            }
            heard.answers.check(self.limits.mailboxes)?;
        }
        due.iter().for_each(|(tag, ..)| self.talk.forget(*tag));
        Ok(heard)
    }
}
