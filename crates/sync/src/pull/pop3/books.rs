//! The books of a session: what was listed, what failed and why, what has vanished, and whether the sums
//! agree.

use std::collections::HashSet;

use archive::Mark;
use message::Uid;
use remote::pop3::Stat;

use super::super::folder::end_leftovers;
use super::super::{Pop3Listing, RunError};
use super::fetch::Counts;
use super::maildrop::Work;
use super::missing::RIGHT_FOR_ONE_WRONG;
use super::nameless::number_behind;
use crate::ledger::{Item, Listing};

/// Messages whose octets differ from the server's count that are named in a run.
const MOST_NAMED: usize = 10;

impl Work<'_, '_> {
    /// Notes what is to be brought. What was held before the run is noted once, whatever happens to
    /// the line.
    pub(super) fn note_listing(&mut self, stat: Stat) {
        let epoch = self.held.epoch;
        self.maildrop.seen.extend_from(&self.listed);
        let uids = self.maildrop.seen.clone();
        let earlier = self.entry.listing.take().filter(|listing| listing.epoch == epoch);
        let held_before =
            earlier.map_or_else(|| self.held.uids.intersection(&uids).len(), |listing| listing.held_before);
        self.entry.on_server = match self.maildrop.options.listing {
            Pop3Listing::All => u64::from(stat.messages),
            Pop3Listing::New => uids.len(),
        };
        self.entry.listing = Some(Listing { epoch, uids, held_before });
    }

    pub(super) async fn note_failure(&mut self, uid: Uid, why: String) -> Result<(), RunError> {
        let item = self.item(uid, why);
        let same = |known: &Item| known.uid == item.uid && known.uidl == item.uidl && known.why == item.why;
        if self.entry.failed.iter().any(same) {
            return Ok(());
        }
        let (epoch, why, has_uid) = (self.held.epoch, item.why.clone(), item.uid.is_some());
        self.entry.failed.push(item);
        if has_uid {
            self.context.pipeline.ask(move |writer| writer.trouble(epoch, uid, &why)).await?;
        }
        Ok(())
    }

    pub(super) fn item(&self, uid: Uid, why: String) -> Item {
        let uidl = self.names.get(&uid).map(ToString::to_string);
        match number_behind(uid) {
            None => Item { uid: Some(uid.get()), uidl, why },
            Some(number) => Item {
                uid: None,
                uidl,
                why: format!("message {number}, which has no UIDL of its own: {why}"),
            },
        }
    }

    /// What the archive believed to be on the server and nothing in the listing speaks for.
    pub(super) async fn end_what_is_gone(&mut self, stat: Stat) -> Result<(), RunError> {
        let believed = self.held.believed();
        let unheard = u64::from(stat.messages).saturating_sub(self.listed.len());
        let gone = believed.difference(&self.listed);
        // A message that has no name and could not be had may be any of them.
        if !gone.is_empty() && unheard == 0 {
            self.entry.vanished += gone.len();
            let epoch = self.held.epoch;
            self.context.pipeline.ask(move |writer| writer.vanished(epoch, &gone)).await?;
        }
        let what = ("it is pulled over POP3 now", self.maildrop.loss_was_told);
        end_leftovers(self.context, what, self.entry, self.held.epoch, &self.held.leftovers).await
    }

    /// Names what is missing, and counts.
    pub(super) async fn account_for(
        &mut self,
        stat: Stat,
        is_known: bool,
        beyond: bool,
    ) -> Result<(), RunError> {
        self.name_what_is_missing().await?;
        // The server counts again at the end, unless nothing was asked of it since it last did.
        let now = if is_known { stat } else { self.session.stat().await? };
        let messages = u64::from(stat.messages);
        if self.maildrop.options.listing == Pop3Listing::All {
            self.entry.on_server = u64::from(now.messages);
            self.entry.archived = self.here.len();
        } else {
            let epoch = self.held.epoch;
            self.context.pipeline.commit().await?;
            let held = self.context.pipeline.ask(move |writer| writer.view().held_uids(epoch)).await?;
            self.entry.archived = held.intersection(&self.maildrop.seen).len();
        }
        if beyond {
            self.entry.error = Some(format!(
                "the server counts {messages} messages and lists more; nothing counts as vanished in this run"
            ));
        } else if now.messages != stat.messages {
            self.entry.error =
                Some(format!("the server counted {messages} messages, and {} at the end", now.messages));
        }
        self.note_counts();
        let mark = Mark { uid_next: None, highest_modseq: None, messages: stat.messages };
        let epoch = self.held.epoch;
        self.context.pipeline.ask(move |writer| writer.mark(epoch, &mark)).await
    }

    pub(super) async fn name_what_is_missing(&mut self) -> Result<(), RunError> {
        let missing = self.listed.difference(&self.here);
        let is_missing = |item: &Item| item.uid.and_then(Uid::new).is_none_or(|uid| missing.contains(uid));
        self.entry.failed.retain(is_missing);
        let named: HashSet<u32> = self.entry.failed.iter().filter_map(|item| item.uid).collect();
        let skipped = self.skipped();
        let cut = "the connection breaks whenever it is fetched";
        for uid in missing.iter().filter(|uid| !named.contains(&uid.get())) {
            let trouble = self.held.troubles.iter().find(|trouble| trouble.uid == uid);
            match trouble {
                _ if skipped.contains(uid) => self.note_failure(uid, cut.to_owned()).await?,
                Some(trouble) => {
                    let (attempts, reason) = (trouble.attempts, &trouble.reason);
                    let why = format!("failed in {attempts} runs, will be tried again later: {reason}");
                    let item = self.item(uid, why);
                    self.entry.skipped.push(item);
                }
                None => self.note_failure(uid, "the server lists it but does not send it".to_owned()).await?,
            }
        }
        for stand_in in skipped.iter().filter(|&uid| number_behind(uid).is_some()) {
            self.note_failure(stand_in, cut.to_owned()).await?;
        }
        Ok(())
    }

    /// Where a server counts exactly, a message of another length may have lost a dot (P11).
    pub(super) fn note_counts(&mut self) {
        let Counts { exact, other } = std::mem::take(&mut self.maildrop.counts);
        if other.is_empty() {
            return;
        }
        if exact < RIGHT_FOR_ONE_WRONG * other.len() as u64 {
            self.entry.notices.push(format!(
                "the server's counts of octets are not exact ({} of {}), so they prove nothing",
                other.len(),
                exact + other.len() as u64
            ));
            return;
        }
        for &(uid, told, came) in other.iter().take(MOST_NAMED) {
            let name =
                self.names.get(&uid).map_or_else(|| format!("UID {uid}"), |uidl| format!("UIDL {uidl}"));
            self.entry.notices.push(format!(
                "{name}: the server counts {told} octets and sent {came}, while its other counts are exact: it may \
                 have altered the message on its way (a dot at the beginning of a line)"
            ));
        }
        if other.len() > MOST_NAMED {
            self.entry.notices.push(format!("and {} more of another length", other.len() - MOST_NAMED));
        }
    }
}
