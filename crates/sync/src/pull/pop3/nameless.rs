//! Messages without a UIDL of their own: the server has none, or gives one to several messages (P1, P2).
//!
//! They are told by octets and header block, in each run anew; what cannot be told so is fetched, and
//! lies where its content lies.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use message::{MessageKey, Uid, UidSet, Uidl};
use remote::pop3::Number;

use super::super::RunError;
use super::doubt::{note_wrong, sample_to_prove};
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
        let left_out = self.left_out();
        let unknown: Vec<Want> = wants
            .into_iter()
            .filter(|want| !by_hint.contains(&want.number) && !left_out.contains(want.uid))
            .collect();
        let vacant = vacant.into_iter().map(|(uid, key)| (key, uid));
        let places: UidSet = self.place_by_content(&unknown, vacant).await?.into_values().collect();
        self.entry.new += places.difference(&self.held.believed()).len();
        self.listed.extend_from(&places);
        self.here.extend_from(&places);
        Ok(hinted)
    }

    /// Compares the bytes of some messages that were known by octets and header; of all, if one was another
    /// message. That one lies elsewhere then: under the UID that it was taken for, a name of another message
    /// was recorded.
    pub(super) async fn prove_nameless(&mut self, hinted: Vec<(Number, Uid)>) -> Result<(), RunError> {
        let (sample, rest) = sample_to_prove(hinted, self.context.run);
        let wrong = self.place_anew(&sample).await?;
        if wrong > 0 && !rest.is_empty() {
            self.entry.notices.push(note_wrong(wrong, rest.len()));
            self.place_anew(&rest).await?;
        }
        Ok(())
    }

    /// Fetches messages that were taken for those under these UIDs, and lets each lie where its content does.
    /// How many were other ones.
    async fn place_anew(&mut self, pairs: &[(Number, Uid)]) -> Result<usize, RunError> {
        let believed = self.held.believed();
        let mut near = believed.difference(&self.listed);
        near.extend_from(&uids_of(pairs));
        let near = keys(self.context, self.held.epoch, &near).await?;
        let own = pairs.iter().filter_map(|(_, uid)| Some((*near.get(uid)?, *uid)));
        let others =
            near.iter().filter(|(uid, _)| !self.listed.contains(**uid)).map(|(uid, key)| (*key, *uid));
        let vacant: Vec<_> = own.chain(others).collect();
        let wants: Vec<Want> = pairs.iter().map(|&(number, _)| self.want(number, stand_in(number))).collect();
        let places = self.place_by_content(&wants, vacant).await?;

        let (mut wrong, mut told) = (0, UidSet::new());
        for &(number, uid) in pairs {
            // What could not be had is no reason for doubt.
            let Some(place) = places.get(&stand_in(number)) else { continue };
            told.insert(uid);
            wrong += usize::from(near.get(place) != near.get(&uid));
        }
        let places: UidSet = places.into_values().collect();
        self.entry.new += places.difference(&believed).len();
        for uids in [&mut self.listed, &mut self.here] {
            *uids = uids.difference(&told);
            uids.extend_from(&places);
        }
        Ok(wrong)
    }

    /// Fetches messages, each of which takes the vacant place that has its content, or a new UID. Where each
    /// lies, by its stand-in.
    async fn place_by_content(
        &mut self,
        wants: &[Want],
        vacant: impl IntoIterator<Item = (MessageKey, Uid)>,
    ) -> Result<HashMap<Uid, Uid>, RunError> {
        let pool = Arc::new(Pool::new(vacant, self.held.next_uid()?));
        for want in wants {
            let uidl = self.names.get(&want.uid).cloned();
            pool.expect(want.uid, uidl, want.octets.unwrap_or_default());
        }
        let stored = self.fetch(&Purpose::Place(Arc::clone(&pool)), wants).await?;
        for _ in 0..pool.given() {
            self.held.take_uid()?;
        }
        Ok(stored.iter().filter_map(|stand_in| Some((stand_in, pool.found(stand_in)?))).collect())
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
