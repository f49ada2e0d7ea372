//! What the archive knows of the past, for the tests of this suite.

use std::collections::HashSet;
use std::ops::ControlFlow;

use archive::{Archive, PlacementInfo, RunId, RunInfo, When};
use message::MessageKey;

use crate::world::World;

impl World {
    /// All messages that the archive ever held, each read back in full.
    pub(crate) fn ever_held(&self) -> HashSet<MessageKey> {
        let all = When { as_of: None, deleted: true };
        let archive = Archive::open(&self.path()).unwrap();
        let read = |info: &PlacementInfo| MessageKey::of(&archive.view().read_to_vec(&info.message).unwrap());
        self.all_placements(all).iter().map(|(_, info)| read(info)).collect()
    }

    /// How many messages lay in a mailbox when a run had ended.
    pub(crate) fn count_as_of(&self, mailbox: &str, run: u32) -> usize {
        let runs = self.runs();
        let as_of = runs.iter().map(|info| info.id).find(|id| id.get() == run);
        assert!(as_of.is_some(), "no run {run}");
        self.all_placements(When { as_of, deleted: false }).iter().filter(|(name, _)| name == mailbox).count()
    }

    /// All runs, newest first.
    pub(crate) fn runs(&self) -> Vec<RunInfo> {
        let archive = Archive::open(&self.path()).unwrap();
        let view = archive.view();
        view.runs(view.account("a").unwrap().unwrap().id, usize::MAX).unwrap()
    }

    /// The runs that wait to be acknowledged, newest first.
    pub(crate) fn alarms(&self) -> Vec<RunId> {
        let archive = Archive::open(&self.path()).unwrap();
        let view = archive.view();
        let alarms = view.alarms(view.account("a").unwrap().unwrap().id).unwrap();
        alarms.iter().map(|run| run.id).collect()
    }

    /// Placements of all mailboxes, with the mailbox's name.
    pub(crate) fn all_placements(&self, when: When) -> Vec<(String, PlacementInfo)> {
        let archive = Archive::open(&self.path()).unwrap();
        let view = archive.view();
        let account = view.account("a").unwrap().unwrap().id;
        let mut all = Vec::new();
        for mailbox in view.mailboxes(account).unwrap() {
            let mut each = |placement: PlacementInfo| {
                all.push((mailbox.name.text(), placement));
                ControlFlow::Continue(())
            };
            view.placements(mailbox.id, when, &mut each).unwrap();
        }
        all
    }
}
