//! The recipe that puts a message together again from its blobs, byte for byte.
//!
//! A message is kept as blobs (its header block, its text, its decoded attachments) and a list of
//! steps: copy the next so many bytes of this blob, or write this blob as base64 in lines. The steps
//! in order give the message, nothing added and nothing left out.
//!
//! This file knows steps and their compact form; which blobs there are is written by whoever keeps
//! the recipe, and where their bytes come from is the caller's affair.
//!
//! Stored steps are hostile input: they may come from a damaged or forged pack. Reading them
//! allocates in proportion to the bytes that came, sums are checked, and a recipe that asks for more
//! than its blobs hold is an error, never a panic.
//!
//! The form of the steps, one after the other, each number an unsigned LEB128 of at most 32 bits in
//! its shortest form (the first one of at most 33 bits):
//!
//! | step | numbers |
//! |---|---|
//! | copy | blob × 2, length |
//! | base64 | blob × 2 + 1, line length × 4 + line end × 2 + closed (line end: 0 CRLF, 1 LF) |

use crate::BlobName;
use crate::base64_lines::{self, Shape};

/// The kind of content in a blob: which stream of blocks it is packed into.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Header blocks.
    Header = 1,
    /// Everything of a body that is not a base64 run.
    Text = 2,
    /// Decoded base64 runs.
    Attachment = 3,
}

impl Stream {
    /// The stream with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Header),
            2 => Some(Self::Text),
            3 => Some(Self::Attachment),
            _ => None,
        }
    }
}

/// A blob that a recipe uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlobRef {
    /// Where it is packed.
    pub stream: Stream,
    /// BLAKE3 of its bytes.
    pub name: BlobName,
    /// How many bytes it has.
    pub length: u32,
}

/// What ends a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LineEnd {
    /// `\r\n`
    CrLf,
    /// `\n`
    Lf,
}

impl LineEnd {
    /// The bytes of the line end.
    #[must_use]
    pub const fn bytes(self) -> &'static [u8] {
        match self {
            Self::CrLf => b"\r\n",
            Self::Lf => b"\n",
        }
    }
}

/// One step of a recipe. `blob` is an index into [`Recipe::blobs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The next `length` bytes of the blob; each blob has a cursor that starts at its first byte.
    Copy {
        /// Which blob.
        blob: u32,
        /// How many bytes, at least one.
        length: u32,
    },
    /// The whole blob, encoded in base64 and cut in lines.
    Base64 {
        /// Which blob.
        blob: u32,
        /// Characters a line: a multiple of four from 4 to 996.
        line_length: u16,
        /// What stands between lines.
        line_end: LineEnd,
        /// Whether the last line too is followed by its line end.
        closed: bool,
    },
}

/// How a message is put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipe {
    /// The blobs, in the order of their first use.
    pub blobs: Vec<BlobRef>,
    /// What to do with them.
    pub steps: Vec<Step>,
}

/// The recipe cannot be followed: it was damaged or forged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecipe {
    /// The bytes end in the middle of a step, or a number is too large or not in its shortest form.
    #[error("recipe step {step} cannot be read")]
    Unreadable {
        /// Counted from 0.
        step: usize,
    },
    /// A copy of nothing, or base64 lines of a length that cannot be.
    #[error("recipe step {step} is not a possible step")]
    Impossible {
        /// Counted from 0.
        step: usize,
    },
    /// A step names a blob that the recipe has not got.
    #[error("recipe step {step} uses blob {blob}, which the recipe does not list")]
    NoSuchBlob {
        /// Counted from 0.
        step: usize,
        /// The index.
        blob: u32,
    },
    /// A blob ends before its steps do.
    #[error("recipe step {step} wants more bytes than blob {blob} has")]
    BeyondBlob {
        /// Counted from 0.
        step: usize,
        /// The index.
        blob: u32,
    },
}

/// A message could not be joined.
#[derive(Debug, thiserror::Error)]
pub enum JoinError<E> {
    /// The recipe itself is wrong.
    #[error(transparent)]
    Recipe(#[from] InvalidRecipe),
    /// A blob was handed over that has not the length that the recipe gives.
    #[error("blob {name} has {found} bytes where the recipe says {expected}")]
    BlobLength {
        /// Which blob.
        name: BlobName,
        /// The length in the recipe.
        expected: u32,
        /// The length of what was handed over.
        found: usize,
    },
    /// The caller's own error: a blob could not be read, or the bytes could not be taken.
    #[error("{0}")]
    Caller(E),
}

impl Recipe {
    /// Appends the steps in their compact form. The blobs are not in it.
    pub fn encode_steps(&self, out: &mut Vec<u8>) {
        for step in &self.steps {
            match *step {
                Step::Copy { blob, length } => {
                    push_number(out, u64::from(blob) << 1);
                    push_number(out, length.into());
                }
                Step::Base64 { blob, line_length, line_end, closed } => {
                    let lf = u64::from(line_end == LineEnd::Lf);
                    push_number(out, u64::from(blob) << 1 | 1);
                    push_number(out, u64::from(line_length) << 2 | lf << 1 | u64::from(closed));
                }
            }
        }
    }

    /// Reads what [`encode_steps`](Self::encode_steps) wrote, and nothing else: every sequence of
    /// steps has one form.
    ///
    /// # Errors
    /// When the bytes are anything else. Whether the steps suit their blobs is seen by
    /// [`size`](Self::size) and [`join`](Self::join).
    pub fn decode_steps(mut bytes: &[u8]) -> Result<Vec<Step>, InvalidRecipe> {
        let mut steps = Vec::new();
        while !bytes.is_empty() {
            let unreadable = InvalidRecipe::Unreadable { step: steps.len() };
            let head = take_number(&mut bytes).ok_or(unreadable)?;
            let detail = take_number(&mut bytes).ok_or(unreadable)?;
            let blob = u32::try_from(head >> 1).map_err(|_| unreadable)?;
            let step = if head & 1 == 0 {
                Step::Copy { blob, length: u32::try_from(detail).map_err(|_| unreadable)? }
            } else {
                Step::Base64 {
                    blob,
                    line_length: u16::try_from(detail >> 2).map_err(|_| unreadable)?,
                    line_end: if detail & 2 == 0 { LineEnd::CrLf } else { LineEnd::Lf },
                    closed: detail & 1 == 1,
                }
            };
            if !step.is_possible() {
                return Err(InvalidRecipe::Impossible { step: steps.len() });
            }
            steps.push(step);
        }
        Ok(steps)
    }

    /// The header block's blob, when the message has a header block that is one whole blob.
    #[must_use]
    pub fn header(&self) -> Option<&BlobRef> {
        let first = self.blobs.first().filter(|blob| blob.stream == Stream::Header)?;
        let only = self.blobs[1..].iter().all(|blob| blob.stream != Stream::Header);
        let whole = self.steps.first() == Some(&Step::Copy { blob: 0, length: first.length });
        (only && whole).then_some(first)
    }

    /// How many bytes the joined message has.
    ///
    /// # Errors
    /// When the steps do not suit the blobs, so that a join would fail.
    pub fn size(&self) -> Result<u64, InvalidRecipe> {
        let mut cursors = Cursors::new(&self.blobs, 0);
        self.steps.iter().enumerate().try_fold(0u64, |sum, (number, step)| {
            Ok(sum.saturating_add(cursors.advance(number, step)?.output_length()))
        })
    }

    /// Gives the message's bytes in order, in pieces of at most a blob.
    ///
    /// `blob` is asked for a blob's plain bytes by index, once for each step that uses it; a caller
    /// for whom that is dear keeps the blob that it gave last in each stream. The bytes are not
    /// hashed here.
    ///
    /// # Errors
    /// When the recipe does not fit its blobs (nothing may be taken as a message then, though a part
    /// may have gone to `out`), or when `blob` or `out` fail.
    pub fn join<E, B: AsRef<[u8]>>(
        &self,
        mut blob: impl FnMut(u32) -> Result<B, E>,
        mut out: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), JoinError<E>> {
        let mut cursors = Cursors::new(&self.blobs, 0);
        for (number, step) in self.steps.iter().enumerate() {
            let portion = cursors.advance(number, step)?;
            let bytes = blob(step.blob()).map_err(JoinError::Caller)?;
            let (bytes, expected) = (bytes.as_ref(), portion.blob.length);
            if bytes.len() as u64 != u64::from(expected) {
                let name = portion.blob.name;
                return Err(JoinError::BlobLength { name, expected, found: bytes.len() });
            }
            portion.write(bytes, &mut out).map_err(JoinError::Caller)?;
        }
        Ok(())
    }
}

impl Step {
    /// The index of the blob that the step uses.
    #[must_use]
    pub const fn blob(&self) -> u32 {
        match *self {
            Self::Copy { blob, .. } | Self::Base64 { blob, .. } => blob,
        }
    }

    fn is_possible(&self) -> bool {
        match *self {
            Self::Copy { length, .. } => length > 0,
            Self::Base64 { line_length, .. } => Shape::fits(line_length.into()),
        }
    }
}

/// How far each blob has been copied. The first of the blobs has index `first`.
pub(crate) struct Cursors<'r> {
    blobs: &'r [BlobRef],
    first: u32,
    copied: Vec<u32>,
}

/// What one step takes from its blob. A portion that exists fits its blob.
pub(crate) struct Portion<'r> {
    blob: &'r BlobRef,
    content: Content,
}

enum Content {
    Bytes(std::ops::Range<usize>),
    Lines { shape: Shape, closed: bool },
}

impl<'r> Cursors<'r> {
    pub(crate) fn new(blobs: &'r [BlobRef], first: u32) -> Self {
        Self { blobs, first, copied: vec![0; blobs.len()] }
    }

    /// What step `number` takes; the blob's cursor moves on.
    pub(crate) fn advance(&mut self, number: usize, step: &Step) -> Result<Portion<'r>, InvalidRecipe> {
        let index = step.blob();
        let unknown = InvalidRecipe::NoSuchBlob { step: number, blob: index };
        let place = index.checked_sub(self.first).ok_or(unknown)? as usize;
        let blob = self.blobs.get(place).ok_or(unknown)?;
        if !step.is_possible() {
            return Err(InvalidRecipe::Impossible { step: number });
        }
        let content = match *step {
            Step::Copy { length, .. } => {
                let from = self.copied[place];
                let to = from.checked_add(length).filter(|&to| to <= blob.length);
                let to = to.ok_or(InvalidRecipe::BeyondBlob { step: number, blob: index })?;
                self.copied[place] = to;
                Content::Bytes(from as usize..to as usize)
            }
            Step::Base64 { line_length, line_end, closed, .. } => {
                Content::Lines { shape: Shape { line_length: line_length.into(), line_end }, closed }
            }
        };
        Ok(Portion { blob, content })
    }
}

impl Portion<'_> {
    fn output_length(&self) -> u64 {
        match &self.content {
            Content::Bytes(range) => range.len() as u64,
            Content::Lines { shape, closed } => shape.encoded_length(self.blob.length.into(), *closed),
        }
    }

    /// Writes the portion; `bytes` are the whole blob.
    pub(crate) fn write<E>(
        &self,
        bytes: &[u8],
        mut out: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        match &self.content {
            Content::Bytes(range) => out(&bytes[range.clone()]),
            Content::Lines { shape, closed } => base64_lines::encode(bytes, *shape, *closed, out),
        }
    }
}

fn push_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push((number & 0x7f) as u8);
}

/// Takes one number of at most 35 bits; `None` when the bytes end or it is not in its shortest form.
fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..5 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return (byte != 0 || place == 0).then_some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn blob(bytes: &[u8]) -> BlobRef {
        BlobRef {
            stream: Stream::Text,
            name: BlobName::of(bytes),
            length: u32::try_from(bytes.len()).unwrap(),
        }
    }

    fn join(recipe: &Recipe, blobs: &[&[u8]]) -> Result<Vec<u8>, JoinError<Infallible>> {
        let mut joined = Vec::new();
        recipe.join(
            |index| Ok(blobs[index as usize]),
            |piece| {
                joined.extend_from_slice(piece);
                Ok(())
            },
        )?;
        Ok(joined)
    }

    fn base64(blob: u32, line_length: u16) -> Step {
        Step::Base64 { blob, line_length, line_end: LineEnd::Lf, closed: true }
    }

    #[test]
    fn steps_are_followed_in_order_with_one_cursor_a_blob() {
        let blobs: [&[u8]; 2] = [b"head, tail", b"ABCDEF"];
        let steps = vec![Step::Copy { blob: 0, length: 6 }, base64(1, 4), Step::Copy { blob: 0, length: 4 }];
        let recipe = Recipe { blobs: blobs.iter().map(|bytes| blob(bytes)).collect(), steps };
        assert_eq!(join(&recipe, &blobs).unwrap(), b"head, QUJD\nREVG\ntail");
        assert_eq!(recipe.size(), Ok(20));
        let mut bytes = Vec::new();
        recipe.encode_steps(&mut bytes);
        assert_eq!(bytes, [0, 6, 3, 19, 0, 4]);
    }

    #[test]
    fn a_recipe_that_wants_more_than_there_is_fails() {
        let blobs = vec![blob(b"abc")];
        let copy = Step::Copy { blob: 0, length: 2 };
        for (steps, error) in [
            (vec![copy, copy], InvalidRecipe::BeyondBlob { step: 1, blob: 0 }),
            (vec![Step::Copy { blob: 0, length: u32::MAX }], InvalidRecipe::BeyondBlob { step: 0, blob: 0 }),
            (vec![Step::Copy { blob: 1, length: 1 }], InvalidRecipe::NoSuchBlob { step: 0, blob: 1 }),
            (vec![copy, base64(7, 76)], InvalidRecipe::NoSuchBlob { step: 1, blob: 7 }),
            (vec![base64(0, 0)], InvalidRecipe::Impossible { step: 0 }),
        ] {
            let recipe = Recipe { blobs: blobs.clone(), steps };
            assert_eq!(recipe.size(), Err(error));
            assert!(matches!(join(&recipe, &[b"abc"]), Err(JoinError::Recipe(found)) if found == error));
        }
        let recipe = Recipe { blobs, steps: vec![copy] };
        assert!(matches!(join(&recipe, &[b"ab"]), Err(JoinError::BlobLength { expected: 3, found: 2, .. })));
    }

    #[test]
    fn only_the_shortest_form_of_possible_steps_is_read() {
        for bytes in [
            &[0x80][..],
            &[0],
            &[0x80, 0x00, 1],
            &[0, 0],
            &[1, 0],
            &[1, 75 << 2 & 0x7f | 0x80, 2],
            &[0, 0xff, 0xff, 0xff, 0xff, 0x7f],
            &[0xff; 12],
        ] {
            assert!(Recipe::decode_steps(bytes).is_err(), "{bytes:?}");
        }
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let blob = prop_oneof![0u32..4, any::<u32>()];
        prop_oneof![
            (blob.clone(), prop_oneof![1u32..300, 1..=u32::MAX])
                .prop_map(|(blob, length)| Step::Copy { blob, length }),
            (blob, 1u16..=249, any::<bool>(), any::<bool>()).prop_map(|(blob, groups, lf, closed)| {
                let line_end = if lf { LineEnd::Lf } else { LineEnd::CrLf };
                Step::Base64 { blob, line_length: groups * 4, line_end, closed }
            }),
        ]
    }

    proptest! {
        #[test]
        fn steps_come_back(steps in prop::collection::vec(any_step(), 0..20), cut in 1usize..4) {
            let recipe = Recipe { blobs: Vec::new(), steps };
            let mut bytes = Vec::new();
            recipe.encode_steps(&mut bytes);
            prop_assert_eq!(Recipe::decode_steps(&bytes), Ok(recipe.steps.clone()));
            let cut = &bytes[..bytes.len().saturating_sub(cut)];
            if let Ok(fewer) = Recipe::decode_steps(cut) {
                prop_assert!(recipe.steps.starts_with(&fewer));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), lengths in prop::collection::vec(any::<u8>(), 0..5)) {
            if let Ok(steps) = Recipe::decode_steps(&bytes) {
                let contents: Vec<Vec<u8>> = lengths.iter().map(|&length| vec![1; length.into()]).collect();
                let blobs: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
                let recipe = Recipe { blobs: blobs.iter().map(|bytes| blob(bytes)).collect(), steps };
                let mut again = Vec::new();
                recipe.encode_steps(&mut again);
                prop_assert_eq!(&again, &bytes);
                match (recipe.size(), join(&recipe, &blobs)) {
                    (Ok(size), joined) => prop_assert_eq!(joined.unwrap().len() as u64, size),
                    (Err(_), joined) => prop_assert!(joined.is_err()),
                }
            }
        }
    }
}
