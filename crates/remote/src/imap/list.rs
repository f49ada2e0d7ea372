//! Which mailboxes there are (RFC 9051 §6.3.9, RFC 5258, RFC 5819, RFC 6154, RFC 2342).
//!
//! One LIST brings names, special uses, subscriptions and the STATUS of each, where the server can;
//! what it cannot is asked in older ways. A mailbox is never left out: one whose line cannot be read
//! is listed under that line; one that is subscribed and not listed is asked for by name, and only
//! if the server says that there is no such mailbox is it taken for a subscription that was left
//! behind.

use std::collections::HashMap;

use message::MailboxName;

use super::Session;
use super::command::Command;
use super::conversation::{Event, Status as Outcome};
use super::data::{Data, ListLine, Namespaces, StatusLine};
use super::mailbox::Status;
use crate::error::Error;

/// A mailbox as it is listed.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Its name.
    pub name: MailboxName,
    /// The attributes as the server spells them.
    pub attributes: Vec<String>,
    /// `\Sent`, `\Trash`, … (RFC 6154), the first if there are several.
    pub special_use: Option<String>,
    /// False: only a level of the hierarchy, or a name that does not exist.
    pub selectable: bool,
    /// The user has subscribed to it.
    pub subscribed: bool,
    /// With LIST-STATUS, what the server said about it.
    pub status: Option<Status>,
    /// In another user's or a shared namespace.
    pub outside: bool,
}

const SPECIAL_USES: [&str; 8] =
    ["\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Important", "\\Junk", "\\Sent", "\\Trash"];

/// Subscribed names that are not listed are looked up one by one; beyond this they count as
/// mailboxes, so that none is missed for being many: opening them will show.
const MOST_LOOKUPS: usize = 1_000;

/// What the answers to a listing say, until they are put together.
#[derive(Default)]
struct Answers {
    lines: Vec<ListLine>,
    subscribed: Vec<ListLine>,
    statuses: Vec<StatusLine>,
    namespaces: Namespaces,
}

impl Session {
    /// Every mailbox that the server shows, once each, in its order.
    ///
    /// # Errors
    /// When the plainest LIST is refused, or lists more mailboxes than the bound.
    pub async fn list(&mut self) -> Result<Vec<Listed>, Error> {
        let mut answers = Answers::default();
        if self.capabilities.namespace {
            match self.ask(Command::new("NAMESPACE"), &mut answers).await {
                Ok(()) => {}
                Err(Error::Refused { refusal, .. }) => {
                    tracing::warn!(%refusal, "NAMESPACE is offered and refused; all mailboxes count as personal");
                }
                Err(error) => return Err(error),
            }
        }
        if self.capabilities.list_extended {
            self.list_extended(&mut answers).await?;
        }
        if !answers.lines.is_empty() {
            self.list_subscribed(&mut answers).await?;
        }
        if answers.lines.is_empty() {
            self.ask(Command::new("LIST \"\" \"*\""), &mut answers).await?;
            match self.ask(Command::new("LSUB \"\" \"*\""), &mut answers).await {
                Ok(()) => {}
                Err(Error::Refused { refusal, .. }) => {
                    tracing::debug!(%refusal, "subscriptions are not known");
                }
                Err(error) => return Err(error),
            }
        }
        let (mut listed, missing) = self.put_together(answers);
        for (number, name) in missing.into_iter().enumerate() {
            listed.push(if number < MOST_LOOKUPS {
                self.look_up(name).await?
            } else {
                subscribed_only(name, Vec::new(), None)
            });
        }
        Ok(listed)
    }

    /// Subscribed names, also those that are not listed otherwise (RFC 5258 §3.1).
    async fn list_subscribed(&mut self, answers: &mut Answers) -> Result<(), Error> {
        let mut subscribed = Answers::default();
        match self.ask(Command::new("LIST (SUBSCRIBED) \"\" \"*\""), &mut subscribed).await {
            Ok(()) => answers.subscribed.extend(subscribed.lines),
            Err(Error::Refused { refusal, .. }) => {
                tracing::warn!(%refusal, "LIST (SUBSCRIBED) is offered and refused");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// LIST with all that the server can return; nothing is listed when it refuses after all.
    async fn list_extended(&mut self, answers: &mut Answers) -> Result<(), Error> {
        let mut wanted = vec!["SUBSCRIBED".to_owned(), "CHILDREN".to_owned()];
        if self.capabilities.special_use {
            wanted.push("SPECIAL-USE".to_owned());
        }
        if self.capabilities.list_status {
            wanted.push(format!("STATUS ({})", self.status_items()));
        }
        while !wanted.is_empty() {
            let command = Command::new("LIST \"\" \"*\" RETURN (").text(&wanted.join(" ")).text(")");
            match self.ask(command, answers).await {
                Ok(()) => return Ok(()),
                Err(Error::Refused { refusal, .. }) => {
                    tracing::warn!(%refusal, option = wanted.last(), "LIST with this option is offered and refused");
                    wanted.pop();
                    answers.lines.clear();
                    answers.statuses.clear();
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// One command of the listing.
    async fn ask(&mut self, command: Command, answers: &mut Answers) -> Result<(), Error> {
        self.check()?;
        let most = self.limits.mailboxes;
        let sent = self.talk.send(&command).await?;
        loop {
            match self.next().await? {
                Event::Data(Data::List(line)) => answers.lines.push(self.shortened(line)),
                Event::Data(Data::Subscribed(line)) => answers.subscribed.push(self.shortened(line)),
                Event::Data(Data::Status(line)) => answers.statuses.push(line),
                Event::Data(Data::Namespace(namespaces)) => answers.namespaces = namespaces,
                Event::Done { tag, status, answer } if tag == sent => {
                    return match status {
                        Outcome::Ok => Ok(()),
                        _ => Err(Error::Refused { command: command.to_string(), refusal: answer.refusal() }),
                    };
                }
                _ => {}
            }
            let longest = answers.lines.len().max(answers.subscribed.len()).max(answers.statuses.len());
            if longest > most {
                return Err(Error::Bound { what: "a listing of endless mailboxes", bound: most as u64 });
            }
        }
    }

    /// With no more attributes than the bound.
    fn shortened(&self, mut line: ListLine) -> ListLine {
        line.attributes.truncate(self.limits.attributes);
        line.attributes.shrink_to_fit();
        line
    }

    /// One entry a name, and the names that are subscribed only.
    fn put_together(&self, answers: Answers) -> (Vec<Listed>, Vec<MailboxName>) {
        let mut listed: Vec<Listed> = Vec::new();
        let mut places: HashMap<MailboxName, usize> = HashMap::new();
        for line in answers.lines {
            let name = MailboxName::new(line.name, self.encoding, line.delimiter);
            if let Some(&place) = places.get(&name) {
                let seen = &mut listed[place];
                let room = self.limits.attributes.saturating_sub(seen.attributes.len());
                seen.attributes.extend(line.attributes.into_iter().take(room));
                seen.attributes.dedup();
                continue;
            }
            places.insert(name.clone(), listed.len());
            let outside = is_outside(name.raw(), &answers.namespaces);
            listed.push(Listed {
                name,
                attributes: line.attributes,
                special_use: None,
                selectable: true,
                subscribed: false,
                status: None,
                outside,
            });
        }
        for mailbox in &mut listed {
            let has = |wanted: &str| mailbox.attributes.iter().any(|has| has.eq_ignore_ascii_case(wanted));
            mailbox.special_use =
                SPECIAL_USES.iter().find(|wanted| has(wanted)).map(|use_| (*use_).to_owned());
            mailbox.selectable = !has("\\Noselect") && !has("\\NonExistent");
            mailbox.subscribed = has("\\Subscribed");
        }
        for line in answers.statuses {
            let name = MailboxName::new(line.name.clone(), self.encoding, None);
            if let Some(&place) = places.get(&name) {
                listed[place].status = Status::from_line(&line);
            }
        }
        let mut missing = Vec::new();
        for line in answers.subscribed {
            let has = |wanted: &str| line.attributes.iter().any(|has| has.eq_ignore_ascii_case(wanted));
            let only_a_level = has("\\Noselect") || has("\\NonExistent");
            let name = MailboxName::new(line.name, self.encoding, line.delimiter);
            match places.get(&name) {
                // LSUB shows the parents of subscribed names too, as \Noselect (RFC 3501 §6.3.9).
                _ if only_a_level => {}
                Some(&place) => listed[place].subscribed = true,
                None if is_outside(name.raw(), &answers.namespaces) => {}
                None => missing.push(name),
            }
        }
        (listed, missing)
    }

    /// A mailbox that is subscribed and not listed: hidden, or long gone. Only the server's word
    /// that it does not exist makes it no mailbox; any other refusal will be met again, and told,
    /// when it is opened.
    async fn look_up(&mut self, name: MailboxName) -> Result<Listed, Error> {
        match self.status(&name).await {
            Ok(status) => Ok(subscribed_only(name, Vec::new(), Some(status))),
            Err(Error::Refused { refusal, .. }) if refusal.wants_create() => {
                Ok(subscribed_only(name, vec!["\\NonExistent".to_owned()], None))
            }
            Err(Error::Refused { .. }) => Ok(subscribed_only(name, Vec::new(), None)),
            Err(error) => Err(error),
        }
    }
}

fn subscribed_only(name: MailboxName, attributes: Vec<String>, status: Option<Status>) -> Listed {
    Listed {
        name,
        selectable: attributes.is_empty(),
        attributes,
        special_use: None,
        subscribed: true,
        status,
        outside: false,
    }
}

/// Whether the longest prefix that fits is not a personal one.
fn is_outside(name: &[u8], namespaces: &Namespaces) -> bool {
    let longest = |prefixes: &[Vec<u8>]| {
        let fitting = prefixes.iter().filter(|prefix| !prefix.is_empty() && name.starts_with(prefix));
        fitting.map(Vec::len).max()
    };
    longest(&namespaces.outside).is_some_and(|outside| longest(&namespaces.personal).unwrap_or(0) < outside)
}
