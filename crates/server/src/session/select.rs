//! The open mailbox: SELECT and EXAMINE, resynchronisation, IDLE, and what is told of others' doing
//! (RFC 9051 §6.3.2 and §7, RFC 7162, RFC 2177).
//!
//! A session keeps the UIDs that its client knows of, in order: they are its message numbers. What
//! others have done is the difference between these and the mailbox. It is looked for only when the
//! mailbox's modification sequence has moved.

use std::collections::{BTreeMap, BTreeSet};

use message::{Flags, Uid, UidSet};

use crate::arguments::{Arguments, SequenceSet};
use crate::effect::Effect;
use crate::limits;
use crate::store::{self, Mailbox, State};

use super::{Done, Session, Stop};

/// The mailbox that a session has open.
pub(super) struct Selected {
    /// In the store.
    pub(super) name: Vec<u8>,
    id: String,
    validity: u32,
    pub(super) read_only: bool,
    /// UIDs by message number, counted from 0.
    pub(super) known: Vec<Uid>,
    /// The modification sequence up to which the client has been told.
    told: u64,
    /// Changes that the session made itself and has answered: UID and modification sequence.
    pub(super) answered: BTreeMap<Uid, u64>,
    /// Expunges are yet to be told.
    owes_expunges: bool,
}

impl Selected {
    /// The name for faults.
    pub(super) fn text(&self) -> String {
        store::name_text(&self.name)
    }

    /// The mailbox in the store; another one under the same name is not it, a renamed one is.
    /// `None` when it is gone, or has been put back to an older state.
    pub(super) fn find<'a>(&mut self, state: &'a mut State, user: &str) -> Option<&'a mut Mailbox> {
        let mailboxes = &mut state.user(user).ok()?.mailboxes;
        if mailboxes.get(&self.name).is_none_or(|mailbox| mailbox.id != self.id) {
            self.name = mailboxes.iter().find(|(_, mailbox)| mailbox.id == self.id)?.0.clone();
        }
        let mailbox = mailboxes.get_mut(&self.name)?;
        (mailbox.validity == self.validity && mailbox.modseq >= self.told).then_some(mailbox)
    }

    /// The UIDs that a set means, of those that the client knows; by UID or by message number.
    pub(super) fn resolve(&self, set: &SequenceSet, by_uid: bool) -> Result<Vec<Uid>, Stop> {
        if by_uid {
            let set = set.resolve(self.known.last().copied());
            let mut meant = Vec::new();
            for range in set.ranges() {
                let first = self.known.partition_point(|uid| uid < range.start());
                let end = self.known.partition_point(|uid| uid <= range.end());
                meant.extend_from_slice(&self.known[first..end]);
            }
            return Ok(meant);
        }
        let count = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        let numbers = set.resolve(Uid::new(count));
        if numbers.is_empty() || numbers.last().is_some_and(|last| last.get() > count) {
            return Err(Stop::Bad("no message of this number".to_owned()));
        }
        let mut meant = Vec::new();
        for range in numbers.ranges() {
            meant
                .extend_from_slice(&self.known[range.start().get() as usize - 1..range.end().get() as usize]);
        }
        Ok(meant)
    }

    /// The message number, from 1.
    pub(super) fn number(&self, uid: Uid) -> usize {
        self.known.partition_point(|known| *known < uid) + 1
    }
}

/// What a client knew when it last had the mailbox open (RFC 7162 §3.2.5).
struct Since {
    validity: u64,
    modseq: u64,
    known: Option<UidSet>,
}

impl Session {
    pub(super) fn selected(&mut self) -> Result<&mut Selected, Stop> {
        self.selected.as_mut().ok_or_else(|| Stop::Bad("open a mailbox first".to_owned()))
    }

    /// Works on the open mailbox under the lock. When it is no longer there, the session ends.
    pub(super) fn in_mailbox<T>(
        &mut self,
        changes: bool,
        work: impl FnOnce(&mut Mailbox, &mut Selected) -> T,
    ) -> Result<T, Stop> {
        let user = self.user()?;
        let store = self.shared.store.clone();
        let selected = self.selected()?;
        let work = |state: &mut State| {
            let mailbox = selected.find(state, &user)?;
            Some(work(mailbox, selected))
        };
        let done = if changes { store.with(work) } else { store.look(work) };
        done.ok_or_else(|| Stop::Bye("the open mailbox is gone or was replaced".to_owned()))
    }

    pub(super) fn select(&mut self, arguments: &mut Arguments, read_only: bool) -> Done {
        let user = self.user()?;
        arguments.space()?;
        let wire_name = arguments.string()?;
        let since = self.select_parameters(arguments)?;
        arguments.end()?;
        if self.selected.take().is_some() && self.qresync {
            self.say("* OK [CLOSED] the mailbox that was open is closed");
        }
        let name = self.mailbox_name(&wire_name)?;
        let store = self.shared.store.clone();
        let mut untagged = Vec::new();
        let selected = store.look(|state| -> Result<Selected, Stop> {
            let mailbox = state.mailbox(&user, &name)?;
            if !mailbox.is_selectable() {
                return Err(Stop::No("[NONEXISTENT] this mailbox cannot be opened".to_owned()));
            }
            self.describe(mailbox, read_only, &mut untagged);
            if let Some(since) = &since {
                self.resync(mailbox, since, &mut untagged);
            }
            Ok(Selected {
                name: store::fold_inbox(&name),
                id: mailbox.id.clone(),
                validity: mailbox.validity,
                read_only,
                known: mailbox.messages[mailbox.messages.len().saturating_sub(self.most_shown())..]
                    .iter()
                    .map(|message| message.uid)
                    .collect(),
                told: mailbox.modseq,
                answered: BTreeMap::new(),
                owes_expunges: false,
            })
        })?;
        self.selected = Some(selected);
        self.wire.out.append(&mut untagged);
        let access = if read_only { "READ-ONLY" } else { "READ-WRITE" };
        Ok(format!("[{access}] {} done", if read_only { "EXAMINE" } else { "SELECT" }))
    }

    fn select_parameters(&mut self, arguments: &mut Arguments) -> Result<Option<Since>, Stop> {
        if arguments.is_empty() {
            return Ok(None);
        }
        arguments.space()?;
        arguments.expect(b'(')?;
        let mut since = None;
        loop {
            match arguments.keyword()?.as_str() {
                "CONDSTORE" => {
                    self.needs("CONDSTORE")?;
                    self.condstore = true;
                }
                "QRESYNC" => {
                    self.needs("QRESYNC")?;
                    if !self.qresync {
                        return Err(Stop::Bad("ENABLE QRESYNC first".to_owned()));
                    }
                    arguments.space()?;
                    since = Some(read_since(arguments)?);
                }
                _ => return Err(Stop::Bad("unknown parameter".to_owned())),
            }
            if arguments.eat(b')') {
                return Ok(since);
            }
            arguments.space()?;
        }
    }

    /// What SELECT says of a mailbox.
    fn describe(&self, mailbox: &Mailbox, read_only: bool, out: &mut Vec<u8>) {
        let mut say = |line: String| {
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
        };
        let keywords: BTreeSet<&str> = mailbox
            .messages
            .iter()
            .flat_map(|message| message.flags.iter())
            .filter(|f| !f.starts_with('\\'))
            .collect();
        let mut flags = String::from("\\Answered \\Flagged \\Deleted \\Seen \\Draft");
        for keyword in keywords {
            flags.push(' ');
            flags.push_str(keyword);
        }
        say(format!("* FLAGS ({flags})"));
        match read_only {
            true => say("* OK [PERMANENTFLAGS ()] nothing can be changed".to_owned()),
            false => say(format!("* OK [PERMANENTFLAGS ({})] flags that are kept", self.permanent(&flags))),
        }
        let facts = Facts::of(mailbox, &self.twists, self.most_shown());
        say(format!("* {} EXISTS", facts.exists));
        if !self.rev2 {
            say("* 0 RECENT".to_owned());
        }
        if let Some(validity) = facts.validity {
            say(format!("* OK [UIDVALIDITY {validity}] UIDs are valid"));
        }
        if let Some(next) = facts.uid_next {
            say(format!("* OK [UIDNEXT {next}] next UID"));
        }
        if self.offers("CONDSTORE") {
            match facts.modseq {
                Some(0) => say("* OK [NOMODSEQ] no modification sequences here".to_owned()),
                Some(modseq) => say(format!("* OK [HIGHESTMODSEQ {modseq}] newest change")),
                None => {}
            }
        }
        if self.offers("OBJECTID") {
            say(format!("* OK [MAILBOXID ({})] object id", mailbox.id));
        }
    }

    /// What PERMANENTFLAGS tells, of a mailbox with these flags.
    fn permanent(&self, flags: &str) -> String {
        let Some(permanent) = self.shared.behaviour.permanent_flags() else { return format!("{flags} \\*") };
        let star = permanent.any_keyword.then(|| "\\*".to_owned());
        permanent.flags.iter().cloned().chain(star).collect::<Vec<_>>().join(" ")
    }

    fn resync(&self, mailbox: &Mailbox, since: &Since, out: &mut Vec<u8>) {
        if since.validity != u64::from(mailbox.validity) {
            return;
        }
        let mut vanished = mailbox.vanished_since(since.modseq);
        if let Some(known) = &since.known {
            vanished = vanished.intersection(known);
        }
        let twisted = self.twists.iter().find_map(|twist| match twist {
            Effect::Vanished(set) => Some(set.clone()),
            _ => None,
        });
        if twisted.is_some() || !vanished.is_empty() {
            let set = twisted.unwrap_or_else(|| vanished.to_string());
            out.extend_from_slice(format!("* VANISHED (EARLIER) {set}\r\n").as_bytes());
        }
        for (number, message) in (1usize..).zip(&mailbox.messages) {
            let asked = since.known.as_ref().is_none_or(|known| known.contains(message.uid));
            if message.modseq > since.modseq && asked {
                let number = Some(number).filter(|_| !self.uid_only);
                write_flags(out, number, message.uid, &message.flags, Some(message.modseq));
            }
        }
    }

    pub(super) fn unselect(&mut self, arguments: &Arguments) -> Done {
        if !self.offers("IMAP4rev2") {
            self.needs("UNSELECT")?;
        }
        arguments.end()?;
        self.selected()?;
        self.selected = None;
        Ok("UNSELECT done".to_owned())
    }

    /// CLOSE expunges what is marked \Deleted, without a word, unless the mailbox is only read.
    pub(super) fn close(&mut self, arguments: &Arguments) -> Done {
        arguments.end()?;
        if !self.selected()?.read_only {
            self.in_mailbox(true, |mailbox, _| {
                mailbox.expunge(|message| message.flags.contains("\\Deleted"))
            })?;
        }
        self.selected = None;
        Ok("CLOSE done".to_owned())
    }

    pub(super) async fn idle(&mut self, arguments: &Arguments) -> Done {
        if !self.offers("IMAP4rev2") {
            self.needs("IDLE")?;
        }
        self.user()?;
        arguments.end()?;
        let mut changes = self.shared.store.watch();
        self.say("+ idling");
        loop {
            self.tell_updates(true)?;
            self.wire.flush().await?;
            tokio::select! {
                line = self.wire.line(limits::IDLE_LINE) => {
                    if line?.eq_ignore_ascii_case(b"DONE") {
                        return Ok("IDLE done".to_owned());
                    }
                    return Err(Stop::Bad("expected DONE".to_owned()));
                }
                // The store lives as long as this session; its end could not be seen.
                _ = changes.changed() => {}
            }
        }
    }

    /// Tells what has happened to the open mailbox since it was last told. Expunges are kept back
    /// where they would shift the numbers of an answer (RFC 9051 §7.5.1).
    pub(super) fn tell_updates(&mut self, with_expunges: bool) -> Result<(), Stop> {
        if self.selected.is_none() {
            return Ok(());
        }
        let by_uid = self.qresync || self.uid_only;
        let (uid_only, condstore) = (self.uid_only, self.condstore);
        let news = self.in_mailbox(false, |mailbox, selected| {
            selected.news(mailbox, with_expunges, by_uid, uid_only, condstore)
        })?;
        self.wire.out.extend_from_slice(&news);
        Ok(())
    }
}

impl Selected {
    fn news(
        &mut self,
        mailbox: &Mailbox,
        with_expunges: bool,
        by_uid: bool,
        uid_only: bool,
        condstore: bool,
    ) -> Vec<u8> {
        let mut news = Vec::new();
        if self.told == mailbox.modseq && !(self.owes_expunges && with_expunges) {
            self.answered.clear();
            return news;
        }
        // A client that adds message after message is not to cost the square of their number.
        let stirred = mailbox.stirred > self.told || self.owes_expunges;
        let gone: Vec<(usize, Uid)> = if stirred { self.lost(mailbox) } else { Vec::new() };
        if with_expunges {
            if by_uid && !gone.is_empty() {
                let set: UidSet = gone.iter().map(|&(_, uid)| uid).collect();
                news.extend_from_slice(format!("* VANISHED {set}\r\n").as_bytes());
            } else {
                // From the end, so that each number is right when it is told.
                for (number, _) in gone.iter().rev() {
                    news.extend_from_slice(format!("* {number} EXPUNGE\r\n").as_bytes());
                }
            }
            let gone: UidSet = gone.iter().map(|&(_, uid)| uid).collect();
            self.known.retain(|uid| !gone.contains(*uid));
        }
        self.owes_expunges = !with_expunges && !gone.is_empty();
        let last = self.known.last().copied();
        let first_new = mailbox.messages.partition_point(|message| Some(message.uid) <= last);
        for message in mailbox.messages[..first_new].iter().filter(|_| stirred) {
            let told =
                message.modseq <= self.told || self.answered.get(&message.uid) == Some(&message.modseq);
            if !told {
                let modseq = condstore.then_some(message.modseq);
                let number = if uid_only { None } else { Some(self.number(message.uid)) };
                write_flags(&mut news, number, message.uid, &message.flags, modseq);
            }
        }
        if first_new < mailbox.messages.len() {
            self.known.extend(mailbox.messages[first_new..].iter().map(|message| message.uid));
            news.extend_from_slice(format!("* {} EXISTS\r\n", self.known.len()).as_bytes());
        }
        self.told = mailbox.modseq;
        self.answered.clear();
        news
    }

    /// Known messages that are no longer there: number from 1, and UID.
    fn lost(&self, mailbox: &Mailbox) -> Vec<(usize, Uid)> {
        let mut there = mailbox.messages.iter().map(|message| message.uid).peekable();
        let mut lost = Vec::new();
        for (number, &uid) in (1..).zip(&self.known) {
            while there.next_if(|other| *other < uid).is_some() {}
            if there.peek() != Some(&uid) {
                lost.push((number, uid));
            }
        }
        lost
    }
}

fn read_since(arguments: &mut Arguments) -> Result<Since, Stop> {
    arguments.expect(b'(')?;
    let validity = arguments.number()?;
    arguments.space()?;
    let modseq = arguments.number()?;
    let mut known = None;
    while !arguments.eat(b')') {
        arguments.space()?;
        if arguments.eat(b'(') {
            // Numbers matched with UIDs: a hint that a server may leave unused.
            arguments.set()?;
            arguments.space()?;
            arguments.set()?;
            arguments.expect(b')')?;
        } else {
            known = Some(arguments.set()?.resolve(None));
        }
    }
    Ok(Since { validity, modseq, known })
}

/// `* n FETCH (UID … FLAGS (…))`, with MODSEQ where it is wanted; without a number, UIDFETCH.
pub(super) fn write_flags(
    out: &mut Vec<u8>,
    number: Option<usize>,
    uid: Uid,
    flags: &Flags,
    modseq: Option<u64>,
) {
    let modseq = modseq.map_or(String::new(), |modseq| format!(" MODSEQ ({modseq})"));
    let line = match number {
        Some(number) => format!("* {number} FETCH (UID {uid} FLAGS ({flags}){modseq})\r\n"),
        None => format!("* {uid} UIDFETCH (FLAGS ({flags}){modseq})\r\n"),
    };
    out.extend_from_slice(line.as_bytes());
}

/// The numbers that SELECT and STATUS tell, as the faults want them.
pub(super) struct Facts {
    pub(super) exists: usize,
    pub(super) validity: Option<u32>,
    pub(super) uid_next: Option<u64>,
    pub(super) modseq: Option<u64>,
}

impl Facts {
    pub(super) fn of(mailbox: &Mailbox, twists: &[Effect], most_shown: usize) -> Self {
        let mut facts = Self {
            exists: mailbox.messages.len().min(most_shown),
            validity: Some(mailbox.validity),
            uid_next: Some(mailbox.uid_next.min(u64::from(u32::MAX))),
            modseq: Some(mailbox.modseq),
        };
        for twist in twists {
            match twist {
                Effect::Exists(exists) => facts.exists = *exists as usize,
                Effect::Validity(validity) => facts.validity = *validity,
                Effect::ValidityChanges => facts.validity = Some(super::another_number()),
                Effect::UidNext(next) => facts.uid_next = next.map(u64::from),
                Effect::HighestModSeq(modseq) => facts.modseq = *modseq,
                _ => {}
            }
        }
        facts
    }
}
