//! A life: what happens to an account and its archive, step by step, all of it from one seed.
//!
//! A step is some time in which things happen to the mail, then a run, in which things go wrong, then
//! the invariants. At its end the life gets healthy runs until nothing is missing; then another run
//! must find nothing to do.

use std::sync::Mutex;

use archive::Archive;
use archive::disk::simulated::{Call, Faults as DiskFaults};
use restante_sync::{Ledger, Outcome, Progress};
use server::{Behaviour, Host};

use crate::Played;
use crate::dice::Dice;
use crate::events::Account;
use crate::faults::{Script, disk_faults};
use crate::invariants::{self, Broken, Finished, Witness};
use crate::model::Model;
use crate::weather::{MOST_COMMANDS, MOST_RUNS_AT_THE_END, Weather, power_is_cut};
use crate::world::{Pulled, World};

const WEATHER: [(usize, Weather); 5] = [
    (30, Weather::Fair),
    (36, Weather::BadLine),
    (12, Weather::BadDisk),
    (15, Weather::PowerCut),
    (7, Weather::Storm),
];

pub(crate) struct Life {
    dice: Dice,
    account: Account,
    model: Model,
    world: World,
    condstore: bool,
    witnesses: Vec<Witness>,
    story: Vec<String>,
}

impl Played for Life {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let account = Account::new();
        let (behaviour, condstore, kind) = some_behaviour(&mut dice);
        let host = Host::new(account.store.clone(), behaviour);
        let world = World::new(&mut dice, host);
        let story = vec![format!("a server that is {kind}")];
        Self { dice, account, model: Model::default(), world, condstore, witnesses: Vec::new(), story }
    }

    fn live(&mut self) -> Result<(), Broken> {
        for _ in 0..3 + self.dice.below(6) {
            self.time_goes_by();
            let weather = self.dice.weighted(&WEATHER);
            self.run_in(weather)?;
        }
        self.end_well()
    }

    fn story(&self) -> &[String] {
        &self.story
    }

    fn fingerprint(&self) -> ([u8; 32], Vec<String>) {
        (self.world.disk.fingerprint(), self.world.host.log())
    }
}

impl Life {
    fn time_goes_by(&mut self) {
        for _ in 0..self.dice.magnitude(9) {
            let event = self.account.happens(&mut self.dice, &mut self.model);
            self.story.push(event);
        }
        if self.dice.permille(50) {
            let (behaviour, condstore, kind) = some_behaviour(&mut self.dice);
            self.condstore = condstore;
            self.world.host = Host::new(self.account.store.clone(), behaviour);
            self.story.push(format!("the server is {kind} now"));
        }
    }

    fn run_in(&mut self, weather: Weather) -> Result<(), Broken> {
        let script = match weather.is_bad_on_the_line() {
            true => Script::draw(&mut self.dice, &self.account, &mut self.model),
            false => Script::default(),
        };
        self.story.push(format!("{weather:?} {script:?}"));
        self.world.host.set_faults(&script.faults);
        if weather == Weather::BadDisk {
            let faults = disk_faults(&mut self.dice);
            self.story.push(format!("{faults:?}"));
            self.world.disk_lied |= faults.failure.is_some_and(|failure| failure.call == Some(Call::Sync));
            self.world.disk.set_faults(faults);
        }
        let cuts_power = weather.cuts_power();
        if cuts_power {
            // What was synced is durable, the record begins anew.
            self.world.disk = self.world.disk.copy();
        }
        let finished = self.run(script)?;
        self.world.disk.set_faults(DiskFaults::default());
        if cuts_power {
            self.power_is_cut();
        }
        if cuts_power || weather == Weather::BadDisk {
            invariants::verify_finds_nothing(&self.world)?;
        }
        match finished.filter(|_| !cuts_power) {
            Some(finished) => self.run_is_judged(&finished).map(drop),
            None => {
                let archive = invariants::opened(&self.world)?;
                invariants::nothing_is_gone(archive.view(), &mut self.model)?;
                // Which marks the archive has now is not known.
                let folders: Vec<String> = self.model.states.iter().flat_map(|s| s.keys().cloned()).collect();
                folders.iter().for_each(|folder| self.model.ends(folder, false));
                Ok(())
            }
        }
    }

    /// One run. `None` when the archive could not be opened, or not be read as a whole.
    fn run(&mut self, script: Script) -> Result<Option<Finished>, Broken> {
        self.model.begin_run(&self.account.store, self.condstore);
        self.model.untrue_flags.extend(script.untrue_flags);
        self.model.untrue_dates.extend(script.untrue_dates);
        let commands_before = self.world.host.counts().commands;
        let meddling = self.dice.permille(120);
        let meddler_dice = self.dice.split();
        let pulled = {
            let meddler = Meddler(Mutex::new(Meddling {
                left: usize::from(meddling),
                dice: meddler_dice,
                account: &mut self.account,
                model: &mut self.model,
                story: &mut self.story,
            }));
            self.world.pull(&mut self.dice, script.refused, &meddler)
        };
        let commands = self.world.host.counts().commands - commands_before;
        if commands > MOST_COMMANDS {
            return Err(format!("the engine sent {commands} commands in one run"));
        }
        match pulled {
            Ok(Pulled { started, ledger, knows_all }) => {
                self.story.push(told(&ledger));
                // A run that does not know what is held cannot say what has vanished.
                Ok(knows_all.then_some(Finished { started, ledger }))
            }
            Err(error) => {
                self.story.push(format!("the archive does not open: {error}"));
                Ok(None)
            }
        }
    }

    /// The disk is left in one of the states in which a power cut may leave it.
    fn power_is_cut(&mut self) {
        let (left, told) = power_is_cut(&self.world.disk, &mut self.dice, &[512, 4096]);
        self.story.push(told);
        self.world.disk = left;
    }

    fn run_is_judged(&mut self, finished: &Finished) -> Result<Archive, Broken> {
        let archive = invariants::opened(&self.world)?;
        invariants::nothing_is_gone(archive.view(), &mut self.model)?;
        invariants::run_is_true(archive.view(), &self.model, finished, &mut self.witnesses)?;
        for entry in &finished.ledger.folders {
            self.model.ends(&entry.folder, entry.is_whole());
        }
        Ok(archive)
    }

    /// Healthy runs until all is there; then nothing is left to be done, and history stands.
    fn end_well(&mut self) -> Result<(), Broken> {
        self.story.push("all is well from here on".to_owned());
        self.world.host.set_faults(&[]);
        self.world.days_go_by(8);
        self.model.everything_is_looked_at();
        for run in 1.. {
            let (ledger, archive) = self.healthy_run()?;
            let awaits_nothing = ledger.folders.iter().all(|entry| entry.unconfirmed == 0);
            if ledger.outcome == Outcome::Ok && awaits_nothing && invariants::unproven(archive.view())? == 0 {
                break;
            }
            if run == MOST_RUNS_AT_THE_END {
                return Err(format!("healthy runs do not bring everything: {ledger:?}"));
            }
        }
        let before = self.world.host.counts().body_octets;
        let (idle, archive) = self.healthy_run()?;
        let fetched = self.world.host.counts().body_octets - before;
        // Messages without a true date are known by their headers, which are looked at again.
        let most = 4_096 * self.model.untrue_dates.len() as u64;
        if idle.totals.new > 0 || idle.totals.bytes_fetched > most || fetched > most {
            return Err(format!("a second run fetches {fetched} octets: {idle:?}"));
        }
        invariants::verify_finds_nothing(&self.world)?;
        invariants::history_stands(archive.view(), &self.witnesses)
    }

    fn healthy_run(&mut self) -> Result<(Ledger, Archive), Broken> {
        self.model.begin_run(&self.account.store, self.condstore);
        let Pulled { started, ledger, .. } = self
            .world
            .pull(&mut self.dice, 0, &())
            .map_err(|error| format!("the archive does not open: {error}"))?;
        self.story.push(told(&ledger));
        let finished = Finished { started, ledger };
        let archive = self.run_is_judged(&finished)?;
        Ok((finished.ledger, archive))
    }
}

fn told(ledger: &Ledger) -> String {
    serde_json::to_string(ledger).unwrap()
}

fn some_behaviour(dice: &mut Dice) -> (Behaviour, bool, &'static str) {
    match dice.below(10) {
        0..5 => (Behaviour::modern(), true, "modern"),
        5 => (Behaviour::modern().without("QRESYNC"), true, "without QRESYNC"),
        6 => (Behaviour::modern().without("LIST-STATUS").without("UIDPLUS"), true, "without LIST-STATUS"),
        7 => (Behaviour::modern().without("CONDSTORE").without("OBJECTID"), false, "without CONDSTORE"),
        8 => (Behaviour::modern().without("OBJECTID").without("ESEARCH"), true, "without OBJECTID"),
        _ => (Behaviour::bare(), false, "bare"),
    }
}

/// Somebody else, who changes the mail when the engine begins to fetch a folder.
struct Meddler<'a>(Mutex<Meddling<'a>>);

struct Meddling<'a> {
    left: usize,
    dice: Dice,
    account: &'a mut Account,
    model: &'a mut Model,
    story: &'a mut Vec<String>,
}

impl Progress for Meddler<'_> {
    fn folder_begins(&self, _folder: &str, _messages: u64, _bytes: u64) {
        let mut meddling = self.0.lock().unwrap();
        let Meddling { left, dice, account, model, story } = &mut *meddling;
        if *left == 0 {
            return;
        }
        *left -= 1;
        for _ in 0..=dice.magnitude(3) {
            let event = account.happens_meanwhile(dice, model);
            story.push(format!("meanwhile: {event}"));
            model.changed_meanwhile(&account.store);
        }
    }
}
