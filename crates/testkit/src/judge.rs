//! A second IMAP client, small and simple, that shares no code with the one under test.
//!
//! Tests use it to fill a server, to change it as another client would, and to read it back as the
//! judge of what an archive must hold. One command at a time, everything in memory, panics on
//! whatever it does not understand: that is right for a test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A message as the server gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Its UID.
    pub uid: u32,
    /// Sorted, without `\Recent`.
    pub flags: Vec<String>,
    /// As sent, between the quotes.
    pub internal_date: String,
    /// The exact bytes.
    pub bytes: Vec<u8>,
}

/// A connection that is logged in.
pub struct Judge {
    stream: BufReader<TcpStream>,
    tag: u32,
}

/// One response: its text with each literal replaced by nothing, and the literals.
struct Response {
    text: String,
    literals: Vec<Vec<u8>>,
}

impl Judge {
    /// Connects to a port on loopback without TLS and logs in.
    ///
    /// # Panics
    /// When the server cannot be reached or refuses.
    #[must_use]
    pub fn login(port: u16, user: &str, password: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out can be set");
        let mut judge = Self { stream: BufReader::with_capacity(1 << 18, stream), tag: 0 };
        judge.response();
        judge.ok(&format!("LOGIN {user} {password}"));
        judge
    }

    /// Creates a mailbox; `name` is as it goes over the wire (modified UTF-7).
    pub fn create(&mut self, name: &str) {
        self.ok(&format!("CREATE {}", quoted(name)));
    }

    /// Gives a mailbox another name.
    pub fn rename(&mut self, from: &str, to: &str) {
        self.ok(&format!("RENAME {} {}", quoted(from), quoted(to)));
    }

    /// Removes a mailbox.
    pub fn delete(&mut self, name: &str) {
        self.ok(&format!("DELETE {}", quoted(name)));
    }

    /// Adds a message. `date` is an INTERNALDATE.
    pub fn append(&mut self, mailbox: &str, flags: &str, date: &str, bytes: &[u8]) {
        let command = format!("APPEND {} ({flags}) \"{date}\" {{{}+}}\r\n", quoted(mailbox), bytes.len());
        let mut line = command.into_bytes();
        line.extend_from_slice(bytes);
        self.send(&line);
    }

    /// Sets the flags of messages; `uids` is a sequence set.
    pub fn store_flags(&mut self, mailbox: &str, uids: &str, flags: &str) {
        self.ok(&format!("SELECT {}", quoted(mailbox)));
        self.ok(&format!("UID STORE {uids} FLAGS.SILENT ({flags})"));
    }

    /// Removes messages for good.
    pub fn expunge(&mut self, mailbox: &str, uids: &str) {
        self.ok(&format!("SELECT {}", quoted(mailbox)));
        self.ok(&format!("UID STORE {uids} +FLAGS.SILENT (\\Deleted)"));
        self.ok("EXPUNGE");
    }

    /// Moves messages to another mailbox.
    pub fn move_to(&mut self, from: &str, uids: &str, to: &str) {
        self.ok(&format!("SELECT {}", quoted(from)));
        self.ok(&format!("UID MOVE {uids} {}", quoted(to)));
    }

    /// The mailboxes that can be opened, by their names on the wire.
    #[must_use]
    pub fn mailboxes(&mut self) -> Vec<String> {
        let responses = self.ok("LIST \"\" \"*\"");
        let listed = responses.iter().filter_map(|response| response.text.strip_prefix("* LIST "));
        let selectable =
            listed.filter(|text| !text.contains("\\Noselect") && !text.contains("\\NonExistent"));
        selectable.map(|text| listed_name(text).expect("a name follows the delimiter")).collect()
    }

    /// The UIDVALIDITY of a mailbox.
    #[must_use]
    pub fn uid_validity(&mut self, mailbox: &str) -> u32 {
        let responses = self.ok(&format!("STATUS {} (UIDVALIDITY)", quoted(mailbox)));
        responses
            .iter()
            .find_map(|response| number_after(&response.text, "UIDVALIDITY "))
            .expect("STATUS tells it")
    }

    /// Every message of a mailbox, opened read-only.
    #[must_use]
    pub fn messages(&mut self, mailbox: &str) -> Vec<Judged> {
        self.ok(&format!("EXAMINE {}", quoted(mailbox)));
        let responses = self.ok("UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])");
        responses.into_iter().filter(|response| response.text.contains(" FETCH (")).map(judged).collect()
    }

    /// Sends a command and returns the untagged responses.
    ///
    /// # Panics
    /// When the answer is not OK.
    fn ok(&mut self, command: &str) -> Vec<Response> {
        self.send(command.as_bytes())
    }

    fn send(&mut self, command: &[u8]) -> Vec<Response> {
        self.tag += 1;
        let tag = format!("j{}", self.tag);
        let mut line = format!("{tag} ").into_bytes();
        line.extend_from_slice(command);
        line.extend_from_slice(b"\r\n");
        self.stream.get_mut().write_all(&line).expect("the server reads");
        let mut untagged = Vec::new();
        loop {
            let response = self.response();
            if let Some(result) = response.text.strip_prefix(&format!("{tag} ")) {
                let shown = String::from_utf8_lossy(&command[..command.len().min(80)]).into_owned();
                assert!(result.starts_with("OK"), "{shown}: {result}");
                return untagged;
            }
            untagged.push(response);
        }
    }

    fn response(&mut self) -> Response {
        let mut response = Response { text: String::new(), literals: Vec::new() };
        loop {
            let mut line = Vec::new();
            self.stream.read_until(b'\n', &mut line).expect("the server answers");
            assert!(!line.is_empty(), "the server hung up");
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            let Some((before, length)) = literal_length(line) else {
                response.text.push_str(line);
                return response;
            };
            response.text.push_str(before);
            let mut literal = vec![0; length];
            self.stream.read_exact(&mut literal).expect("the literal is as long as told");
            response.literals.push(literal);
        }
    }
}

fn literal_length(line: &str) -> Option<(&str, usize)> {
    let (before, digits) = line.strip_suffix('}')?.rsplit_once('{')?;
    Some((before, digits.parse().ok()?))
}

fn judged(response: Response) -> Judged {
    let text = &response.text;
    let (_, after) = text.split_once("FLAGS (").expect("FLAGS were asked for");
    let (flags, _) = after.split_once(')').expect("a list has an end");
    let mut flags: Vec<String> =
        flags.split_whitespace().filter(|flag| *flag != "\\Recent").map(str::to_owned).collect();
    flags.sort();
    let (_, after) = text.split_once("INTERNALDATE \"").expect("INTERNALDATE was asked for");
    let (internal_date, _) = after.split_once('"').expect("a string has an end");
    Judged {
        uid: number_after(text, "UID ").expect("UID was asked for"),
        flags,
        internal_date: internal_date.to_owned(),
        bytes: response.literals.into_iter().next().unwrap_or_default(),
    }
}

fn number_after(text: &str, word: &str) -> Option<u32> {
    let (_, after) = text.split_once(word)?;
    let end = after.find(|character: char| !character.is_ascii_digit()).unwrap_or(after.len());
    after[..end].parse().ok()
}

fn listed_name(text: &str) -> Option<String> {
    let (_, after_attributes) = text.split_once(") ")?;
    let name = match after_attributes.strip_prefix("NIL ") {
        Some(name) => name,
        None => after_attributes.get(4..)?,
    };
    Some(match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => name.to_owned(),
    })
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}
