//! What the server says about messages of the open mailbox: flags, dates, sizes (RFC 9051 §6.4.5).
//!
//! Sets are asked for in bounded commands, several of them under way. One that is refused is halved,
//! down to one message.

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

impl Session {
    /// Flags, date and size of each of these messages, once each, in the server's order. Those
    /// that the server does not answer for are absent.
    ///
    /// # Errors
    /// `Refused` only when the server refuses many single messages in a row.
    pub async fn survey(&mut self, uids: &UidSet, each: &mut dyn FnMut(Surveyed)) -> Result<(), Error> {
        self.try_content_id(uids.first()).await?;
        let id = self.content_id_item();
        let mut rows = Rows::new(!id.is_empty(), each);
        let mut hear = |row: Row| {
            if row.uid.is_some_and(|uid| uids.contains(uid)) {
                rows.hear(row);
            }
        };
        self.sweep(uids, &survey_items(id), &mut hear).await?;
        rows.end();
        Ok(())
    }

    /// The same of every message of the open mailbox, in one command; `None` when there are too many for
    /// that, or when the server gives another number of them than it counts.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn survey_all(&mut self) -> Result<Option<Vec<Surveyed>>, Error> {
        let is_moderate = (1..=self.limits.rows_per_command).contains(&u64::from(self.exists));
        if !is_moderate || self.content_ids == ContentIds::Untried {
            return Ok(None);
        }
        let id = self.content_id_item();
        let mut surveyed = Vec::new();
        // What a mailbox that grows meanwhile may add is bounded as well.
        let most = usize::try_from(self.limits.rows_per_command).unwrap_or(usize::MAX).saturating_mul(2);
        let mut keep = |message| surveyed.push(message);
        let mut rows = Rows::new(!id.is_empty(), &mut keep);
        let told = self
            .run(survey_all_command(id), &mut |heard| {
                if let Heard::Data(Data::Fetch(row)) = heard
                    && rows.len() < most
                {
                    rows.hear(row);
                }
            })
            .await;
        rows.end();
        match told {
            Ok(answer) if is_cut_off(&answer) => Ok(None),
            Ok(_) => Ok(Some(surveyed).filter(|surveyed| surveyed.len() as u64 == u64::from(self.exists))),
            Err(Error::Refused { refusal, .. }) if !must_stop(&refusal.kind()) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Surveys ask for the id of each message's content from now on, where the server has one.
    pub fn want_content_ids(&mut self) {
        let offered = self.capabilities.gmail || self.capabilities.object_id;
        if offered && self.content_ids == ContentIds::Unwanted {
            self.content_ids = ContentIds::Untried;
        }
    }

    /// The item of the id, with a blank before it; empty where there is none.
    pub(super) fn content_id_item(&self) -> &'static str {
        match self.content_ids {
            ContentIds::Given if self.capabilities.gmail => " X-GM-MSGID",
            ContentIds::Given => " EMAILID",
            _ => "",
        }
    }

    /// The id is tried on one message first: a server that announces it and refuses it must not cost a
    /// survey.
    async fn try_content_id(&mut self, first: Option<Uid>) -> Result<(), Error> {
        let (ContentIds::Untried, Some(first)) = (self.content_ids, first) else { return Ok(()) };
        let item = if self.capabilities.gmail { "X-GM-MSGID" } else { "EMAILID" };
        let command = Command::new("UID FETCH ").text(&format!("{first} (UID {item})"));
        self.content_ids = match self.run(command, &mut |_| {}).await {
            Ok(_) => ContentIds::Given,
            Err(Error::Refused { refusal, .. }) if !must_stop(&refusal.kind()) => {
                tracing::warn!(%refusal, item, "offered and refused; done without");
                ContentIds::Refused
            }
            Err(error) => return Err(error),
        };
        Ok(())
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
        let items = self.flag_items(changed_since);
        let mut hear = |row: Row| {
            if let Some(change) = FlagChange::from_row(row).filter(|change| uids.contains(change.uid)) {
                each(change);
            }
        };
        self.sweep(uids, &items, &mut hear).await
    }

    pub(super) fn flag_items(&self, changed_since: Option<ModSeq>) -> String {
        match changed_since {
            Some(ModSeq(number)) if self.capabilities.condstore => {
                format!(" (UID FLAGS) (CHANGEDSINCE {number})")
            }
            _ => " (UID FLAGS)".to_owned(),
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
                && let Some(set) = waiting.front()
            {
                let command = sweep_command(set, items);
                if !flying.is_empty() && !self.ahead.lets_through(&command) {
                    break;
                }
                let sent = self.issue(&command).await?;
                flying.extend(waiting.pop_front().map(|set| (sent, set)));
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

/// Puts together what comes of messages, in one piece or in several.
struct Rows<'a> {
    wants_id: bool,
    begun: HashMap<Uid, Row>,
    done: UidSet,
    each: &'a mut dyn FnMut(Surveyed),
}

impl<'a> Rows<'a> {
    fn new(wants_id: bool, each: &'a mut dyn FnMut(Surveyed)) -> Self {
        Self { wants_id, begun: HashMap::new(), done: UidSet::new(), each }
    }

    fn len(&self) -> usize {
        self.begun.len() + usize::try_from(self.done.len()).unwrap_or(usize::MAX)
    }

    fn hear(&mut self, row: Row) {
        let Some(uid) = row.uid.filter(|uid| !self.done.contains(*uid)) else { return };
        // It is whole when all that was asked for is there.
        let whole = merge(self.begun.remove(&uid), row);
        let has_id = !self.wants_id || whole.content_id.is_some();
        if has_id && whole.flags.is_some() && whole.internal_date.is_some() && whole.size.is_some() {
            self.done.insert(uid);
            (self.each)(surveyed(uid, whole));
        } else {
            self.begun.insert(uid, whole);
        }
    }

    fn end(self) {
        for (uid, row) in self.begun {
            // Unsolicited flags alone are not an answer.
            if row.size.is_some() || row.internal_date.is_some() {
                (self.each)(surveyed(uid, row));
            }
        }
    }
}

fn surveyed(uid: Uid, row: Row) -> Surveyed {
    Surveyed {
        uid,
        flags: row.flags.unwrap_or_default(),
        internal_date: row.internal_date.unwrap_or_else(|| InternalDate::parse("")),
        size: row.size.unwrap_or(0),
        modseq: row.modseq,
        content_id: row.content_id,
    }
}

pub(super) fn survey_items(id: &str) -> String {
    format!(" (UID FLAGS INTERNALDATE RFC822.SIZE{id})")
}

pub(super) fn survey_all_command(id: &str) -> Command {
    Command::new("UID FETCH 1:*").text(&survey_items(id))
}

pub(super) fn sweep_command(set: &UidSet, items: &str) -> Command {
    Command::new("UID FETCH").uids(set).text(items)
}

/// OK, but not for all that was asked for (RFC 9738).
pub(super) fn is_cut_off(answer: &Answer) -> bool {
    answer.word() == Some("MESSAGELIMIT")
}

/// Refusals that a smaller range would not mend.
pub(super) fn must_stop(kind: &Option<Kind>) -> bool {
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
