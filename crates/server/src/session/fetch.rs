//! FETCH: what a backup lives on (RFC 9051 §6.4.5 and §7.5.2, RFC 7162, RFC 8474).
//!
//! Messages are answered one after the other, each from the mailbox as it is then. Content that is
//! not only peeked at is marked as read, as the standard has it: a client that forgets to peek is
//! found out.

use std::borrow::Cow;
use std::sync::Arc;

use message::Uid;

use crate::arguments::Arguments;
use crate::effect::{Effect, Field};
use crate::fault::Event;
use crate::limits;
use crate::section::Section;
use crate::store::Message;

use super::select::Selected;
use super::{Done, Session, Stop};

/// An item that was asked for.
enum Item {
    Uid,
    Flags,
    InternalDate,
    Size,
    ModSeq,
    EmailId,
    Body { name: Vec<u8>, section: Section, peek: bool, partial: Option<(u64, u64)> },
}

impl Item {
    fn is_body(&self) -> bool {
        matches!(self, Self::Body { .. })
    }
}

/// An item as it is answered: text, and the octets of a literal behind it.
struct Piece {
    field: Option<Field>,
    text: Vec<u8>,
    octets: Option<Vec<u8>>,
}

#[derive(Default)]
struct Modifiers {
    changed_since: Option<u64>,
    vanished: bool,
}

impl Session {
    pub(super) async fn fetch(&mut self, arguments: &mut Arguments, by_uid: bool) -> Done {
        self.selected()?;
        arguments.space()?;
        let set = arguments.set()?;
        arguments.space()?;
        let mut items = self.read_items(arguments)?;
        let modifiers = self.read_modifiers(arguments, by_uid)?;
        arguments.end()?;
        if by_uid && !items.iter().any(|item| matches!(item, Item::Uid)) {
            items.insert(0, Item::Uid);
        }
        if modifiers.changed_since.is_some() && !items.iter().any(|item| matches!(item, Item::ModSeq)) {
            items.push(Item::ModSeq);
        }
        let mut uids = self.selected()?.resolve(&set, by_uid)?;
        if let (true, Some(since)) = (modifiers.vanished, modifiers.changed_since) {
            let asked = set.resolve(Some(Uid::MAX));
            let vanished = self.in_mailbox(false, |mailbox, _| mailbox.vanished_since(since))?;
            let vanished = vanished.intersection(&asked);
            if !vanished.is_empty() {
                self.say(&format!("* VANISHED (EARLIER) {vanished}"));
            }
        }
        if self.twists.iter().any(|twist| matches!(twist, Effect::Descending)) {
            uids.reverse();
        }
        let of_command = self.twists.len();
        for uid in uids {
            self.twists.truncate(of_command);
            self.fetch_one(uid, &items, modifiers.changed_since).await?;
        }
        Ok("FETCH done".to_owned())
    }

    fn read_items(&mut self, arguments: &mut Arguments) -> Result<Vec<Item>, Stop> {
        let mut items = Vec::new();
        if !arguments.eat(b'(') {
            self.read_item(arguments, &mut items)?;
            return Ok(items);
        }
        loop {
            self.read_item(arguments, &mut items)?;
            if arguments.eat(b')') {
                return Ok(items);
            }
            arguments.space()?;
        }
    }

    fn read_item(&mut self, arguments: &mut Arguments, items: &mut Vec<Item>) -> Result<(), Stop> {
        let word = arguments.keyword()?;
        let whole = |name: &str, section, peek| Item::Body {
            name: name.as_bytes().to_vec(),
            section,
            peek,
            partial: None,
        };
        let item = match word.as_str() {
            "UID" => Item::Uid,
            "FLAGS" => Item::Flags,
            "INTERNALDATE" => Item::InternalDate,
            "RFC822.SIZE" => Item::Size,
            "MODSEQ" => {
                self.needs("CONDSTORE")?;
                self.condstore = true;
                Item::ModSeq
            }
            "EMAILID" => {
                self.needs("OBJECTID")?;
                Item::EmailId
            }
            "FAST" => {
                items.extend([Item::Flags, Item::InternalDate]);
                Item::Size
            }
            "RFC822" => whole("RFC822", Section::Whole, false),
            "RFC822.HEADER" => whole("RFC822.HEADER", Section::Header, true),
            "RFC822.TEXT" => whole("RFC822.TEXT", Section::Text, false),
            "BODY" | "BODY.PEEK" if arguments.eat(b'[') => {
                let section = Section::read(arguments)?;
                let name = [b"BODY", section.name().as_slice()].concat();
                let partial = read_partial(arguments)?;
                Item::Body { name, section, peek: word == "BODY.PEEK", partial }
            }
            _ => return Err(Stop::Bad("this item is not offered".to_owned())),
        };
        items.push(item);
        Ok(())
    }

    fn read_modifiers(&mut self, arguments: &mut Arguments, by_uid: bool) -> Result<Modifiers, Stop> {
        let mut modifiers = Modifiers::default();
        if arguments.is_empty() {
            return Ok(modifiers);
        }
        arguments.space()?;
        arguments.expect(b'(')?;
        loop {
            match arguments.keyword()?.as_str() {
                "CHANGEDSINCE" => {
                    self.needs("CONDSTORE")?;
                    arguments.space()?;
                    modifiers.changed_since = Some(arguments.number()?);
                    self.condstore = true;
                }
                "VANISHED" if self.qresync && by_uid => modifiers.vanished = true,
                _ => return Err(Stop::Bad("unknown modifier".to_owned())),
            }
            if arguments.eat(b')') {
                break;
            }
            arguments.space()?;
        }
        if modifiers.vanished && modifiers.changed_since.is_none() {
            return Err(Stop::Bad("VANISHED needs CHANGEDSINCE".to_owned()));
        }
        Ok(modifiers)
    }

    async fn fetch_one(&mut self, uid: Uid, items: &[Item], changed_since: Option<u64>) -> Result<(), Stop> {
        let looks = |mailbox: &mut crate::store::Mailbox, selected: &mut Selected| {
            (mailbox.message(uid.get()).cloned(), selected.number(uid), selected.read_only)
        };
        let (message, number, read_only) = self.in_mailbox(false, looks)?;
        let Some(mut message) = message else { return Ok(()) };
        if changed_since.is_some_and(|since| message.modseq <= since) {
            return Ok(());
        }
        let mut after = Vec::new();
        if self.strike_message(uid, items, &mut after).await? {
            return Ok(());
        }
        let sets_seen = self.twists.iter().any(|twist| matches!(twist, Effect::SetsSeen));
        let reads = items.iter().any(|item| matches!(item, Item::Body { peek, .. } if !peek || sets_seen));
        let marks = reads && (!read_only || sets_seen) && !message.flags.contains("\\Seen");
        if marks {
            let flags = message.flags.iter().chain(["\\Seen"]).collect();
            message.modseq = self.in_mailbox(true, |mailbox, selected| {
                let modseq = mailbox.set_flags(uid.get(), &flags).unwrap_or(message.modseq);
                selected.answered.insert(uid, modseq);
                modseq
            })?;
            message.flags = flags;
        }
        let bytes = self.content(&message);
        let mut pieces: Vec<Piece> = items.iter().map(|item| self.piece(item, &message, &bytes)).collect();
        if marks && !items.iter().any(|item| matches!(item, Item::Flags)) {
            pieces.insert(0, self.piece(&Item::Flags, &message, &bytes));
        }
        self.twist_pieces(&mut pieces);
        let begin = if self.uid_only { format!("* {uid} UIDFETCH (") } else { format!("* {number} FETCH (") };
        self.send_pieces(&begin, pieces).await?;
        self.wire.out.append(&mut after);
        Ok(())
    }

    /// Lets the faults that wait for this message have their say; true when it is not to be
    /// answered.
    async fn strike_message(&mut self, uid: Uid, items: &[Item], after: &mut Vec<u8>) -> Result<bool, Stop> {
        let with_body = items.iter().any(Item::is_body);
        let mailbox = self.selected.as_ref().map(Selected::text);
        let event = Event::Message { uid: uid.get(), with_body };
        let effects = self.shared.script.strikes(event, mailbox.as_deref());
        let mut done = self.twists.iter().any(|twist| matches!(twist, Effect::Hide));
        for effect in effects {
            if matches!(
                effect,
                Effect::Disconnect | Effect::DisconnectAfter(_) | Effect::Silence | Effect::Drip(..)
            ) {
                // The messages before this one arrive.
                self.wire.flush().await?;
            }
            match effect {
                Effect::Hide => done = true,
                Effect::After(octets) => after.extend_from_slice(&octets),
                other => match self.strike("*", other).await? {
                    Some(Err(stop)) => return Err(stop),
                    Some(Ok(())) => done = true,
                    None => {}
                },
            }
        }
        Ok(done)
    }

    /// The octets of a message, as the faults want them.
    fn content(&self, message: &Message) -> Arc<[u8]> {
        for twist in &self.twists {
            match twist {
                Effect::Content(octets) => return octets.as_slice().into(),
                Effect::Rebuilt => {
                    let field = format!("X-Rebuilt: {}\r\n", super::another_number());
                    return [field.as_bytes(), &message.bytes].concat().into();
                }
                _ => {}
            }
        }
        Arc::clone(&message.bytes)
    }

    fn piece(&self, item: &Item, message: &Message, bytes: &[u8]) -> Piece {
        let text =
            |field: Field, text: String| Piece { field: Some(field), text: text.into_bytes(), octets: None };
        match item {
            Item::Uid => text(Field::Uid, format!("UID {}", message.uid)),
            Item::Flags => text(Field::Flags, format!("FLAGS ({})", message.flags)),
            Item::InternalDate => {
                let mut date = message.date.raw();
                for twist in &self.twists {
                    if let Effect::Date(other) = twist {
                        date = other;
                    }
                }
                text(Field::InternalDate, format!("INTERNALDATE \"{date}\""))
            }
            Item::Size => {
                let mut size = message.bytes.len() as u64;
                for twist in &self.twists {
                    if let Effect::Size(other) = twist {
                        size = *other;
                    }
                }
                text(Field::Size, format!("RFC822.SIZE {size}"))
            }
            Item::ModSeq => text(Field::ModSeq, format!("MODSEQ ({})", message.modseq)),
            Item::EmailId => {
                let told = self.twists.iter().find_map(|twist| match twist {
                    Effect::EmailId(id) => Some(id.clone()),
                    _ => None,
                });
                let id = told.unwrap_or_else(|| format!("E{}", content_id(&message.bytes)));
                Piece { field: None, text: format!("EMAILID ({id})").into_bytes(), octets: None }
            }
            Item::Body { name, section, partial, .. } => {
                let whole = section.of(bytes);
                let mut text = name.clone();
                let octets = match *partial {
                    None => whole,
                    Some((offset, length)) => {
                        text.extend_from_slice(format!("<{offset}>").as_bytes());
                        Cow::Owned(slice(&whole, offset, length).to_vec())
                    }
                };
                Piece { field: Some(Field::Body), text, octets: Some(octets.into_owned()) }
            }
        }
    }

    fn twist_pieces(&self, pieces: &mut Vec<Piece>) {
        for twist in &self.twists {
            match twist {
                Effect::Omit(field) => pieces.retain(|piece| piece.field != Some(*field)),
                Effect::Nil(field) => {
                    for piece in pieces.iter_mut().filter(|piece| piece.field == Some(*field)) {
                        let name = piece.text.split(|&byte| byte == b' ').next().unwrap_or_default().to_vec();
                        let name = if piece.octets.is_some() { piece.text.clone() } else { name };
                        *piece = Piece { text: [name.as_slice(), b" NIL"].concat(), octets: None, ..*piece };
                    }
                }
                Effect::UidLast => pieces.sort_by_key(|piece| piece.field == Some(Field::Uid)),
                _ => {}
            }
        }
    }

    async fn send_pieces(&mut self, begin: &str, pieces: Vec<Piece>) -> Result<(), Stop> {
        let between = match self.twists.iter().any(|twist| matches!(twist, Effect::InPieces)) {
            true => format!(")\r\n{begin}"),
            false => " ".to_owned(),
        };
        self.wire.out.extend_from_slice(begin.as_bytes());
        for (i, piece) in pieces.into_iter().enumerate() {
            if i > 0 {
                self.wire.out.extend_from_slice(between.as_bytes());
            }
            self.wire.out.extend_from_slice(&piece.text);
            if let Some(octets) = piece.octets {
                self.send_literal(octets).await?;
            }
        }
        self.wire.out.extend_from_slice(b")\r\n");
        Ok(self.wire.flush_some().await?)
    }

    async fn send_literal(&mut self, mut octets: Vec<u8>) -> Result<(), Stop> {
        self.wire.out.extend_from_slice(format!(" {{{}}}\r\n", octets.len()).as_bytes());
        for twist in &self.twists {
            match twist {
                Effect::ShortLiteral(lacking) => {
                    octets.truncate(octets.len().saturating_sub(*lacking as usize));
                }
                Effect::LongLiteral(more) => octets.extend(std::iter::repeat_n(b'x', *more as usize)),
                _ => {}
            }
        }
        for portion in octets.chunks(limits::WRITE) {
            self.wire.out.extend_from_slice(portion);
            self.shared.count(|counts| counts.body_octets += portion.len() as u64);
            self.wire.flush_some().await?;
        }
        Ok(())
    }
}

/// `<offset.length>` behind a section.
fn read_partial(arguments: &mut Arguments) -> Result<Option<(u64, u64)>, Stop> {
    if !arguments.eat(b'<') {
        return Ok(None);
    }
    let offset = arguments.number()?;
    arguments.expect(b'.')?;
    let length = arguments.number()?;
    arguments.expect(b'>')?;
    if length == 0 {
        return Err(Stop::Bad("a part of no octets".to_owned()));
    }
    Ok(Some((offset, length)))
}

/// What there is of a part: beyond the end, nothing.
fn slice(octets: &[u8], offset: u64, length: u64) -> &[u8] {
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(octets.len());
    let rest = &octets[start..];
    &rest[..usize::try_from(length).unwrap_or(usize::MAX).min(rest.len())]
}

/// The same for equal messages: FNV-1a over the octets, which is enough for an id in a demo.
fn content_id(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}
