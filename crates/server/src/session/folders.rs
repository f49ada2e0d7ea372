//! Mailboxes as a whole: NAMESPACE, STATUS, CREATE, DELETE, RENAME, subscriptions (RFC 9051 §6.3).

use std::collections::BTreeMap;

use crate::arguments::Arguments;
use crate::effect::Effect;
use crate::names;
use crate::store::{self, DELIMITER, Mailbox};

use super::select::Facts;
use super::{Done, Session, Stop};

/// What STATUS can be asked.
pub(super) const STATUS_ITEMS: [&str; 10] = [
    "MESSAGES",
    "RECENT",
    "UIDNEXT",
    "UIDVALIDITY",
    "UNSEEN",
    "DELETED",
    "SIZE",
    "HIGHESTMODSEQ",
    "MAILBOXID",
    "APPENDLIMIT",
];

impl Session {
    /// The name in the store, for one from the wire.
    pub(super) fn mailbox_name(&self, wire: &[u8]) -> Result<Vec<u8>, Stop> {
        let name = self.shared.behaviour.names().store_name(wire, self.utf8);
        let name = name.ok_or_else(|| Stop::No("[NONEXISTENT] no such mailbox can be here".to_owned()))?;
        let naming = self.shared.behaviour.naming();
        let name = naming.spelling.as_ref().map_or(name.clone(), |spelling| spelling.spell(&name));
        Ok(if naming.any_case { self.known_in_any_case(name) } else { name })
    }

    /// The name with as many of its levels, from the top, as a mailbox has them that differs from it
    /// in case only.
    fn known_in_any_case(&self, name: Vec<u8>) -> Vec<u8> {
        let Some(user) = &self.user else { return name };
        let folded = |name: &[u8]| store::name_text(name).to_lowercase();
        let cuts = name.iter().enumerate().filter(|(_, byte)| **byte == DELIMITER).map(|(at, _)| at);
        let cuts: Vec<usize> = cuts.chain([name.len()]).collect();
        let known = self.shared.store.look(|state| {
            let mailboxes = &state.user(user).ok()?.mailboxes;
            cuts.iter().rev().find_map(|&cut| {
                let wanted = folded(&name[..cut]);
                let known = mailboxes.keys().find(|known| folded(known) == wanted)?;
                Some([known.as_slice(), &name[cut..]].concat())
            })
        });
        known.unwrap_or(name)
    }

    fn only_mailbox(&self, arguments: &mut Arguments) -> Result<Vec<u8>, Stop> {
        arguments.space()?;
        let wire = arguments.string()?;
        arguments.end()?;
        self.mailbox_name(&wire)
    }

    pub(super) fn namespace(&mut self, arguments: &Arguments) -> Done {
        if !self.offers("IMAP4rev2") {
            self.needs("NAMESPACE")?;
        }
        self.user()?;
        arguments.end()?;
        let names = self.shared.behaviour.names().clone();
        let out = &mut self.wire.out;
        out.extend_from_slice(b"* NAMESPACE ((");
        names::write_string(out, names.prefix.as_bytes(), self.utf8);
        out.push(b' ');
        write_delimiter(out, names.delimiter);
        out.extend_from_slice(b")) NIL NIL\r\n");
        Ok("NAMESPACE done".to_owned())
    }

    pub(super) fn status(&mut self, arguments: &mut Arguments) -> Done {
        let user = self.user()?;
        arguments.space()?;
        let wire_name = arguments.string()?;
        arguments.space()?;
        let items = arguments.keywords()?;
        arguments.end()?;
        self.check_status_items(&items)?;
        let name = self.mailbox_name(&wire_name)?;
        let store = self.shared.store.clone();
        let line = store.look(|state| -> Result<Vec<u8>, Stop> {
            let mailbox = state.mailbox(&user, &name)?;
            if !mailbox.is_selectable() {
                return Err(Stop::No("[NONEXISTENT] this mailbox cannot be opened".to_owned()));
            }
            Ok(self.status_line(&name, mailbox, &items))
        })?;
        self.wire.out.extend_from_slice(&line);
        self.shared.store_late(&user, &store::fold_inbox(&name));
        Ok("STATUS done".to_owned())
    }

    /// Refuses items that the server does not offer; HIGHESTMODSEQ switches CONDSTORE on.
    pub(super) fn check_status_items(&mut self, items: &[String]) -> Result<(), Stop> {
        for item in items {
            match item.as_str() {
                "HIGHESTMODSEQ" => {
                    self.needs("CONDSTORE")?;
                    self.condstore = true;
                }
                "MAILBOXID" => self.needs("OBJECTID")?,
                "SIZE" if !self.offers("IMAP4rev2") => self.needs("STATUS=SIZE")?,
                "DELETED" => self.needs("IMAP4rev2")?,
                "APPENDLIMIT" if !self.shared.behaviour.tells_append_limits() => {
                    self.needs("APPENDLIMIT")?;
                }
                known if STATUS_ITEMS.contains(&known) => {}
                _ => return Err(Stop::Bad("unknown status item".to_owned())),
            }
        }
        Ok(())
    }

    /// `* STATUS name (…)`.
    pub(super) fn status_line(&self, name: &[u8], mailbox: &Mailbox, items: &[String]) -> Vec<u8> {
        let facts = Facts::of(mailbox, &self.twists, self.most_shown());
        let with =
            |flag: &str| mailbox.messages.iter().filter(|message| message.flags.contains(flag)).count();
        let mut told = Vec::new();
        for item in items {
            let number = match item.as_str() {
                "MESSAGES" => Some(facts.exists as u64),
                "RECENT" => Some(0),
                "UIDNEXT" => facts.uid_next,
                "UIDVALIDITY" => facts.validity.map(u64::from),
                "UNSEEN" => Some((mailbox.messages.len() - with("\\Seen")) as u64),
                "DELETED" => Some(with("\\Deleted") as u64),
                "SIZE" => Some(mailbox.messages.iter().map(|message| message.bytes.len() as u64).sum()),
                "HIGHESTMODSEQ" => facts.modseq,
                "APPENDLIMIT" => {
                    let limit = mailbox.append_limit.or(self.shared.behaviour.append_limit());
                    told.push(limit.map_or("APPENDLIMIT NIL".to_owned(), |limit| format!("{item} {limit}")));
                    None
                }
                _ => {
                    told.push(format!("MAILBOXID ({})", mailbox.id));
                    None
                }
            };
            told.extend(number.map(|number| format!("{item} {number}")));
        }
        let wire_name = self.shared.behaviour.names().wire_name(name, self.utf8);
        let mut line = b"* STATUS ".to_vec();
        names::write_string(&mut line, &wire_name, self.utf8);
        line.extend_from_slice(format!(" ({})\r\n", told.join(" ")).as_bytes());
        line
    }

    pub(super) fn create(&mut self, arguments: &mut Arguments) -> Done {
        let user = self.user()?;
        arguments.space()?;
        let wire = arguments.string()?;
        let mut special = None;
        if !arguments.is_empty() {
            special = self.create_parameters(arguments)?;
        }
        arguments.end()?;
        if !self.utf8 && !wire.is_ascii() {
            return Err(Stop::Bad("octets above 127 in a name (RFC 3501 5.1.3)".to_owned()));
        }
        let Ok(mut name) = self.mailbox_name(&wire) else {
            return Err(Stop::No("[CANNOT] no mailbox can have this name here".to_owned()));
        };
        for twist in &self.twists {
            if let Effect::Spells(spelling) = twist {
                name = spelling.spell(&name);
            }
        }
        if let Some(why) = self.shared.behaviour.naming().refuses(&name) {
            return Err(Stop::No(format!("[CANNOT] {why}")));
        }
        let delimiter = self.shared.behaviour.names().delimiter;
        let for_children = delimiter.is_some() && wire.last().copied() == delimiter;
        let files = self.shared.behaviour.naming().files;
        let id = self.shared.store.with(|state| {
            let there = &state.user(&user)?.mailboxes;
            may_lie_there(there, &name, files)?;
            let mailbox = state.create(&user, &name)?;
            mailbox.special_use = special;
            if files && for_children {
                mailbox.attributes.push("\\Noselect".to_owned());
            }
            Ok::<String, Stop>(mailbox.id.clone())
        })?;
        Ok(if self.offers("OBJECTID") {
            format!("[MAILBOXID ({id})] CREATE done")
        } else {
            "CREATE done".to_owned()
        })
    }

    /// `(USE (\Sent))` (RFC 6154 §3).
    fn create_parameters(&self, arguments: &mut Arguments) -> Result<Option<String>, Stop> {
        self.needs("CREATE-SPECIAL-USE")?;
        arguments.space()?;
        arguments.expect(b'(')?;
        if arguments.keyword()? != "USE" {
            return Err(Stop::Bad("unknown parameter".to_owned()));
        }
        arguments.space()?;
        let uses = arguments.flags()?;
        arguments.expect(b')')?;
        Ok(uses.iter().next().map(str::to_owned))
    }

    pub(super) fn delete(&mut self, arguments: &mut Arguments) -> Done {
        let user = self.user()?;
        let name = self.only_mailbox(arguments)?;
        self.shared.store.with(|state| state.delete(&user, &name))?;
        if self.selected.as_ref().is_some_and(|selected| selected.name == name) {
            self.selected = None;
        }
        Ok("DELETE done".to_owned())
    }

    pub(super) fn rename(&mut self, arguments: &mut Arguments) -> Done {
        let user = self.user()?;
        arguments.space()?;
        let from = arguments.string()?;
        let from = self.mailbox_name(&from)?;
        let to = self.only_mailbox(arguments)?;
        self.shared.store.with(|state| state.rename(&user, &from, &to))?;
        Ok("RENAME done".to_owned())
    }

    pub(super) fn subscribe(&mut self, arguments: &mut Arguments, subscribed: bool) -> Done {
        let user = self.user()?;
        let name = self.only_mailbox(arguments)?;
        self.shared.store.with(|state| {
            let known = &mut state.user(&user)?.subscribed;
            if subscribed {
                known.insert(name)
            } else {
                known.remove(&name)
            };
            Ok::<(), Stop>(())
        })?;
        Ok(if subscribed { "SUBSCRIBE done" } else { "UNSUBSCRIBE done" }.to_owned())
    }
}

/// Whether a mailbox of this name can lie where it would lie. Where mailboxes are `files`, one that
/// holds messages has none below it.
fn may_lie_there(there: &BTreeMap<Vec<u8>, Mailbox>, name: &[u8], files: bool) -> Result<(), Stop> {
    for (at, _) in name.iter().enumerate().filter(|(_, byte)| **byte == DELIMITER) {
        let Some(above) = there.get(&name[..at]) else { continue };
        let closed = above.attributes.iter().any(|known| known.eq_ignore_ascii_case("\\Noinferiors"));
        if closed || (files && above.is_selectable()) {
            return Err(Stop::No("[CANNOT] the mailbox above can have none below it".to_owned()));
        }
    }
    let below = [name, &[DELIMITER]].concat();
    if files && there.keys().any(|other| other.starts_with(&below)) {
        return Err(Stop::No("[ALREADYEXISTS] this holds mailboxes and no messages".to_owned()));
    }
    Ok(())
}

/// `"/"` or NIL.
pub(super) fn write_delimiter(out: &mut Vec<u8>, delimiter: Option<u8>) {
    match delimiter {
        Some(delimiter) => names::write_string(out, &[delimiter], false),
        None => out.extend_from_slice(b"NIL"),
    }
}
