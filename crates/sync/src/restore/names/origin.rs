//! Folders as they were on their server: what of a name is the folder's, and what the server's ways.
//!
//! A server with the prefix `INBOX.` has all folders below the inbox, and Gmail has its own below
//! `[Gmail]`; neither level says anything on another server. The role is the one that the server told; by
//! its name alone a folder is a view only among those of Gmail itself.

use message::MailboxName;

use super::SourceFolder;
use super::target::Target;
use crate::restore::roles::{self, Role};

/// A folder as it was on its server.
pub(super) struct Origin {
    /// All levels of its name.
    pub(super) components: Vec<String>,
    /// The levels that count: without an `INBOX` that all folders lie below, without `[Gmail]`.
    pub(super) levels: Vec<String>,
    pub(super) is_inbox: bool,
    pub(super) is_gmail: bool,
    pub(super) view: Option<Role>,
    pub(super) role: Option<Role>,
    pub(super) selectable: bool,
    /// Its bytes are not what the encoding of its server makes of its text.
    pub(super) is_unreadable: bool,
}

impl Origin {
    /// All of them.
    pub(super) fn of_all(sources: &[SourceFolder], target: &Target) -> Vec<Self> {
        let below_inbox = all_below_inbox(sources, target);
        let from_gmail = come_from_gmail(sources);
        sources.iter().map(|source| Self::new(source, below_inbox, from_gmail)).collect()
    }

    fn new(source: &SourceFolder, all_below_inbox: bool, from_gmail: bool) -> Self {
        let mut components = source.name.components();
        let is_inbox = source.name.is_inbox();
        let below_inbox = components.len() > 1 && components[0].eq_ignore_ascii_case("INBOX");
        if below_inbox {
            // A server that has folders below the inbox takes it in any case.
            "INBOX".clone_into(&mut components[0]);
        }
        let mut levels = &components[..];
        if below_inbox && all_below_inbox {
            levels = &levels[1..];
        }
        let is_gmail = from_gmail && levels.len() > 1 && roles::is_gmail(&levels[0]);
        if is_gmail {
            levels = &levels[1..];
        }
        let attribute = source.special_use.as_deref().and_then(Role::of_attribute);
        let by_gmail = || match levels {
            [level] if is_gmail => roles::gmail_view(level),
            _ => None,
        };
        let role = attribute.or_else(by_gmail).filter(|_| !is_inbox);
        let text = source.name.text();
        let again = MailboxName::from_text(&text, None);
        Self {
            levels: levels.to_vec(),
            is_inbox,
            is_gmail,
            view: role.filter(|role| role.is_view()),
            role: role.filter(|role| !role.is_view()),
            selectable: source.selectable || is_inbox,
            is_unreadable: source.name.raw().is_ascii()
                && again.identity() != source.name.identity()
                && !is_inbox,
            components,
        }
    }

    /// Levels in front that do not count.
    pub(super) fn dropped(&self) -> usize {
        self.components.len() - self.levels.len()
    }
}

/// Whether Gmail itself has had these folders: it says what those in its own level are for. Elsewhere
/// `[Gmail]/All Mail` is a folder like any other, brought by somebody who moved, and its messages are in
/// no other.
fn come_from_gmail(sources: &[SourceFolder]) -> bool {
    let is_gmails =
        |source: &&SourceFolder| source.name.components().iter().any(|level| roles::is_gmail(level));
    sources.iter().filter(is_gmails).any(|source| source.special_use.is_some())
}

/// Whether the source is a server that has all folders below the inbox, so that the level says nothing.
/// Not so where the target has just these: then they are its own.
fn all_below_inbox(sources: &[SourceFolder], target: &Target) -> bool {
    let mut folders = sources
        .iter()
        .filter(|source| source.selectable && !source.name.is_inbox())
        .map(|source| source.name.components())
        .peekable();
    if folders.peek().is_none() {
        return false;
    }
    folders.all(|components| components.len() > 1 && components[0].eq_ignore_ascii_case("INBOX"))
        && (target.is_below_prefix || !has_them_below_its_inbox(sources, target))
}

/// Whether one of the folders lies below the inbox on the target too, which has others elsewhere.
fn has_them_below_its_inbox(sources: &[SourceFolder], target: &Target) -> bool {
    if !target.start.written.is_empty() {
        return false;
    }
    let below = target.start_below(&target.inbox());
    sources.iter().any(|source| {
        let components = source.name.components();
        components.len() == 2 && target.listed_as_is(&below, &components[1..]).is_some()
    })
}
