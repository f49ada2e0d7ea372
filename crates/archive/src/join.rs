//! A message's bytes, put together from the blobs that its recipe names.
//!
//! Whoever gets all of them gets them compared with the message's key (S11). Damage of a block is told as damage
//! of the message that needs it.

use std::io;

use message::recipe::{BlobRef, InvalidRecipe, JoinError, Recipe, Step, Stream};
use message::{BlobName, MessageKey};

use crate::blocks::{BlobAt, Shelves};
use crate::catalogue::query::{self, MessageRow};
use crate::error::{Error, Result};

/// Room that is made for a message before its first byte is there.
const RESERVED: usize = 4 << 20;

/// Bytes that are hashed at a time: many lanes of BLAKE3 at once, and still in the cache.
const HASHED_BYTES: usize = 64 << 10;

/// Why a message could not be handed on.
enum Stop {
    Archive(Error),
    Output(io::Error),
    /// As much as was wanted has been given.
    Enough,
}

/// Gives a message's bytes, and an error at the end if they are not those of its key.
pub(crate) fn read_row(
    shelves: &Shelves<'_>,
    row: &MessageRow,
    out: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<()> {
    let mut hasher = blake3::Hasher::new();
    let joined = join(shelves, row, &mut |piece| {
        hasher.update(piece);
        out(piece).map_err(Stop::Output)
    });
    joined.map_err(|stop| stopped(row.key, stop))?;
    if MessageKey::from(hasher.finalize()) == row.key {
        return Ok(());
    }
    Err(wrong_bytes(row.key))
}

/// A message's bytes, right or not at all.
pub(crate) fn row_to_vec(shelves: &Shelves<'_>, row: &MessageRow) -> Result<Vec<u8>> {
    // A forged size makes no more than its recipe gives.
    let room = usize::try_from(row.size).unwrap_or(usize::MAX).min(RESERVED);
    let mut bytes = Vec::with_capacity(room);
    let (recipe, places) = recipe_of(shelves, row)?;
    let blob = |index: u32| shelves.bytes(&places[index as usize]);
    join_in_memory(row.key, &recipe, blob, &mut bytes)?;
    Ok(bytes)
}

/// The first bytes of a message, at most `length`, checked by their blocks alone.
pub(crate) fn start_of_row(shelves: &Shelves<'_>, row: &MessageRow, length: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let joined = join(shelves, row, &mut |piece| {
        let wanted = (length - bytes.len()).min(piece.len());
        bytes.extend_from_slice(&piece[..wanted]);
        if bytes.len() < length { Ok(()) } else { Err(Stop::Enough) }
    });
    match joined {
        Ok(()) | Err(Stop::Enough) => Ok(bytes),
        Err(stop) => Err(stopped(row.key, stop)),
    }
}

fn wrong_bytes(message: MessageKey) -> Error {
    Error::Damaged { message, reason: "its bytes do not have the hash that the message had".to_owned() }
}

fn join(
    shelves: &Shelves<'_>,
    row: &MessageRow,
    out: &mut dyn FnMut(&[u8]) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let (recipe, places) = recipe_of(shelves, row).map_err(Stop::Archive)?;
    let blob = |index: u32| shelves.bytes(&places[index as usize]).map_err(Stop::Archive);
    recipe.join(blob, out).map_err(|error| match error {
        JoinError::Caller(stop) => stop,
        other => Stop::Archive(Error::Damaged { message: row.key, reason: wrong_recipe(&other) }),
    })
}

/// Puts a message together in `buffer` from blobs that `blob` gives, and compares it with its key.
pub(crate) fn join_in_memory<B: AsRef<[u8]>>(
    key: MessageKey,
    recipe: &Recipe,
    blob: impl FnMut(u32) -> Result<B>,
    buffer: &mut Vec<u8>,
) -> Result<()> {
    buffer.clear();
    let (mut hasher, mut hashed) = (blake3::Hasher::new(), 0);
    let joined = recipe.join(blob, |piece| {
        buffer.extend_from_slice(piece);
        while buffer.len() - hashed >= HASHED_BYTES {
            hasher.update(&buffer[hashed..hashed + HASHED_BYTES]);
            hashed += HASHED_BYTES;
        }
        Ok(())
    });
    joined.map_err(|error| match error {
        JoinError::Caller(error) => of_message(key, error),
        other => Error::Damaged { message: key, reason: wrong_recipe(&other) },
    })?;
    let found = MessageKey::from(hasher.update(&buffer[hashed..]).finalize());
    if found == key { Ok(()) } else { Err(wrong_bytes(key)) }
}

/// A message's recipe with names and lengths of its blobs, and where they lie.
pub(crate) fn recipe_of(shelves: &Shelves<'_>, row: &MessageRow) -> Result<(Recipe, Vec<BlobAt>)> {
    let damaged = |reason: String| Error::Damaged { message: row.key, reason };
    let (numbers, steps) = query::decode_recipe(&row.recipe)?;
    let steps = Recipe::decode_steps(steps).map_err(|error: InvalidRecipe| damaged(error.to_string()))?;
    let mut places = Vec::with_capacity(numbers.len());
    for number in numbers {
        places.push(shelves.find(number).map_err(|error| of_message(row.key, error))?);
    }
    let blob = |at: &BlobAt| BlobRef { stream: at.stream, name: at.entry.name, length: at.entry.length };
    let recipe = Recipe { blobs: places.iter().map(blob).collect(), steps };
    // Also proves that no step names a blob beyond the list.
    match recipe.size() {
        Ok(size) if size == row.size => Ok((recipe, places)),
        Ok(size) => Err(damaged(format!("its recipe gives {size} bytes where it had {}", row.size))),
        Err(error) => Err(damaged(error.to_string())),
    }
}

/// As [`Recipe::header`], from the blobs of the first two steps: a header block of several pieces begins
/// with two.
pub(crate) fn header_block(shelves: &Shelves<'_>, row: &MessageRow) -> Result<Option<BlobRef>> {
    let (numbers, steps) = query::decode_recipe(&row.recipe)?;
    let Ok(steps) = Recipe::decode_steps(steps) else { return Ok(None) };
    let blob = |step: &Step| -> Result<Option<BlobRef>> {
        let Some(&number) = numbers.get(step.blob() as usize) else { return Ok(None) };
        let at = shelves.find(number)?;
        Ok(Some(BlobRef { stream: at.stream, name: at.entry.name, length: at.entry.length }))
    };
    let Some(first) = steps.first() else { return Ok(None) };
    let Some(header) = blob(first)?.filter(|blob| blob.stream == Stream::Header) else { return Ok(None) };
    let is_whole = *first == Step::Copy { blob: first.blob(), length: header.length };
    let second = steps.get(1).filter(|second| second.blob() != first.blob());
    let second = second.map(blob).transpose()?.flatten();
    let goes_on = second.is_some_and(|second| second.stream == Stream::Header);
    Ok((is_whole && !goes_on).then_some(header))
}

/// A blob by its name. The catalogue knows its first bytes; the block's directory has the rest.
pub(crate) fn find_blob(shelves: &Shelves<'_>, name: &BlobName) -> Result<Option<BlobAt>> {
    for number in query::blobs_like(shelves.catalogue, name.as_bytes())? {
        match shelves.find(number) {
            Ok(at) if at.entry.name == *name => return Ok(Some(at)),
            Ok(_) => {}
            // What cannot be read is not held: it is stored again.
            Err(error) if error.is_damage() => {}
            Err(Error::Io { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Damage of a block, told as damage of the message that needs it.
fn of_message(message: MessageKey, error: Error) -> Error {
    match error {
        Error::Damaged { .. } => error,
        error if error.is_damage() => Error::Damaged { message, reason: error.to_string() },
        error => error,
    }
}

fn stopped(message: MessageKey, stop: Stop) -> Error {
    match stop {
        Stop::Archive(error) => of_message(message, error),
        Stop::Output(error) => Error::Output(error),
        Stop::Enough => Error::Damaged { message, reason: "it was left off".to_owned() },
    }
}

fn wrong_recipe<E>(error: &JoinError<E>) -> String {
    match error {
        JoinError::Recipe(error) => error.to_string(),
        JoinError::BlobLength { name, expected, found } => {
            format!("blob {name} has {found} bytes where the recipe says {expected}")
        }
        JoinError::Caller(_) => String::new(),
    }
}
