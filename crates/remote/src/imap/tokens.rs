//! The words of a response: atoms, strings, parentheses (RFC 9051 §9).
//!
//! One pass, no recursion: whoever reads a nested list counts its depth. Bytes are handed on as
//! they came; what they mean is for [`data`](super::data).

use std::borrow::Cow;

use bytes::Bytes;

use super::frame::Frame;

/// The frame is not made of words as the grammar has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// A word of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    Open,
    Close,
    /// Anything without blanks and parentheses, NIL and numbers included. `BODY[HEADER.FIELDS (TO)]<0>`
    /// is one atom.
    Atom(&'a [u8]),
    /// What stands between the quotes, unescaped.
    Quoted(Cow<'a, [u8]>),
    Literal(&'a Bytes),
}

impl Token<'_> {
    /// An atom, quoted string or literal; `None` for NIL and parentheses.
    pub(crate) fn string(&self) -> Option<Bytes> {
        match self {
            Token::Atom(atom) if atom.eq_ignore_ascii_case(b"NIL") => None,
            Token::Atom(atom) => Some(Bytes::copy_from_slice(atom)),
            Token::Quoted(text) => Some(Bytes::copy_from_slice(text)),
            Token::Literal(bytes) => Some((*bytes).clone()),
            Token::Open | Token::Close => None,
        }
    }

    /// A number, as an atom.
    pub(crate) fn number(&self) -> Option<u64> {
        match self {
            Token::Atom(digits) if digits.iter().all(u8::is_ascii_digit) => {
                std::str::from_utf8(digits).ok()?.parse().ok()
            }
            _ => None,
        }
    }

    /// Whether this is the atom `word`, in any case.
    pub(crate) fn is(&self, word: &str) -> bool {
        matches!(self, Token::Atom(atom) if atom.eq_ignore_ascii_case(word.as_bytes()))
    }
}

/// The words of a frame, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Tokens<'a> {
    frame: &'a Frame,
    /// 0: the head; n: the text after the n-th literal.
    piece: usize,
    at: usize,
}

impl<'a> Tokens<'a> {
    /// From octet `at` of the frame's head.
    pub(crate) fn new(frame: &'a Frame, at: usize) -> Self {
        Self { frame, piece: 0, at: at.min(frame.head.len()) }
    }

    /// What has not been read of the present piece of text.
    pub(crate) fn rest_of_text(&self) -> &'a [u8] {
        &self.text()[self.at..]
    }

    /// Passes over blanks and then these bytes, which lie ahead in the present piece of text.
    pub(crate) fn skip_bytes(&mut self, bytes: &[u8]) {
        let blanks = self.rest_of_text().len() - self.rest_of_text().trim_ascii_start().len();
        self.at = (self.at + blanks + bytes.len()).min(self.text().len());
    }

    fn text(&self) -> &'a [u8] {
        match self.piece {
            0 => &self.frame.head,
            after => &self.frame.rest[after - 1].1,
        }
    }

    /// The next word; `None` at the end of the response.
    pub(crate) fn next(&mut self) -> Result<Option<Token<'a>>, Unreadable> {
        let text = self.text();
        while text.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
        let Some(&first) = text.get(self.at) else {
            let Some((literal, _)) = self.frame.rest.get(self.piece) else { return Ok(None) };
            self.piece += 1;
            self.at = 0;
            return Ok(Some(Token::Literal(literal)));
        };
        match first {
            b'(' => {
                self.at += 1;
                Ok(Some(Token::Open))
            }
            b')' => {
                self.at += 1;
                Ok(Some(Token::Close))
            }
            b'"' => self.quoted().map(Some),
            _ => Ok(Some(self.atom())),
        }
    }

    /// The next word, which must be there.
    pub(crate) fn expect(&mut self) -> Result<Token<'a>, Unreadable> {
        self.next()?.ok_or(Unreadable)
    }

    fn quoted(&mut self) -> Result<Token<'a>, Unreadable> {
        let text = self.text();
        let start = self.at + 1;
        let mut end = start;
        let mut escaped = false;
        loop {
            match text.get(end).ok_or(Unreadable)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    end += 2;
                }
                _ => end += 1,
            }
        }
        self.at = end + 1;
        let inner = &text[start..end];
        if !escaped {
            return Ok(Token::Quoted(Cow::Borrowed(inner)));
        }
        let mut plain = Vec::with_capacity(inner.len());
        let mut bytes = inner.iter();
        while let Some(&byte) = bytes.next() {
            plain.push(if byte == b'\\' { *bytes.next().unwrap_or(&b'\\') } else { byte });
        }
        Ok(Token::Quoted(Cow::Owned(plain)))
    }

    fn atom(&mut self) -> Token<'a> {
        let text = &self.text()[self.at..];
        let ends = |byte: &u8| matches!(byte, b' ' | b'(' | b')');
        let mut end = text.iter().position(ends).unwrap_or(text.len());
        // A section may hold blanks and parentheses.
        let section = ["BODY[", "BINARY["].iter().find(|name| {
            text.len() >= name.len() && text[..name.len()].eq_ignore_ascii_case(name.as_bytes())
        });
        if let Some(close) = section.and_then(|name| {
            text[name.len()..].iter().position(|&byte| byte == b']').map(|at| at + name.len())
        }) {
            let after = text[close..].iter().position(ends).unwrap_or(text.len() - close);
            end = close + after;
        }
        self.at += end;
        Token::Atom(&text[..end])
    }

    /// Passes over a value: a word, or a list with all that is in it.
    pub(crate) fn skip_value(&mut self) -> Result<(), Unreadable> {
        let mut depth = 0u32;
        loop {
            match self.expect()? {
                Token::Open => depth = depth.checked_add(1).ok_or(Unreadable)?,
                Token::Close => depth = depth.checked_sub(1).ok_or(Unreadable)?,
                _ => {}
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// The words of a flat list; lists in it are passed over.
    pub(crate) fn list(&mut self, mut word: impl FnMut(Token<'a>)) -> Result<(), Unreadable> {
        if self.expect()? != Token::Open {
            return Err(Unreadable);
        }
        let mut depth = 1u32;
        loop {
            match self.expect()? {
                Token::Open => depth = depth.checked_add(1).ok_or(Unreadable)?,
                Token::Close => depth -= 1,
                token if depth == 1 => word(token),
                _ => {}
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}
