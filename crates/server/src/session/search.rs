//! SEARCH, as much of it as a backup or a restore asks for: sets, flags, sizes, a header field
//! (RFC 9051 §6.4.4, RFC 4731). All keys given must hold.

use message::{Uid, UidSet};

use crate::arguments::{Arguments, SequenceSet};
use crate::effect::Effect;
use crate::section::Section;
use crate::store::Message;

use super::select::Selected;
use super::{Done, Session, Stop};

enum Key {
    Uids(UidSet),
    Flag { name: String, set: bool },
    Larger(u64),
    Smaller(u64),
    Header { name: Vec<u8>, text: Vec<u8> },
    ModSeq(u64),
}

impl Session {
    pub(super) fn search(&mut self, tag: &str, arguments: &mut Arguments, by_uid: bool) -> Done {
        arguments.space()?;
        let returns = self.read_return_options(arguments)?;
        let selected = self.selected()?;
        let keys = read_keys(arguments, selected)?;
        arguments.end()?;
        let mut found = self.in_mailbox(false, |mailbox, selected| {
            let found = mailbox.messages.iter().filter(|message| keys.iter().all(|key| key.holds(message)));
            let answer = |message: &Message| {
                if by_uid {
                    message.uid.get()
                } else {
                    u32::try_from(selected.number(message.uid)).unwrap_or(0)
                }
            };
            let known = |message: &&Message| selected.known.binary_search(&message.uid).is_ok();
            found.filter(known).map(answer).collect::<Vec<u32>>()
        })?;
        for twist in &self.twists {
            match twist {
                Effect::SearchLimit(limit) => found.truncate(*limit),
                Effect::SearchAlso(also) => found.extend(also),
                _ => {}
            }
        }
        let line = match returns {
            Some(returns) => extended(tag, by_uid, &returns, &found),
            None => {
                let numbers: Vec<String> = found.iter().map(u32::to_string).collect();
                format!("* SEARCH {}", numbers.join(" ")).trim_end().to_owned()
            }
        };
        self.say(&line);
        Ok("SEARCH done".to_owned())
    }

    /// What follows RETURN; `None` asks for the plain answer.
    fn read_return_options(&self, arguments: &mut Arguments) -> Result<Option<Vec<String>>, Stop> {
        // No key of a search begins with these letters but RECENT, which is not offered.
        if !matches!(arguments.peek(), Some(b'R' | b'r')) {
            return Ok(self.rev2.then(Vec::new));
        }
        if arguments.keyword()? != "RETURN" {
            return Err(Stop::Bad("unknown search key".to_owned()));
        }
        if !self.offers("IMAP4rev2") {
            self.needs("ESEARCH")?;
        }
        arguments.space()?;
        let options = arguments.keywords()?;
        arguments.space()?;
        if options.iter().any(|option| !matches!(option.as_str(), "ALL" | "COUNT" | "MIN" | "MAX")) {
            return Err(Stop::Bad("unknown result option".to_owned()));
        }
        Ok(Some(options))
    }
}

fn read_keys(arguments: &mut Arguments, selected: &Selected) -> Result<Vec<Key>, Stop> {
    let mut keys = Vec::new();
    loop {
        if arguments.peek().is_some_and(|byte| byte.is_ascii_digit() || byte == b'*') {
            let set = arguments.set()?;
            keys.push(Key::Uids(selected.resolve(&set, false)?.into_iter().collect()));
        } else {
            keys.extend(read_key(arguments, selected)?);
        }
        if arguments.is_empty() {
            return Ok(keys);
        }
        arguments.space()?;
    }
}

fn read_key(arguments: &mut Arguments, selected: &Selected) -> Result<Option<Key>, Stop> {
    let word = arguments.keyword()?;
    let flag = |name: &str, set| Some(Key::Flag { name: name.to_owned(), set });
    if word == "ALL" {
        return Ok(None);
    }
    let (plain, set) = word.strip_prefix("UN").map_or((word.as_str(), true), |plain| (plain, false));
    for name in ["\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen"] {
        if plain.eq_ignore_ascii_case(&name[1..]) {
            return Ok(flag(name, set));
        }
    }
    arguments.space()?;
    Ok(match word.as_str() {
        "UID" => {
            let set: SequenceSet = arguments.set()?;
            let uids: UidSet = set.resolve(selected.known.last().copied().or(Some(Uid::MIN)));
            Some(Key::Uids(uids))
        }
        "KEYWORD" | "UNKEYWORD" => {
            let name = String::from_utf8_lossy(&arguments.string()?).into_owned();
            flag(&name, word == "KEYWORD")
        }
        "LARGER" => Some(Key::Larger(arguments.number()?)),
        "SMALLER" => Some(Key::Smaller(arguments.number()?)),
        "MODSEQ" => Some(Key::ModSeq(arguments.number()?)),
        "HEADER" => {
            let name = arguments.string()?;
            arguments.space()?;
            Some(Key::Header { name, text: arguments.string()?.to_ascii_lowercase() })
        }
        "CHARSET" => {
            arguments.string()?;
            None
        }
        _ => return Err(Stop::Bad("this search key is not offered".to_owned())),
    })
}

impl Key {
    fn holds(&self, message: &Message) -> bool {
        match self {
            Self::Uids(uids) => uids.contains(message.uid),
            Self::Flag { name, set } => message.flags.contains(name) == *set,
            Self::Larger(size) => message.bytes.len() as u64 > *size,
            Self::Smaller(size) => (message.bytes.len() as u64) < *size,
            Self::ModSeq(modseq) => message.modseq >= *modseq,
            Self::Header { name, text } => {
                let fields = Section::Fields { not: false, names: vec![name.clone()] };
                let value = fields.of(&message.bytes).to_ascii_lowercase();
                // A field that is there always holds the empty text.
                value.len() > 2 && (text.is_empty() || value.windows(text.len()).any(|window| window == text))
            }
        }
    }
}

fn extended(tag: &str, by_uid: bool, returns: &[String], found: &[u32]) -> String {
    let wants = |option: &str| returns.iter().any(|known| known == option);
    let mut line = format!("* ESEARCH (TAG \"{tag}\")");
    if by_uid {
        line.push_str(" UID");
    }
    let mut tell = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            line.push_str(&format!(" {name} {value}"));
        }
    };
    if wants("MIN") {
        tell("MIN", found.iter().min().map(u32::to_string));
    }
    if wants("MAX") {
        tell("MAX", found.iter().max().map(u32::to_string));
    }
    if wants("COUNT") {
        tell("COUNT", Some(found.len().to_string()));
    }
    if wants("ALL") || returns.is_empty() {
        let all: UidSet = found.iter().copied().filter_map(Uid::new).collect();
        tell("ALL", (!all.is_empty()).then(|| all.to_string()));
    }
    line
}
