//! Lives of accounts over POP3, in the same world.
//!
//! Mail arrives, vanishes, comes back; the server is moved and calls everything by other names, is put
//! back from a backup and gives old names to new mail, has no UIDLs, or the same for several messages,
//! shows only what was not fetched, or deletes what was.
//! Meanwhile the line breaks at any octet, lists end early, commands are refused, answers are shifted,
//! locks stay, the disk fails and the power goes.
//!
//! After each step: no message that was ever in the archive is gone, and every one is a message that the
//! server had, byte for byte; a run that is `ok` has each message of the maildrop as often as it lies
//! there; what a server deletes because it was fetched is in the archive; DELE was never said; the history stands; `verify` finds nothing.

mod faults;
mod meddler;
mod provider;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use archive::disk::simulated::Faults as DiskFaults;
use archive::{Archive, PlacementInfo, Proof, View, When};
use message::{Flags, InternalDate, MessageKey, UidSet};
use restante_sync::{Ledger, Outcome};
use server::pop3::{Host, Uidls};
use server::{Snapshot, Store};

use crate::Played;
use crate::dice::Dice;
use crate::faults::disk_faults;
use crate::invariants::{self, Broken, Witness};
use crate::mail::Post;
use crate::paused::USER;
use crate::weather::{MOST_COMMANDS, MOST_RUNS_AT_THE_END, Weather, power_is_cut};
use crate::world::{Pulled, World};
use meddler::{Meddler, Meddling};
use provider::{Kind, Provider, Shows};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Arrives,
    Vanishes,
    ComesBack,
    Moved,
    NamesDouble,
    BackupIsMade,
    BackupIsPutBack,
    OtherServer,
}

const EVENTS: [(usize, Event); 8] = [
    (40, Event::Arrives),
    (12, Event::Vanishes),
    (5, Event::ComesBack),
    (4, Event::Moved),
    (4, Event::NamesDouble),
    (4, Event::BackupIsMade),
    (3, Event::BackupIsPutBack),
    (4, Event::OtherServer),
];

const WEATHER: [(usize, Weather); 5] = [
    (30, Weather::Fair),
    (40, Weather::BadLine),
    (10, Weather::BadDisk),
    (12, Weather::PowerCut),
    (8, Weather::Storm),
];

pub(crate) struct Life {
    dice: Dice,
    store: Store,
    post: Post,
    backups: Vec<Snapshot>,
    /// What the server calls its messages, and whether it was moved.
    uidls: Uidls,
    generation: u32,
    kind: Kind,
    world: World<Provider>,
    /// Every message that ever lay there.
    ever: HashSet<MessageKey>,
    /// The states of the maildrop in the present run: one, or more when it was changed meanwhile.
    states: Vec<Vec<Arc<[u8]>>>,
    /// A message that somebody else has deleted meanwhile.
    expunged_meanwhile: Option<MessageKey>,
    /// Those that are gone, and may come back.
    gone: Vec<(InternalDate, Arc<[u8]>)>,
    /// The server has given old names to other messages, or none to some. Then size and header are all that
    /// tells messages apart before their bytes are compared, and some have both in common.
    names_failed: bool,
    committed: BTreeSet<MessageKey>,
    witnesses: Vec<Witness>,
    story: Vec<String>,
}

impl Played for Life {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let store = Store::new();
        store.add_user(USER, "pass");
        let kind = Kind::draw(&mut dice);
        let uidls = if dice.permille(250) { Uidls::by_content() } else { Uidls::by_uid() };
        let world = World::new(&mut dice, kind.provider(&store, &uidls));
        Self {
            dice,
            store,
            post: Post::default(),
            backups: Vec::new(),
            generation: 0,
            kind,
            world,
            ever: HashSet::new(),
            states: Vec::new(),
            expunged_meanwhile: None,
            gone: Vec::new(),
            names_failed: false,
            committed: BTreeSet::new(),
            witnesses: Vec::new(),
            story: vec![format!("a server of {kind:?} {uidls:?}")],
            uidls,
        }
    }

    fn live(&mut self) -> Result<(), Broken> {
        for _ in 0..3 + self.dice.below(6) {
            for _ in 0..self.dice.magnitude(9) {
                let event = self.dice.weighted(&EVENTS);
                let detail = self.let_happen(event);
                self.story.push(format!("{event:?} {detail}"));
            }
            let weather = self.dice.weighted(&WEATHER);
            self.run_in(weather)?;
        }
        self.end_well()
    }

    fn story(&self) -> &[String] {
        &self.story
    }

    fn fingerprint(&self) -> ([u8; 32], Vec<String>) {
        (self.world.disk.fingerprint(), self.server().log())
    }
}

impl Life {
    fn server(&self) -> &Host {
        &self.world.host.host
    }

    /// What lies in the maildrop now.
    fn maildrop(&self) -> Vec<Arc<[u8]>> {
        self.store.messages(USER, "INBOX").unwrap().into_iter().map(|message| message.bytes).collect()
    }

    fn let_happen(&mut self, event: Event) -> String {
        match event {
            Event::Arrives => {
                let count = 1 + self.dice.magnitude(6);
                for _ in 0..count {
                    let (bytes, date) = self.post.next(&mut self.dice);
                    self.deliver(date, bytes);
                }
                count.to_string()
            }
            Event::Vanishes => self.vanishes(),
            Event::ComesBack => {
                let Some((date, bytes)) = self.gone.pop() else { return String::new() };
                self.deliver(date, bytes);
                "1".to_owned()
            }
            Event::Moved => {
                self.generation += 1;
                self.uidls = Uidls::of_generation(self.generation);
                self.server().set_uidls(self.uidls.clone());
                self.generation.to_string()
            }
            Event::NamesDouble => self.names_double(),
            Event::BackupIsMade => {
                self.backups.push(self.store.snapshot());
                String::new()
            }
            Event::BackupIsPutBack => {
                let Some(backup) = self.dice.pick(&self.backups).cloned() else { return String::new() };
                self.store.restore(&backup);
                self.names_failed = true;
                self.let_happen(Event::Arrives)
            }
            Event::OtherServer => {
                self.kind = Kind::draw(&mut self.dice);
                self.world.host = self.kind.provider(&self.store, &self.uidls);
                format!("{:?}", self.kind)
            }
        }
    }

    fn deliver(&mut self, date: InternalDate, bytes: Arc<[u8]>) {
        self.ever.insert(MessageKey::of(&bytes));
        self.store.append(USER, "INBOX", &Flags::new(), &date, bytes).unwrap();
    }

    fn vanishes(&mut self) -> String {
        let messages = self.store.messages(USER, "INBOX").unwrap();
        let few = self.dice.magnitude(5);
        let gone: Vec<_> = (0..=few).filter_map(|_| self.dice.pick(&messages).cloned()).collect();
        let uids: UidSet = gone.iter().map(|message| message.uid).collect();
        self.store.expunge(USER, "INBOX", &uids).unwrap();
        self.gone.extend(gone.into_iter().map(|message| (message.date, message.bytes)));
        uids.to_string()
    }

    /// Some messages have one name from now on, or none that can be used.
    fn names_double(&mut self) -> String {
        let messages = self.store.messages(USER, "INBOX").unwrap();
        let name = *self.dice.pick(&[&b"same"[..], b"other", &[b'x'; 600]]).unwrap();
        let mut named = Vec::new();
        for _ in 0..1 + self.dice.below(3) {
            if let Some(message) = self.dice.pick(&messages) {
                self.uidls = self.uidls.clone().but(message.uid.get(), name);
                named.push(message.uid);
            }
        }
        // The name was another message's before, perhaps.
        self.names_failed = true;
        self.server().set_uidls(self.uidls.clone());
        format!("{named:?} are {}", name.escape_ascii())
    }

    fn run_in(&mut self, weather: Weather) -> Result<(), Broken> {
        let script = match weather.is_bad_on_the_line() {
            true => faults::draw(&mut self.dice, self.kind),
            false => Vec::new(),
        };
        self.story.push(format!("{weather:?} {script:?}"));
        let is_honest = script.is_empty();
        self.names_failed |= !self.kind.uidl || format!("{script:?}").contains("UIDL");
        self.server().set_faults(&script);
        if weather == Weather::BadDisk {
            let faults = disk_faults(&mut self.dice);
            self.story.push(format!("{faults:?}"));
            let call = faults.failure.and_then(|failure| failure.call);
            self.world.disk_lied |= call == Some(archive::disk::simulated::Call::Sync);
            self.world.disk.set_faults(faults);
        }
        let cuts_power = weather.cuts_power();
        if cuts_power {
            // What was synced is durable, the record begins anew.
            self.world.disk = self.world.disk.copy();
        }
        let meddles = self.dice.permille(200);
        let pulled = self.run(meddles);
        self.world.disk.set_faults(DiskFaults::default());
        if cuts_power {
            self.power_is_cut();
        }
        if cuts_power || weather == Weather::BadDisk {
            invariants::verify_finds_nothing(&self.world)?;
        }
        let archive = invariants::opened(&self.world)?;
        self.nothing_is_gone(archive.view())?;
        if !cuts_power && !self.world.disk_lied {
            self.what_the_server_deleted_is_here(archive.view())?;
        }
        match pulled? {
            Some(pulled) if !cuts_power => self.run_is_true(archive.view(), &pulled, is_honest),
            _ => Ok(()),
        }
    }

    /// One run. `None` when the archive could not be opened, or not be read as a whole.
    fn run(&mut self, meddles: bool) -> Result<Option<Pulled>, Broken> {
        let before = self.server().counts().commands;
        self.states = vec![self.maildrop()];
        let meddler = Meddler::new(&self.store, meddles.then(|| self.dice.split()));
        let pulled = self.world.pull(&mut self.dice, 0, &meddler);
        let Meddling { states, delivered, expunged, .. } = meddler.into_inner();
        self.ever.extend(delivered.iter().map(|bytes| MessageKey::of(bytes)));
        self.states.extend(states);
        self.states.push(self.maildrop());
        self.expunged_meanwhile = expunged;
        let commands = self.server().counts().commands - before;
        if commands > MOST_COMMANDS {
            return Err(format!("the engine sent {commands} commands in one run"));
        }
        let log = self.server().log();
        if let Some(line) = log.iter().find(|line| line.starts_with("DELE") || line.starts_with("RSET")) {
            return Err(format!("the engine said {line}"));
        }
        match pulled {
            Ok(pulled) => {
                self.story.push(serde_json::to_string(&pulled.ledger).unwrap());
                Ok(pulled.knows_all.then_some(pulled))
            }
            Err(error) => {
                self.story.push(format!("the archive does not open: {error}"));
                Ok(None)
            }
        }
    }

    /// The disk is left in one of the states in which a power cut may leave it.
    fn power_is_cut(&mut self) {
        let (left, told) = power_is_cut(&self.world.disk, &mut self.dice, &[512]);
        self.story.push(told);
        self.world.disk = left;
        // At that moment QUIT had not been said: the server knows of nothing that was fetched.
        self.world.host = self.kind.provider(&self.store, &self.uidls);
    }

    /// Whatever has happened: nothing is gone, and nothing was made up.
    fn nothing_is_gone(&mut self, view: View<'_>) -> Result<(), Broken> {
        let mut seen: BTreeSet<MessageKey> = BTreeSet::new();
        if let Some((_, held)) = invariants::in_inbox(view, When { as_of: None, deleted: true })? {
            seen.extend(held.iter().map(|placement| placement.message));
        }
        if let Some(key) = seen.iter().find(|key| !self.ever.contains(*key)) {
            return Err(format!("the server never had {key}"));
        }
        for key in &self.committed {
            if !view.holds_message(key).map_err(|error| error.to_string())? {
                return Err(format!("{key} was in the archive and is gone"));
            }
        }
        self.committed.append(&mut seen);
        Ok(())
    }

    /// What was there when the run began, is gone, and nobody else has deleted.
    fn what_the_server_deleted_is_here(&self, view: View<'_>) -> Result<(), Broken> {
        if self.kind.shows != Shows::Deletes {
            return Ok(());
        }
        let (Some(before), Some(after)) = (self.states.first(), self.states.last()) else { return Ok(()) };
        let after: HashSet<MessageKey> = after.iter().map(|bytes| MessageKey::of(bytes)).collect();
        let is_meant = |key: &MessageKey| !after.contains(key) && self.expunged_meanwhile != Some(*key);
        for key in before.iter().map(|bytes| MessageKey::of(bytes)).filter(is_meant) {
            if !view.holds_message(&key).map_err(|error| error.to_string())? {
                return Err(format!("{key} was deleted because it was fetched, and is not here"));
            }
        }
        Ok(())
    }

    /// What a run says of itself is true.
    fn run_is_true(&mut self, view: View<'_>, pulled: &Pulled, is_honest: bool) -> Result<(), Broken> {
        let ledger = &pulled.ledger;
        let error = ledger.error.as_deref().unwrap_or_default();
        if error.contains("fault in restante itself") || error.contains("taken longer than") {
            return Err(error.to_owned());
        }
        // Which messages a server that was put back takes for fetched is its secret.
        let is_a_secret = self.names_failed && matches!(self.kind.shows, Shows::NotFetched(_));
        if ledger.outcome != Outcome::Ok
            || is_a_secret
            || ledger.warnings.iter().any(|warning| warning.contains("goes on showing"))
        {
            return Ok(());
        }
        let account = view.account("life").map_err(|error| error.to_string())?;
        let account = account.ok_or("the run is ok, and there is no account")?;
        let runs = view.runs(account.id, 1).map_err(|error| error.to_string())?;
        let run = runs.first().ok_or("the run is ok, and is not in the archive")?.id;
        let held = invariants::in_inbox(view, When::default())?;
        let witness = Witness::new(run, held.ok_or("the run is ok, and there is no INBOX")?);
        self.everything_is_there(view, &witness, is_honest)?;
        self.witnesses.push(witness);
        Ok(())
    }

    /// Each message of the maildrop is held as often as it lies there, and nothing else is, if the server
    /// told the truth of what it has. Where a server gives names again, to messages of the same size, only
    /// a sample of headers tells; and a message that was recognised by size and header may be another one
    /// before its bytes are compared.
    fn everything_is_there(&self, view: View<'_>, witness: &Witness, is_honest: bool) -> Result<(), Broken> {
        let by_header = witness.held().iter().any(|placement| placement.proof == Proof::Header);
        let name_of = |bytes: &[u8]| {
            if !(self.names_failed || by_header) {
                return MessageKey::of(bytes).to_string();
            }
            format!("{} octets", bytes.len())
        };
        let count = |names: Vec<String>| {
            let mut times: BTreeMap<String, usize> = BTreeMap::new();
            names.into_iter().for_each(|name| *times.entry(name).or_default() += 1);
            times
        };
        let read = |placement: &PlacementInfo| {
            let bytes = view.read_to_vec(&placement.message).map_err(|error| error.to_string())?;
            Ok(name_of(&bytes))
        };
        let here = count(witness.held().iter().map(read).collect::<Result<_, Broken>>()?);
        let shows_all = !matches!(self.kind.shows, Shows::NotFetched(_));
        let named = |there: &Vec<Arc<[u8]>>| count(there.iter().map(|bytes| name_of(bytes)).collect());
        let is_true = |there: &Vec<Arc<[u8]>>| {
            let there = named(there);
            // Of a second copy that is shown when the first is not, nobody knows.
            let is_here = |(name, times): (&String, &usize)| {
                here.get(name).is_some_and(|here| here >= times || !shows_all)
            };
            if is_honest && shows_all { there == here } else { there.iter().all(is_here) }
        };
        match self.states.iter().any(is_true) {
            true => Ok(()),
            false => {
                let states: Vec<_> = self.states.iter().map(named).collect();
                Err(format!(
                    "the run is ok, and here is {here:?}, and one after the other lay there {states:?}"
                ))
            }
        }
    }

    /// Healthy runs until all is there; then nothing is left to be done, and history stands.
    fn end_well(&mut self) -> Result<(), Broken> {
        self.story.push("all is well from here on".to_owned());
        self.server().set_faults(&[]);
        self.world.days_go_by(8);
        for run in 1.. {
            let (ledger, archive) = self.healthy_run()?;
            // What is not shown cannot be proven.
            let shows_all = !matches!(self.kind.shows, Shows::NotFetched(_));
            let is_proven = invariants::unproven(archive.view())? == 0;
            if ledger.outcome == Outcome::Ok && (is_proven || !shows_all) {
                break;
            }
            if run == MOST_RUNS_AT_THE_END {
                return Err(format!("healthy runs do not bring everything: {ledger:?}"));
            }
        }
        let before = self.server().counts().retrieved_octets;
        let (idle, archive) = self.healthy_run()?;
        let fetched = self.server().counts().retrieved_octets - before;
        // Messages without a name are compared, by their bytes, in each run.
        let happened = |event: &str| self.story.iter().any(|line| line.starts_with(event));
        // Nor has one whose name was given again, where nothing ends because not all is shown.
        let given_again = happened("BackupIsPutBack") && matches!(self.kind.shows, Shows::NotFetched(_));
        let all_have_names = self.kind.uidl && !happened("NamesDouble") && !given_again;
        if idle.totals.new > 0 || (all_have_names && self.uidls_differ() && fetched > 0) {
            return Err(format!("a second run fetches {fetched} octets: {idle:?}"));
        }
        invariants::verify_finds_nothing(&self.world)?;
        invariants::history_stands(archive.view(), &self.witnesses)
    }

    /// Whether each message of the maildrop has a name of its own.
    fn uidls_differ(&self) -> bool {
        let messages = self.store.messages(USER, "INBOX").unwrap();
        let keys: HashSet<MessageKey> =
            messages.iter().map(|message| MessageKey::of(&message.bytes)).collect();
        keys.len() == messages.len() || self.uidls != Uidls::by_content()
    }

    fn healthy_run(&mut self) -> Result<(Ledger, Archive), Broken> {
        let pulled = self.run(false)?.ok_or("the archive does not open")?;
        let archive = invariants::opened(&self.world)?;
        self.nothing_is_gone(archive.view())?;
        self.run_is_true(archive.view(), &pulled, true)?;
        Ok((pulled.ledger, archive))
    }
}
