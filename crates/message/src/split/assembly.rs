//! Blobs and recipe in the making, and the proof that they give the message.
//!
//! Bytes come in the order of the message; header and text fill an open blob, attachments come
//! whole. A blob that is done is named, and held until the proof has read the bytes that the recipe makes
//! of it, from the very buffer that is then handed out: if memory or processor has changed a byte on the
//! way, they are not the message's, and the message is refused instead of archived wrong.
//!
//! Invariant: no piece is handed out before the proof has read it. What is held is bounded by
//! [`HOLD_BYTES`] and the open blob.

use std::convert::Infallible;

use super::{MAX_BLOB, Piece, SplitError, SplitMessage};
use crate::base64_lines::Shape;
use crate::fields::Fields;
use crate::recipe::{BlobRef, Cursors, Recipe, Step, Stream};
use crate::{BlobName, MessageKey};

/// When so much is held, the open text blob is closed early, so that everything can be proven and
/// given away. Text after that goes to a new blob.
const HOLD_BYTES: usize = 2 * MAX_BLOB;

/// After so many runs the rest of a message is text: bounds the recipe of a message made of nothing
/// but short runs. A message of this many parts is an attack or a test.
const MAX_RUNS: usize = 1 << 16;

/// Bytes that are hashed at a time: many lanes of BLAKE3 at once, and still in the cache.
const HASHED_BYTES: usize = 64 << 10;

/// What the joined pieces are held against, in the order of the message.
#[expect(clippy::large_enum_variant, reason = "there is one, and it stays where it is")]
pub(super) enum Proof<'m> {
    /// All that came is gone by then: two hashes have to be equal.
    Hashing { came: blake3::Hasher, given: blake3::Hasher },
    /// The message is at hand. Every byte is compared with it, and only bytes that were equal are hashed:
    /// the key is that of what the pieces give.
    Comparing { message: &'m [u8], equal: usize, hashed: usize, key: blake3::Hasher, differs: bool },
}

impl<'m> Proof<'m> {
    pub(super) fn hashing() -> Self {
        Self::Hashing { came: blake3::Hasher::new(), given: blake3::Hasher::new() }
    }

    pub(super) fn comparing(message: &'m [u8]) -> Self {
        Self::Comparing { message, equal: 0, hashed: 0, key: blake3::Hasher::new(), differs: false }
    }

    /// The next bytes that the pieces give.
    fn given(&mut self, bytes: &[u8]) {
        match self {
            Self::Hashing { given, .. } => {
                given.update(bytes);
            }
            Self::Comparing { message, equal, hashed, key, differs } => {
                *differs |= message.get(*equal..*equal + bytes.len()) != Some(bytes);
                if *differs {
                    return;
                }
                *equal += bytes.len();
                while *equal - *hashed >= HASHED_BYTES {
                    key.update(&message[*hashed..*hashed + HASHED_BYTES]);
                    *hashed += HASHED_BYTES;
                }
            }
        }
    }

    /// The message's key, if all of it was given and nothing else.
    fn finish(mut self, size: u64) -> Result<MessageKey, SplitError> {
        let (key, found) = match &mut self {
            Self::Hashing { came, given } => (came.finalize().into(), Some(given.finalize().into())),
            Self::Comparing { message, equal, differs, .. } if *differs || *equal < message.len() => {
                (MessageKey::of(message), None)
            }
            Self::Comparing { message, hashed, key, .. } => {
                let key = MessageKey::from(key.update(&message[*hashed..]).finalize());
                (key, Some(key))
            }
        };
        if found == Some(key) { Ok(key) } else { Err(SplitError::NotTheMessage { key, size }) }
    }
}

pub(super) struct Assembly<'m> {
    recipe: Recipe,
    open: Option<Open>,
    /// Named and not yet proven, with their index in the recipe.
    held: Vec<(u32, Piece)>,
    held_bytes: usize,
    /// How many steps the proof has followed.
    proven_steps: usize,
    proof: Proof<'m>,
    attachments: usize,
    fields: Option<Fields>,
}

/// A blob of header or text that is being filled.
struct Open {
    stream: Stream,
    index: u32,
    bytes: Vec<u8>,
    /// How many of the bytes have their step in the recipe.
    copied: usize,
}

impl<'m> Assembly<'m> {
    pub(super) fn new(proof: Proof<'m>) -> Self {
        Self {
            recipe: Recipe::default(),
            open: None,
            held: Vec::new(),
            held_bytes: 0,
            proven_steps: 0,
            proof,
            attachments: 0,
            fields: None,
        }
    }

    /// Takes note of bytes as they come.
    pub(super) fn came(&mut self, bytes: &[u8]) {
        if let Proof::Hashing { came, .. } = &mut self.proof {
            came.update(bytes);
        }
    }

    /// Whether another run may become a blob.
    pub(super) fn takes_runs(&self) -> bool {
        self.attachments < MAX_RUNS
    }

    /// Appends bytes of the header block or of the text.
    pub(super) fn append(&mut self, stream: Stream, mut bytes: &[u8], out: &mut impl FnMut(Piece)) {
        while !bytes.is_empty() {
            let open = self.open(stream);
            let (now, later) = bytes.split_at(bytes.len().min(MAX_BLOB - open.bytes.len()));
            open.bytes.extend_from_slice(now);
            if open.bytes.len() == MAX_BLOB {
                self.close();
                self.settle(out);
            }
            bytes = later;
        }
    }

    /// Appends a run's decoded bytes as a blob of their own.
    pub(super) fn attach(&mut self, bytes: Vec<u8>, shape: Shape, closed: bool, out: &mut impl FnMut(Piece)) {
        self.copy_open();
        let index = self.reserve(Stream::Attachment);
        self.recipe.steps.push(Step::Base64 {
            blob: index,
            line_length: u16::try_from(shape.line_length).expect("a run's lines have at most 996 characters"),
            line_end: shape.line_end,
            closed,
        });
        self.attachments += 1;
        self.hold(index, Stream::Attachment, bytes);
        if self.held_bytes >= HOLD_BYTES {
            self.close();
        }
        self.settle(out);
    }

    /// Proves the whole message, then hands out what is still held.
    pub(super) fn finish(
        mut self,
        size: u64,
        out: &mut impl FnMut(Piece),
    ) -> Result<SplitMessage, SplitError> {
        self.close();
        self.prove();
        let proof = std::mem::replace(&mut self.proof, Proof::hashing());
        let key = proof.finish(size)?;
        self.hand_out(out);
        Ok(SplitMessage { key, size, recipe: self.recipe, fields: self.fields.unwrap_or_default() })
    }

    /// The open blob of this stream, begun if need be.
    fn open(&mut self, stream: Stream) -> &mut Open {
        if self.open.as_ref().is_some_and(|open| open.stream != stream) {
            self.close();
        }
        if self.open.is_none() {
            let index = self.reserve(stream);
            self.open = Some(Open { stream, index, bytes: Vec::new(), copied: 0 });
        }
        self.open.as_mut().expect("just opened")
    }

    /// A place in the recipe for a blob whose name is not yet known.
    fn reserve(&mut self, stream: Stream) -> u32 {
        let index = u32::try_from(self.recipe.blobs.len()).expect("so many blobs do not fit in memory");
        self.recipe.blobs.push(BlobRef { stream, name: BlobName::from_bytes([0; 32]), length: 0 });
        index
    }

    /// Makes a step of what was appended to the open blob since its last step.
    fn copy_open(&mut self) {
        let Some(open) = &mut self.open else { return };
        if open.bytes.len() > open.copied {
            self.recipe
                .steps
                .push(Step::Copy { blob: open.index, length: length_of(&open.bytes[open.copied..]) });
            open.copied = open.bytes.len();
        }
    }

    fn close(&mut self) {
        self.copy_open();
        if let Some(open) = self.open.take() {
            if open.stream == Stream::Header && self.fields.is_none() {
                self.fields = Some(Fields::parse(&open.bytes));
            }
            self.hold(open.index, open.stream, open.bytes);
        }
    }

    fn hold(&mut self, index: u32, stream: Stream, bytes: Vec<u8>) {
        let name = BlobName::of(&bytes);
        self.recipe.blobs[index as usize] = BlobRef { stream, name, length: length_of(&bytes) };
        self.held_bytes += bytes.len();
        self.held.push((index, Piece { stream, name, bytes }));
    }

    /// Gives away what is held, unless it is little or its proof must wait for the open blob.
    fn settle(&mut self, out: &mut impl FnMut(Piece)) {
        if self.open.is_none() && self.held_bytes >= MAX_BLOB {
            self.prove();
            self.hand_out(out);
        }
    }

    /// Follows the steps since the last proof, reading the held pieces. No blob is open, so every
    /// blob of these steps is held, one index after the other, and used up by them.
    fn prove(&mut self) {
        self.held.sort_unstable_by_key(|&(index, _)| index);
        let first = self.held.first().map_or(0, |&(index, _)| index);
        let mut cursors = Cursors::new(&self.recipe.blobs[first as usize..], first);
        for (number, step) in self.recipe.steps.iter().enumerate().skip(self.proven_steps) {
            let portion = cursors.advance(number, step).expect("the steps were made from these blobs");
            let (_, piece) = &self.held[(step.blob() - first) as usize];
            let Ok(()) = portion.write(&piece.bytes, |bytes| {
                self.proof.given(bytes);
                Ok::<_, Infallible>(())
            });
        }
        self.proven_steps = self.recipe.steps.len();
    }

    fn hand_out(&mut self, out: &mut impl FnMut(Piece)) {
        self.held_bytes = 0;
        self.held.drain(..).for_each(|(_, piece)| out(piece));
    }
}

fn length_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("no blob is longer than MAX_BLOB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::LineEnd;

    const SHAPE: Shape = Shape { line_length: 76, line_end: LineEnd::Lf };

    const MESSAGE: &[u8] = b"Subject: x\n\nbefore\nQUJD\nafter\n";

    fn assembly(proof: Proof<'_>) -> Assembly<'_> {
        let mut assembly = Assembly::new(proof);
        assembly.came(MESSAGE);
        let mut never = |_| panic!("nothing is proven yet");
        assembly.append(Stream::Header, b"Subject: x\n\n", &mut never);
        assembly.append(Stream::Text, b"before\n", &mut never);
        assembly.attach(b"ABC".to_vec(), SHAPE, true, &mut never);
        assembly.append(Stream::Text, b"after\n", &mut never);
        assembly
    }

    const PROOFS: [fn() -> Proof<'static>; 2] = [Proof::hashing, || Proof::comparing(MESSAGE)];

    #[test]
    fn pieces_are_handed_out_when_the_message_is_proven() {
        for proof in PROOFS {
            let mut pieces = Vec::new();
            let message = assembly(proof()).finish(30, &mut |piece| pieces.push(piece)).unwrap();
            assert_eq!(pieces.len(), 3);
            assert_eq!((message.key, message.recipe.size()), (MessageKey::of(MESSAGE), Ok(30)));
            assert_eq!(message.fields.subject, "x");
        }
    }

    #[test]
    fn a_bit_that_flips_between_the_stages_is_noticed() {
        let flips: [fn(&mut Assembly<'_>); 6] = [
            |assembly| assembly.held[0].1.bytes[9] ^= 1,
            |assembly| assembly.held[1].1.bytes[2] ^= 0x80,
            |assembly| assembly.open.as_mut().unwrap().bytes[0] ^= 4,
            |assembly| assembly.recipe.steps.swap(1, 2),
            |assembly| assembly.open.as_mut().unwrap().bytes.truncate(b"before\nafter".len()),
            |assembly| assembly.open.as_mut().unwrap().bytes.push(b'x'),
        ];
        for proof in PROOFS {
            for (number, flip) in flips.into_iter().enumerate() {
                let mut assembly = assembly(proof());
                flip(&mut assembly);
                let mut never = |_| panic!("a piece of an unproven message was handed out");
                let result = assembly.finish(30, &mut never);
                let refused = SplitError::NotTheMessage { key: MessageKey::of(MESSAGE), size: 30 };
                assert_eq!(result, Err(refused), "{number}");
            }
        }
    }
}
