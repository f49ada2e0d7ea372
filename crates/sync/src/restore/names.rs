//! Where each folder lands on the target.
//!
//! A folder keeps its name as far as the target can hold it: level by level, below the prefix that
//! NAMESPACE tells and with the target's delimiter. Three kinds go elsewhere. What a folder is *for*
//! counts more than what it is called, so the one for sent mail goes to the target's `\Sent`, in
//! whatever language that is named. Subfolders follow the folder above them. Views (`\All`, `\Flagged`,
//! `\Important`) are not filled: what lies in them alone gets a folder of its own.
//!
//! Whatever name changes is told in `notices`. No two folders land in one mailbox. And the same folders
//! land in the same mailboxes when it is all done again, although the target then has what the first
//! time has made: else a second restore would bring everything twice. For that, what a name becomes
//! depends on what is asked for and on the target's ways, and on what it lists only as far as nothing
//! that is made changes the answer. So **all** folders of the account are to be given to
//! [`Landings::plan`], also those that a filter leaves out.
//!
//! A server may refuse a name, spell it in another way, or take two for one. [`Landings::refused`] and
//! [`Landings::listed_again`] find the next name; they come to the same one in every run.

mod origin;
mod placing;
mod spelling;
mod target;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};

use message::MailboxName;
use message::escape::escape;
use remote::imap::Listed;

use self::placing::{Outcome, Placed};
use self::target::Target;
use super::roles::Role;

/// How much of a server's refusal is shown.
const MAX_REFUSAL: usize = 200;

/// A folder of the archive.
#[derive(Clone, Debug)]
pub(crate) struct SourceFolder {
    /// As its server spelled it.
    pub(crate) name: MailboxName,
    /// `\Sent` …, as the server said.
    pub(crate) special_use: Option<String>,
    /// False: a level only. Nothing is made for it; CREATE makes the levels above a folder.
    pub(crate) selectable: bool,
}

/// The personal namespace of the target (RFC 2342).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Home {
    /// What all names but `INBOX` begin with, delimiter included.
    pub(crate) prefix: Vec<u8>,
    /// `None`: names have no levels.
    pub(crate) delimiter: Option<u8>,
}

/// What is known of the target before anything is made there.
#[derive(Clone, Debug)]
pub(crate) struct TargetWorld {
    /// Its mailboxes.
    pub(crate) listed: Vec<Listed>,
    /// `None` where NAMESPACE is not offered or refused: then the list has to tell.
    pub(crate) namespace: Option<Home>,
    /// Put everything below this folder; its levels are divided by `/`.
    pub(crate) prefix: Option<String>,
}

/// A mailbox of the target that takes one folder.
#[derive(Clone, Debug)]
pub(crate) struct Landing {
    /// Its name, as the session writes it.
    pub(crate) name: MailboxName,
    /// It is there; otherwise it has to be made, then looked for with [`Landings::listed_again`].
    pub(crate) exists: bool,
    /// To be made with this special use, where the server can (RFC 6154 §3).
    pub(crate) special_use: Option<&'static str>,
    /// What has changed and why, fit to be shown.
    pub(crate) notices: Vec<String>,
}

/// What becomes of a folder.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    /// All of it goes there.
    Whole(Landing),
    /// It is a view: of its messages only those go there that lie in none of the folders `beside`
    /// (numbers of the sources; those that are not restored do not count). If nothing is left, the
    /// mailbox is not to be made.
    Rest {
        /// Where they go.
        landing: Landing,
        /// Folders whose messages are given back by themselves.
        beside: Vec<usize>,
    },
    /// It has no messages of its own.
    Nothing,
}

impl Destination {
    /// Where it goes.
    pub(crate) fn landing(&self) -> Option<&Landing> {
        match self {
            Self::Whole(landing) | Self::Rest { landing, .. } => Some(landing),
            Self::Nothing => None,
        }
    }

    fn landing_mut(&mut self) -> Option<&mut Landing> {
        match self {
            Self::Whole(landing) | Self::Rest { landing, .. } => Some(landing),
            Self::Nothing => None,
        }
    }
}

/// What a new listing shows of a mailbox that has been made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It is there; the landing has its name as the server spells it.
    There,
    /// The server took the name for that of another folder's mailbox. The landing has a new name,
    /// which has to be made unless it exists.
    Anothers,
    /// It is not listed. Servers that hide what is not subscribed do so: it may open all the same.
    Hidden,
}

/// Where all folders land.
#[derive(Debug)]
pub(crate) struct Landings {
    target: Target,
    sources: Vec<SourceFolder>,
    places: Vec<Option<Placed>>,
    destinations: Vec<Destination>,
    /// The mailboxes that are some folder's, by identity.
    claimed: HashSet<Vec<u8>>,
    /// The names that folders ask for, by identity.
    wanted: HashSet<Vec<u8>>,
    /// Names that the server refused, by folder: the first that was asked for, and how many since.
    refusals: HashMap<usize, (MailboxName, usize)>,
    /// Folders of whose mailbox the server says that it is there, though it does not list it so.
    said_to_exist: HashSet<usize>,
}

impl Landings {
    /// Decides for all folders of the account at once, in their order: where two want the same name,
    /// the earlier has it.
    pub(crate) fn plan(sources: Vec<SourceFolder>, world: &TargetWorld) -> Self {
        let target = Target::new(world);
        let Outcome { places, claimed, wanted } = placing::place(&sources, &target);
        let mut landings = Self {
            target,
            sources,
            places,
            destinations: Vec::new(),
            claimed,
            wanted,
            refusals: HashMap::new(),
            said_to_exist: HashSet::new(),
        };
        landings.destinations =
            (0..landings.sources.len()).map(|source| landings.destination(source)).collect();
        landings
    }

    /// What becomes of a folder, by its number.
    pub(crate) fn of(&self, source: usize) -> &Destination {
        &self.destinations[source]
    }

    /// All folders in the order to make them in: those above before those below, and what lies below the
    /// inbox after the others, lest a target that tells no namespace seem to have all folders there
    /// when this is cut off.
    pub(crate) fn creation_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.sources.len()).collect();
        order.sort_by_key(|&source| {
            let name = self.of(source).landing().map(|landing| &landing.name);
            let levels = name.map(MailboxName::components).unwrap_or_default();
            let below_inbox = levels.len() > 1 && levels[0].eq_ignore_ascii_case("INBOX");
            (below_inbox, self.sources[source].name.components().len(), levels.len())
        });
        order
    }

    /// The server refused to make the folder's mailbox, or what it made cannot hold messages. True:
    /// the landing has another name, to be made unless it exists. False: there is no name left to try.
    pub(crate) fn refused(&mut self, source: usize, why: &str) -> bool {
        let Some(landing) = self.of(source).landing() else { return false };
        let name = landing.name.clone();
        let (first, tried) = self.refusals.remove(&source).unwrap_or((name.clone(), 0));
        let substitutes = self.target.substitutes(&first);
        for (number, substitute) in substitutes.into_iter().enumerate().skip(tried) {
            self.refusals.insert(source, (first.clone(), number + 1));
            let identity = substitute.identity();
            if substitute == name || !self.is_stand_in(&identity) || self.target.is_level_only(&identity) {
                continue;
            }
            let why: String = why.chars().take(MAX_REFUSAL).collect();
            let notice = format!(
                "the server refused the name `{}` ({}); named `{}` instead",
                escape(&first.text()),
                escape(&why),
                escape(&substitute.text())
            );
            self.give(source, substitute, notice);
            return true;
        }
        self.refusals.insert(source, (first, usize::MAX));
        false
    }

    /// The server says that the folder's mailbox, which it does not list, is there already: it spells
    /// the name otherwise, and has done so before.
    pub(crate) fn said_to_exist(&mut self, source: usize) {
        self.said_to_exist.insert(source);
    }

    /// Finds a mailbox that has been made in what the server lists then (RFC 9051 lets it spell the
    /// name otherwise, or have it already under a name that it takes for the same).
    pub(crate) fn listed_again(&mut self, source: usize, listed: &[Listed]) -> Seen {
        let Some(landing) = self.of(source).landing() else { return Seen::Hidden };
        let name = landing.name.clone();
        let own = name.identity().into_owned();
        let here = || listed.iter().filter(|mailbox| mailbox.selectable && !mailbox.outside);
        if let Some(mailbox) = here().find(|mailbox| mailbox.name.identity() == own.as_slice()) {
            self.found(source, mailbox.name.clone(), None);
            return Seen::There;
        }
        let wanted = spelling::folded(&name.text());
        let same = |mailbox: &&Listed| spelling::folded(&mailbox.name.text()) == wanted;
        let others = |mailbox: &&Listed| {
            let identity = mailbox.name.identity();
            !self.is_free(&identity)
        };
        if here().filter(same).any(|mailbox| others(&mailbox)) {
            let is_free = |identity: &[u8]| self.is_stand_in(identity);
            let (next, _) = self.target.beside(&name, placing::FIRST_NUMBER, is_free);
            let notice = format!(
                "the server takes `{}` for the mailbox of another folder; named `{}` instead",
                escape(&name.text()),
                escape(&next.text())
            );
            self.give(source, next, notice);
            return Seen::Anothers;
        }
        let skeleton = spelling::skeleton(&name.text());
        let is_old = self.said_to_exist.contains(&source);
        let new = |mailbox: &&Listed| {
            (is_old || !self.target.is_listed(&mailbox.name.identity())) && !others(mailbox)
        };
        let found = here().find(same).or_else(|| {
            let mut alike =
                here().filter(new).filter(|mailbox| spelling::skeleton(&mailbox.name.text()) == skeleton);
            alike.next().filter(|_| alike.next().is_none())
        });
        match found.map(|mailbox| mailbox.name.clone()) {
            Some(found) => {
                let notice = format!("the server spells the name `{}`", escape(&found.text()));
                self.found(source, found, Some(notice));
                Seen::There
            }
            None => Seen::Hidden,
        }
    }

    fn is_free(&self, identity: &[u8]) -> bool {
        !self.claimed.contains(identity) && !self.target.is_view(identity)
    }

    /// Whether a folder can have this name that did not ask for it.
    fn is_stand_in(&self, identity: &[u8]) -> bool {
        self.is_free(identity) && !self.wanted.contains(identity)
    }

    /// The mailbox is there under this name.
    fn found(&mut self, source: usize, name: MailboxName, notice: Option<String>) {
        let old = self.places[source].as_ref().map(|placed| placed.name.identity().into_owned());
        if let Some(old) = old {
            self.claimed.remove(&old);
        }
        self.claimed.insert(name.identity().into_owned());
        if let Some(placed) = &mut self.places[source] {
            placed.name = name.clone();
        }
        if let Some(landing) = self.destinations[source].landing_mut() {
            landing.name = name;
            landing.exists = true;
            landing.notices.extend(notice);
        }
    }

    /// The folder gets another name, and what lies below it follows.
    fn give(&mut self, source: usize, name: MailboxName, notice: String) {
        let Some(placed) = &mut self.places[source] else { return };
        self.claimed.remove(placed.name.identity().as_ref());
        self.claimed.insert(name.identity().into_owned());
        placed.name = name;
        placed.changed = true;
        // The reasons were those of the name that it does not have.
        placed.reasons = BTreeSet::new();
        placed.because = Vec::new();
        placed.notices = vec![notice];
        // With the attribute the next run would find it by that, and the name that was refused would be
        // free for another folder, whose place would not be the same then.
        placed.made_for = None;
        self.destinations[source] = self.destination(source);
        if !self.has_folders_below(source) {
            return;
        }
        let settled = |other: usize| {
            let exists = self.destinations[other].landing().is_some_and(|landing| landing.exists);
            exists || self.refusals.contains_key(&other)
        };
        let (places, claimed) = (&mut self.places, &mut self.claimed);
        let moved = placing::follow(source, settled, &self.sources, &self.target, places, claimed);
        for follower in moved {
            self.refusals.remove(&follower);
            self.destinations[follower] = self.destination(follower);
        }
    }

    /// False only if there are none: a quick look before all names are read again.
    fn has_folders_below(&self, source: usize) -> bool {
        let above = self.sources[source].name.raw();
        let is_below = |other: &SourceFolder| {
            let start = other.name.raw().get(..above.len());
            other.name.raw().len() > above.len()
                && start.is_some_and(|start| start.eq_ignore_ascii_case(above))
        };
        self.sources.iter().any(is_below)
    }

    fn destination(&self, source: usize) -> Destination {
        let Some(placed) = &self.places[source] else { return Destination::Nothing };
        let identity = placed.name.identity();
        let exists = self.target.listed(&identity).filter(|mailbox| mailbox.selectable);
        let landing = Landing {
            name: exists.map_or_else(|| placed.name.clone(), |mailbox| mailbox.name.clone()),
            exists: exists.is_some() || placed.name.is_inbox(),
            special_use: placed.made_for.map(Role::attribute),
            notices: placed.told(&self.target),
        };
        match placed.view_order {
            None => Destination::Whole(landing),
            Some(order) => {
                let sooner = |other: &Placed| other.view_order.is_none_or(|other| other < order);
                let beside = self.places.iter().enumerate();
                let beside = beside.filter(|(_, other)| other.as_ref().is_some_and(sooner));
                Destination::Rest { landing, beside: beside.map(|(number, _)| number).collect() }
            }
        }
    }
}
