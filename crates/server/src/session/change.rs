//! What changes mail: APPEND, STORE, EXPUNGE, COPY and MOVE (RFC 9051 §6.3.12 and §6.4, RFC 3502,
//! RFC 4315, RFC 6851, RFC 7162).

use std::sync::Arc;
use std::time::SystemTime;

use message::{Flags, InternalDate, Uid, UidSet};

use crate::arguments::Arguments;
use crate::store::StoreError;

use super::select::write_flags;
use super::{Done, Session, Stop};

struct Appended {
    flags: Flags,
    date: InternalDate,
    bytes: Arc<[u8]>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Set,
    Add,
    Remove,
}

impl Session {
    /// APPEND of one message, or of several where MULTIAPPEND is offered: all or none.
    pub(super) fn append(&mut self, arguments: &mut Arguments) -> Done {
        let user = self.user()?;
        arguments.space()?;
        let wire = arguments.string()?;
        let mut given = Vec::new();
        while given.is_empty() || !arguments.is_empty() {
            arguments.space()?;
            given.push(self.read_appended(arguments)?);
        }
        if given.len() > 1 {
            self.needs("MULTIAPPEND")?;
        }
        let name = self.mailbox_name(&wire)?;
        let count = given.len() as u64;
        let added = self.shared.store.with(|state| -> Result<_, Stop> {
            let mailbox = match state.mailbox(&user, &name) {
                Ok(mailbox) if mailbox.is_selectable() => mailbox,
                _ => return Err(Stop::No("[TRYCREATE] no such mailbox".to_owned())),
            };
            let left = (u64::from(u32::MAX) + 1).saturating_sub(mailbox.uid_next);
            if left < count {
                return Err(StoreError::NoUidLeft(crate::store::name_text(&name)).into());
            }
            let add = |message: Appended| mailbox.append(message.flags, message.date, message.bytes);
            let uids: UidSet = given.into_iter().filter_map(add).collect();
            Ok((mailbox.validity, uids))
        });
        let (validity, uids) = added?;
        self.shared.count(|counts| counts.appended += count);
        if !self.offers("UIDPLUS") && !self.offers("IMAP4rev2") {
            return Ok("APPEND done".to_owned());
        }
        Ok(format!("[APPENDUID {validity} {uids}] APPEND done"))
    }

    fn read_appended(&self, arguments: &mut Arguments) -> Result<Appended, Stop> {
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
        let bytes: Arc<[u8]> = arguments.literal()?.into();
        if wrapped {
            arguments.expect(b')')?;
        }
        if bytes.is_empty() {
            return Err(Stop::No("[CANNOT] a message is not empty".to_owned()));
        }
        Ok(Appended { flags, date: date.unwrap_or_else(now), bytes })
    }

    pub(super) fn store_flags(&mut self, arguments: &mut Arguments, by_uid: bool) -> Done {
        arguments.space()?;
        let set = arguments.set()?;
        arguments.space()?;
        let unchanged_since = self.read_unchanged_since(arguments)?;
        let word = arguments.keyword()?;
        let (word, silent) = word.strip_suffix(".SILENT").map_or((word.as_str(), false), |word| (word, true));
        let how = match word {
            "FLAGS" => How::Set,
            "+FLAGS" => How::Add,
            "-FLAGS" => How::Remove,
            _ => return Err(Stop::Bad("unknown item to store".to_owned())),
        };
        arguments.space()?;
        let given = arguments.flags()?;
        arguments.end()?;
        self.must_write()?;
        let uids = self.selected()?.resolve(&set, by_uid)?;
        let (condstore, uid_only, mut out) = (self.condstore, self.uid_only, Vec::new());
        let modified = self.in_mailbox(true, |mailbox, selected| {
            let mut modified = Vec::new();
            for uid in uids {
                let Some(message) = mailbox.message(uid.get()) else { continue };
                if unchanged_since.is_some_and(|since| message.modseq > since) {
                    modified.push(uid);
                    continue;
                }
                let flags = combine(&message.flags, how, &given);
                let Some(modseq) = mailbox.set_flags(uid.get(), &flags) else { continue };
                selected.answered.insert(uid, modseq);
                let number = selected.number(uid);
                if !silent {
                    write_flags(
                        &mut out,
                        Some(number).filter(|_| !uid_only),
                        uid,
                        &flags,
                        condstore.then_some(modseq),
                    );
                } else if condstore {
                    let line = format!("* {number} FETCH (UID {uid} MODSEQ ({modseq}))\r\n");
                    out.extend_from_slice(line.as_bytes());
                }
            }
            modified
        })?;
        self.wire.out.append(&mut out);
        if modified.is_empty() {
            return Ok("STORE done".to_owned());
        }
        let selected = self.selected()?;
        let number = |uid: Uid| u32::try_from(selected.number(uid)).ok().and_then(Uid::new);
        let named: UidSet = if by_uid {
            modified.into_iter().collect()
        } else {
            modified.into_iter().filter_map(number).collect()
        };
        Ok(format!("[MODIFIED {named}] changed meanwhile"))
    }

    fn read_unchanged_since(&mut self, arguments: &mut Arguments) -> Result<Option<u64>, Stop> {
        if !arguments.eat(b'(') {
            return Ok(None);
        }
        self.needs("CONDSTORE")?;
        if arguments.keyword()? != "UNCHANGEDSINCE" {
            return Err(Stop::Bad("unknown modifier".to_owned()));
        }
        arguments.space()?;
        let since = arguments.number()?;
        arguments.expect(b')')?;
        arguments.space()?;
        self.condstore = true;
        Ok(Some(since))
    }

    fn must_write(&mut self) -> Result<(), Stop> {
        if self.selected()?.read_only {
            return Err(Stop::No("[CANNOT] the mailbox is open for reading only".to_owned()));
        }
        Ok(())
    }

    pub(super) fn expunge(&mut self, arguments: &mut Arguments, by_uid: bool) -> Done {
        let mut only = None;
        if by_uid {
            if !self.offers("IMAP4rev2") {
                self.needs("UIDPLUS")?;
            }
            arguments.space()?;
            let set = arguments.set()?;
            only = Some(self.selected()?.resolve(&set, true)?.into_iter().collect::<UidSet>());
        }
        arguments.end()?;
        self.must_write()?;
        self.in_mailbox(true, |mailbox, _| {
            let meant = |uid| only.as_ref().is_none_or(|only| only.contains(uid));
            mailbox.expunge(|message| message.flags.contains("\\Deleted") && meant(message.uid));
        })?;
        Ok("EXPUNGE done".to_owned())
    }

    /// COPY, or MOVE with `moves`.
    pub(super) fn copy(&mut self, arguments: &mut Arguments, by_uid: bool, moves: bool) -> Done {
        if moves && !self.offers("IMAP4rev2") {
            self.needs("MOVE")?;
        }
        let user = self.user()?;
        arguments.space()?;
        let set = arguments.set()?;
        arguments.space()?;
        let wire = arguments.string()?;
        arguments.end()?;
        if moves {
            self.must_write()?;
        }
        let name = self.mailbox_name(&wire)?;
        let uids = self.selected()?.resolve(&set, by_uid)?;
        let sources = self.in_mailbox(false, |mailbox, _| {
            uids.iter().filter_map(|uid| mailbox.message(uid.get()).cloned()).collect::<Vec<_>>()
        })?;
        let from: UidSet = sources.iter().map(|message| message.uid).collect();
        let (validity, to) = self.shared.store.with(|state| -> Result<_, Stop> {
            let target = state
                .mailbox(&user, &name)
                .map_err(|_| Stop::No("[TRYCREATE] no such mailbox".to_owned()))?;
            let copy =
                |message: crate::store::Message| target.append(message.flags, message.date, message.bytes);
            let to: UidSet = sources.into_iter().filter_map(copy).collect();
            Ok((target.validity, to))
        })?;
        let code = match from.is_empty() || !self.offers("UIDPLUS") {
            true => String::new(),
            false => format!("[COPYUID {validity} {from} {to}] "),
        };
        if moves {
            if !code.is_empty() {
                self.say(&format!("* OK {code}moved"));
            }
            self.in_mailbox(true, |mailbox, _| mailbox.expunge(|message| from.contains(message.uid)))?;
            return Ok("MOVE done".to_owned());
        }
        Ok(format!("{code}COPY done"))
    }
}

fn combine(old: &Flags, how: How, given: &Flags) -> Flags {
    match how {
        How::Set => given.clone(),
        How::Add => old.iter().chain(given.iter()).collect(),
        How::Remove => old.iter().filter(|flag| !given.contains(flag)).collect(),
    }
}

/// A message given without a date was received now (RFC 9051 §6.3.12).
fn now() -> InternalDate {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    InternalDate::from_unix(i64::try_from(since_1970.as_secs()).unwrap_or(0), 0)
}
