//! Gives every folder its mailbox.
//!
//! In this order, so that the better claim comes first: the inbox; folders with a role; then level by
//! level (a folder follows the one above it), first those that keep their names, then those whose name
//! had to change, with a number where it is taken; last the views.
//!
//! A role goes to one folder: the one with the attribute, else the one whose name says it best. It
//! lands, in this order, in the mailbox that has the attribute on the target; in the one of its own
//! name; in one whose name says the same; else its own name is made. But a name that another folder asks
//! for is left to that one. So what a restore makes never changes the answer, wherever it was cut off
//! and whatever attributes the server gives to what was made: those are names that some folder asks for.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use message::MailboxName;
use message::escape::escape;

use super::SourceFolder;
use super::origin::Origin;
use super::spelling::{self, Reason};
use super::target::{Candidate, Start, Target};
use crate::restore::roles::{self, Role};

/// A folder with its mailbox.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) name: MailboxName,
    /// The name is not the folder's own; those below it have no own name either.
    pub(super) changed: bool,
    pub(super) reasons: BTreeSet<Reason>,
    /// Why else it has the name that it has.
    pub(super) because: Vec<String>,
    /// What is told besides.
    pub(super) notices: Vec<String>,
    /// The use to make it with.
    pub(super) made_for: Option<Role>,
    /// It lies where its role is, and does not follow the folder above it.
    has_role: bool,
    /// A view, and the how manyth.
    pub(super) view_order: Option<usize>,
}

impl Placed {
    fn new(candidate: Candidate) -> Self {
        let Candidate { name, reasons } = candidate;
        let changed = !reasons.is_empty();
        Self {
            name,
            changed,
            reasons,
            because: Vec::new(),
            notices: Vec::new(),
            made_for: None,
            has_role: false,
            view_order: None,
        }
    }

    /// What is to be told of the name.
    pub(super) fn told(&self, target: &Target) -> Vec<String> {
        let mut told = Vec::new();
        if self.view_order.is_some() {
            told.push(
                "it only shows mail that lies elsewhere: what no other folder holds is given back".to_owned(),
            );
        }
        let mut why: Vec<String> =
            self.reasons.iter().map(|reason| reason.text(target.delimiter())).collect();
        why.extend(self.because.iter().cloned());
        if !why.is_empty() {
            told.push(format!("named `{}`: {}", escape(&self.name.text()), why.join("; ")));
        }
        told.extend(self.notices.iter().cloned());
        told
    }
}

/// The folder that has the name itself is the first.
pub(super) const FIRST_NUMBER: usize = 2;

/// Not a folder that asks for a name, but the levels above one.
const A_LEVEL: usize = usize::MAX;

/// The same of a folder that does not follow: it has a role, or no folder lies above it.
const A_LEVEL_THAT_IS_MADE: usize = usize::MAX - 1;

struct Placing<'a> {
    sources: &'a [SourceFolder],
    target: &'a Target,
    origins: Vec<Origin>,
    /// Folders by all their levels; the first where two read alike.
    by_levels: HashMap<Vec<String>, usize>,
    /// Names that folders ask for, and the levels above these.
    wanted: HashMap<Vec<u8>, BTreeSet<usize>>,
    /// The same by what every server leaves of a name.
    asked_for: HashMap<String, BTreeSet<usize>>,
    own: Vec<Candidate>,
    places: Vec<Option<Placed>>,
    claimed: HashSet<Vec<u8>>,
    /// Where to go on with numbers beside a name.
    numbers: HashMap<Vec<u8>, usize>,
}

/// What comes of placing all folders.
pub(super) struct Outcome {
    /// The mailbox of each folder that gets one.
    pub(super) places: Vec<Option<Placed>>,
    /// The identities of these mailboxes.
    pub(super) claimed: HashSet<Vec<u8>>,
    /// Those of the names that folders ask for, whether they got them or not. No other folder gets one of
    /// these for want of its own: were it made, the next run would find it for the one that asked.
    pub(super) wanted: HashSet<Vec<u8>>,
}

/// Gives every folder its mailbox.
pub(super) fn place(sources: &[SourceFolder], target: &Target) -> Outcome {
    let mut placing = Placing::new(sources, target);
    placing.claimed.insert(b"INBOX".to_vec());
    placing.place_inbox();
    if !target.is_below_prefix {
        placing.place_roles();
    }
    placing.place_by_name();
    placing.place_views();
    let wanted = placing.wanted.into_keys().collect();
    Outcome { places: placing.places, claimed: placing.claimed, wanted }
}

/// Gives what lies below a folder new names after its own has changed, unless it is `settled` already.
/// Returns which have moved.
pub(super) fn follow(
    above: usize,
    settled: impl Fn(usize) -> bool,
    sources: &[SourceFolder],
    target: &Target,
    places: &mut Vec<Option<Placed>>,
    claimed: &mut HashSet<Vec<u8>>,
) -> Vec<usize> {
    let mut placing = Placing::new(sources, target);
    placing.places = std::mem::take(places);
    placing.claimed = std::mem::take(claimed);
    let start = placing.origins[above].components.clone();
    let leads = placing.places[above].as_ref().is_some_and(|placed| placed.view_order.is_none());
    let mut below: Vec<usize> = (0..sources.len())
        .filter(|&source| {
            let components = &placing.origins[source].components;
            let follows = |placed: &Placed| !placed.has_role && placed.view_order.is_none();
            leads
                && source != above
                && !settled(source)
                && components.len() > start.len()
                && components.starts_with(&start)
                && placing.places[source].as_ref().is_some_and(follows)
        })
        .collect();
    below.sort_by_key(|&source| placing.origins[source].components.len());
    for &source in &below {
        if let Some(old) = placing.places[source].take() {
            placing.claimed.remove(old.name.identity().as_ref());
        }
    }
    for &source in &below {
        let mut placed = placing.by_name(source);
        placing.make_free(&mut placed);
        placing.put(source, placed);
    }
    *places = placing.places;
    *claimed = placing.claimed;
    below
}

impl<'a> Placing<'a> {
    fn new(sources: &'a [SourceFolder], target: &'a Target) -> Self {
        let origins = Origin::of_all(sources, target);
        let mut by_levels = HashMap::new();
        for (number, origin) in origins.iter().enumerate() {
            by_levels.entry(origin.components.clone()).or_insert(number);
        }
        let mut placing = Self {
            sources,
            target,
            by_levels,
            wanted: HashMap::new(),
            asked_for: HashMap::new(),
            own: Vec::new(),
            places: vec![None; origins.len()],
            claimed: HashSet::new(),
            numbers: HashMap::new(),
            origins,
        };
        for number in 0..sources.len() {
            let origin = &placing.origins[number];
            let own = placing.own_name(origin, origin.levels.len());
            if origin.selectable && !origin.is_inbox {
                for depth in 1..=origin.levels.len() {
                    let name = placing.own_name(origin, depth).name;
                    // A level above may become a mailbox when this folder is made.
                    let level = &origin.components[..origin.dropped() + depth];
                    let follows =
                        origin.role.or(origin.view).is_none() && placing.by_levels.contains_key(level);
                    let asking = match follows {
                        _ if depth == origin.levels.len() => number,
                        true => A_LEVEL,
                        false => A_LEVEL_THAT_IS_MADE,
                    };
                    let skeleton = spelling::skeleton(&name.text());
                    placing.asked_for.entry(skeleton).or_default().insert(asking);
                    placing.wanted.entry(name.identity().into_owned()).or_default().insert(asking);
                }
            }
            placing.own.push(own);
        }
        if let Some(view) = placing.view_of_all() {
            let name = placing.archive_name().name;
            placing.asked_for.entry(spelling::skeleton(&name.text())).or_default().insert(view);
            placing.wanted.entry(name.identity().into_owned()).or_default().insert(view);
        }
        placing
    }

    /// The name that a folder would have if no folder above it had moved.
    fn own_name(&self, origin: &Origin, depth: usize) -> Candidate {
        let levels = &origin.levels[..depth];
        if let [first, rest @ ..] = levels
            && !rest.is_empty()
            && first == "INBOX"
            && origin.dropped() == 0
        {
            return self.target.name(&self.target.start_below(&self.target.inbox()), rest);
        }
        self.target.name(&self.target.start, levels)
    }

    fn is_free(&self, name: &MailboxName) -> bool {
        let identity = name.identity();
        !self.claimed.contains(identity.as_ref()) && !self.target.is_view(&identity)
    }

    fn put(&mut self, source: usize, placed: Placed) {
        self.claimed.insert(placed.name.identity().into_owned());
        self.places[source] = Some(placed);
    }

    fn place_inbox(&mut self) {
        for source in 0..self.sources.len() {
            if self.origins[source].is_inbox {
                let name = self.target.inbox();
                let mut placed = Placed::new(Candidate { name, reasons: BTreeSet::new() });
                if self.target.is_below_prefix {
                    self.make_free(&mut placed);
                }
                self.put(source, placed);
                return;
            }
        }
    }

    fn place_roles(&mut self) {
        let mut holders: BTreeMap<Role, usize> = BTreeMap::new();
        for role in Role::KEPT {
            if let Some(holder) = self.holder(role) {
                holders.insert(role, holder);
            }
        }
        // For all roles the best claim first, so that no role takes what is another's by attribute.
        for find in [Self::by_attribute, Self::under_own_name, Self::by_sound] {
            for role in Role::KEPT {
                let Some(&holder) = holders.get(&role) else { continue };
                if let Some((name, notice)) = find(self, role, &self.own[holder].name, holder) {
                    let own = name == self.own[holder].name;
                    let mut placed = Placed::new(self.own[holder].clone());
                    if !own {
                        placed.reasons.clear();
                        placed.changed = true;
                        placed.notices.push(notice);
                    }
                    placed.name = name;
                    placed.has_role = true;
                    self.put(holder, placed);
                    holders.remove(&role);
                }
            }
        }
        for (role, holder) in holders {
            if self.is_free(&self.own[holder].name) {
                let mut placed = Placed::new(self.own[holder].clone());
                placed.has_role = true;
                placed.made_for = Some(role);
                self.put(holder, placed);
            }
        }
    }

    /// The one folder that has a role.
    fn holder(&self, role: Role) -> Option<usize> {
        let with_attribute: Vec<usize> =
            self.open().filter(|&it| self.origins[it].role == Some(role)).collect();
        let rank = |source: usize| match self.origins[source].levels.as_slice() {
            [level] => roles::by_name(level).filter(|(of, _)| *of == role).map(|(_, rank)| rank),
            _ => None,
        };
        let mut candidates = with_attribute;
        if candidates.is_empty() {
            candidates = self.open().filter(|&it| self.origins[it].role.is_none()).collect();
            candidates.retain(|&it| rank(it).is_some());
        }
        candidates.into_iter().min_by_key(|&it| (rank(it).unwrap_or(usize::MAX), it))
    }

    /// Folders that have messages of their own and no mailbox yet.
    fn open(&self) -> impl Iterator<Item = usize> {
        (0..self.sources.len()).filter(|&source| {
            let origin = &self.origins[source];
            origin.selectable && origin.view.is_none() && !origin.is_inbox && self.places[source].is_none()
        })
    }

    fn by_attribute(&self, role: Role, own: &MailboxName, holder: usize) -> Option<(MailboxName, String)> {
        let is_open = |name: &&MailboxName| {
            self.is_free(name)
                && match *name == own {
                    true => self.is_its_own(name, holder),
                    false => !self.is_asked_for_by_another(name, holder),
                }
        };
        let mut there: Vec<&MailboxName> = self.target.with_role(role).filter(is_open).collect();
        there.sort_by_key(|name| *name != own);
        let name = (*there.first()?).clone();
        let notice =
            format!("goes to `{}`, which is {} on the target", escape(&name.text()), role.attribute());
        Some((name, notice))
    }

    fn under_own_name(&self, _role: Role, own: &MailboxName, holder: usize) -> Option<(MailboxName, String)> {
        let listed = self.target.listed(&own.identity()).filter(|mailbox| mailbox.selectable)?;
        (self.is_free(own) && self.is_its_own(own, holder)).then(|| (listed.name.clone(), String::new()))
    }

    fn by_sound(&self, role: Role, _own: &MailboxName, holder: usize) -> Option<(MailboxName, String)> {
        let (_, name) = self
            .target
            .named_like(role)
            .filter(|(_, name)| self.is_free(name) && !self.is_asked_for_by_another(name, holder))
            .min_by_key(|(rank, name)| (*rank, name.identity().into_owned()))?;
        let name = name.clone();
        let notice = format!(
            "goes to `{}`, which by its name is {} on the target",
            escape(&name.text()),
            role.attribute()
        );
        Some((name, notice))
    }

    fn place_by_name(&mut self) {
        let mut by_depth: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for source in self.open() {
            by_depth.entry(self.origins[source].levels.len()).or_default().push(source);
        }
        for sources in by_depth.into_values() {
            let mut others = Vec::new();
            for source in sources {
                let placed = self.by_name(source);
                if placed.changed || !self.is_free(&placed.name) {
                    others.push(source);
                } else {
                    self.put(source, placed);
                }
            }
            for source in others {
                let mut placed = self.by_name(source);
                self.make_free(&mut placed);
                self.put(source, placed);
            }
        }
    }

    /// Whether no other folder comes to this very name.
    fn is_its_own(&self, name: &MailboxName, source: usize) -> bool {
        let asking = self.wanted.get(name.identity().as_ref());
        asking.is_none_or(|asking| asking.iter().all(|&other| other == source || other == A_LEVEL))
    }

    /// Whether another folder asks for this name, or for one that a server may have made this of.
    fn is_asked_for_by_another(&self, name: &MailboxName, source: usize) -> bool {
        let asking = self.asked_for.get(&spelling::skeleton(&name.text()));
        asking.is_some_and(|asking| asking.iter().any(|&other| other != source))
    }

    /// The folder's own name, below the folder above it.
    fn by_name(&self, source: usize) -> Placed {
        let origin = &self.origins[source];
        let (start, levels, above) = self.above(origin);
        let candidate = self.target.name(&start, levels);
        let is_moved = above.is_some_and(|above| above.changed);
        if !is_moved && let Some(name) = self.is_there_as_it_was(source, &candidate, &start, levels) {
            return Placed::new(Candidate { name, reasons: BTreeSet::new() });
        }
        let mut placed = Placed::new(candidate);
        if origin.is_unreadable {
            placed.reasons.insert(Reason::Unreadable);
            placed.changed = true;
        }
        if is_moved {
            placed.changed = true;
            placed.because.push("it follows the folder above it".to_owned());
        } else if origin.is_gmail {
            placed.changed = true;
            placed.because.push("the level `[Gmail]` is made by Gmail alone".to_owned());
        }
        placed
    }

    /// A mailbox of the very same name, though one could not make it.
    fn is_there_as_it_was(
        &self,
        source: usize,
        candidate: &Candidate,
        start: &Start,
        levels: &[String],
    ) -> Option<MailboxName> {
        let origin = &self.origins[source];
        if candidate.reasons.is_empty() && !origin.is_unreadable && !origin.is_gmail {
            return None;
        }
        let as_written = || {
            let name = &self.sources[source].name;
            let listed = self.target.listed(&name.identity())?;
            let same = listed.name.delimiter() == name.delimiter() && listed.selectable;
            (same && !self.target.is_below_prefix).then(|| listed.name.clone())
        };
        let whole = || match origin.is_gmail {
            true => self.target.listed_as_is(&self.target.start, &origin.components[origin.dropped() - 1..]),
            false => self.target.listed_as_is(start, levels),
        };
        let found = as_written().or_else(whole)?;
        (found != candidate.name && self.is_free(&found)).then_some(found)
    }

    /// Where a folder's name begins, the levels that follow, and the folder that it begins with.
    fn above<'o>(&self, origin: &'o Origin) -> (Start, &'o [String], Option<&Placed>) {
        let components = &origin.components;
        for depth in (origin.dropped() + 1..components.len()).rev() {
            let Some(&above) = self.by_levels.get(&components[..depth]) else { continue };
            let Some(placed) = self.places[above].as_ref().filter(|placed| placed.view_order.is_none())
            else {
                continue;
            };
            return (self.target.start_below(&placed.name), &components[depth..], Some(placed));
        }
        match origin.levels.as_slice() {
            [first, rest @ ..] if first == "INBOX" && !rest.is_empty() && origin.dropped() == 0 => {
                (self.target.start_below(&self.target.inbox()), rest, None)
            }
            levels => (self.target.start.clone(), levels, None),
        }
    }

    /// Adds a number if the name is taken.
    fn make_free(&mut self, placed: &mut Placed) {
        if self.is_free(&placed.name) {
            return;
        }
        let is_free = |identity: &[u8]| {
            let is_taken = self.claimed.contains(identity) || self.wanted.contains_key(identity);
            !is_taken && !self.target.is_view(identity)
        };
        let wanted = placed.name.identity().into_owned();
        let from = self.numbers.get(&wanted).copied().unwrap_or(FIRST_NUMBER);
        let (next, after) = self.target.beside(&placed.name, from, is_free);
        self.numbers.insert(wanted, after);
        let taken = match self.target.is_view(&placed.name.identity()) {
            true => "only shows mail that lies elsewhere",
            false => "is the mailbox of another folder",
        };
        placed.because.push(format!("`{}` {taken} on the target", escape(&placed.name.text())));
        placed.name = next;
        placed.changed = true;
    }

    fn place_views(&mut self) {
        let mut views: Vec<(Role, usize)> = Vec::new();
        for (source, origin) in self.origins.iter().enumerate() {
            if let Some(view) = origin.view.filter(|_| origin.selectable) {
                views.push((view, source));
            }
        }
        views.sort_unstable();
        let has_archive = !self.target.is_below_prefix && self.archive_is_asked_for();
        for (order, (view, source)) in views.into_iter().enumerate() {
            let mut placed = match (view, order) {
                (Role::All, 0) if !has_archive => self.archive(source),
                _ => Placed::new(self.own[source].clone()),
            };
            self.make_free(&mut placed);
            placed.view_order = Some(order);
            placed.changed = true;
            self.put(source, placed);
        }
    }

    fn archive_is_asked_for(&self) -> bool {
        let by_attribute = self.origins.iter().any(|origin| origin.role == Some(Role::Archive));
        let by_name = |origin: &Origin| match origin.levels.as_slice() {
            [level] => {
                origin.role.is_none() && roles::by_name(level).is_some_and(|(role, _)| role == Role::Archive)
            }
            _ => false,
        };
        by_attribute || self.origins.iter().any(|origin| origin.selectable && by_name(origin))
    }

    /// The first view of everything.
    fn view_of_all(&self) -> Option<usize> {
        self.origins.iter().position(|origin| origin.view == Some(Role::All) && origin.selectable)
    }

    fn archive_name(&self) -> Candidate {
        self.target.name(&self.target.start, &["Archive".to_owned()])
    }

    /// The mailbox for mail that lies in a view of everything and nowhere else.
    fn archive(&self, view: usize) -> Placed {
        let own = self.archive_name();
        if !self.target.is_below_prefix {
            for find in [Self::by_attribute, Self::under_own_name, Self::by_sound] {
                if let Some((name, _)) = find(self, Role::Archive, &own.name, view) {
                    return Placed::new(Candidate { name, reasons: BTreeSet::new() });
                }
            }
        }
        let mut placed = Placed::new(own);
        placed.made_for = (!self.target.is_below_prefix).then_some(Role::Archive);
        placed
    }
}
