//! Which messages the open mailbox has, and what the server says about each: UIDs, flags, dates,
//! sizes (RFC 9051 §6.4.5).
//!
//! UIDs come from FETCH over bounded, ascending ranges. An ESEARCH result is believed only when its
//! count is that of the mailbox, for servers cut searches off, and when FETCH shows no newer message
//! than it does, for search indexes lag behind. A refused range is halved, down to one message.

use std::collections::{HashMap, VecDeque};

use message::{Flags, InternalDate, ModSeq, Uid, UidSet};

use super::command::Command;
use super::conversation::{Answer, Event, Status as Outcome, Tag};
use super::data::{Data, Row};
use super::{Heard, Session};
use crate::error::{Error, Kind};

/// What the server says about a message, short of its body.
#[derive(Clone, Debug, PartialEq)]
pub struct Surveyed {
    /// Which message.
    pub uid: Uid,
    /// Its flags now.
    pub flags: Flags,
    /// Its received date, as the server writes it; empty when it sends none.
    pub internal_date: InternalDate,
    /// RFC822.SIZE: a hint, for servers get it wrong. 0 when it is missing or unreadable.
    pub size: u64,
    /// With CONDSTORE.
    pub modseq: Option<ModSeq>,
    /// The same for the same content, in any mailbox: EMAILID (RFC 8474) or X-GM-MSGID. Asked for
    /// only after [`Session::want_content_ids`].
    pub content_id: Option<Box<str>>,
}

/// A message's flags as they are now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagChange {
    /// Which message.
    pub uid: Uid,
    /// Its flags now.
    pub flags: Flags,
    /// With CONDSTORE.
    pub modseq: Option<ModSeq>,
}

impl FlagChange {
    pub(super) fn from_row(row: Row) -> Option<Self> {
        Some(Self { uid: row.uid?, flags: row.flags?, modseq: row.modseq })
    }
}

/// Whether surveys ask for ids of content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ContentIds {
    #[default]
    Unwanted,
    Untried,
    Given,
    Refused,
}

/// UIDs in the first range that is asked for when all are listed; sparse ranges grow from there.
const FIRST_WIDTH: u32 = 20_000;

impl Session {
    /// Flags, date and size of each of these messages, once each, in the server's order. Those
    /// that the server does not answer for are absent.
    ///
    /// # Errors
    /// `Refused` only when the server refuses many single messages in a row.
    pub async fn survey(&mut self, uids: &UidSet, each: &mut dyn FnMut(Surveyed)) -> Result<(), Error> {
        let mut begun: HashMap<Uid, Row> = HashMap::new();
        let mut done = UidSet::new();
        let mut given = |uid: Uid, row: Row| {
            let date = row.internal_date.unwrap_or_else(|| InternalDate::parse(""));
            let flags = row.flags.unwrap_or_default();
            each(Surveyed {
                uid,
                flags,
                internal_date: date,
                size: row.size.unwrap_or(0),
                modseq: row.modseq,
                content_id: row.content_id,
            });
        };
        let id = self.content_id_item(uids).await?;
        let items = format!(" (UID FLAGS INTERNALDATE RFC822.SIZE{id})");
        let mut hear = |row: Row| {
            let Some(uid) = row.uid.filter(|uid| uids.contains(*uid) && !done.contains(*uid)) else { return };
            // A message may come in several pieces; it is whole when all that was asked for is there.
            let whole = merge(begun.remove(&uid), row);
            let has_id = id.is_empty() || whole.content_id.is_some();
            if has_id && whole.flags.is_some() && whole.internal_date.is_some() && whole.size.is_some() {
                done.insert(uid);
                given(uid, whole);
            } else {
                begun.insert(uid, whole);
            }
        };
        self.sweep(uids, &items, &mut hear).await?;
        for (uid, row) in begun {
            // Unsolicited flags alone are not an answer.
            if row.size.is_some() || row.internal_date.is_some() {
                given(uid, row);
            }
        }
        Ok(())
    }

    /// Surveys ask for the id of each message's content from now on, where the server has one.
    pub fn want_content_ids(&mut self) {
        let offered = self.capabilities.gmail || self.capabilities.object_id;
        if offered && self.content_ids == ContentIds::Unwanted {
            self.content_ids = ContentIds::Untried;
        }
    }

    /// The item of the id, with a blank before it; empty where there is none. It is tried on one
    /// message first: a server that announces it and refuses it must not cost the survey.
    async fn content_id_item(&mut self, uids: &UidSet) -> Result<&'static str, Error> {
        let item = if self.capabilities.gmail { " X-GM-MSGID" } else { " EMAILID" };
        if let (ContentIds::Untried, Some(first)) = (self.content_ids, uids.first()) {
            let command = Command::new("UID FETCH ").text(&format!("{first} (UID{item})"));
            let tried = self.run(command, &mut |_| {}).await;
            self.content_ids = match tried {
                Ok(_) => ContentIds::Given,
                Err(Error::Refused { refusal, .. }) if !must_stop(&refusal.kind()) => {
                    tracing::warn!(%refusal, item = item.trim(), "offered and refused; done without");
                    ContentIds::Refused
                }
                Err(error) => return Err(error),
            };
        }
        Ok(if self.content_ids == ContentIds::Given { item } else { "" })
    }

    /// The flags of each of these messages; with `changed_since` and CONDSTORE only of those whose
    /// modification sequence is higher. A message may come more than once: the last counts. Gives back
    /// the messages that the server refuses to answer for, each by itself.
    ///
    /// # Errors
    /// As [`survey`](Self::survey).
    pub async fn flags(
        &mut self,
        uids: &UidSet,
        changed_since: Option<ModSeq>,
        each: &mut dyn FnMut(FlagChange),
    ) -> Result<UidSet, Error> {
        let items = match changed_since {
            Some(ModSeq(number)) if self.capabilities.condstore => {
                format!(" (UID FLAGS) (CHANGEDSINCE {number})")
            }
            _ => " (UID FLAGS)".to_owned(),
        };
        let mut hear = |row: Row| {
            if let Some(change) = FlagChange::from_row(row).filter(|change| uids.contains(change.uid)) {
                each(change);
            }
        };
        self.sweep(uids, &items, &mut hear).await
    }

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
    /// As [`uids`](Self::uids).
    pub async fn uids_by_fetch(&mut self) -> Result<UidSet, Error> {
        if self.exists == 0 {
            self.recount().await?;
        }
        self.list_uids().await
    }

    /// All UIDs by ESEARCH (RFC 4731), if the answer is whole.
    async fn search_all(&mut self) -> Result<Option<UidSet>, Error> {
        let mut found = None;
        let searched = self
            .run(Command::new("UID SEARCH RETURN (ALL COUNT) ALL"), &mut |heard| {
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
        // All that the server counts; a count of nothing, or of less than is listed, is no reason to stop.
        let exists = u64::from(self.exists);
        let is_all = |found: &UidSet| exists > 0 && found.len() == exists;
        while first <= last && !is_all(&found) {
            let end = first.saturating_add(width - 1).min(last);
            let before = found.len();
            if !self.list_range(first, Some(end), &mut found).await? {
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
        if !is_all(&found) && !self.list_range(beyond, None, &mut found).await? {
            tracing::warn!(from = beyond, "the server refuses to list the newest UIDs");
        }
        Ok(found)
    }

    /// False when the server refuses the range.
    async fn list_range(&mut self, first: u32, last: Option<u32>, found: &mut UidSet) -> Result<bool, Error> {
        let asked = last.map(|last| first..=last);
        let last = last.map_or("*".to_owned(), |last| last.to_string());
        let command = Command::new(&format!("UID FETCH {first}:{last} (UID)"));
        let mut uids = Vec::new();
        let listed = self
            .run(command, &mut |heard| {
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
        match listed {
            Ok(answer) => Ok(!is_cut_off(&answer)),
            Err(Error::Refused { refusal, .. }) if !must_stop(&refusal.kind()) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// UID FETCH over a set: bounded commands, several in flight; what is refused is halved.
    /// Gives back what was refused.
    async fn sweep(
        &mut self,
        uids: &UidSet,
        items: &str,
        hear: &mut dyn FnMut(Row),
    ) -> Result<UidSet, Error> {
        self.check()?;
        let mut refused = UidSet::new();
        let mut waiting: VecDeque<UidSet> =
            cut(uids, self.limits.set_text, self.limits.rows_per_command).into();
        let mut flying: Vec<(Tag, UidSet)> = Vec::new();
        let mut refused_in_a_row = 0;
        loop {
            while flying.len() < self.limits.commands_in_flight.max(1)
                && let Some(set) = waiting.pop_front()
            {
                let command = Command::new("UID FETCH").uids(&set).text(items);
                flying.push((self.talk.send(&command).await?, set));
            }
            if flying.is_empty() {
                return Ok(refused);
            }
            let (tag, status, answer) = match self.next().await? {
                Event::Data(Data::Fetch(row)) => {
                    hear(row);
                    continue;
                }
                Event::Done { tag, status, answer } => (tag, status, answer),
                _ => continue,
            };
            let Some(at) = flying.iter().position(|(flying, _)| *flying == tag) else { continue };
            let (_, set) = flying.swap_remove(at);
            if status == Outcome::Ok && !is_cut_off(&answer) {
                refused_in_a_row = 0;
                continue;
            }
            let refusal = answer.refusal();
            let single = set.len() <= 1;
            refused_in_a_row += u32::from(single);
            if refused_in_a_row > self.limits.refusals_in_a_row || must_stop(&refusal.kind()) {
                self.given_up = !flying.is_empty();
                let command = format!("UID FETCH {set}{items}");
                return Err(Error::Refused { command, refusal });
            }
            if single {
                tracing::warn!(uid = %set, %refusal, "the server does not answer for this message");
                refused.extend_from(&set);
            } else {
                let half = set.len().div_ceil(2);
                waiting.extend(cut(&set, usize::MAX, half));
            }
        }
    }
}

/// OK, but not for all that was asked for (RFC 9738).
pub(super) fn is_cut_off(answer: &Answer) -> bool {
    answer.word() == Some("MESSAGELIMIT")
}

/// Refusals that a smaller range would not mend.
fn must_stop(kind: &Option<Kind>) -> bool {
    matches!(kind, Some(Kind::Limit { .. } | Kind::Credentials))
}

/// Later pieces complete earlier ones; what is in both is as it was said last.
pub(super) fn merge(earlier: Option<Row>, row: Row) -> Row {
    let Some(earlier) = earlier else { return row };
    Row {
        uid: row.uid.or(earlier.uid),
        flags: row.flags.or(earlier.flags),
        internal_date: row.internal_date.or(earlier.internal_date),
        size: row.size.or(earlier.size),
        modseq: row.modseq.or(earlier.modseq),
        content_id: row.content_id.or(earlier.content_id),
        body: row.body.or(earlier.body),
    }
}

/// The set in sets of at most `most` messages whose text is at most `text` long.
pub(super) fn cut(uids: &UidSet, text: usize, most: u64) -> Vec<UidSet> {
    let mut sets = Vec::new();
    for chunk in uids.chunks(text) {
        let mut set = UidSet::new();
        let mut room = most.max(1);
        for range in chunk.ranges() {
            let (mut first, last) = (range.start().get(), range.end().get());
            loop {
                let length = (u64::from(last - first) + 1).min(room);
                let end = first + u32::try_from(length - 1).unwrap_or(u32::MAX);
                if let (Some(first), Some(end)) = (Uid::new(first), Uid::new(end)) {
                    set.insert_range(first..=end);
                }
                room -= length;
                if room == 0 {
                    sets.push(std::mem::take(&mut set));
                    room = most.max(1);
                }
                if end == last {
                    break;
                }
                first = end + 1;
            }
        }
        if !set.is_empty() {
            sets.push(set);
        }
    }
    sets
}
