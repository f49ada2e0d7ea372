//! Everything that is listed and not here: what returns, what is new, what is recognised, what is fetched.

use std::collections::HashMap;

use archive::{NewPlacement, PopName};
use message::{Uid, UidSet, Uidl};
use remote::pop3::{Number, Stat};

use super::super::RunError;
use super::fetch::{Brought, Counts, Doubts, Order, Purpose, Want, bring};
use super::listing::{Listed, Pairing, uids_of};
use super::maildrop::Work;
use super::recognise::recognise;
use crate::retry::message_is_due;

/// With so many right counts of octets for each wrong one, a server counts as it sends.
pub(super) const RIGHT_FOR_ONE_WRONG: u64 = 10;

impl Work<'_, '_> {
    /// Everything that is listed and not here.
    pub(super) async fn bring_all(
        &mut self,
        listed: &[Listed<Number>],
        pairing: Pairing<Number>,
        stat: Stat,
    ) -> Result<(), RunError> {
        let uidls: HashMap<Number, &Uidl> =
            listed.iter().filter_map(|message| Some((message.number, message.uidl.as_ref()?))).collect();
        let Pairing { mut paired, returning, fresh, nameless } = pairing;
        let returned = self.revive(&returning).await?;
        // What cannot be given back any more is fetched, under the UID that it had.
        paired.extend(returning);
        paired.extend(self.give_uids(&fresh, &uidls).await?);
        self.listed = uids_of(&paired);
        self.here.extend_from(&returned);
        self.names =
            paired.iter().filter_map(|(number, uid)| Some((*uid, (*uidls.get(number)?).clone()))).collect();
        self.note_listing(stat);

        let lost = self.held.lost.clone();
        let mut wants: Vec<Want> = paired.iter().map(|&(number, uid)| self.want(number, uid)).collect();
        let left_out = self.left_out();
        wants.retain(|want| !self.here.contains(want.uid) && !left_out.contains(want.uid));
        if self.maildrop.may_match {
            let strangers: Vec<Want> =
                wants.iter().filter(|want| !lost.contains(want.uid)).copied().collect();
            let fetched = &mut self.entry.bytes_fetched;
            let found = recognise(self.context, self.session, self.held.epoch, &strangers, fetched).await?;
            self.entry.matched_by_header += found.len();
            self.entry.new += found.len();
            self.maildrop.delivered += found.len();
            self.here.extend_from(&found);
            wants.retain(|want| !found.contains(want.uid));
        }
        let stored = self.fetch(&Purpose::Keep, &wants).await?;
        let healed = stored.intersection(&lost);
        self.entry.healed += healed.len();
        self.entry.new += stored.len() - healed.len();
        self.here.extend_from(&stored);

        let hinted = self.bring_nameless(&nameless, &uidls).await?;
        self.fetch_what_is_shown(paired.iter().filter(|(_, uid)| !stored.contains(*uid)).copied()).await?;
        let unproven = self.held.unproven.intersection(&self.here);
        let unproven = paired.into_iter().filter(|(_, uid)| unproven.contains(*uid)).collect();
        if !self.maildrop.proven {
            self.prove(unproven, &Purpose::Prove).await?;
            self.prove_nameless(hinted).await?;
            self.maildrop.proven = true;
        }
        Ok(())
    }

    /// What was gone and is there again under the same UIDL lies again where it lay.
    pub(super) async fn revive(&mut self, returning: &[(Number, Uid)]) -> Result<UidSet, RunError> {
        let (epoch, uids) = (self.held.epoch, uids_of(returning));
        if uids.is_empty() {
            return Ok(uids);
        }
        let place = self.context.pipeline.ask(move |writer| {
            let mut placed = UidSet::new();
            for uid in uids.iter() {
                let Some(then) = writer.view().placement(epoch, uid)? else { continue };
                if writer.view().holds_message(&then.message)? {
                    let (message, internal_date, flags) = (then.message, then.internal_date, then.flags);
                    let proof = then.proof;
                    writer.place(epoch, uid, NewPlacement { message, internal_date, flags, proof })?;
                    placed.insert(uid);
                }
            }
            Ok(placed)
        });
        let placed = place.await?;
        self.maildrop.delivered += placed.len();
        Ok(placed)
    }

    /// Gives a UID to each of these messages, in the order of the listing, and records its name.
    pub(super) async fn give_uids(
        &mut self,
        fresh: &[Number],
        uidls: &HashMap<Number, &Uidl>,
    ) -> Result<Vec<(Number, Uid)>, RunError> {
        let mut given = Vec::with_capacity(fresh.len());
        let mut names = Vec::with_capacity(fresh.len());
        for &number in fresh {
            let uid = self.held.take_uid()?;
            let octets = self.octets.get(&number).copied().unwrap_or_default();
            names.push(PopName { uid, uidl: uidls.get(&number).map(|&uidl| uidl.clone()), octets });
            given.push((number, uid));
        }
        let epoch = self.held.epoch;
        self.context.pipeline.ask(move |writer| writer.name(epoch, &names)).await?;
        Ok(given)
    }

    pub(super) fn want(&self, number: Number, uid: Uid) -> Want {
        Want { number, uid, octets: self.octets.get(&number).copied() }
    }

    /// What has failed too often to be asked for now.
    pub(super) fn left_out(&self) -> UidSet {
        let now = self.context.run.get();
        let troubles = self.held.troubles.iter();
        let rests = troubles.filter(|trouble| !message_is_due(trouble.attempts, trouble.last_run.get(), now));
        let mut left_out: UidSet = rests.map(|trouble| trouble.uid).collect();
        left_out.extend_from(&self.skipped());
        left_out
    }

    pub(super) fn skipped(&self) -> UidSet {
        self.maildrop.suspects.cut_at_least(self.context.job.limits.patience.cuts_before_skipped)
    }

    /// Fetches, and returns what the archive has taken. What failed is recorded with its reason.
    pub(super) async fn fetch(&mut self, purpose: &Purpose, wants: &[Want]) -> Result<UidSet, RunError> {
        if wants.is_empty() {
            return Ok(UidSet::new());
        }
        let patience = &self.context.job.limits.patience;
        let doubts = Doubts {
            alone: self.maildrop.suspects.cut_at_least(patience.cuts_before_alone),
            by_top: self.maildrop.suspects.cut_at_least(patience.cuts_before_slices),
            counted_right: self.counted_right(),
        };
        let octets = wants.iter().filter_map(|want| want.octets).fold(0, u64::saturating_add);
        self.context.progress.folder_begins("INBOX", wants.len() as u64, octets);
        let pace = self.maildrop.pace(self.session);
        let mut brought = Brought::default();
        let order = Order { epoch: self.held.epoch, purpose, wants, doubts, pace };
        let fetched = &mut self.entry.bytes_fetched;
        let result = bring(self.context, self.session, &order, &mut brought, fetched).await;
        self.maildrop.delivered += match purpose {
            Purpose::Keep => brought.delivered.len(),
            Purpose::Prove | Purpose::ProveNameless(_) => {
                brought.delivered.intersection(&self.held.unproven).len()
            }
            Purpose::Place(pool) => {
                self.context.pipeline.flush().await?;
                pool.given()
            }
        };
        self.maildrop.counts.exact += brought.counts.exact;
        self.maildrop.counts.other.append(&mut brought.counts.other);
        if let Err(error) = &result {
            self.maildrop.on_its_way = brought.on_its_way();
            self.maildrop.torn = brought.torn.is_some();
            // The entry counts what is stored; the caller will not come back here for it.
            if matches!((purpose, error), (Purpose::Keep, RunError::Remote(_))) {
                self.entry.new += brought.delivered.len();
            }
        }
        result?;
        self.context.pipeline.flush().await?;
        let spoilt = self.context.pipeline.take_spoilt();
        let spoilt_uids: UidSet = spoilt.iter().map(|&(uid, _)| uid).collect();
        for (uid, why) in spoilt.into_iter().chain(brought.refused) {
            self.note_failure(uid, why).await?;
        }
        Ok(brought.delivered.difference(&spoilt_uids))
    }

    /// Of how many messages the server's count was right, in this run and before; `None` where it is wrong
    /// more often than by accident.
    pub(super) fn counted_right(&self) -> Option<u64> {
        let told = self.held.known.iter().filter(|known| known.octets > 0);
        let counted = told.filter_map(|known| Some(known.octets_here()? == known.octets));
        let (right, wrong): (Vec<bool>, Vec<bool>) = counted.partition(|is_right| *is_right);
        let Counts { exact, other } = &self.maildrop.counts;
        let right = right.len() as u64 + exact;
        (other.is_empty() && right >= RIGHT_FOR_ONE_WRONG * wrong.len() as u64).then_some(right)
    }
}
