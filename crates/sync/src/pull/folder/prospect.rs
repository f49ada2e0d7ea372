//! A mailbox before it is opened: whether it has to be, and what will be asked about it then.
//!
//! What is asked depends on answers, but the first questions do not, or hardly. They are sent while the
//! mailbox before it is still being read ([`Next`]); where they prove to be the wrong ones, the right
//! ones are asked a round trip later.

use archive::MailboxInfo;
use message::UidSet;
use remote::imap::{Examined, Listed, Next, Since};

use super::super::account::server_state;
use super::doubt::IN_DOUBT;
use super::flags;
use super::held::Held;
use crate::plan::{self, HeldState, ServerState};

/// What the list and the archive say of a mailbox.
pub(in crate::pull) struct Prospect<'a> {
    pub(in crate::pull) listed: &'a Listed,
    /// What the archive holds of it; `None` when it is not known there, or gone.
    pub(super) held: Option<HeldState>,
    /// It is to be looked at in full, whatever its numbers say.
    pub(super) recheck: bool,
    /// Messages that one command asks about.
    rows: u64,
}

impl<'a> Prospect<'a> {
    pub(in crate::pull) fn new(
        listed: &'a Listed,
        known: Option<&MailboxInfo>,
        unproven: u64,
        recheck: bool,
        rows: u64,
    ) -> Self {
        let known = known.filter(|known| known.gone.is_none());
        let held = known.and_then(|known| {
            let epoch = known.epoch.as_ref()?;
            Some(HeldState {
                validity: epoch.validity,
                mark: epoch.mark,
                // What damage has taken is not held: the mailbox is opened, and it is fetched.
                live: known.live.saturating_sub(known.lost),
                unproven,
            })
        });
        Self { listed, held, recheck, rows }
    }

    /// What the list says of it.
    pub(super) fn status(&self) -> Option<ServerState> {
        self.listed.status.as_ref().map(server_state)
    }

    /// What is held of it, if nothing has changed: then it need not be opened.
    pub(in crate::pull) fn unchanged(&self) -> Option<&HeldState> {
        let server = self.status()?;
        self.held.as_ref().filter(|held| !self.recheck && plan::is_unchanged(&server, held))
    }

    /// From where the server may tell what has changed.
    pub(super) fn since(&self) -> Option<Since> {
        let held = self.held.as_ref().filter(|_| !self.recheck)?;
        let (validity, modseq) = plan::resync_from(self.status().as_ref(), held)?;
        Some(Since { validity, modseq })
    }

    /// The first questions about it.
    pub(in crate::pull) fn questions(&self) -> Vec<Next> {
        let since = self.since();
        let mut questions = vec![Next::Examine(self.listed.name.clone(), since)];
        let Some(server) = self.status().filter(|_| since.is_none() && !self.recheck) else {
            return questions;
        };
        let holds_some = self.held.as_ref().is_some_and(|held| held.live > 0);
        let gave_uids = server.uid_next.is_some_and(|next| next.get() > 1);
        match u64::from(server.messages) {
            0 if holds_some || gave_uids => questions.push(Next::UidsOfNone),
            0 => {}
            messages if !holds_some && messages <= self.rows => questions.push(Next::SurveyAll),
            _ => questions.push(Next::Uids),
        }
        questions
    }
}

/// What will be asked about the mailbox that is open, now that it is known which messages it has:
/// about some that are held, whether they are the same; the flags of those that are held; and about
/// those of the `missing` that nothing is known of.
pub(super) fn next_looks(
    held: &Held,
    opened: &Examined,
    server: &UidSet,
    resynced: bool,
    missing: &UidSet,
) -> Vec<Next> {
    let mut looks = Vec::new();
    if held.mark == Some(IN_DOUBT) || held.server_went_back(opened, server) {
        return looks;
    }
    let sample = plan::sample(&held.uids.intersection(server));
    if !sample.is_empty() {
        looks.push(Next::Survey(sample));
    }
    if !resynced {
        let (windows, since) = flags::questions(opened, held, server);
        let is_one = windows.len() <= 1;
        looks.extend(windows.into_iter().next().map(|window| Next::Flags(window, since)));
        if !is_one {
            return looks;
        }
    }
    if !missing.is_empty() && missing.len() <= plan::WINDOW_MESSAGES {
        looks.push(Next::Survey(missing.clone()));
    }
    looks
}
