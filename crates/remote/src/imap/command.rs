//! Writing commands (RFC 9051 §6, §9): words, strings, and the literals that some strings need.
//!
//! A string goes out quoted when it is printable ASCII, else as a literal, so any bytes can be
//! sent. A command that holds a secret says so, and is shown without it.

use std::fmt;

use message::{MailboxName, UidSet};
use secrecy::zeroize::Zeroize;

/// Which literals may be sent without the server's leave (RFC 7888).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Literals {
    /// None.
    #[default]
    Synchronising,
    /// LITERAL-: small ones.
    Small,
    /// LITERAL+: all.
    All,
}

impl Literals {
    /// The largest literal that LITERAL- lets through without leave (RFC 7888 §5).
    const SMALL: usize = 4096;

    /// Whether a literal of so many octets needs no leave.
    pub(crate) fn at_once(self, length: usize) -> bool {
        match self {
            Self::Synchronising => false,
            Self::Small => length <= Self::SMALL,
            Self::All => true,
        }
    }
}

/// A command without its tag.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Command {
    /// Text before, between and after the literals: always one more than there are literals.
    texts: Vec<Vec<u8>>,
    literals: Vec<Vec<u8>>,
    /// Shown in place of everything from here on.
    secret_from: Option<usize>,
}

impl Command {
    pub(crate) fn new(text: &str) -> Self {
        Self { texts: vec![text.as_bytes().to_vec()], literals: Vec::new(), secret_from: None }
    }

    /// Text that needs no quoting.
    #[must_use]
    pub(crate) fn text(mut self, text: &str) -> Self {
        self.last().extend_from_slice(text.as_bytes());
        self
    }

    /// A blank and a string.
    #[must_use]
    pub(crate) fn string(mut self, bytes: &[u8]) -> Self {
        let text = self.last();
        text.push(b' ');
        if !bytes.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            self.literals.push(bytes.to_vec());
            self.texts.push(Vec::new());
            return self;
        }
        text.push(b'"');
        for &byte in bytes {
            if matches!(byte, b'"' | b'\\') {
                text.push(b'\\');
            }
            text.push(byte);
        }
        text.push(b'"');
        self
    }

    /// A blank and the name as the server spells it.
    #[must_use]
    pub(crate) fn mailbox(self, name: &MailboxName) -> Self {
        self.string(name.raw())
    }

    /// A blank and a set.
    #[must_use]
    pub(crate) fn uids(self, set: &UidSet) -> Self {
        self.text(&format!(" {set}"))
    }

    /// What is added from here on is secret.
    #[must_use]
    pub(crate) fn secret(mut self) -> Self {
        self.secret_from = Some(self.texts[0].len());
        self
    }

    /// Whether it leaves the mailbox that is open, for another one.
    pub(crate) fn opens_mailbox(&self) -> bool {
        self.texts[0].starts_with(b"EXAMINE ") || self.texts[0].starts_with(b"SELECT ")
    }

    pub(crate) fn has_literals(&self) -> bool {
        !self.literals.is_empty()
    }

    pub(crate) fn text_before_literals(&self) -> &[u8] {
        &self.texts[0]
    }

    fn last(&mut self) -> &mut Vec<u8> {
        self.texts.last_mut().expect("a command begins with a text and gets one after each literal")
    }

    /// Whether it can be sent without waiting in the middle of it.
    pub(crate) fn goes_at_once(&self, literals: Literals) -> bool {
        self.literals.iter().all(|literal| literals.at_once(literal.len()))
    }

    /// What goes out in one piece each, the server's leave awaited in between when its literals
    /// synchronise.
    pub(crate) fn pieces(&self, tag: &str, literals: Literals) -> Vec<Vec<u8>> {
        let mut pieces = vec![format!("{tag} ").into_bytes()];
        for (index, text) in self.texts.iter().enumerate() {
            let piece = pieces.last_mut().expect("begun with one");
            piece.extend_from_slice(text);
            let Some(literal) = self.literals.get(index) else {
                piece.extend_from_slice(b"\r\n");
                break;
            };
            let plus = literals.at_once(literal.len());
            let sign = if plus { "+" } else { "" };
            piece.extend_from_slice(format!("{{{}{sign}}}\r\n", literal.len()).as_bytes());
            if plus {
                piece.extend_from_slice(literal);
            } else {
                pieces.push(literal.clone());
            }
        }
        pieces
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        if self.secret_from.is_some() {
            self.texts.iter_mut().chain(&mut self.literals).for_each(Zeroize::zeroize);
        }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// For logs and errors: long sets cut short, secrets and literals left out.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LENGTH: usize = 120;
        let text = &self.texts[0];
        let shown = String::from_utf8_lossy(&text[..self.secret_from.unwrap_or(text.len())]);
        let mut cut: String = shown.chars().take(LENGTH).collect();
        if self.secret_from.is_some() || !self.literals.is_empty() || cut.len() < shown.len() {
            cut.push('…');
        }
        f.write_str(&cut)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn wire(command: &Command, literals: Literals) -> Vec<String> {
        command.pieces("r1", literals).into_iter().map(|piece| String::from_utf8(piece).unwrap()).collect()
    }

    #[test]
    fn strings_are_quoted_or_sent_as_literals() {
        let quoted = Command::new("EXAMINE").string(br#"a "b" \c"#).text(" (CONDSTORE)");
        assert_eq!(
            wire(&quoted, Literals::Synchronising),
            ["r1 EXAMINE \"a \\\"b\\\" \\\\c\" (CONDSTORE)\r\n"]
        );
        assert_eq!(
            wire(&Command::new("EXAMINE").string(b""), Literals::Synchronising),
            ["r1 EXAMINE \"\"\r\n"]
        );
        let literal = Command::new("LOGIN").string("ü\n".as_bytes()).string(b"x");
        assert_eq!(wire(&literal, Literals::Synchronising), ["r1 LOGIN {3}\r\n", "ü\n \"x\"\r\n"]);
        assert_eq!(wire(&literal, Literals::All), ["r1 LOGIN {3+}\r\nü\n \"x\"\r\n"]);
    }

    #[test]
    fn s1_secrets_are_not_shown() {
        let login = Command::new("LOGIN").string(b"me").secret().string(b"hunter2");
        assert_eq!(login.to_string(), "LOGIN \"me\"…");
        assert_eq!(wire(&login, Literals::Synchronising), ["r1 LOGIN \"me\" \"hunter2\"\r\n"]);
    }
}
