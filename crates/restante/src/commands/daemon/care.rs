//! Looks after the archive: verifies it piece by piece, and keeps its catalogue tidy.
//!
//! What comes when is in `daemon::care`; here it is done, on a thread of its own, so that neither the
//! scheduler nor its heartbeat (O13) waits for it. One thing is done at a time; each is short (one pack at
//! most), can be broken off between two blocks, and what has come of it is written down at once: a stop, a
//! crash or a reload costs one pack's reading.
//!
//! Verifying takes no lock, so runs go on beside it. Only the catalogue's upkeep needs the writer, for a
//! moment, and is left out where somebody else has it; compaction, behind each look, needs it for a moment
//! before and behind its work.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use archive::{
    ArchiveId, CompactOptions, CompactProgress, CompactReport, CompactStage, Depth, LeftAlone, LeftReason,
    VerifyReport,
};
use daemon::care::{Care, CarePlan, Next, Pack, pause};

use super::super::compact;
use super::super::verify::{catalogue_remark, is_whole, log_hits};
use super::House;
use super::news::{Listener, News};
use crate::config::Config;
use crate::exit::chain;
use crate::memory::{Memory, Verified};
use crate::output::amount::{count, size};

/// The clock on the wall may be set while nobody looks.
const LONGEST_REST: Duration = Duration::from_secs(600);

/// How long a compaction waits for runs to end; what it has made until then is thrown away.
const LONGEST_WAIT: Duration = Duration::from_secs(1_800);

/// How long a thing that could not be done is left alone.
const AFTER_FAILURE: Duration = Duration::from_secs(3_600);

/// The one who looks after the archive.
#[derive(Default)]
pub(super) struct Caretaker {
    wishes: Mutex<Wishes>,
    changed: Condvar,
}

#[derive(Default)]
struct Wishes {
    config: Option<Arc<Config>>,
    is_stopping: bool,
    /// Counts reloads, so that none is slept through.
    version: u64,
}

/// Hears for the caretaker.
pub(super) struct Ear(pub(super) Arc<Caretaker>);

impl Listener for Ear {
    fn hear(&self, news: &News<'_>) {
        match news {
            News::Configured(config) => {
                let mut wishes = self.0.wishes.lock().unwrap_or_else(PoisonError::into_inner);
                wishes.config = Some(Arc::clone(config));
                wishes.version += 1;
                self.0.changed.notify_all();
            }
            News::Stopping => self.0.stop(),
            _ => {}
        }
    }
}

/// Why something was not done.
enum Undone {
    /// The daemon ends.
    Stopping,
    Failed(String),
}

impl<E: std::error::Error> From<E> for Undone {
    fn from(error: E) -> Self {
        Self::Failed(chain(&error))
    }
}

impl Caretaker {
    /// Works until the daemon stops.
    fn work(&self, house: &House) {
        let mut last_failure = String::new();
        loop {
            let Some((config, version)) = self.wishes() else { return };
            // A fault of ours in here must not end the backups.
            let step = AssertUnwindSafe(|| self.step(house, &config));
            let done = catch_unwind(step).unwrap_or_else(|_| Err(Undone::Failed("it panicked".to_owned())));
            let rest = match done {
                Ok(rest) => {
                    last_failure.clear();
                    rest
                }
                Err(Undone::Stopping) => return,
                Err(Undone::Failed(why)) => {
                    if why != last_failure {
                        tracing::error!("the archive cannot be looked after: {why}");
                    }
                    last_failure = why;
                    AFTER_FAILURE
                }
            };
            self.rest(rest, version);
        }
    }

    /// Looks after the archive on a thread of its own as long as something else goes on.
    pub(super) fn beside(&self, house: &House, something: impl FnOnce()) {
        /// Ends the care also where the other has panicked, which else would wait for it for ever.
        struct End<'c>(&'c Caretaker);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.stop();
            }
        }
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("care".to_owned());
            // Backups go on without care; `status` tells how long ago the last look was.
            if let Err(error) = thread.spawn_scoped(scope, || self.work(house)) {
                tracing::error!("no thread can be had to look after the archive: {error}");
            }
            let _end = End(self);
            something();
        });
    }

    fn stop(&self) {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner).is_stopping = true;
        self.changed.notify_all();
    }

    /// The configuration; `None` when the daemon ends.
    fn wishes(&self) -> Option<(Arc<Config>, u64)> {
        let wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = |wishes: &mut Wishes| wishes.config.is_none() && !wishes.is_stopping;
        let wishes = self.changed.wait_while(wishes, ready).unwrap_or_else(PoisonError::into_inner);
        if wishes.is_stopping {
            return None;
        }
        wishes.config.clone().map(|config| (config, wishes.version))
    }

    /// Waits until there is something to do, or anything is wished beyond this version.
    fn rest(&self, rest: Duration, version: u64) {
        let wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever is woken looks what there is to do; too early does no harm.
        let nothing_new = |wishes: &mut Wishes| wishes.version == version && !wishes.is_stopping;
        drop(self.changed.wait_timeout_while(wishes, rest, nothing_new));
    }

    /// Lets others get at the disk; whether to go on.
    fn hold_back(&self, rest: Duration) -> ControlFlow<()> {
        let mut wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        if !rest.is_zero() && !wishes.is_stopping {
            let waited = self.changed.wait_timeout_while(wishes, rest, |wishes| !wishes.is_stopping);
            wishes = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if wishes.is_stopping { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Does what comes next; for how long there is nothing more.
    fn step(&self, house: &House, config: &Config) -> Result<Duration, Undone> {
        let path = &config.archive.path;
        let (Some(plan), Some(id)) = (&config.care.plan, archive::identify(path)?) else {
            // Whether the archive is there is the runs' business.
            return Ok(LONGEST_REST);
        };
        let (memory, now) = (Memory::open(path)?, now());
        let ward = Ward { path, id, memory: &memory, plan, rate: config.care.rate };
        match memory.care(path, id)?.next(plan, now) {
            Next::Look => self.look(house, config, &ward)?,
            Next::Read(pack) => self.read(house, &ward, &pack)?,
            Next::Wait(until) => {
                let seconds = until.map_or(i64::MAX, |at| at.saturating_sub(now)).max(1).unsigned_abs();
                return Ok(Duration::from_secs(seconds).min(LONGEST_REST));
            }
        }
        Ok(Duration::ZERO)
    }

    /// The daily look at all packs.
    fn look(&self, house: &House, config: &Config, ward: &Ward<'_>) -> Result<(), Undone> {
        let report = self.verify(ward, Depth::Quick)?;
        let packs = packs(ward.path)?;
        let found_damage = !is_whole(&report);
        let (plan, at) = (ward.plan, now());
        let care = ward
            .memory
            .change_care(ward.path, ward.id, |care| care.looked(plan, &packs, found_damage, at))?;
        tell_damage(&report);
        ward.tell(house, &care, &report, "quick")?;
        tidy(house, config);
        if config.archive.compact && !found_damage {
            self.compact(config, ward)?;
            ward.take_stock()?;
        }
        Ok(())
    }

    /// Makes one group of packs into one, where that is worth it. It is only care: what fails is said and
    /// tried again after the next look.
    fn compact(&self, config: &Config, ward: &Ward<'_>) -> Result<(), Undone> {
        let options = CompactOptions { threads: 1, most_groups: 1, ..compact::options(config, false, None) };
        let begun = Instant::now();
        let mut waiting_since = None;
        let mut is_stopping = false;
        let report = archive::compact(ward.path, &options, &mut |so_far: CompactProgress| {
            let waits = so_far.stage == CompactStage::WaitingForWriter;
            waiting_since = waits.then(|| waiting_since.unwrap_or_else(Instant::now));
            if waiting_since.is_some_and(|since| since.elapsed() > LONGEST_WAIT) {
                return ControlFlow::Break(());
            }
            let flow = self.hold_back(pause(so_far.bytes, begun.elapsed(), ward.rate));
            is_stopping = flow.is_break();
            flow
        });
        if is_stopping {
            return Err(Undone::Stopping);
        }
        match report {
            Ok(report) => tell_compacted(&report),
            Err(error @ (archive::Error::Compacting { .. } | archive::Error::NoRoom { .. })) => {
                tracing::info!("not compacted: {error}");
            }
            Err(error) => tracing::warn!("not compacted: {}", error.in_full()),
        }
        Ok(())
    }

    /// The reading of one pack.
    fn read(&self, house: &House, ward: &Ward<'_>, pack: &str) -> Result<(), Undone> {
        let depth = Depth::Pack(pack.parse()?);
        let report = match self.verify(ward, depth) {
            Err(Undone::Failed(why)) => {
                if ward.take_stock()?.iter().any(|there| there.name == pack) {
                    return Err(Undone::Failed(format!("pack {pack}: {why}")));
                }
                // Somebody has compacted the archive since the look.
                return Ok(());
            }
            done => done?,
        };
        let (is_damaged, at) = (!is_whole(&report), now());
        let care = ward.memory.change_care(ward.path, ward.id, |care| care.read(pack, is_damaged, at))?;
        tracing::debug!(pack, messages = report.messages, "read to the last byte");
        tell_damage(&report);
        ward.tell(house, &care, &report, "rolling")
    }

    fn verify(&self, ward: &Ward<'_>, depth: Depth) -> Result<VerifyReport, Undone> {
        let begun = Instant::now();
        let report = archive::verify_watched(ward.path, depth, &mut |so_far| {
            self.hold_back(pause(so_far.read_bytes, begun.elapsed(), ward.rate))
        });
        match report {
            Ok(report) => Ok(report),
            Err(archive::Error::Interrupted) => Err(Undone::Stopping),
            Err(error) => Err(Undone::Failed(error.in_full())),
        }
    }
}

/// The archive that is looked after.
struct Ward<'w> {
    path: &'w Path,
    id: ArchiveId,
    memory: &'w Memory,
    plan: &'w CarePlan,
    rate: u64,
}

impl Ward<'_> {
    /// Notes which packs there are now.
    fn take_stock(&self) -> Result<Vec<Pack>, Undone> {
        let packs = packs(self.path)?;
        self.memory.change_care(self.path, self.id, |care| care.take_stock(&packs, now()))?;
        Ok(packs)
    }

    /// Tells how the archive is, by all that is known of it: what a reading has found is not forgotten
    /// because a look does not see it.
    fn tell(
        &self,
        house: &House,
        care: &Care,
        report: &VerifyReport,
        depth: &'static str,
    ) -> Result<(), Undone> {
        let whole = care.is_whole();
        let verified = Verified { at: now(), depth: depth.to_owned(), whole };
        self.memory.remember_verified(self.path, (self.id, report.last_commit), verified)?;
        let readings = care.readings();
        if depth == "quick" {
            if whole {
                tracing::info!("the archive is whole, as far as it was looked at: {} packs", report.packs);
            } else {
                tracing::error!(
                    "the archive is damaged ({} packs with damaged bytes); `restante verify` names all that is hit",
                    readings.damaged
                );
            }
        }
        house.announce(&News::Verified { whole, depth });
        Ok(())
    }
}

/// The packs that are there.
pub(in crate::commands) fn packs(path: &Path) -> Result<Vec<Pack>, archive::Error> {
    let packs = archive::packs(path)?;
    Ok(packs.into_iter().map(|(id, bytes)| Pack { name: id.to_string(), bytes }).collect())
}

/// Says in the log what is damaged, and whom it hits, as `verify` does.
fn tell_damage(report: &VerifyReport) {
    log_hits(report);
    if report.is_whole() {
        // Beside damage in the packs the catalogue may be what knows more, and must not be made anew.
        if let Some(remark) = catalogue_remark(&report.catalogue) {
            tracing::warn!("{remark}");
        }
    } else {
        let (places, hits) = (report.damage.len() as u64, report.messages_hit.len() as u64);
        tracing::error!(
            "the archive is not whole: {} damaged places, {} places of messages are hit; `restante verify` names \
             all of them, `restante repair` records what is lost, and the next run fetches it again",
            count(places),
            count(hits)
        );
    }
}

/// Says in the log what has become of which packs.
fn tell_compacted(report: &CompactReport) {
    for LeftAlone { pack, why, reason } in &report.left {
        match reason {
            LeftReason::NotSmaller | LeftReason::NoRoom => tracing::info!(pack, "left as it is: {why}"),
            LeftReason::Damaged | LeftReason::NotUnderstood => tracing::warn!(pack, "left as it is: {why}"),
        }
    }
    for done in &report.compactions {
        let Some((pack, bytes)) = &done.made else { continue };
        let (packs, before, after) = (done.sources.len(), size(done.bytes_before), size(*bytes));
        tracing::info!(pack, "compacted: {packs} packs with {before} are now one with {after}");
    }
    if report.removed.packs > 0 {
        let (packs, bytes) = (report.removed.packs, size(report.removed.bytes));
        tracing::info!("removed: {packs} packs with {bytes} that were replaced and have had their grace");
    }
}

/// Keeps the catalogue small and its answers fast, when nobody else has the archive.
fn tidy(house: &House, config: &Config) {
    let open = match house.keeper.open(config) {
        Ok(open) => open,
        Err(why) => return tracing::debug!("the catalogue is not tidied: {why}"),
    };
    match open.archivist().with(archive::Writer::tidy) {
        Some(Ok(Some(bytes))) => tracing::debug!("the catalogue is tidy: {}", size(bytes)),
        Some(Ok(None)) => tracing::debug!("the catalogue is in use and not tidied"),
        Some(Err(error)) => tracing::warn!("the catalogue cannot be tidied: {}", error.in_full()),
        None => tracing::debug!("the archive was closed before its catalogue was tidied"),
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
