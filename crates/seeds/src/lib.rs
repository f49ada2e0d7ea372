//! Seeds of the fuzz targets, replayed and mutated on stable, in ordinary tests.
//!
//! A *target* is a parser, a *law* is what must hold for whatever bytes it gets: no panic, what was
//! read is written again alike, nothing is larger than its bound. Laws live in `fuzzing.rs` of the
//! crate that owns the parser; cargo-fuzz (`tests/fuzz`) runs the same functions for hours. Here they
//! are run for a second or two on each `cargo test`:
//!
//! * [`replay`] gives a law each file of `tests/fuzz/seeds/<target>`: fixtures, and every input that
//!   once broke it (`regression-…`).
//! * [`mutate`] gives it thousands of inputs made from those: bits flipped, parts cut, doubled, spliced,
//!   numbers put in place of others.
//!
//! An input is made from the target's name and its number alone, so the number in a failure's message
//! makes the same input again, on any machine.

mod mutation;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use mutation::Mutator;

/// What must hold for any bytes: it panics when it does not.
pub type Law = fn(&[u8]);

/// Set to 1, tests of all kinds take as long as they like: a hundred times as many mutations.
const LONG: &str = "RESTANTE_LONG";

/// Where the seeds of a target lie.
#[must_use]
pub fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/seeds").join(target)
}

/// The seeds of a target with their names, in the order of these.
///
/// # Panics
/// When there are none, or one cannot be read: a target without seeds tests little.
#[must_use]
pub fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = folder(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut seeds: Vec<(String, Vec<u8>)> = entries
        .map(|entry| {
            let path = entry.expect("a folder of the project can be read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (name, bytes)
        })
        .collect();
    assert!(!seeds.is_empty(), "{} has no seeds", folder.display());
    seeds.sort();
    seeds
}

/// Gives the law every seed of the target.
///
/// # Panics
/// With the name of the first seed for which the law does not hold.
pub fn replay(target: &str, law: Law) {
    for (name, bytes) in seeds(target) {
        if let Err(panic) = attempt(law, &bytes) {
            panic!("{target}: seed {name}: {}", words(&*panic));
        }
    }
}

/// Gives the law the empty input and `count` mutations of the target's seeds; a hundred times as many
/// with `RESTANTE_LONG=1`.
///
/// # Panics
/// With the number of the first mutation for which the law does not hold, and where its bytes were put.
pub fn mutate(target: &str, law: Law, count: u64) {
    let seeds: Vec<Vec<u8>> = seeds(target).into_iter().map(|(_, bytes)| bytes).collect();
    let long = std::env::var_os(LONG).is_some_and(|value| value == "1");
    let count = if long { count * 100 } else { count };
    law(&[]);
    let mutator = Mutator::new(target, &seeds);
    for number in 0..count {
        let input = mutator.input(number);
        if let Err(panic) = attempt(law, &input) {
            let path = std::env::temp_dir().join(format!("restante-{target}-{number}.bin"));
            let kept = match std::fs::write(&path, &input) {
                Ok(()) => format!("its bytes are in {}", path.display()),
                Err(error) => format!("its bytes could not be kept ({error})"),
            };
            panic!("{target}: mutation {number}: {}; {kept}", words(&*panic));
        }
    }
}

/// The bytes of one mutation, as its number makes them.
///
/// # Panics
/// As [`seeds`].
#[must_use]
pub fn mutation(target: &str, number: u64) -> Vec<u8> {
    let seeds: Vec<Vec<u8>> = seeds(target).into_iter().map(|(_, bytes)| bytes).collect();
    Mutator::new(target, &seeds).input(number)
}

/// Compares the seeds that a generator makes with those that are checked in; with
/// `RESTANTE_WRITE_SEEDS=1` writes them instead.
///
/// # Panics
/// When they differ, or cannot be read or written.
pub fn assert_checked_in(target: &str, generated: &[(&str, Vec<u8>)]) {
    let folder = folder(target);
    let write = std::env::var_os("RESTANTE_WRITE_SEEDS").is_some_and(|value| value == "1");
    for (name, bytes) in generated {
        let path = folder.join(name);
        if write {
            let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, bytes));
            written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        let checked_in = std::fs::read(&path).unwrap_or_default();
        assert!(
            checked_in == *bytes,
            "{target}: seed {name} is out of date; run with RESTANTE_WRITE_SEEDS=1"
        );
    }
}

fn attempt(law: Law, input: &[u8]) -> Result<(), Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(|| law(input)))
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked without words")
}
