//! Which messages the open mailbox has (RFC 9051 §6.4.5, RFC 4731).
//!
//! UIDs come from FETCH over bounded, ascending ranges. An ESEARCH result is believed only when its
//! count is that of the mailbox, for servers cut searches off, and when FETCH shows no newer message
//! than it does, for search indexes lag behind. A refused range is halved, down to one message.

use message::UidSet;

use super::command::Command;
use super::data::{Data, Row};
use super::rows::{is_cut_off, must_stop};
use super::{Heard, Session};
use crate::error::Error;

/// UIDs in the first range that is asked for when all are listed; sparse ranges grow from there.
const FIRST_WIDTH: u32 = 20_000;

impl Session {
    /// Every UID of the open mailbox.
    ///
    /// # Errors
    /// When the connection is lost, or the server refuses to list even single messages.
    pub async fn uids(&mut self) -> Result<UidSet, Error> {
        if self.exists == 0 {
            self.recount().await?;
        }
        if self.exists == 0 {
            return Ok(UidSet::new());
        }
        if self.capabilities.esearch
            && let Some(mut found) = self.search_all().await?
        {
            let beyond = found.last().and_then(|last| last.get().checked_add(1));
            let listed = found.len();
            if let Some(beyond) = beyond
                && (!self.list_range(beyond, None, &mut found).await? || found.len() > listed)
            {
                tracing::warn!("a search does not show the newest messages");
                return self.list_uids().await;
            }
            return Ok(found);
        }
        self.list_uids().await
    }

    /// Every UID of the open mailbox, as [`uids`](Self::uids), without trust in any search.
    ///
    /// # Errors
    /// As [`uids`](Self::uids); `Refused` when the mailbox counts no messages and the server refuses to list it.
    pub async fn uids_by_fetch(&mut self) -> Result<UidSet, Error> {
        if self.exists == 0 {
            self.recount().await?;
        }
        if self.exists == 0 {
            // One question, however many UIDs it has given until now.
            let mut found = UidSet::new();
            match self.try_range(1, None, &mut found).await {
                Ok(true) => return Ok(found),
                Ok(false) => {}
                // What the server does not let us see is not nothing, unless a search finds nothing as well.
                Err(refused) if is_bearable(&refused) => {
                    let is_empty = self.capabilities.esearch && self.search_all().await?.is_some();
                    return if is_empty { Ok(found) } else { Err(refused) };
                }
                Err(error) => return Err(error),
            }
        }
        self.list_uids().await
    }

    /// All UIDs by ESEARCH (RFC 4731), if the answer is whole.
    async fn search_all(&mut self) -> Result<Option<UidSet>, Error> {
        let mut found = None;
        let searched = self
            .run(search_command(), &mut |heard| {
                if let Heard::Data(Data::Esearch(result)) = heard {
                    found = Some((result.count, result.all.unwrap_or_default()));
                }
            })
            .await;
        match searched {
            Err(Error::Refused { refusal, .. }) if !must_stop(&refusal.kind()) => {
                tracing::warn!(%refusal, "ESEARCH is offered and refused");
                return Ok(None);
            }
            other => other?,
        };
        let exists = u64::from(self.exists);
        match found {
            Some((Some(count), all)) if count == exists && all.len() == exists => Ok(Some(all)),
            Some((count, all)) => {
                tracing::warn!(
                    ?count,
                    listed = all.len(),
                    exists,
                    "a search does not show the whole mailbox"
                );
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// All UIDs by FETCH, in ranges that grow where UIDs are few. The last has no upper end, for
    /// UIDNEXT is a hint.
    async fn list_uids(&mut self) -> Result<UidSet, Error> {
        let mut found = UidSet::new();
        let limit = self.capabilities.message_limit.and_then(|most| u32::try_from(most).ok());
        let mut width = limit.unwrap_or(FIRST_WIDTH).min(FIRST_WIDTH);
        let mut first = 1u32;
        let last = self.uid_next.map_or(0, |next| next.get() - 1);
        // All that the server counts; a count of nothing, or of less than is listed, is no reason to stop, nor
        // is any while some of it is refused: a count that is too small would hide that.
        let exists = u64::from(self.exists);
        let mut is_refused = false;
        let is_all = |found: &UidSet, is_refused: bool| exists > 0 && found.len() == exists && !is_refused;
        while first <= last && !is_all(&found, is_refused) {
            let end = first.saturating_add(width - 1).min(last);
            let before = found.len();
            if !self.list_range(first, Some(end), &mut found).await? {
                is_refused = true;
                if width == 1 {
                    // This one message cannot be listed; its absence will show in the counts.
                    tracing::warn!(uid = first, "the server refuses to list this UID");
                    first = first.saturating_add(1);
                } else {
                    width = (width / 2).max(1);
                }
                continue;
            }
            if found.len() - before < u64::from(width / 4) {
                width = width.saturating_mul(2);
            }
            let Some(next) = end.checked_add(1) else { return Ok(found) };
            first = next;
        }
        // Messages with UIDs beyond UIDNEXT, whatever it was.
        let beyond = found.last().map_or(first, |uid| uid.get().saturating_add(1)).max(1);
        if !is_all(&found, is_refused) && !self.list_range(beyond, None, &mut found).await? {
            tracing::warn!(from = beyond, "the server refuses to list the newest UIDs");
        }
        Ok(found)
    }

    /// False when the server refuses the range.
    async fn list_range(&mut self, first: u32, last: Option<u32>, found: &mut UidSet) -> Result<bool, Error> {
        match self.try_range(first, last, found).await {
            Err(error) if is_bearable(&error) => Ok(false),
            other => other,
        }
    }

    /// False when the answer is cut off.
    async fn try_range(&mut self, first: u32, last: Option<u32>, found: &mut UidSet) -> Result<bool, Error> {
        let asked = last.map(|last| first..=last);
        let mut uids = Vec::new();
        let listed = self
            .run(list_command(first, last), &mut |heard| {
                // `n:*` gives the last message also when it is below n.
                if let Heard::Data(Data::Fetch(Row { uid: Some(uid), .. })) = heard
                    && asked.as_ref().is_none_or(|asked| asked.contains(&uid.get()))
                {
                    uids.push(uid);
                }
            })
            .await;
        uids.sort_unstable();
        uids.into_iter().for_each(|uid| found.insert(uid));
        Ok(!is_cut_off(&listed?))
    }
}

/// Whether a command was refused, and others may still be asked.
fn is_bearable(error: &Error) -> bool {
    matches!(error, Error::Refused { refusal, .. } if !must_stop(&refusal.kind()))
}

pub(super) fn search_command() -> Command {
    Command::new("UID SEARCH RETURN (ALL COUNT) ALL")
}

pub(super) fn list_command(first: u32, last: Option<u32>) -> Command {
    let last = last.map_or("*".to_owned(), |last| last.to_string());
    Command::new(&format!("UID FETCH {first}:{last} (UID)"))
}
