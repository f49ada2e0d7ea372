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
use super::burst::{Aim, Heard};
use super::command::Command;
use super::data::{ListLine, Namespaces, StatusLine};
use super::mailbox::Status;
use crate::error::Error;
use crate::refusal::Refusal;

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
pub(super) struct Answers {
    pub(super) lines: Vec<ListLine>,
    pub(super) subscribed: Vec<ListLine>,
    pub(super) statuses: Vec<StatusLine>,
    pub(super) namespaces: Namespaces,
}

impl Answers {
    /// An error when there are more mailboxes than the bound.
    pub(super) fn check(&self, most: usize) -> Result<(), Error> {
        let longest = self.lines.len().max(self.subscribed.len()).max(self.statuses.len());
        if longest > most {
            return Err(Error::Bound { what: "a listing of endless mailboxes", bound: most as u64 });
        }
        Ok(())
    }
}

impl Session {
    /// Every mailbox that the server shows, once each, in its order.
    ///
    /// # Errors
    /// When the plainest LIST is refused, or lists more mailboxes than the bound.
    pub async fn list(&mut self) -> Result<Vec<Listed>, Error> {
        let heard = self.burst(self.listing(self.capabilities.condstore)).await?;
        self.finish_listing(heard).await
    }

    /// The commands of a listing; with or without what CONDSTORE adds to it.
    pub(super) fn listing(&self, condstore: bool) -> Vec<(Aim, Command)> {
        let mut commands = Vec::new();
        if self.capabilities.namespace {
            commands.push((Aim::Namespace, Command::new("NAMESPACE")));
        }
        if self.capabilities.list_extended {
            commands.push((Aim::List, list_command(&self.list_options(condstore))));
            // Also names that are not listed otherwise (RFC 5258 §3.1).
            commands.push((Aim::Subscribed, Command::new("LIST (SUBSCRIBED) \"\" \"*\"")));
        } else {
            commands.extend(old_listing());
        }
        commands
    }

    /// Makes a list of what was heard. What the server offers and refuses is asked for in older ways.
    pub(super) async fn finish_listing(&mut self, heard: Heard) -> Result<Vec<Listed>, Error> {
        if let Some((_, refusal)) = heard.refused(Aim::Namespace) {
            tracing::warn!(%refusal, "NAMESPACE is offered and refused; all mailboxes count as personal");
        }
        let extended = self.capabilities.list_extended;
        if !extended {
            heard.check(Aim::List)?;
        }
        tell_of_subscriptions(&heard);
        let refused = heard.refused(Aim::List).map(|(command, refusal)| (command.clone(), refusal.clone()));
        let mut answers = heard.answers;
        if let Some((command, refusal)) = refused {
            self.list_with_less(command, refusal, &mut answers).await?;
        }
        if extended && answers.lines.is_empty() {
            let heard = self.burst(old_listing()).await?;
            heard.check(Aim::List)?;
            tell_of_subscriptions(&heard);
            answers = Answers { namespaces: answers.namespaces, ..heard.answers };
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

    /// All that the server can return with LIST; what is most often broken comes last.
    fn list_options(&self, condstore: bool) -> Vec<String> {
        let mut options = vec!["SUBSCRIBED".to_owned(), "CHILDREN".to_owned()];
        if self.capabilities.special_use {
            options.push("SPECIAL-USE".to_owned());
        }
        if self.capabilities.list_status {
            options.push(format!("STATUS ({})", self.status_items(condstore)));
        }
        options
    }

    /// LIST with fewer and fewer options, after it was refused with all of them; nothing is listed when
    /// it is refused with the first of them, too.
    async fn list_with_less(
        &mut self,
        mut refused: Command,
        mut refusal: Refusal,
        answers: &mut Answers,
    ) -> Result<(), Error> {
        let mut options = self.list_options(self.capabilities.condstore);
        loop {
            answers.lines.clear();
            answers.statuses.clear();
            // What CONDSTORE adds may have been the reason, and is left out by now.
            if list_command(&options) == refused {
                tracing::warn!(%refusal, option = options.last(), "LIST with this option is offered and refused");
                options.pop();
            }
            if options.is_empty() {
                return Ok(());
            }
            let command = list_command(&options);
            let heard = self.burst(vec![(Aim::List, command.clone())]).await?;
            let again = heard.refused(Aim::List).map(|(_, refusal)| refusal.clone());
            answers.lines = heard.answers.lines;
            answers.statuses = heard.answers.statuses;
            match again {
                Some(again) => (refused, refusal) = (command, again),
                None => return Ok(()),
            }
        }
    }

    /// With no more attributes than the bound.
    pub(super) fn shortened(&self, mut line: ListLine) -> ListLine {
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
                listed[place].status = self.status_of(&line);
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

/// LIST with these options (RFC 5258 §3.2).
fn list_command(options: &[String]) -> Command {
    Command::new("LIST \"\" \"*\" RETURN (").text(&options.join(" ")).text(")")
}

/// As RFC 3501 has it.
fn old_listing() -> Vec<(Aim, Command)> {
    vec![(Aim::List, Command::new("LIST \"\" \"*\"")), (Aim::Subscribed, Command::new("LSUB \"\" \"*\""))]
}

fn tell_of_subscriptions(heard: &Heard) {
    if let Some((command, refusal)) = heard.refused(Aim::Subscribed) {
        tracing::warn!(%refusal, %command, "the server does not tell what is subscribed");
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
