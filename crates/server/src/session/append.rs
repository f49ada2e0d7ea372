//! APPEND: mail that is given to the server, and what becomes of it (RFC 9051 §6.3.12, RFC 3502 for
//! several messages, RFC 4315 for APPENDUID, RFC 7889 for limits).
//!
//! By the book a message is kept as it came, with its flags and its date, and of several all are or
//! none. What a server does otherwise is a fault's effect, on one message or on all of a command.

use std::sync::Arc;
use std::time::SystemTime;

use message::{Flags, InternalDate, Uid, UidSet};

use crate::arguments::Arguments;
use crate::effect::Effect;
use crate::fault::Event;
use crate::section::Section;
use crate::server::Late;
use crate::store::{self, Store, StoreError, User};

use super::{Done, Session, Stop};

/// A message as APPEND gives it.
struct Given {
    flags: Flags,
    date: Option<InternalDate>,
    bytes: Arc<[u8]>,
    /// What the server does wrong with it.
    twists: Vec<Effect>,
}

impl Session {
    /// APPEND of one message, or of several where MULTIAPPEND is offered: all or none.
    pub(super) async fn append(&mut self, arguments: &mut Arguments) -> Done {
        let user = self.user()?;
        arguments.space()?;
        let wire = arguments.string()?;
        let name = store::fold_inbox(&self.mailbox_name(&wire)?);
        let text = store::name_text(&name);
        let mut given = Vec::new();
        while given.is_empty() || !arguments.is_empty() {
            arguments.space()?;
            let message = self.read_given(arguments)?;
            given.push(self.suffer_given(message, &text).await?);
        }
        if given.len() > 1 {
            self.needs("MULTIAPPEND")?;
        }
        let late = given.iter().flat_map(|message| &message.twists).find_map(|twist| match twist {
            Effect::StoresLate(questions) => Some(*questions),
            _ => None,
        });
        if let Some(questions) = late {
            let kept_back = |message: Given| (message.flags, message.date.unwrap_or_else(now), message.bytes);
            let messages = given.into_iter().map(kept_back).collect();
            self.shared.keep_back(Late { user, mailbox: name, questions, messages });
            return Err(self.wire.cut().await.into());
        }
        let sizes: Vec<u64> = given.iter().map(|message| message.bytes.len() as u64).collect();
        let store = self.shared.store.clone();
        let (validity, uids) = store.with(|state| -> Result<_, Stop> {
            let user = state.user(&user)?;
            if user.mailboxes.get(&name).is_none_or(|mailbox| !mailbox.is_selectable()) {
                return Err(Stop::No("[TRYCREATE] no such mailbox".to_owned()));
            }
            user.takes(&name, &sizes)?;
            let keep = |message| self.keep(user, &name, message);
            let uids = given.into_iter().map(keep).collect::<Result<Vec<Uid>, StoreError>>()?;
            Ok((user.mailboxes[&name].validity, uids))
        })?;
        self.appends += 1;
        let silent = self.twists.iter().any(|twist| matches!(twist, Effect::NoAppendUid));
        if silent || !(self.offers("UIDPLUS") || self.offers("IMAP4rev2")) {
            return Ok("APPEND done".to_owned());
        }
        Ok(format!("[APPENDUID {validity} {}] APPEND done", in_order(&uids)))
    }

    fn read_given(&self, arguments: &mut Arguments) -> Result<Given, Stop> {
        let mut flags = Flags::new();
        if arguments.peek() == Some(b'(') {
            flags = arguments.flags()?;
            arguments.space()?;
        }
        let mut date = None;
        if arguments.peek() == Some(b'"') {
            date = Some(InternalDate::parse(&String::from_utf8_lossy(&arguments.string()?)));
            if date.as_ref().is_some_and(|date| date.unix().is_none()) {
                return Err(Stop::Bad("not a date".to_owned()));
            }
            arguments.space()?;
        }
        let wrapped = matches!(arguments.peek(), Some(b'U' | b'u'));
        if wrapped {
            self.needs("UTF8=ACCEPT")?;
            if arguments.keyword()? != "UTF8" {
                return Err(Stop::Bad("expected a message".to_owned()));
            }
            arguments.space()?;
            arguments.expect(b'(')?;
        }
        arguments.eat(b'~');
        let bytes = arguments.literal()?;
        if wrapped {
            arguments.expect(b')')?;
        }
        if bytes.is_empty() {
            return Err(Stop::No("[CANNOT] a message is not empty".to_owned()));
        }
        Ok(Given { flags, date, bytes, twists: Vec::new() })
    }

    /// Lets the faults have their say about a message that is given to this mailbox.
    async fn suffer_given(&mut self, mut message: Given, mailbox: &str) -> Result<Given, Stop> {
        self.suffer_flags(&message.flags, mailbox).await?;
        let event = Event::Given { bytes: &message.bytes };
        let struck = self.shared.script.strikes(event, Some(mailbox));
        message.twists = self.twists.clone();
        for effect in struck {
            message.twists.extend(self.refuse(effect).await?);
        }
        for twist in &message.twists {
            if let (Effect::DatesWithin(range), Some(date)) = (twist, &message.date)
                && date.unix().is_none_or(|date| !range.contains(&date))
            {
                return Err(Stop::Bad("date out of range".to_owned()));
            }
        }
        Ok(message)
    }

    /// Lets the faults have their say about flags that are set.
    pub(super) async fn suffer_flags(&mut self, flags: &Flags, mailbox: &str) -> Result<(), Stop> {
        for effect in self.shared.script.strikes(Event::Flags(flags), Some(mailbox)) {
            self.refuse(effect).await?;
        }
        Ok(())
    }

    /// Does what an effect says to the whole command; gives it back when it is none of that kind.
    async fn refuse(&mut self, effect: Effect) -> Result<Option<Effect>, Stop> {
        match effect {
            Effect::No(text) => Err(Stop::No(text)),
            Effect::Bad(text) => Err(Stop::Bad(text)),
            Effect::Bye(text) => Err(Stop::Bye(text)),
            Effect::Disconnect => Err(self.wire.cut().await.into()),
            Effect::Silence => Err(self.wire.fall_silent().await.into()),
            Effect::DisconnectAfter(octets) => {
                self.wire.cut_after(octets);
                Ok(None)
            }
            other => Ok(Some(other)),
        }
    }

    /// Those of the flags that messages keep here.
    pub(super) fn kept(&self, flags: &Flags) -> Flags {
        let Some(permanent) = self.shared.behaviour.permanent_flags() else { return flags.clone() };
        let keeps = |flag: &&str| {
            (permanent.any_keyword && !flag.starts_with('\\'))
                || permanent.flags.iter().any(|known| known.eq_ignore_ascii_case(flag))
        };
        flags.iter().filter(keeps).collect()
    }

    /// Puts a message where it belongs, or where the faults want it; gives the UID that the client
    /// is told.
    fn keep(&mut self, user: &mut User, name: &[u8], message: Given) -> Result<Uid, StoreError> {
        let Given { flags, date, mut bytes, twists } = message;
        let mut flags = self.kept(&flags);
        let mut date = date.unwrap_or_else(now);
        for twist in &twists {
            match twist {
                Effect::Alters(alteration) => bytes = alteration.of(&bytes).into(),
                Effect::DropsFlags(dropped) if dropped.is_empty() => {
                    flags = flags.iter().filter(|flag| flag.starts_with('\\')).collect();
                }
                Effect::DropsFlags(dropped) => {
                    let stays = |flag: &&str| !dropped.iter().any(|other| other.eq_ignore_ascii_case(flag));
                    flags = flags.iter().filter(stays).collect();
                }
                Effect::DateIgnored => date = now(),
                Effect::DateMoved(seconds) => {
                    let moved = date.unix().unwrap_or(0).saturating_add(*seconds);
                    date = InternalDate::from_unix(moved, date.offset_minutes().unwrap_or(0));
                }
                _ => {}
            }
        }
        for twist in &twists {
            match twist {
                Effect::Merges => {
                    if let Some(there) = user.mailboxes[name].messages.iter().find(|m| m.bytes == bytes) {
                        return Ok(there.uid);
                    }
                    let mut others = user.mailboxes.values().flat_map(|mailbox| &mailbox.messages);
                    if let Some(first) = others.find(|other| other.bytes == bytes) {
                        date = first.date.clone();
                    }
                }
                Effect::MergesById => {
                    let id = message_id(&bytes);
                    let same = |other: &&store::Message| !id.is_empty() && message_id(&other.bytes) == id;
                    if let Some(there) = user.mailboxes[name].messages.iter().find(same) {
                        return Ok(there.uid);
                    }
                }
                _ => {}
            }
        }
        let uid = user.append(name, flags.clone(), date.clone(), Arc::clone(&bytes))?;
        let mut stays = true;
        for twist in &twists {
            match twist {
                Effect::Forgets => stays = false,
                Effect::ForgetsAtEnd => self.forgotten.note(user.mailboxes[name].id.clone(), uid),
                Effect::MovesTo(other) => {
                    stays = false;
                    let other = message::mailbox::encode_modified_utf7(other);
                    if user.mailboxes.contains_key(&other) {
                        user.append(&other, flags.clone(), date.clone(), Arc::clone(&bytes))?;
                    }
                }
                _ => {}
            }
        }
        if stays {
            self.shared.count(|counts| counts.appended += 1);
        } else if let Some(mailbox) = user.mailboxes.get_mut(name) {
            mailbox.expunge(|message| message.uid == uid);
        }
        Ok(uid)
    }
}

/// Messages that are gone when the connection ends, as after a crash of a server that had said OK
/// too early.
pub(super) struct Forgotten {
    store: Store,
    /// Ids of mailboxes, and UIDs.
    messages: Vec<(String, Uid)>,
}

impl Forgotten {
    pub(super) fn new(store: Store) -> Self {
        Self { store, messages: Vec::new() }
    }

    fn note(&mut self, mailbox: String, uid: Uid) {
        self.messages.push((mailbox, uid));
    }
}

impl Drop for Forgotten {
    fn drop(&mut self) {
        if self.messages.is_empty() {
            return;
        }
        self.store.with(|state| {
            for mailbox in state.mailboxes_mut() {
                let lost = |uid| self.messages.iter().any(|(id, lost)| *id == mailbox.id && *lost == uid);
                let lost: UidSet = mailbox.messages.iter().map(|m| m.uid).filter(|uid| lost(*uid)).collect();
                mailbox.expunge(|message| lost.contains(message.uid));
            }
        });
    }
}

/// UIDs in the order of the messages, ranges where they ascend by one (RFC 4315 §3). Merged messages
/// can stand for several, and in any order.
fn in_order(uids: &[Uid]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for uid in uids {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(uid.get()) => *last = uid.get(),
            _ => ranges.push((uid.get(), uid.get())),
        }
    }
    let written = ranges.iter().map(|&(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}:{last}"),
    });
    written.collect::<Vec<_>>().join(",")
}

fn message_id(bytes: &[u8]) -> Vec<u8> {
    let section = Section::Fields { not: false, names: vec![b"Message-ID".to_vec()] };
    section.of(bytes).trim_ascii().to_ascii_lowercase()
}

/// A message given without a date was received now (RFC 9051 §6.3.12).
fn now() -> InternalDate {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    InternalDate::from_unix(i64::try_from(since_1970.as_secs()).unwrap_or(0), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_told_in_the_order_of_their_messages() {
        let uids: Vec<Uid> = [4, 5, 6, 2, 2, 3, 9].into_iter().filter_map(Uid::new).collect();
        assert_eq!(in_order(&uids), "4:6,2,2:3,9");
    }
}
