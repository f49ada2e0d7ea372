//! What is held, compared with what the server has: header blocks of a sample, bytes of what was
//! recognised without them.

use message::{Uid, UidSet};
use remote::pop3::Number;

use super::super::RunError;
use super::fetch::{Purpose, Want};
use super::listing::{Pairing, uids_of};
use super::maildrop::Work;
use super::open::keys;
use super::recognise::differing;
use crate::plan;
use crate::recheck;

/// Of what was recognised and not compared by its bytes, at least so many are compared in each run, or
/// one in so many.
const PROVE_MIN: u64 = 20;
const PROVE_SHARE: u64 = 100;
/// Held messages that seem to be other ones, of which so many are looked at in full before it is believed.
const MOST_CONFIRMED: usize = 3;
/// A server that shows this many messages at a time does not only show what was not fetched.
const MOST_SHOWN_AT_ONCE: usize = 1_000;

impl Work<'_, '_> {
    /// Compares a sample of what is held, by header blocks. If one is another message, all are
    /// compared, and what differs is taken for new (P4).
    pub(super) async fn doubt(&mut self, pairing: &mut Pairing<Number>) -> Result<(), RunError> {
        let mut sample = plan::sample(&self.here);
        if self.maildrop.recheck {
            sample.extend_from(&recheck::sample(&self.here, self.context.run.get()));
        }
        let in_sample = self.pairs_in(pairing, &sample);
        let doubtful = self.differing(&in_sample).await?;
        if doubtful.is_empty() || !self.is_confirmed(self.pairs_in(pairing, &doubtful)).await? {
            return Ok(());
        }
        let held = self.pairs_in(pairing, &self.here);
        let recycled = self.differing(&held).await?;
        self.entry.replaced += recycled.len();
        self.entry.notices.push(format!(
            "the server has given {} UIDLs to other messages, which are fetched",
            recycled.len()
        ));
        let is_other = |pair: &(Number, Uid)| recycled.contains(pair.1);
        pairing.fresh.extend(pairing.paired.iter().filter(|pair| is_other(pair)).map(|&(number, _)| number));
        pairing.fresh.sort_unstable();
        pairing.paired.retain(|pair| !is_other(pair));
        self.here = self.here.difference(&recycled);
        Ok(())
    }

    /// Whether one of some messages whose headers differ is another one indeed. If not, it is TOP that
    /// does not tell what RETR tells.
    pub(super) async fn is_confirmed(&mut self, mut doubtful: Vec<(Number, Uid)>) -> Result<bool, RunError> {
        doubtful.truncate(MOST_CONFIRMED);
        let is_confirmed = self.fetch_again(doubtful, &Purpose::Prove).await? > 0;
        if !is_confirmed {
            let notice = "the headers that the server gives by TOP are not those of its messages, so nothing is known by them";
            self.entry.notices.push(notice.to_owned());
        }
        Ok(is_confirmed)
    }

    pub(super) fn pairs_in(&self, pairing: &Pairing<Number>, uids: &UidSet) -> Vec<(Number, Uid)> {
        pairing.paired.iter().filter(|(_, uid)| uids.contains(*uid)).copied().collect()
    }

    pub(super) async fn differing(&mut self, held: &[(Number, Uid)]) -> Result<UidSet, RunError> {
        differing(self.context, self.session, self.held.epoch, held, &mut self.entry.bytes_fetched).await
    }

    /// Compares the bytes of some messages that are held by their header alone; of all, if one was
    /// another message.
    pub(super) async fn prove(
        &mut self,
        mut pairs: Vec<(Number, Uid)>,
        purpose: &Purpose,
    ) -> Result<(), RunError> {
        if pairs.is_empty() {
            return Ok(());
        }
        let wanted = (pairs.len() as u64 / PROVE_SHARE).max(PROVE_MIN);
        let step = usize::try_from((pairs.len() as u64).div_ceil(wanted)).unwrap_or(usize::MAX).max(1);
        let skipped = self.context.run.get() as usize % step;
        pairs.rotate_left(skipped);
        let (sample, rest): (Vec<_>, Vec<_>) =
            pairs.into_iter().enumerate().partition(|(position, _)| position % step == 0);
        let sample = sample.into_iter().map(|(_, pair)| pair).collect();
        let wrong = self.fetch_again(sample, purpose).await?;
        if wrong > 0 && !rest.is_empty() {
            self.entry.notices.push(format!(
                "{wrong} messages that were recognised by their headers were other ones; the other {} are fetched now",
                rest.len()
            ));
            self.fetch_again(rest.into_iter().map(|(_, pair)| pair).collect(), purpose).await?;
        }
        Ok(())
    }

    /// Who shows what was not fetched yet, and shows a message that is here, has not noticed that it was
    /// fetched: it came by another way, or QUIT did not get through. Until it is fetched again it stands in
    /// the place of others.
    pub(super) async fn fetch_what_is_shown(
        &mut self,
        pairs: impl Iterator<Item = (Number, Uid)>,
    ) -> Result<(), RunError> {
        let is_meant =
            |&(_, uid): &(Number, Uid)| self.here.contains(uid) && !self.maildrop.shown_again.contains(uid);
        let pairs: Vec<_> = pairs.filter(is_meant).collect();
        if !self.maildrop.shows_new(self.context) || pairs.len() > MOST_SHOWN_AT_ONCE {
            return Ok(());
        }
        self.maildrop.shown_again.extend_from(&uids_of(&pairs));
        self.maildrop.delivered += pairs.len() as u64;
        self.fetch_again(pairs, &Purpose::Prove).await.map(drop)
    }

    /// Fetches messages that are held, and says how many were other ones.
    async fn fetch_again(&mut self, pairs: Vec<(Number, Uid)>, purpose: &Purpose) -> Result<usize, RunError> {
        let uids = uids_of(&pairs);
        let before = keys(self.context, self.held.epoch, &uids).await?;
        let wants: Vec<Want> = pairs.into_iter().map(|(number, uid)| self.want(number, uid)).collect();
        self.fetch(purpose, &wants).await?;
        let after = keys(self.context, self.held.epoch, &uids).await?;
        let wrong = before.iter().filter(|(uid, key)| after.get(uid) != Some(key)).count();
        self.entry.replaced += wrong as u64;
        Ok(wrong)
    }
}
