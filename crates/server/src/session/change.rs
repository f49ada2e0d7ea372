//! What changes mail that is there: STORE, EXPUNGE, COPY and MOVE (RFC 9051 §6.4, RFC 4315, RFC 6851,
//! RFC 7162).

use message::{Flags, Uid, UidSet};

use crate::arguments::Arguments;
use crate::store::StoreError;

use super::select::write_flags;
use super::{Done, Session, Stop};

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Set,
    Add,
    Remove,
}

impl Session {
    pub(super) async fn store_flags(&mut self, arguments: &mut Arguments, by_uid: bool) -> Done {
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
        let mailbox = self.selected()?.text();
        self.suffer_flags(&given, &mailbox).await?;
        let given = self.kept(&given);
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
            let user = state.user(&user)?;
            let sizes: Vec<u64> = sources.iter().map(|message| message.bytes.len() as u64).collect();
            user.takes(&name, &sizes).map_err(|error| match error {
                StoreError::NoMailbox(_) => Stop::No("[TRYCREATE] no such mailbox".to_owned()),
                other => other.into(),
            })?;
            let mut to = UidSet::new();
            for message in sources {
                to.insert(user.append(&name, message.flags, message.date, message.bytes)?);
            }
            Ok((user.mailboxes[&name].validity, to))
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
