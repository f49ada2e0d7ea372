//! The judge: a blocking IMAP client of a few lines that fills a server and reads it back whole.
//!
//! It knows nothing of the program's own client, so that no mistake is made twice and found by
//! nobody. It speaks plain IMAP4rev1 over an unencrypted connection, one command at a time, and
//! panics when the server refuses: the test's world is broken then.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use message::mailbox::encode_modified_utf7;
use message::{Flags, InternalDate, MailboxName, NameEncoding, Uid, UidSet, UidValidity};

/// A server that says nothing for so long is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// A logged-in connection.
pub struct Imap {
    stream: BufReader<TcpStream>,
    tags: u32,
    /// The mailbox that is open for writing.
    open: Option<String>,
}

/// A mailbox as LIST tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name for people.
    pub name: String,
    /// Its attributes as sent, such as `\Sent`.
    pub attributes: Vec<String>,
    /// The hierarchy delimiter.
    pub delimiter: Option<char>,
}

/// A mailbox as STATUS tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// How many messages it holds.
    pub messages: u32,
    /// The UID of the next one.
    pub uid_next: Uid,
    /// The generation of its UIDs.
    pub uid_validity: UidValidity,
}

/// A message as FETCH gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its UID.
    pub uid: Uid,
    /// Its flags and keywords, without `\Recent`.
    pub flags: Flags,
    /// When it was received.
    pub internal_date: InternalDate,
    /// Its octets.
    pub bytes: Vec<u8>,
}

impl Imap {
    /// Connects and logs in.
    ///
    /// # Panics
    /// When the server does not let it in; so do all other methods when it refuses.
    #[must_use]
    pub fn login(address: SocketAddr, user: &str, password: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket takes a time-out");
        stream.set_nodelay(true).expect("a socket takes its options");
        let mut imap = Self { stream: BufReader::new(stream), tags: 0, open: None };
        let greeting = imap.line();
        assert!(greeting.starts_with(b"* OK"), "greeting: {}", lossy(&greeting));
        imap.command(&format!("LOGIN {user} {password}"));
        imap
    }

    /// A line of an answer, with the octets of its literals, without the line end.
    fn line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        loop {
            let octets = self.stream.read_until(b'\n', &mut line).expect("the server answers");
            assert!(octets > 0 && line.ends_with(b"\r\n"), "the connection ended in {}", lossy(&line));
            let Some(length) = literal_length(&line[..line.len() - 2]) else {
                line.truncate(line.len() - 2);
                return line;
            };
            let mut literal = vec![0; length];
            self.stream.read_exact(&mut literal).expect("the literal is as long as it says");
            line.append(&mut literal);
        }
    }

    fn send(&mut self, octets: &[u8]) {
        self.stream.get_mut().write_all(octets).expect("the server listens");
    }

    /// Sends a command and gives the untagged lines of its answer.
    ///
    /// # Panics
    /// When the answer is not OK.
    #[track_caller]
    pub fn command(&mut self, command: &str) -> Vec<Vec<u8>> {
        let verb = command.split(' ').next().unwrap_or_default();
        self.try_command(command).unwrap_or_else(|refusal| panic!("{verb}: {refusal}"))
    }

    /// The same, where the server may refuse.
    ///
    /// # Errors
    /// The server's words, when they are NO or BAD.
    pub fn try_command(&mut self, command: &str) -> Result<Vec<Vec<u8>>, String> {
        self.tags += 1;
        let tag = format!("J{}", self.tags);
        self.send(format!("{tag} {command}\r\n").as_bytes());
        self.answer(&tag)
    }

    fn answer(&mut self, tag: &str) -> Result<Vec<Vec<u8>>, String> {
        let mut untagged = Vec::new();
        loop {
            let line = self.line();
            let Some(result) = line.strip_prefix(tag.as_bytes()) else {
                untagged.push(line);
                continue;
            };
            return if result.starts_with(b" OK") { Ok(untagged) } else { Err(lossy(result)) };
        }
    }

    /// All mailboxes, in the order of the server.
    pub fn list(&mut self) -> Vec<Listed> {
        let lines = self.command("LIST \"\" *");
        lines.iter().filter_map(|line| line.strip_prefix(b"* LIST ")).map(read_listed).collect()
    }

    /// The numbers of a mailbox; its name is for people, with the server's delimiter.
    pub fn status(&mut self, folder: &str) -> Status {
        let lines = self.command(&format!("STATUS {} (MESSAGES UIDNEXT UIDVALIDITY)", quoted(folder)));
        let line = lossy(lines.iter().find(|line| line.starts_with(b"* STATUS")).expect("STATUS answers"));
        let number = |item: &str| -> u32 {
            let (_, rest) = line.rsplit_once(&format!("{item} ")).expect("STATUS tells what it was asked");
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().expect("a number of 32 bits")
        };
        Status {
            messages: number("MESSAGES"),
            uid_next: Uid::new(number("UIDNEXT")).expect("UIDNEXT is not 0"),
            uid_validity: UidValidity::new(number("UIDVALIDITY")).expect("UIDVALIDITY is not 0"),
        }
    }

    /// How many messages all mailboxes hold together, without opening one.
    pub fn count(&mut self) -> u64 {
        let closed = |listed: &Listed| {
            listed.attributes.iter().any(|name| {
                name.eq_ignore_ascii_case("\\Noselect") || name.eq_ignore_ascii_case("\\NonExistent")
            })
        };
        let open: Vec<Listed> = self.list().into_iter().filter(|listed| !closed(listed)).collect();
        open.iter().map(|listed| u64::from(self.status(&listed.name).messages)).sum()
    }

    /// All messages of a mailbox, by UID; nothing is marked as read.
    pub fn fetch_all(&mut self, folder: &str) -> Vec<Fetched> {
        self.open = None;
        self.command(&format!("EXAMINE {}", quoted(folder)));
        let lines = self.command("UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])");
        let mut messages: Vec<Fetched> = lines.iter().filter_map(|line| read_fetched(line)).collect();
        messages.sort_by_key(|message| message.uid);
        messages
    }

    /// Everything there is: the messages of all mailboxes that can be opened.
    pub fn everything(&mut self) -> BTreeMap<String, Vec<Fetched>> {
        let closed = |name: &String| {
            name.eq_ignore_ascii_case("\\Noselect") || name.eq_ignore_ascii_case("\\NonExistent")
        };
        let listed = self.list();
        let open = listed.into_iter().filter(|listed| !listed.attributes.iter().any(closed));
        open.map(|listed| (listed.name.clone(), self.fetch_all(&listed.name))).collect()
    }

    /// Adds a message.
    #[track_caller]
    pub fn append(&mut self, folder: &str, flags: &Flags, date: &InternalDate, bytes: &[u8]) {
        self.try_append(folder, flags, date, bytes).unwrap_or_else(|refusal| panic!("APPEND: {refusal}"));
    }

    /// The same, where the server may refuse.
    ///
    /// # Errors
    /// The server's words, when they are NO or BAD.
    pub fn try_append(
        &mut self,
        folder: &str,
        flags: &Flags,
        date: &InternalDate,
        bytes: &[u8],
    ) -> Result<(), String> {
        self.tags += 1;
        let tag = format!("J{}", self.tags);
        let command =
            format!("{tag} APPEND {} ({flags}) \"{}\" {{{}}}\r\n", quoted(folder), date.raw(), bytes.len());
        self.send(command.as_bytes());
        let go_ahead = self.line();
        if let Some(refusal) = go_ahead.strip_prefix(tag.as_bytes()) {
            return Err(lossy(refusal));
        }
        assert!(go_ahead.starts_with(b"+"), "APPEND: {}", lossy(&go_ahead));
        self.send(bytes);
        self.send(b"\r\n");
        self.answer(&tag).map(|_| ())
    }

    fn open(&mut self, folder: &str) {
        if self.open.as_deref() != Some(folder) {
            self.command(&format!("SELECT {}", quoted(folder)));
            self.open = Some(folder.to_owned());
        }
    }

    /// STORE: `change` is `FLAGS`, `+FLAGS` or `-FLAGS`.
    pub fn store(&mut self, folder: &str, uids: &UidSet, change: &str, flags: &Flags) {
        self.open(folder);
        self.command(&format!("UID STORE {uids} {change} ({flags})"));
    }

    /// Deletes messages for good.
    pub fn expunge(&mut self, folder: &str, uids: &UidSet) {
        self.store(folder, uids, "+FLAGS", &Flags::parse("\\Deleted"));
        self.command("EXPUNGE");
    }

    /// Moves messages to another mailbox.
    pub fn move_to(&mut self, folder: &str, uids: &UidSet, target: &str) {
        self.open(folder);
        self.command(&format!("UID COPY {uids} {}", quoted(target)));
        self.expunge(folder, uids);
    }

    /// Makes a mailbox and subscribes to it.
    pub fn create(&mut self, folder: &str) {
        self.command(&format!("CREATE {}", quoted(folder)));
        self.command(&format!("SUBSCRIBE {}", quoted(folder)));
    }

    /// Renames a mailbox and what lies below it.
    pub fn rename(&mut self, from: &str, to: &str) {
        self.close();
        self.command(&format!("RENAME {} {}", quoted(from), quoted(to)));
    }

    /// Removes a mailbox with its messages.
    pub fn delete(&mut self, folder: &str) {
        self.close();
        self.command(&format!("DELETE {}", quoted(folder)));
    }

    /// Some servers refuse to rename or delete what is open.
    fn close(&mut self) {
        if self.open.take().is_some() {
            self.command("CLOSE");
        }
    }
}

fn lossy(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// A name as a quoted string in modified UTF-7.
fn quoted(name: &str) -> String {
    let raw = lossy(&encode_modified_utf7(name));
    format!("\"{}\"", raw.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The number in `{n}` at the end of a line.
fn literal_length(line: &[u8]) -> Option<usize> {
    let inner = line.strip_suffix(b"}")?;
    let at = inner.iter().rposition(|&byte| byte == b'{')?;
    std::str::from_utf8(&inner[at + 1..]).ok()?.parse().ok()
}

/// `(attributes) "delimiter" name`
fn read_listed(line: &[u8]) -> Listed {
    let text = lossy(line);
    let (attributes, rest) =
        text.strip_prefix('(').and_then(|text| text.split_once(") ")).expect("a LIST answer");
    let (delimiter, name) = rest.split_once(' ').expect("a LIST answer");
    let delimiter = delimiter.trim_matches('"').chars().next_back().filter(|_| delimiter != "NIL");
    let raw = match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => name.split_once("}\r\n").map_or(name, |(_, literal)| literal).to_owned(),
    };
    let name =
        MailboxName::new(raw, NameEncoding::ModifiedUtf7, delimiter.and_then(|d| u8::try_from(d).ok()));
    Listed {
        name: name.text(),
        attributes: attributes.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect(),
        delimiter,
    }
}

/// `* n FETCH (…)` with all four items; other FETCH answers are about flags alone.
fn read_fetched(line: &[u8]) -> Option<Fetched> {
    const BODY: &[u8] = b"BODY[] {";
    let at = line.windows(BODY.len()).position(|window| window == BODY)?;
    let digits = line[at + BODY.len()..].iter().position(|&byte| byte == b'}')?;
    let length: usize = lossy(&line[at + BODY.len()..at + BODY.len() + digits]).parse().ok()?;
    let start = at + BODY.len() + digits + 3;
    let bytes = line.get(start..start + length)?.to_vec();
    // Items may stand on both sides of the body.
    let around = lossy(&line[..at]) + &lossy(&line[start + length..]);
    let after = |name: &str| around.split_once(name).map(|(_, rest)| rest);
    let uid = after("UID ")?.split([' ', ')']).next()?.parse().ok().and_then(Uid::new)?;
    let (flags, _) = after("FLAGS (")?.split_once(')')?;
    let (date, _) = after("INTERNALDATE \"")?.split_once('"')?;
    Some(Fetched { uid, flags: Flags::parse(flags), internal_date: InternalDate::parse(date), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_wherever_its_items_stand() {
        let line = b"* 2 FETCH (FLAGS (\\Seen x) BODY[] {5}\r\na)\r\nb INTERNALDATE \" 2-Feb-2020 10:00:00 +0000\" UID 7)";
        let fetched = read_fetched(line).expect("a message");
        assert_eq!((fetched.uid.get(), fetched.flags.to_string()), (7, "\\Seen x".to_owned()));
        assert_eq!(fetched.bytes, b"a)\r\nb");
        assert_eq!(fetched.internal_date.unix(), Some(1_580_637_600));
    }

    #[test]
    fn names_are_read_in_each_form() {
        assert_eq!(read_listed(b"(\\Sent) \"/\" \"a \\\\ b\"").name, "a \\ b");
        assert_eq!(read_listed(b"() \"\\\\\" Entw&APw-rfe").name, "Entwürfe");
        assert_eq!(read_listed(b"() NIL {3}\r\na\"b").name, "a\"b");
    }
}
