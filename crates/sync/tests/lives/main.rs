//! Whole lives of accounts, played against the real engine and the real archive.
//!
//! In a life mail arrives, moves, changes its flags and vanishes; folders are made, renamed, deleted and
//! made again; UIDs begin anew; the server is put back from an old backup, wiped, or encrypted by a
//! thief. Meanwhile the archive is kept: over a line that breaks at any octet, from a server that
//! refuses, lies and falls silent, on a disk that fills, fails and loses what was not synced when the
//! power goes. Nothing of it touches a socket, a file or a clock: the engine runs as it does in
//! production, on its three threads, and what it meets comes in through its `Surroundings`.
//!
//! * `life`: what happens, step by step, all of it from one seed.
//! * `events`, `mail`: what happens to the mail; `faults`: what goes wrong.
//! * `model`: what an observer beside the server knows. `invariants`: what must be true after each step.
//! * `pop3`: lives of accounts over POP3, in the same world.
//! * `world`: server, line, disk and clock in memory. `weather`: how a run goes. `dice`: chance from a seed.
//!
//! `RESTANTE_LIVES=n` plays so many lives, `RESTANTE_SEED=s` begins with this one, `RESTANTE_LONG=1`
//! plays a million.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod dice;
mod events;
mod faults;
mod invariants;
mod life;
mod mail;
mod model;
#[path = "../common/paused.rs"]
mod paused;
mod pop3;
mod stories;
mod weather;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use invariants::Broken;
use life::Life;

/// Lives on every test run.
const LIVES: u64 = 10_000;
/// Lives over POP3 on every test run.
const POP3_LIVES: u64 = 500;
/// Lives with `RESTANTE_LONG=1`.
const MANY_LIVES: u64 = 1_000_000;
/// A run of the test shows no more failures than these.
const MOST_SHOWN: usize = 3;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// A life that can be played.
trait Played {
    fn new(seed: u64) -> Self;

    /// Lives it to its end, or to the first thing that is broken.
    fn live(&mut self) -> Result<(), Broken>;

    /// What has happened so far, in words.
    fn story(&self) -> &[String];

    /// What else can be told from another life: the disk, and what the server heard last.
    fn fingerprint(&self) -> ([u8; 32], Vec<String>);
}

/// What went wrong in the life of this seed, with its story.
fn failure<L: Played>(seed: u64) -> Option<String> {
    let mut life = L::new(seed);
    let broken = match catch_unwind(AssertUnwindSafe(|| life.live())) {
        Ok(Ok(())) => return None,
        Ok(Err(broken)) => broken,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            format!(
                "panic: {}",
                text.or_else(|| Some((*panic.downcast_ref::<&str>()?).to_owned())).unwrap_or_default()
            )
        }
    };
    Some(format!(
        "life {seed}: {broken}\n  replay: RESTANTE_SEED={seed} RESTANTE_LIVES=1 cargo test -p restante-sync --test lives\n\
         \x20 its story:\n    {}",
        life.story().join("\n    ")
    ))
}

fn play<L: Played>(lives: u64) {
    let long = std::env::var("RESTANTE_LONG").is_ok_and(|long| long == "1");
    let lives = number("RESTANTE_LIVES").unwrap_or(if long { MANY_LIVES } else { lives });
    let first = number("RESTANTE_SEED").unwrap_or(0);
    let next = AtomicU64::new(first);
    let failures = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while failures.lock().unwrap().len() < MOST_SHOWN {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + lives {
                        break;
                    }
                    if let Some(failure) = failure::<L>(seed) {
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn nothing_once_committed_is_gone_and_no_ledger_lies_in_thousands_of_lives() {
    play::<Life>(LIVES);
}

#[test]
fn over_pop3_nothing_is_gone_doubled_or_made_up_in_thousands_of_lives() {
    play::<pop3::Life>(POP3_LIVES);
}

#[test]
fn a_life_replays_exactly() {
    fn replays<L: Played>() {
        for seed in 0..40 {
            let live = || {
                let mut life = L::new(seed);
                let end = life.live();
                (end, life.story().to_vec(), life.fingerprint())
            };
            assert_eq!(live(), live(), "life {seed}");
        }
    }
    replays::<Life>();
    replays::<pop3::Life>();
}
