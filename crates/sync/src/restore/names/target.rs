//! The target's ways with names: where the user's folders begin, what divides levels, what is there.
//!
//! NAMESPACE says where names begin. Without it, a server all of whose folders lie below `INBOX` is
//! one that takes them nowhere else (Courier, older Cyrus). A delimiter that could not be told from
//! the letters of a name counts as none.

use std::collections::{BTreeSet, HashMap, HashSet};

use message::{MailboxName, NameEncoding};
use remote::imap::Listed;

use super::spelling::{self, JOINT, LONGEST_CAREFUL, LONGEST_NAME, Reason};
use super::{Home, TargetWorld};
use crate::restore::roles::{self, Role};

/// A longer prefix than this is no server's.
const LONGEST_PREFIX: usize = 200;

/// The last resort is a name that any server takes, if it takes any.
const LONGEST_LAST_RESORT: usize = 60;

#[derive(Debug)]
pub(super) struct Target {
    encoding: NameEncoding,
    delimiter: Option<u8>,
    /// What the names of the user's folders begin with.
    home: Vec<u8>,
    /// NAMESPACE or the list told where that is.
    home_is_known: bool,
    /// `home` and what `--prefix` asks for.
    pub(super) start: Start,
    /// Everything goes below one folder, so that nothing goes to the target's own special folders.
    pub(super) is_below_prefix: bool,
    mailboxes: Vec<Listed>,
    places: HashMap<Vec<u8>, usize>,
}

/// What a name begins with, up to where the next level is written.
#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(super) written: Vec<u8>,
    /// The next level is the first one, which cannot be called like the inbox.
    pub(super) is_top: bool,
    /// No level can be made there: the next one is joined to the last.
    pub(super) is_flat: bool,
}

/// A name and why it is not as it was.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) name: MailboxName,
    pub(super) reasons: BTreeSet<Reason>,
}

impl Target {
    pub(super) fn new(world: &TargetWorld) -> Self {
        let mailboxes: Vec<Listed> =
            world.listed.iter().filter(|mailbox| !mailbox.outside).cloned().collect();
        let encoding =
            mailboxes.first().map_or(NameEncoding::ModifiedUtf7, |mailbox| mailbox.name.encoding());
        let (home, home_is_known) = match &world.namespace {
            Some(home) if home.prefix.len() <= LONGEST_PREFIX => (home.clone(), true),
            _ => from_the_list(&mailboxes),
        };
        let delimiter = home.delimiter.filter(|&delimiter| can_divide(delimiter));
        let mut places = HashMap::new();
        for (place, mailbox) in mailboxes.iter().enumerate() {
            places.entry(mailbox.name.identity().into_owned()).or_insert(place);
        }
        let start = Start { written: home.prefix.clone(), is_top: true, is_flat: delimiter.is_none() };
        let mut target = Self {
            encoding,
            delimiter,
            home: home.prefix,
            home_is_known,
            start,
            is_below_prefix: false,
            mailboxes,
            places,
        };
        let prefix =
            world.prefix.as_deref().map(|prefix| target.levels_of_prefix(prefix)).unwrap_or_default();
        if !prefix.is_empty() {
            target.start = target.below_prefix(&prefix);
            target.is_below_prefix = true;
        }
        target
    }

    pub(super) fn delimiter(&self) -> Option<char> {
        self.delimiter.map(char::from)
    }

    pub(super) fn listed(&self, identity: &[u8]) -> Option<&Listed> {
        self.places.get(identity).map(|&place| &self.mailboxes[place])
    }

    pub(super) fn is_listed(&self, identity: &[u8]) -> bool {
        self.places.contains_key(identity)
    }

    /// Whether the mailbox shows messages that lie elsewhere.
    pub(super) fn is_view(&self, identity: &[u8]) -> bool {
        self.listed(identity).is_some_and(is_view)
    }

    /// Whether the name is listed, and is that of no mailbox that could be made.
    pub(super) fn is_level_only(&self, identity: &[u8]) -> bool {
        self.listed(identity).is_some_and(|mailbox| !mailbox.selectable)
    }

    /// The mailboxes with a role by their attribute, in the order of the list.
    pub(super) fn with_role(&self, role: Role) -> impl Iterator<Item = &MailboxName> {
        let has = move |mailbox: &&Listed| attributed(mailbox).any(|of| of == role);
        self.usable().filter(has).map(|mailbox| &mailbox.name)
    }

    /// The mailboxes of the first level that have a role by their name and none by attribute, and how
    /// well the name says so.
    pub(super) fn named_like(&self, role: Role) -> impl Iterator<Item = (usize, &MailboxName)> {
        self.usable().filter(|mailbox| attributed(mailbox).next().is_none()).filter_map(move |mailbox| {
            let levels = self.levels(&mailbox.name);
            let [level] = levels.as_slice() else { return None };
            roles::by_name(level).filter(|(of, _)| *of == role).map(|(_, rank)| (rank, &mailbox.name))
        })
    }

    fn usable(&self) -> impl Iterator<Item = &Listed> {
        self.mailboxes.iter().filter(|mailbox| {
            mailbox.selectable && !mailbox.name.is_inbox() && !is_view(mailbox) && self.can_be_read(mailbox)
        })
    }

    /// Only names with the delimiter of all others can be cut into levels.
    fn can_be_read(&self, mailbox: &Listed) -> bool {
        mailbox.name.delimiter().filter(|&delimiter| can_divide(delimiter)) == self.delimiter
    }

    /// The levels of a name below the user's home.
    fn levels(&self, name: &MailboxName) -> Vec<String> {
        let raw = name.raw();
        let has_home = raw.get(..self.home.len()).is_some_and(|start| start.eq_ignore_ascii_case(&self.home));
        let below = if has_home { &raw[self.home.len()..] } else { raw };
        MailboxName::new(below, name.encoding(), self.delimiter).components()
    }

    /// Where the folders below this mailbox begin.
    pub(super) fn start_below(&self, name: &MailboxName) -> Start {
        let closed = |mailbox: &Listed| {
            mailbox.attributes.iter().any(|attribute| attribute.eq_ignore_ascii_case("\\NoInferiors"))
        };
        let is_flat = self.delimiter.is_none() || self.listed(&name.identity()).is_some_and(closed);
        let mut written = name.raw().to_vec();
        written.push(match self.delimiter {
            Some(delimiter) if !is_flat => delimiter,
            _ => JOINT as u8,
        });
        Start { written, is_top: false, is_flat }
    }

    /// The name of some levels at a place.
    pub(super) fn name(&self, start: &Start, levels: &[String]) -> Candidate {
        let mut reasons = BTreeSet::new();
        let mut safe = Vec::with_capacity(levels.len());
        for (at, level) in levels.iter().enumerate() {
            let level = match start.is_top && at == 0 {
                true => spelling::first_level(level, self.delimiter(), &mut reasons),
                false => spelling::level(level, self.delimiter(), &mut reasons),
            };
            safe.push(spelling::fitting(level, self.encoding, &mut reasons));
        }
        if start.is_flat && (safe.len() > 1 || !start.is_top) {
            reasons.insert(Reason::Flat);
        }
        let mut written = self.joined(start, &safe);
        if written.len() > LONGEST_NAME {
            reasons.insert(Reason::Long);
            written.clone_from(&self.home);
            let whole = safe.join(&JOINT.to_string());
            let mut stands_for = levels.to_vec();
            stands_for.push(String::from_utf8_lossy(&start.written).into_owned());
            let short = spelling::hashed(&whole, self.encoding, LONGEST_CAREFUL, &stands_for);
            written.extend(spelling::encoded(&short, self.encoding));
        }
        Candidate { name: self.named(written), reasons }
    }

    /// The name of the mailbox that is listed with just these levels, although one could not make it.
    pub(super) fn listed_as_is(&self, start: &Start, levels: &[String]) -> Option<MailboxName> {
        if levels.iter().any(|level| level.contains(|character| Some(character) == self.delimiter())) {
            return None;
        }
        let name = self.named(self.joined(start, levels));
        let listed = self.listed(&name.identity())?;
        (listed.selectable && !is_view(listed)).then(|| listed.name.clone())
    }

    fn joined(&self, start: &Start, levels: &[String]) -> Vec<u8> {
        let mut written = start.written.clone();
        let joint = self.delimiter.filter(|_| !start.is_flat).unwrap_or(JOINT as u8);
        for (at, level) in levels.iter().enumerate() {
            if at > 0 {
                written.push(joint);
            }
            written.extend(spelling::encoded(level, self.encoding));
        }
        written
    }

    fn named(&self, written: Vec<u8>) -> MailboxName {
        MailboxName::new(written, self.encoding, self.delimiter)
    }

    /// The inbox, or what stands for it below a prefix.
    pub(super) fn inbox(&self) -> MailboxName {
        if !self.is_below_prefix {
            return self.named(b"INBOX".to_vec());
        }
        self.name(&self.start, &["INBOX".to_owned()]).name
    }

    /// Beside a name that is another folder's: the first of `name-2`, `name-3` … that is free, beginning
    /// with this number; and the number after it.
    pub(super) fn beside(
        &self,
        name: &MailboxName,
        from: usize,
        is_free: impl Fn(&[u8]) -> bool,
    ) -> (MailboxName, usize) {
        let numbered = |number: usize| {
            let mut written = name.raw().to_vec();
            written.extend(format!("{JOINT}{number}").into_bytes());
            (self.named(written), number + 1)
        };
        let free = (from..).map(numbered).find(|(name, _)| is_free(&name.identity()));
        free.expect("there are more numbers than mailboxes")
    }

    /// Names to try after this one was refused, in this order.
    pub(super) fn substitutes(&self, refused: &MailboxName) -> Vec<MailboxName> {
        let mut names = Vec::new();
        let below_start = refused.raw().strip_prefix(self.start.written.as_slice());
        let start = match below_start {
            Some(_) => self.start.clone(),
            None => Start { written: Vec::new(), is_top: true, is_flat: self.delimiter.is_none() },
        };
        let below = MailboxName::new(below_start.unwrap_or(refused.raw()), self.encoding, self.delimiter);
        let levels = below.components();
        if let Some(delimiter) = self.delimiter.filter(|_| !self.home_is_known && self.home.is_empty()) {
            let mut written = [b"INBOX", &[delimiter][..]].concat();
            if refused.raw().get(..written.len()).is_none_or(|start| !start.eq_ignore_ascii_case(&written)) {
                written.extend(refused.raw());
                names.push(self.named(written));
            }
        }
        let careful: Vec<String> = levels.iter().map(|level| spelling::careful(level)).collect();
        let flat = careful.join(&JOINT.to_string());
        let room = LONGEST_CAREFUL.saturating_sub(start.written.len()).max(LONGEST_LAST_RESORT);
        let flat = spelling::shortened(flat, self.encoding, room, &levels);
        let numbered = |level: &str| format!("{level}{JOINT}2");
        let mut last_numbered = careful.clone();
        if let Some(last) = last_numbered.last_mut() {
            *last = numbered(last);
        }
        for levels in [careful, last_numbered, vec![flat.clone()], vec![numbered(&flat)]] {
            let candidate = self.name(&start, &levels);
            if candidate.name.raw().len()
                <= LONGEST_CAREFUL.max(start.written.len() + LONGEST_LAST_RESORT + 2)
            {
                names.push(candidate.name);
            }
        }
        let last = spelling::hashed(&spelling::ascii(&flat), self.encoding, LONGEST_LAST_RESORT, &levels);
        names.push(self.name(&start, &[last]).name);
        let mut seen = HashSet::from([refused.clone()]);
        names.retain(|name| seen.insert(name.clone()));
        names
    }

    /// The levels of `--prefix`, below the user's home. Who writes it as the target does is understood.
    fn levels_of_prefix(&self, prefix: &str) -> Vec<String> {
        let home = MailboxName::new(self.home.clone(), self.encoding, None).text();
        let below = prefix.get(..home.len()).filter(|start| start.eq_ignore_ascii_case(&home));
        let divider = match below {
            Some(_) if !home.is_empty() => self.delimiter().unwrap_or('/'),
            _ => '/',
        };
        let below = below.map_or(prefix, |_| &prefix[home.len()..]);
        let levels = below.split(['/', divider]).filter(|level| !level.is_empty());
        levels.map(str::to_owned).collect()
    }

    fn below_prefix(&self, levels: &[String]) -> Start {
        let inbox = levels.first().is_some_and(|level| level.eq_ignore_ascii_case("INBOX"));
        let home_is_inbox = self.home.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"INBOX"));
        let mut start = self.start.clone();
        let mut rest = levels;
        if inbox && home_is_inbox {
            // All folders lie below the inbox here anyway.
            start.is_top = false;
            rest = &levels[1..];
        } else if inbox {
            start = self.start_below(&self.named(b"INBOX".to_vec()));
            rest = &levels[1..];
        }
        match rest {
            [] => start,
            rest => self.start_below(&self.name(&start, rest).name),
        }
    }
}

/// The roles that a mailbox has by its attributes.
fn attributed(mailbox: &Listed) -> impl Iterator<Item = Role> {
    let attributes = mailbox.attributes.iter().chain(&mailbox.special_use);
    attributes.filter_map(|attribute| Role::of_attribute(attribute))
}

pub(super) fn is_view(mailbox: &Listed) -> bool {
    attributed(mailbox).any(Role::is_view)
}

/// Whether a delimiter can be told from the letters of a name, in modified UTF-7 too.
fn can_divide(delimiter: u8) -> bool {
    delimiter.is_ascii_punctuation() && !b"&-_+,~%*".contains(&delimiter)
}

fn from_the_list(mailboxes: &[Listed]) -> (Home, bool) {
    let inbox = mailboxes.iter().find(|mailbox| mailbox.name.is_inbox());
    let delimiter = inbox.and_then(|mailbox| mailbox.name.delimiter());
    let delimiter = delimiter.or_else(|| mailboxes.iter().find_map(|mailbox| mailbox.name.delimiter()));
    let delimiter = delimiter.filter(|&delimiter| can_divide(delimiter));
    if let Some(delimiter) = delimiter {
        let prefix = [b"INBOX", &[delimiter][..]].concat();
        let below = |mailbox: &Listed| {
            mailbox.name.raw().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(&prefix))
        };
        let mut folders = mailboxes.iter().filter(|mailbox| !mailbox.name.is_inbox()).peekable();
        if folders.peek().is_some() && folders.all(below) {
            return (Home { prefix, delimiter: Some(delimiter) }, true);
        }
    }
    (Home { prefix: Vec::new(), delimiter }, false)
}
