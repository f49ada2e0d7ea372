//! Messages without a UIDL of their own: the server has none, or gives one to several messages (P1, P2).
//!
//! They are told by octets and header block, in each run anew; what cannot be told so is fetched, and
//! lies where its content lies.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use archive::PopName;
use message::{Uid, UidSet, Uidl};
use remote::pop3::Number;

use super::super::RunError;
use super::fetch::{Purpose, Want};
use super::listing::{Known, pair_by_clue, uids_of};
use super::maildrop::Work;
use super::open::keys;
use super::pool::Pool;
use super::recognise::{clues, header_blocks};

impl Work<'_, '_> {
    /// Messages without a UIDL of their own. Gives back those that were known by octets and header.
    pub(super) async fn bring_nameless(
        &mut self,
        nameless: &[Number],
        uidls: &HashMap<Number, &Uidl>,
    ) -> Result<Vec<(Number, Uid)>, RunError> {
        if nameless.is_empty() {
            return Ok(Vec::new());
        }
        self.note_nameless(nameless.len());
        let wants: Vec<Want> = nameless.iter().map(|&number| self.want(number, stand_in(number))).collect();
        for want in &wants {
            self.names.extend(uidls.get(&want.number).map(|&uidl| (want.uid, uidl.clone())));
        }
        let pool = self.held.believed().difference(&self.listed);
        let hinted = self.known_by_clue(&wants, &pool).await?;
        let taken = uids_of(&hinted);
        self.listed.extend_from(&taken);
        self.here.extend_from(&taken);

        let by_hint: HashSet<Number> = hinted.iter().map(|&(number, _)| number).collect();
        let vacant = keys(self.context, self.held.epoch, &pool.difference(&taken)).await?;
        let next = self.held.next_uid()?;
        let pool = Arc::new(Pool::new(vacant.into_iter().map(|(uid, key)| (key, uid)), next));
        let left_out = self.left_out();
        let unknown: Vec<Want> = wants
            .into_iter()
            .filter(|want| !by_hint.contains(&want.number) && !left_out.contains(want.uid))
            .collect();
        for want in &unknown {
            let uidl = self.names.get(&want.uid).cloned();
            pool.expect(want.uid, uidl, want.octets.unwrap_or_default());
        }
        let stored = self.fetch(&Purpose::Place(Arc::clone(&pool)), &unknown).await?;
        let places: UidSet = stored.iter().filter_map(|stand_in| pool.found(stand_in)).collect();
        self.entry.new += places.difference(&self.held.believed()).len();
        self.listed.extend_from(&places);
        self.here.extend_from(&places);
        Ok(hinted)
    }

    /// Compares the bytes of some of these messages; of all, if one was another message. That one takes the
    /// place, and the name: the UIDL that was recorded there is of the message that lay there.
    pub(super) async fn prove_nameless(&mut self, hinted: Vec<(Number, Uid)>) -> Result<(), RunError> {
        let name = |&(number, uid): &(Number, Uid)| {
            let octets = self.octets.get(&number).copied().unwrap_or_default();
            (uid, PopName { uid, uidl: self.names.get(&stand_in(number)).cloned(), octets })
        };
        let names = Arc::new(hinted.iter().map(name).collect());
        self.prove(hinted, &Purpose::ProveNameless(names)).await
    }

    pub(super) fn note_nameless(&mut self, messages: usize) {
        let notice = format!(
            "{messages} messages have no UIDL of their own: they are told by their octets and header (by their bytes \
             where the server has no TOP) in each run"
        );
        if !self.entry.notices.contains(&notice) {
            self.entry.notices.push(notice);
        }
    }

    /// Pairs messages without a name with those that the archive has and no name speaks for.
    pub(super) async fn known_by_clue(
        &mut self,
        wants: &[Want],
        pool: &UidSet,
    ) -> Result<Vec<(Number, Uid)>, RunError> {
        if pool.is_empty() {
            return Ok(Vec::new());
        }
        let clues = clues(self.session, wants, &mut self.entry.bytes_fetched).await?;
        let headers = header_blocks(self.context, self.held.epoch, pool).await?;
        let numbers: HashMap<Uid, Number> = wants.iter().map(|want| (want.uid, want.number)).collect();
        let mut listed: Vec<_> = clues
            .into_iter()
            .filter_map(|(uid, clue)| Some((*numbers.get(&uid)?, self.names.get(&uid), clue)))
            .collect();
        let mut vacant: Vec<_> = self.held.known.iter().filter(|known| pool.contains(known.uid)).collect();
        let mut found = Vec::new();
        // First those of one name, though others have it as well. By the octets that are here; then, for a
        // server that counts otherwise, by those that it told.
        for (by_name, by_told) in [(true, false), (true, true), (false, false), (false, true)] {
            let name = |uidl: Option<&'_ Uidl>| if by_name { uidl.cloned().map(Some) } else { Some(None) };
            let clue = |known: &&Known| {
                let octets = if by_told { known.octets } else { known.octets_here()? };
                let name = name(known.uidl.as_ref())?;
                Some((known.uid, (name, (octets, *headers.get(&known.uid)?))))
            };
            let here: Vec<_> = vacant.iter().filter_map(clue).collect();
            let there: Vec<_> = listed
                .iter()
                .filter_map(|&(number, uidl, clue)| Some((number, (name(uidl)?, clue))))
                .collect();
            let pairs = pair_by_clue(&there, &here);
            let taken = uids_of(&pairs);
            let known: HashSet<Number> = pairs.iter().map(|&(number, _)| number).collect();
            listed.retain(|(number, ..)| !known.contains(number));
            vacant.retain(|known| !taken.contains(known.uid));
            found.extend(pairs);
        }
        Ok(found)
    }
}

/// What stands in for the UID of a message without a name, within a session: the highest UIDs, which
/// no maildrop comes to.
pub(super) fn stand_in(number: Number) -> Uid {
    Uid::new(u32::MAX - number.get()).unwrap_or(Uid::MAX)
}

/// The message number behind a stand-in; `None` for a UID.
pub(super) fn number_behind(uid: Uid) -> Option<u32> {
    const FIRST: u32 = 1 << 31;
    (uid.get() >= FIRST).then(|| u32::MAX - uid.get())
}
