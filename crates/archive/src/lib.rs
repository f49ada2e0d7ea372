//! The store: packs, journal, catalogue, lock, verify, rebuild, history.
//!
//! An archive is a folder of append-only pack files that hold everything (message bytes in compressed
//! blocks, and a journal of what was seen where), and a SQLite catalogue that is the journal replayed.
//! `docs/archive-format.md` describes every byte; the rules there have numbers, and code and tests name
//! them.
//!
//! * [`init`] makes an archive, [`identify`] tells which one a folder holds.
//! * [`Writer`] puts things in; nothing counts before [`Writer::commit`] has returned.
//! * [`Archive`] reads beside a writer; [`View`] is what can be asked of either.
//! * [`verify`] proves that all is there, [`rebuild`] makes the catalogue from the packs alone, [`repair`]
//!   saves what damage has left and records what it has taken, [`compact`] makes old packs into smaller ones.
//!
//! From the outside in: `writer`, `archive`, `view`; `join`, a message from its blobs; `replay` and `open` between packs and catalogue;
//! `catalogue`; `blocks`, `block`, `journal`; `pack`, `frame`; `disk`, the one door to the file system.
//!
//! Invariant: the packs are the truth. Nothing is ever decided by the catalogue that the packs do not
//! say, and no byte that a commit covers is written twice.

mod account_lock;
mod archive;
mod block;
mod blocks;
mod catalogue;
mod compact;
mod damage;
pub mod disk;
mod error;
mod examine;
mod frame;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod hits;
mod identity;
mod ids;
pub mod info;
mod join;
mod journal;
mod lock;
mod open;
mod pack;
mod parallel;
mod quarantine;
mod rebuild;
mod repair;
mod replay;
mod scrub;
mod surroundings;
mod verify;
mod view;
mod wire;
mod writer;

pub use account_lock::AccountLock;
pub use archive::Archive;
pub use compact::{
    CompactOptions, CompactProgress, CompactReport, Compaction, LeftAlone, LeftReason, RetiredPacks,
    Stage as CompactStage, compact, compact_at,
};
pub use damage::Damage;
pub use error::{Error, Result};
pub use hits::MessageHit;
pub use identity::{Place, identify, identify_at, init, init_at, is_vacant};
pub use ids::{AccountId, ArchiveId, CommitId, EpochId, InvalidId, MailboxId, PackId, RunId};
pub use info::{
    AccountInfo, Breakdown, Candidate, Changes, DrillInfo, DrillScope, EpochInfo, Life, MailboxInfo,
    MailboxLoss, MailboxSeen, Mark, MessageInfo, NewPlacement, PlacementInfo, PopName, Proof, RunInfo, Sizes,
    StreamSizes, Totals, TroubleInfo, WantedMessage, When,
};
pub use rebuild::{RebuildReport, rebuild, rebuild_at};
pub use repair::{RepairReport, Restated, rehearse_at, repair, repair_at};
pub use replay::Unfinished;
pub use scrub::{packs, packs_at};
#[cfg(any(test, feature = "simulation"))]
pub use surroundings::Seeded;
pub use surroundings::{Machine, Surroundings};
pub use verify::{
    CatalogueFinding, Depth, VerifyProgress, VerifyReport, Watch, verify, verify_at, verify_watched,
    verify_watched_at,
};
pub use view::View;
pub use writer::{Writer, WriterOptions};

#[cfg(test)]
mod stories;
