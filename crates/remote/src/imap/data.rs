//! What untagged responses say: messages, mailboxes, UIDs (RFC 9051 §7.2 to §7.5, RFC 7162).
//!
//! These are read here and not by imap-proto, because a backup must keep what the server said:
//! names, flags and dates as they came, sizes beyond 32 bits; because servers differ most in these;
//! and because imap-proto reads nested structures by recursion, which a server could drive as deep
//! as it likes. Nothing here allocates by a number that the server names.

use bytes::Bytes;
use message::{Flags, InternalDate, ModSeq, Uid, UidSet, UidValidity};

use super::frame::Frame;
use super::tokens::{Token, Tokens, Unreadable};
use super::tolerance;

/// An untagged response.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    Exists(u32),
    Expunge,
    Fetch(Row),
    Vanished {
        earlier: bool,
        /// `None`: not a set of UIDs (0 or `*` in it).
        uids: Option<UidSet>,
    },
    List(ListLine),
    Subscribed(ListLine),
    Status(StatusLine),
    Esearch(Esearch),
    Namespace(Namespaces),
    Quota(Vec<Resource>),
    Capability(Vec<String>),
    Enabled(Vec<String>),
    /// Not asked for, not understood, or not of interest.
    Other,
}

/// What a FETCH response says about one message.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row {
    pub(crate) uid: Option<Uid>,
    pub(crate) flags: Option<Flags>,
    pub(crate) internal_date: Option<InternalDate>,
    pub(crate) size: Option<u64>,
    pub(crate) modseq: Option<ModSeq>,
    /// EMAILID or X-GM-MSGID.
    pub(crate) content_id: Option<Box<str>>,
    pub(crate) body: Option<Body>,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    /// What stands in the brackets, in capitals.
    pub(crate) section: String,
    /// What stands behind them: where a slice begins.
    pub(crate) origin: Option<u64>,
    /// `None` for NIL.
    pub(crate) bytes: Option<Bytes>,
}

/// A line of LIST, LSUB or XLIST.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListLine {
    pub(crate) attributes: Vec<String>,
    pub(crate) delimiter: Option<u8>,
    pub(crate) name: Vec<u8>,
}

/// A STATUS response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StatusLine {
    pub(crate) name: Vec<u8>,
    pub(crate) messages: Option<u32>,
    pub(crate) uid_next: Option<Uid>,
    pub(crate) uid_validity: Option<UidValidity>,
    pub(crate) highest_modseq: Option<ModSeq>,
    pub(crate) object_id: Option<String>,
    /// The largest message that APPEND takes (RFC 7889).
    pub(crate) append_limit: Option<u64>,
}

/// A resource of which a QUOTA response says how much is used and may be (RFC 9208 §4.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    /// In capitals.
    pub(crate) name: String,
    pub(crate) used: u64,
    pub(crate) limit: u64,
}

/// An ESEARCH response (RFC 4731).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Esearch {
    pub(crate) tag: Option<String>,
    pub(crate) count: Option<u64>,
    pub(crate) all: Option<UidSet>,
}

/// The prefixes of a NAMESPACE response (RFC 2342).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Namespaces {
    pub(crate) personal: Vec<Vec<u8>>,
    /// Other users' and shared ones.
    pub(crate) outside: Vec<Vec<u8>>,
    /// The delimiter of the first personal one.
    pub(crate) delimiter: Option<u8>,
}

impl Data {
    /// Reads a response that begins with `* `.
    ///
    /// # Errors
    /// When a kind that we know cannot be read; the caller knows whether that may be passed over.
    pub(crate) fn parse(frame: &Frame, most_flags: usize) -> Result<Self, Unreadable> {
        let mut words = Tokens::new(frame, 2);
        let Some(Token::Atom(first)) = words.next()? else { return Ok(Self::Other) };
        if first.iter().all(u8::is_ascii_digit) {
            let number = std::str::from_utf8(first).ok().and_then(|digits| digits.parse().ok());
            let Token::Atom(word) = words.expect()? else { return Ok(Self::Other) };
            return match word.to_ascii_uppercase().as_slice() {
                b"EXISTS" => Ok(Self::Exists(number.ok_or(Unreadable)?)),
                b"EXPUNGE" => Ok(Self::Expunge),
                b"FETCH" => Row::parse(words, most_flags).map(Self::Fetch),
                // With UIDONLY the number is the UID, and need not be said again (RFC 9586 §3.3).
                b"UIDFETCH" => {
                    let uid = number.and_then(Uid::new).ok_or(Unreadable)?;
                    Row::parse(words, most_flags).map(|row| Self::Fetch(Row { uid: Some(uid), ..row }))
                }
                _ => Ok(Self::Other),
            };
        }
        match first.to_ascii_uppercase().as_slice() {
            b"LIST" | b"XLIST" => Ok(Self::List(ListLine::parse(words))),
            b"LSUB" => Ok(Self::Subscribed(ListLine::parse(words))),
            b"STATUS" => StatusLine::parse(words).map(Self::Status),
            b"ESEARCH" => Esearch::parse(words).map(Self::Esearch),
            b"NAMESPACE" => Namespaces::parse(words).map(Self::Namespace),
            b"QUOTA" => resources(words).map(Self::Quota),
            b"VANISHED" => vanished(words),
            b"CAPABILITY" => Ok(Self::Capability(capitals(words)?)),
            b"ENABLED" => Ok(Self::Enabled(capitals(words)?)),
            _ => Ok(Self::Other),
        }
    }
}

fn capitals(mut words: Tokens<'_>) -> Result<Vec<String>, Unreadable> {
    let mut capitals = Vec::new();
    while let Some(token) = words.next()? {
        if let Token::Atom(word) = token {
            capitals.push(text(word).to_ascii_uppercase());
        }
    }
    Ok(capitals)
}

/// `root (STORAGE 10 512 MESSAGE 3 100)`.
fn resources(mut words: Tokens<'_>) -> Result<Vec<Resource>, Unreadable> {
    /// The RFCs know four.
    const MOST: usize = 64;
    let mut resources = Vec::new();
    words.expect()?;
    let mut atoms: Vec<Token<'_>> = Vec::new();
    words.list(|word| {
        if atoms.len() < 3 * MOST {
            atoms.push(word);
        }
    })?;
    for resource in atoms.chunks_exact(3) {
        if let ([Token::Atom(name), ..], Some(used), Some(limit)) =
            (resource, resource[1].number(), resource[2].number())
        {
            resources.push(Resource { name: text(name).to_ascii_uppercase(), used, limit });
        }
    }
    Ok(resources)
}

fn vanished(mut words: Tokens<'_>) -> Result<Data, Unreadable> {
    let mut earlier = false;
    let mut uids = None;
    while let Some(token) = words.next()? {
        match token {
            Token::Atom(word) if word.eq_ignore_ascii_case(b"EARLIER") => earlier = true,
            Token::Atom(set) => uids = tolerance::uid_set(set),
            _ => {}
        }
    }
    Ok(Data::Vanished { earlier, uids })
}

impl Row {
    /// The list after `FETCH`. The whole frame must be used up: a literal of another length than
    /// told shows as a rest, or as a list that does not close.
    fn parse(mut words: Tokens<'_>, most_flags: usize) -> Result<Self, Unreadable> {
        let mut row = Self::default();
        if words.expect()? != Token::Open {
            return Err(Unreadable);
        }
        loop {
            let name = match words.expect()? {
                Token::Close => break,
                Token::Atom(name) => name,
                _ => return Err(Unreadable),
            };
            row.item(name, &mut words, most_flags)?;
        }
        if words.next()?.is_some() { Err(Unreadable) } else { Ok(row) }
    }

    fn item(&mut self, name: &[u8], words: &mut Tokens<'_>, most_flags: usize) -> Result<(), Unreadable> {
        match name.to_ascii_uppercase().as_slice() {
            b"UID" => self.uid = number32(&words.expect()?).and_then(Uid::new),
            b"FLAGS" => {
                let mut flags = Vec::new();
                words.list(|flag| {
                    if let (true, Some(flag)) = (flags.len() < most_flags, flag.string()) {
                        flags.push(text(&flag));
                    }
                })?;
                self.flags = Some(flags.iter().collect());
            }
            b"INTERNALDATE" => {
                let date = words.expect()?.string();
                self.internal_date = date.map(|date| InternalDate::parse(&text(&date)));
            }
            b"RFC822.SIZE" => self.size = words.expect()?.number(),
            b"MODSEQ" => {
                let mut modseq = None;
                words.list(|number| modseq = modseq.or(number.number()))?;
                self.modseq = modseq.filter(|&number| number > 0).map(ModSeq);
            }
            b"EMAILID" => {
                let mut id = None;
                words.list(|word| id = id.take().or_else(|| word.string().map(|id| text(&id).into())))?;
                self.content_id = id;
            }
            b"X-GM-MSGID" => self.content_id = words.expect()?.number().map(|id| id.to_string().into()),
            upper => match section(upper) {
                Some((section, origin)) if self.body.is_none() => {
                    let bytes = match words.expect()? {
                        Token::Open | Token::Close => return Err(Unreadable),
                        word => word.string(),
                    };
                    self.body = Some(Body { section, origin, bytes });
                }
                _ => words.skip_value()?,
            },
        }
        Ok(())
    }
}

/// `BODY[HEADER]<12>`, in capitals: what is in the brackets, and the number behind them.
fn section(item: &[u8]) -> Option<(String, Option<u64>)> {
    let (section, behind) = std::str::from_utf8(item).ok()?.strip_prefix("BODY[")?.rsplit_once(']')?;
    let origin = match behind {
        "" => None,
        _ => Some(behind.strip_prefix('<')?.strip_suffix('>')?.parse().ok()?),
    };
    Some((section.to_owned(), origin))
}

impl ListLine {
    /// Never fails: a line that cannot be read is a mailbox of that name, so that it is reported
    /// as one that cannot be opened and not left out.
    fn parse(words: Tokens<'_>) -> Self {
        let raw = words.rest_of_text().trim_ascii_start();
        Self::try_parse(words).unwrap_or_else(|Unreadable| Self { name: raw.to_vec(), ..Self::default() })
    }

    fn try_parse(mut words: Tokens<'_>) -> Result<Self, Unreadable> {
        let mut line = Self::default();
        words.list(|attribute| {
            if let Token::Atom(attribute) = attribute {
                line.attributes.push(text(attribute));
            }
        })?;
        line.delimiter = match words.expect()? {
            Token::Quoted(delimiter) => delimiter.first().copied(),
            Token::Literal(delimiter) => delimiter.first().copied(),
            delimiter if delimiter.is("NIL") => None,
            _ => return Err(Unreadable),
        };
        let rest = words.rest_of_text().trim_ascii_start();
        line.name = match words.expect()? {
            // An unescaped quote in a quoted name: where it ends is anyone's guess.
            Token::Quoted(_) if !matches!(words.rest_of_text().first(), None | Some(b' ')) => {
                return Err(Unreadable);
            }
            Token::Quoted(name) => name.into_owned(),
            Token::Literal(name) => name.to_vec(),
            _ => tolerance::bare_list_name(rest).to_vec(),
        };
        Ok(line)
    }
}

impl StatusLine {
    fn parse(words: Tokens<'_>) -> Result<Self, Unreadable> {
        let rest = words.rest_of_text().trim_ascii_start();
        Self::named(words.clone()).or_else(|Unreadable| Self::bare(rest, words))
    }

    /// The name as the grammar has it.
    fn named(mut words: Tokens<'_>) -> Result<Self, Unreadable> {
        let name = words.expect()?.string().ok_or(Unreadable)?.to_vec();
        Self::items(name, words)
    }

    /// A name with blanks and without quotes.
    fn bare(rest: &[u8], mut words: Tokens<'_>) -> Result<Self, Unreadable> {
        let name = &rest[..tolerance::bare_status_name(rest).ok_or(Unreadable)?];
        words.skip_bytes(name);
        Self::items(name.to_vec(), words)
    }

    fn items(name: Vec<u8>, mut words: Tokens<'_>) -> Result<Self, Unreadable> {
        let mut line = Self { name, ..Self::default() };
        if words.expect()? != Token::Open {
            return Err(Unreadable);
        }
        // The last that we ask for, and what we can do without: where it is garbage, the rest counts.
        let mut had_id = false;
        loop {
            let read = words.expect().and_then(|item| {
                if item == Token::Close {
                    return if words.next()?.is_some() { Err(Unreadable) } else { Ok(true) };
                }
                had_id |= item.is("MAILBOXID");
                line.item(&item, &mut words).map(|()| false)
            });
            match read {
                Ok(false) => {}
                Ok(true) => return Ok(line),
                Err(Unreadable) if had_id => return Ok(line),
                Err(Unreadable) => return Err(Unreadable),
            }
        }
    }

    fn item(&mut self, item: &Token<'_>, words: &mut Tokens<'_>) -> Result<(), Unreadable> {
        if item.is("MESSAGES") {
            let messages = words.expect()?.number().ok_or(Unreadable)?;
            self.messages = Some(u32::try_from(messages).map_err(|_| Unreadable)?);
        } else if item.is("UIDNEXT") {
            self.uid_next = number32(&words.expect()?).and_then(Uid::new);
        } else if item.is("UIDVALIDITY") {
            self.uid_validity = number32(&words.expect()?).and_then(UidValidity::new);
        } else if item.is("HIGHESTMODSEQ") {
            self.highest_modseq = words.expect()?.number().filter(|&number| number > 0).map(ModSeq);
        } else if item.is("APPENDLIMIT") {
            self.append_limit = words.expect()?.number();
        } else if item.is("MAILBOXID") {
            let mut told = None;
            words.list(|id| told = id.string().map(|id| text(&id)))?;
            self.object_id = told.filter(|id| tolerance::is_object_id(id));
        } else {
            words.skip_value()?;
        }
        Ok(())
    }
}

impl Esearch {
    fn parse(mut words: Tokens<'_>) -> Result<Self, Unreadable> {
        let mut esearch = Self::default();
        while let Some(token) = words.next()? {
            if token == Token::Open {
                // The only list before the results: (TAG "r7")
                let (_, tag) = (words.expect()?, words.expect()?);
                esearch.tag = tag.string().map(|tag| text(&tag));
                if words.expect()? != Token::Close {
                    return Err(Unreadable);
                }
            } else if token.is("COUNT") {
                esearch.count = words.expect()?.number();
            } else if token.is("ALL") {
                let Token::Atom(set) = words.expect()? else { return Err(Unreadable) };
                esearch.all = Some(tolerance::uid_set(set).ok_or(Unreadable)?);
            } else if !token.is("UID") {
                words.skip_value()?;
            }
        }
        Ok(esearch)
    }
}

impl Namespaces {
    fn parse(mut words: Tokens<'_>) -> Result<Self, Unreadable> {
        let mut namespaces = Self::default();
        for group in 0..3 {
            if words.expect()? != Token::Open {
                continue;
            }
            let mut depth = 1u32;
            let mut first = false;
            let mut second = false;
            while depth > 0 {
                let token = words.expect()?;
                match token {
                    Token::Open => depth = depth.checked_add(1).ok_or(Unreadable)?,
                    Token::Close => depth -= 1,
                    _ if depth == 2 && first => {
                        let prefix = token.string().unwrap_or_default().to_vec();
                        let prefixes =
                            if group == 0 { &mut namespaces.personal } else { &mut namespaces.outside };
                        prefixes.push(prefix);
                    }
                    _ if depth == 2 && second && group == 0 && namespaces.personal.len() == 1 => {
                        namespaces.delimiter =
                            token.string().and_then(|delimiter| delimiter.first().copied());
                    }
                    _ => {}
                }
                second = first && token != Token::Open && depth == 2;
                first = token == Token::Open && depth == 2;
            }
        }
        Ok(namespaces)
    }
}

fn number32(token: &Token<'_>) -> Option<u32> {
    token.number().and_then(|number| u32::try_from(number).ok())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
