//! What a restore knows of one folder while it works on it, and the report that comes of it.
//!
//! Each message asked for is in one state; looks and answers of the server move it on. No mark of it
//! is kept anywhere: a restore that is run again begins with a look.

use std::collections::{HashMap, HashSet};

use message::{MailboxName, Uid, UidValidity};
use remote::imap::PermanentFlags;

use super::attempt::{Attempt, Lessons};
use super::look::{Depth, Look};
use super::proof;
use super::report::{FolderReport, Refused};
use super::wanted::Wanted;

/// Where a message stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not on the target, as far as we know.
    Missing,
    /// The target had it before.
    There,
    /// The target has taken it, or was found to have it after a cut.
    Added,
    /// It is not there and will not be.
    Refused { why: String, damaged: bool },
}

/// One folder under way.
#[derive(Debug)]
pub(super) struct Folder {
    /// On the target.
    pub(super) name: MailboxName,
    /// It is not there yet, and only planned.
    pub(super) is_planned: bool,
    pub(super) wanted: Vec<Wanted>,
    pub(super) states: Vec<State>,
    /// What was tried with messages that met trouble.
    pub(super) attempts: HashMap<usize, Attempt>,
    /// What this mailbox has taught us to try first.
    pub(super) lessons: Lessons,
    /// Messages whose answer is due.
    pub(super) in_flight: HashSet<usize>,
    /// The UIDs that the server says it gave.
    pub(super) given: HashMap<usize, Uid>,
    /// What the mailbox keeps, once it was asked.
    pub(super) keeps: Option<PermanentFlags>,
    /// How much is compared: more, once a sample was wrong.
    pub(super) depth: Depth,
    /// What was taken for ours and is not was sent after all; that happens once.
    has_demoted: bool,
    /// The first look is over: what is found from now on was added.
    looked: bool,
    /// Copies of ours beyond those asked for, at the first look.
    extra_before: u64,
    /// What was sent before a cut may be stored yet.
    pub(super) is_unsettled: bool,
    /// Something was added since the last look.
    pub(super) changed: bool,
    pub(super) report: FolderReport,
}

/// What a folder's target was when it was proven, to be compared at the very end.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProvenState {
    pub(super) validity: Option<UidValidity>,
    pub(super) messages: u64,
}

impl Folder {
    pub(super) fn new(name: MailboxName, wanted: Vec<Wanted>, report: FolderReport) -> Self {
        let lost = State::Refused { why: "damage has taken it from the archive".to_owned(), damaged: true };
        let state = |wanted: &Wanted| if wanted.lost { lost.clone() } else { State::Missing };
        Self {
            name,
            is_planned: false,
            states: wanted.iter().map(state).collect(),
            report: FolderReport { asked: wanted.len() as u64, ..report },
            wanted,
            attempts: HashMap::new(),
            lessons: Lessons::default(),
            in_flight: HashSet::new(),
            given: HashMap::new(),
            keeps: None,
            depth: Depth::Headers,
            has_demoted: false,
            looked: false,
            extra_before: 0,
            is_unsettled: false,
            changed: false,
        }
    }

    /// Takes over what a look has found; gives the number of messages and octets found for the first
    /// time.
    pub(super) fn note_look(&mut self, look: &Look) -> (u64, u64) {
        let (mut messages, mut bytes) = (0, 0);
        for index in 0..self.wanted.len() {
            if look.pairs[index].is_none() || matches!(self.states[index], State::There | State::Added) {
                continue;
            }
            self.states[index] = if self.looked { State::Added } else { State::There };
            messages += 1;
            bytes += self.wanted[index].size;
        }
        let extra = proof::copies_beyond(&self.wanted, look);
        if !self.looked {
            self.extra_before = extra;
        } else if extra > self.extra_before {
            let notice = format!(
                "{} messages are there once more than was asked for: the server has finished late what seemed \
                 to be cut off",
                extra - self.extra_before
            );
            self.extra_before = extra;
            self.report.notices.push(notice);
        }
        self.looked = true;
        self.changed = false;
        (messages, bytes)
    }

    /// What the target seemed to have and has not, as this look shows, is missing: true if there is any.
    /// Happens once, for who takes our mail away while it is restored does so again.
    pub(super) fn demote(&mut self, look: &Look) -> bool {
        if std::mem::replace(&mut self.has_demoted, true) {
            return false;
        }
        let mut any = false;
        for (state, pair) in self.states.iter_mut().zip(&look.pairs) {
            if *state == State::There && pair.is_none() {
                *state = State::Missing;
                any = true;
            }
        }
        any
    }

    /// Messages that are still to be sent, in their order.
    pub(super) fn missing(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.states.len()).filter(|&index| self.states[index] == State::Missing)
    }

    /// How a message is sent next.
    pub(super) fn attempt(&self, index: usize) -> Attempt {
        let first = self.lessons.first_attempt();
        self.attempts.get(&index).map_or(first, |attempt| attempt.at_least(first))
    }

    pub(super) fn refuse(&mut self, index: usize, why: String, damaged: bool) {
        self.states[index] = State::Refused { why, damaged };
    }

    /// The connection was lost; what was on it is suspected to be the cause, and sent more carefully.
    pub(super) fn note_cut(&mut self, most: u32) {
        let alone = self.in_flight.len() == 1;
        for index in std::mem::take(&mut self.in_flight) {
            let first = self.lessons.first_attempt();
            let attempt = self.attempts.entry(index).or_insert(first);
            attempt.cuts += 1;
            if alone && attempt.cuts >= most {
                let why = format!("the connection was lost {} times while it was sent", attempt.cuts);
                self.refuse(index, why, false);
            }
        }
    }

    /// The report, with the counts as they are now.
    pub(super) fn into_report(mut self) -> FolderReport {
        let count = |state: &State| self.states.iter().filter(|known| *known == state).count() as u64;
        self.report.already_there = count(&State::There);
        self.report.added = count(&State::Added);
        self.report.not_sent = count(&State::Missing);
        for (wanted, state) in self.wanted.iter().zip(&self.states) {
            if let State::Refused { why, damaged } = state {
                let (id, uid) = (wanted.key.to_string(), wanted.uid.get());
                self.report.refused.push(Refused { id, uid, why: why.clone(), damaged: *damaged });
            }
        }
        self.report
    }

    /// The report of a plan: what is missing would be sent.
    pub(super) fn into_plan(mut self) -> FolderReport {
        for (wanted, state) in self.wanted.iter().zip(&mut self.states) {
            if *state == State::Missing {
                *state = State::Added;
                self.report.bytes_sent += wanted.size;
            }
        }
        self.into_report()
    }
}
