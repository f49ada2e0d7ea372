//! A command as the client sent it, and a cursor that reads its arguments (RFC 9051 §9).
//!
//! A command is text with literals in between. The text is kept without the `{n}` that announces a
//! literal; the cursor goes over the parts in order. Nothing here recurses, and each read either
//! moves on or fails, so no input can keep it busy for longer than its length.

use std::sync::Arc;

use message::{Flags, Uid, UidSet};

use crate::limits;

/// The command is not well-formed; the text goes into the BAD answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

type Read<T> = Result<T, Malformed>;

/// A piece of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// Text of a line, without line end and without the announcement of a literal.
    Text(Vec<u8>),
    /// The octets of a literal.
    Literal(Arc<[u8]>),
}

/// What is left of a command.
#[derive(Debug)]
pub(crate) struct Arguments {
    parts: Vec<Part>,
    part: usize,
    at: usize,
}

impl Arguments {
    pub(crate) fn new(parts: Vec<Part>) -> Self {
        Self { parts, part: 0, at: 0 }
    }

    /// The next octet of text; `None` at a literal and at the end.
    pub(crate) fn peek(&self) -> Option<u8> {
        match self.parts.get(self.part) {
            Some(Part::Text(text)) => text.get(self.at).copied(),
            _ => None,
        }
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        let here = match self.parts.get(self.part) {
            None => true,
            Some(Part::Text(text)) => self.at >= text.len(),
            Some(Part::Literal(_)) => false,
        };
        here && self.parts.iter().skip(self.part + 1).all(|part| *part == Part::Text(Vec::new()))
    }

    /// Fails unless nothing is left.
    pub(crate) fn end(&self) -> Read<()> {
        if self.is_empty() { Ok(()) } else { Err(Malformed("too many arguments")) }
    }

    /// Takes the octet if it is next.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let next = self.peek() == Some(byte);
        self.at += usize::from(next);
        next
    }

    /// Takes the octet, or fails.
    pub(crate) fn expect(&mut self, byte: u8) -> Read<()> {
        if self.eat(byte) { Ok(()) } else { Err(Malformed("syntax error in arguments")) }
    }

    /// One blank.
    pub(crate) fn space(&mut self) -> Read<()> {
        if self.eat(b' ') { Ok(()) } else { Err(Malformed("missing argument")) }
    }

    /// Text up to an octet that `stops` it; at least one octet.
    fn word(&mut self, stops: impl Fn(u8) -> bool) -> Read<Vec<u8>> {
        let Some(Part::Text(text)) = self.parts.get(self.part) else {
            return Err(Malformed("missing argument"));
        };
        let rest = text.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|&byte| stops(byte)).unwrap_or(rest.len());
        if length == 0 {
            return Err(Malformed("missing argument"));
        }
        let word = rest[..length].to_vec();
        self.at += length;
        Ok(word)
    }

    /// An atom, in capitals: names of commands and of their options.
    pub(crate) fn keyword(&mut self) -> Read<String> {
        let word = self.word(|byte| matches!(byte, b' ' | b'(' | b')' | b'{' | b'"' | b'[' | b']' | b'<'))?;
        String::from_utf8(word.to_ascii_uppercase()).map_err(|_| Malformed("8-bit octets in an atom"))
    }

    /// An atom, a quoted string or a literal, as octets. Atoms may hold `%` and `*`, so that this
    /// reads the patterns of LIST as well.
    pub(crate) fn string(&mut self) -> Read<Vec<u8>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(_) => self.word(|byte| byte <= b' ' || matches!(byte, b'(' | b')' | b'"' | b'{' | 0x7f)),
            None => self.literal().map(|octets| octets.to_vec()),
        }
    }

    /// The string behind the next blank, which stays where it is.
    pub(crate) fn string_ahead(&self) -> Option<Vec<u8>> {
        let mut ahead = Self::new(match (self.parts.get(self.part)?, self.parts.get(self.part + 1)) {
            (Part::Text(text), Some(Part::Literal(octets))) if octets.len() <= limits::NAME => {
                vec![Part::Text(text.get(self.at..)?.to_vec()), Part::Literal(Arc::clone(octets))]
            }
            (Part::Text(text), _) => vec![Part::Text(text.get(self.at..)?.to_vec())],
            (Part::Literal(_), _) => return None,
        });
        ahead.space().ok()?;
        ahead.string().ok()
    }

    fn quoted(&mut self) -> Read<Vec<u8>> {
        self.expect(b'"')?;
        let mut string = Vec::new();
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'"' => return Ok(string),
                b'\\' => {
                    string.push(self.peek().ok_or(Malformed("unfinished quoted string"))?);
                    self.at += 1;
                }
                0 => return Err(Malformed("NUL in a quoted string")),
                _ => string.push(byte),
            }
        }
        Err(Malformed("unfinished quoted string"))
    }

    /// A literal; its octets are taken out, not copied.
    pub(crate) fn literal(&mut self) -> Read<Arc<[u8]>> {
        let at_end = match self.parts.get(self.part) {
            Some(Part::Text(text)) => self.at >= text.len(),
            _ => true,
        };
        let next = if matches!(self.parts.get(self.part), Some(Part::Text(_))) { 1 } else { 0 };
        match self.parts.get_mut(self.part + next) {
            Some(Part::Literal(octets)) if at_end => {
                let octets = std::mem::take(octets);
                self.part += next + 1;
                self.at = 0;
                Ok(octets)
            }
            _ => Err(Malformed("missing argument")),
        }
    }

    /// A number without sign.
    pub(crate) fn number(&mut self) -> Read<u64> {
        let digits = self.word(|byte| !byte.is_ascii_digit())?;
        let text = std::str::from_utf8(&digits).map_err(|_| Malformed("not a number"))?;
        text.parse().map_err(|_| Malformed("number too large"))
    }

    /// A number of 32 bits.
    pub(crate) fn number32(&mut self) -> Read<u32> {
        u32::try_from(self.number()?).map_err(|_| Malformed("number too large"))
    }

    /// A sequence set, `*` unresolved.
    pub(crate) fn set(&mut self) -> Read<SequenceSet> {
        let mut ranges = Vec::new();
        loop {
            let first = self.bound()?;
            let last = if self.eat(b':') { self.bound()? } else { first };
            ranges.push((first, last));
            if !self.eat(b',') {
                return Ok(SequenceSet(ranges));
            }
        }
    }

    fn bound(&mut self) -> Read<Option<Uid>> {
        if self.eat(b'*') {
            return Ok(None);
        }
        Uid::new(self.number32()?).map(Some).ok_or(Malformed("0 in a set"))
    }

    /// Words in parentheses with blanks between, in capitals; may be empty.
    pub(crate) fn keywords(&mut self) -> Read<Vec<String>> {
        self.expect(b'(')?;
        let mut words = Vec::new();
        while !self.eat(b')') {
            words.push(self.keyword()?);
            self.eat(b' ');
        }
        Ok(words)
    }

    /// Flags, in parentheses or bare (`STORE 1 FLAGS \Seen` is allowed).
    pub(crate) fn flags(&mut self) -> Read<Flags> {
        let listed = self.eat(b'(');
        let mut flags = Vec::new();
        loop {
            if listed && self.eat(b')') {
                break;
            }
            if self.is_empty() {
                if listed {
                    return Err(Malformed("unfinished list of flags"));
                }
                break;
            }
            let flag = self.word(|byte| byte <= b' ' || byte >= 0x7f || b"(){\"%*]".contains(&byte))?;
            flags.push(String::from_utf8(flag).map_err(|_| Malformed("8-bit octets in a flag"))?);
            if flags.len() > limits::FLAGS {
                return Err(Malformed("too many flags"));
            }
            if !self.eat(b' ') && !listed {
                break;
            }
        }
        Ok(flags.into_iter().collect())
    }
}

/// A sequence set as sent: `None` stands for `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SequenceSet(Vec<(Option<Uid>, Option<Uid>)>);

impl SequenceSet {
    /// The numbers meant, when `*` is `largest`; of an empty mailbox `*` is nothing.
    pub(crate) fn resolve(&self, largest: Option<Uid>) -> UidSet {
        let mut ranges: Vec<_> = self
            .0
            .iter()
            .filter_map(|&(a, b)| {
                let (a, b) = (a.or(largest)?, b.or(largest)?);
                Some((a.min(b), a.max(b)))
            })
            .collect();
        // In order, so that each range is added at the end of the set, where it is cheap.
        ranges.sort_unstable();
        let mut set = UidSet::new();
        for (first, last) in ranges {
            set.insert_range(first..=last);
        }
        set
    }

    /// The most numbers that one of its ranges spans; a range to `*` counts to the end of time.
    pub(crate) fn widest(&self) -> u32 {
        let width = |&(a, b): &(Option<Uid>, Option<Uid>)| {
            let (a, b) = (a.map_or(u32::MAX, Uid::get), b.map_or(u32::MAX, Uid::get));
            a.abs_diff(b).saturating_add(1)
        };
        self.0.iter().map(width).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects")]

    use proptest::prelude::*;

    use super::*;

    fn arguments(text: &str) -> Arguments {
        Arguments::new(vec![Part::Text(text.into())])
    }

    #[test]
    fn a_string_comes_in_three_forms() {
        let mut all = Arguments::new(vec![
            Part::Text(b"atom \"quo\\\"ted\" ".to_vec()),
            Part::Literal(Arc::from(*b"lit\r\neral")),
            Part::Text(b" end".to_vec()),
        ]);
        assert_eq!(all.string().unwrap(), b"atom");
        all.space().unwrap();
        assert_eq!(all.string().unwrap(), b"quo\"ted");
        all.space().unwrap();
        assert_eq!(all.string().unwrap(), b"lit\r\neral");
        all.space().unwrap();
        assert!(all.end().is_err());
        assert_eq!(all.keyword().unwrap(), "END");
        assert!(all.end().is_ok());
    }

    #[test]
    fn a_star_is_the_largest_number() {
        let set = arguments("7,3:1,9:*").set().unwrap();
        assert_eq!(set.resolve(Uid::new(5)).to_string(), "1:3,5:9");
        assert_eq!(set.resolve(None).to_string(), "1:3,7");
        assert_eq!(set.widest(), u32::MAX - 8);
        assert_eq!(arguments("2:4,9").set().unwrap().widest(), 3);
        assert!(arguments("0").set().is_err());
        assert!(arguments("4294967296").set().is_err());
    }

    #[test]
    fn flags_come_with_and_without_parentheses() {
        assert_eq!(arguments("(\\Seen $Forwarded)").flags().unwrap().to_string(), "\\Seen $Forwarded");
        assert_eq!(arguments("\\Seen Zeta").flags().unwrap().to_string(), "\\Seen Zeta");
        assert_eq!(arguments("()").flags().unwrap(), Flags::new());
        assert!(arguments("(\\Seen").flags().is_err());
    }

    proptest! {
        #[test]
        fn no_command_makes_it_panic_or_hang(parts in prop::collection::vec(
            (any::<bool>(), prop::collection::vec(any::<u8>(), 0..12)), 0..6), order in prop::collection::vec(0..9u8, 0..40))
        {
            let parts = parts.into_iter()
                .map(|(literal, octets)| if literal { Part::Literal(octets.into()) } else { Part::Text(octets) })
                .collect();
            let mut arguments = Arguments::new(parts);
            for read in order {
                match read {
                    0 => drop(arguments.string()),
                    1 => drop(arguments.keyword()),
                    2 => drop(arguments.set().map(|set| set.resolve(Some(Uid::MAX)))),
                    3 => drop(arguments.flags()),
                    4 => drop(arguments.keywords()),
                    5 => drop(arguments.literal()),
                    6 => drop(arguments.number32()),
                    7 => drop(arguments.end()),
                    _ => drop(arguments.space()),
                }
            }
        }
    }
}
