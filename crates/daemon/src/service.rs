//! The loop of the service: does what the scheduler says, and tells how it stands.
//!
//! One thread waits for what happens (a run has ended, somebody asks for something, time has passed),
//! asks the scheduler what is to be done, and begins runs, each on a thread of its own. Nothing else
//! happens on it: no network, no disk but for the configuration; so it is never held up, and its
//! heartbeat means that the scheduler works.
//!
//! Who does the runs is a [`Household`]; who hears the heartbeat is a [`Herald`].

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::scheduler::{Name, Now, Orders, Outcome, Plan, Scheduler, Start, State, Told, Trouble, Why};

/// The heartbeat comes at least so often.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// The status is told no more often than this.
const STATUS_PAUSE: Duration = Duration::from_secs(1);
/// Accounts that are named in the status.
const MOST_NAMED: usize = 3;

/// What the service works for.
pub trait Household: Sync {
    /// One run of this account, to its end, on the calling thread.
    fn run(&self, account: &str, why: Why) -> Outcome;

    /// Reads the configuration again.
    ///
    /// # Errors
    /// What is wrong with it; then the old one stays in force.
    fn reload(&self) -> Result<Plan, String>;

    /// Asks the runs that go on to make durable what they have, and to end.
    fn ask_to_end(&self);

    /// What people may want to know.
    fn tell(&self, told: &Told);

    /// What else is worth a few words in the status.
    fn aside(&self) -> Option<String> {
        None
    }
}

/// Who is told how the service stands: a service manager, as a rule.
pub trait Herald {
    /// The scheduler works.
    fn ready(&mut self);
    /// The configuration is being read again; [`ready`](Self::ready) follows.
    fn reloading(&mut self);
    /// Nothing begins any more.
    fn stopping(&mut self);
    /// How it stands, in a line.
    fn status(&mut self, line: &str);
    /// The scheduler still works.
    fn heartbeat(&mut self);
}

/// What is asked of a running service.
#[derive(Clone, Debug)]
pub struct Doorbell(mpsc::Sender<Event>);

#[derive(Debug)]
enum Event {
    Ended(Name, Outcome),
    Run(Name),
    Reload,
    Stop,
}

impl Doorbell {
    /// A run of this account shall begin as soon as it may.
    pub fn run(&self, account: &str) {
        self.ring(Event::Run(account.into()));
    }

    /// The configuration shall be read again.
    pub fn reload(&self) {
        self.ring(Event::Reload);
    }

    /// Nothing shall begin any more, and what goes on shall end soon.
    pub fn stop(&self) {
        self.ring(Event::Stop);
    }

    fn ring(&self, event: Event) {
        // A service that has ended needs nothing any more.
        let _ = self.0.send(event);
    }
}

/// A service that has not begun.
#[derive(Debug)]
pub struct Service {
    events: mpsc::Receiver<Event>,
    doorbell: Doorbell,
}

impl Default for Service {
    fn default() -> Self {
        let (sender, events) = mpsc::channel();
        Self { events, doorbell: Doorbell(sender) }
    }
}

impl Service {
    /// Where it can be asked for something, also before it has begun.
    #[must_use]
    pub fn doorbell(&self) -> Doorbell {
        self.doorbell.clone()
    }

    /// Works by this plan until it is asked to stop and all runs have ended.
    pub fn run(self, household: &impl Household, plan: Plan, herald: &mut impl Herald) {
        let begun = Instant::now();
        let mut scheduler = Scheduler::new(plan, now(begun));
        let mut running: BTreeMap<Name, ()> = BTreeMap::new();
        let mut status = Status::default();
        let mut stopping = false;
        std::thread::scope(|scope| {
            herald.ready();
            loop {
                let Orders { start, told, wake } = scheduler.step(now(begun));
                told.iter().for_each(|told| household.tell(told));
                for Start { account, why } in start {
                    running.insert(account.clone(), ());
                    let doorbell = self.doorbell.clone();
                    scope.spawn(move || {
                        let run = AssertUnwindSafe(|| household.run(&account, why));
                        // A fault of ours in one account's run is that account's failure.
                        let outcome = catch_unwind(run).unwrap_or(Outcome::Failed(Trouble::Other));
                        doorbell.ring(Event::Ended(account, outcome));
                    });
                }
                if stopping && running.is_empty() {
                    return;
                }
                herald.heartbeat();
                status.tell(herald, &scheduler, begun, stopping, household.aside());
                let patience = wake.saturating_sub(now(begun).steady).min(HEARTBEAT);
                match self.events.recv_timeout(patience) {
                    Ok(Event::Ended(account, outcome)) => {
                        running.remove(&account);
                        scheduler.finished(&account, outcome, now(begun));
                    }
                    Ok(Event::Run(account)) => {
                        scheduler.request(&account, now(begun));
                    }
                    Ok(Event::Reload) if !stopping => {
                        herald.reloading();
                        status.note = match household.reload() {
                            Ok(plan) => {
                                scheduler.reload(plan, now(begun));
                                None
                            }
                            Err(why) => Some(format!("the configuration is wrong, the old one stays: {why}")),
                        };
                        herald.ready();
                        status.told = None;
                    }
                    Ok(Event::Stop) => {
                        stopping = true;
                        scheduler.stop();
                        herald.stopping();
                        household.ask_to_end();
                    }
                    Ok(Event::Reload) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
                }
            }
        });
    }
}

/// Both clocks, the steady one since the service began.
fn now(begun: Instant) -> Now {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { unix_ms: i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX), steady: begun.elapsed() }
}

/// What was last said of how it stands.
#[derive(Debug, Default)]
struct Status {
    told: Option<(Duration, String)>,
    /// What a person should know until the next reload.
    note: Option<String>,
}

impl Status {
    fn tell(
        &mut self,
        herald: &mut impl Herald,
        scheduler: &Scheduler,
        begun: Instant,
        stopping: bool,
        aside: Option<String>,
    ) {
        let now = now(begun);
        if self.told.as_ref().is_some_and(|(at, _)| now.steady.saturating_sub(*at) < STATUS_PAUSE) {
            return;
        }
        let mut line = line(scheduler, now, stopping);
        if let Some(aside) = aside.filter(|_| !stopping) {
            line = format!("{line}; {aside}");
        }
        if let Some(note) = &self.note {
            line = format!("{note}; {line}");
        }
        if self.told.as_ref().is_none_or(|(_, before)| *before != line) {
            herald.status(&line);
        }
        self.told = Some((now.steady, line));
    }
}

/// What runs, and what comes next.
fn line(scheduler: &Scheduler, now: Now, stopping: bool) -> String {
    let (mut running, mut next, mut resting) = (Vec::new(), None, 0);
    for (name, outlook) in scheduler.outlooks(now) {
        match outlook.state {
            State::Running => running.push(name.clone()),
            State::Resting => resting += 1,
            State::Idle | State::Waiting | State::Off => {}
        }
        if let Some(at) = outlook.next_ms
            && outlook.state != State::Running
        {
            next = next.into_iter().chain([(at, name.clone())]).min();
        }
    }
    let mut words = Vec::new();
    if !running.is_empty() {
        let named = running.iter().take(MOST_NAMED).map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let more = running.len().saturating_sub(MOST_NAMED);
        words.push(if more > 0 {
            format!("running: {named} and {more} more")
        } else {
            format!("running: {named}")
        });
    }
    if resting > 0 {
        words.push(format!("{resting} failed and will be tried again"));
    }
    match next {
        _ if stopping => words.push("stopping".to_owned()),
        Some((at, name)) => words.push(format!("next: {name} at {}", clock(at))),
        None if running.is_empty() => words.push("nothing is scheduled".to_owned()),
        None => {}
    }
    words.join("; ")
}

/// A moment as people here write it, to the minute.
fn clock(unix_ms: i64) -> String {
    let time = chrono::DateTime::<chrono::Utc>::from_timestamp_millis(unix_ms);
    time.map_or_else(String::new, |time| time.with_timezone(&chrono::Local).format("%F %H:%M").to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use std::num::NonZeroUsize;
    use std::sync::Mutex;

    use super::*;
    use crate::Schedule;
    use crate::scheduler::{AccountPlan, Limits};

    /// Plays runs, and writes down what happened.
    struct House {
        doorbell: Doorbell,
        ran: Mutex<Vec<String>>,
        asked_to_end: Mutex<bool>,
        plans: Mutex<Vec<Result<Plan, String>>>,
        each: fn(&House, &str) -> Outcome,
    }

    impl House {
        fn new(service: &Service, each: fn(&House, &str) -> Outcome) -> Self {
            let (ran, asked_to_end, plans) = Default::default();
            Self { doorbell: service.doorbell(), ran, asked_to_end, plans, each }
        }
    }

    impl Household for House {
        fn run(&self, account: &str, _why: Why) -> Outcome {
            self.ran.lock().unwrap().push(account.to_owned());
            (self.each)(self, account)
        }

        fn reload(&self) -> Result<Plan, String> {
            self.plans.lock().unwrap().pop().unwrap_or_else(|| Err("no plan".to_owned()))
        }

        fn ask_to_end(&self) {
            *self.asked_to_end.lock().unwrap() = true;
        }

        fn tell(&self, _told: &Told) {}
    }

    #[derive(Default)]
    struct Heard(Vec<String>);

    impl Herald for Heard {
        fn ready(&mut self) {
            self.0.push("ready".to_owned());
        }
        fn reloading(&mut self) {
            self.0.push("reloading".to_owned());
        }
        fn stopping(&mut self) {
            self.0.push("stopping".to_owned());
        }
        fn status(&mut self, line: &str) {
            self.0.push(format!("status {line}"));
        }
        fn heartbeat(&mut self) {}
    }

    fn plan(names: &[&str]) -> Plan {
        let two = NonZeroUsize::new(2).unwrap();
        let account = |name: &&str| AccountPlan {
            name: (*name).into(),
            host: "mail.example.org".into(),
            schedule: Some(Schedule::parse("0 0 1 1 *", Some("UTC")).unwrap()),
            spread: Duration::ZERO,
            window: None,
            enabled: true,
            login: 0,
            last_start_ms: None,
        };
        Plan {
            accounts: names.iter().map(account).collect(),
            limits: Limits { at_once: two, per_host: two },
            catch_up: Duration::ZERO,
        }
    }

    #[test]
    fn accounts_that_never_ran_run_and_a_stop_waits_for_what_goes_on() {
        let service = Service::default();
        let house = House::new(&service, |house, account| {
            if account == "b" {
                house.doorbell.stop();
                while !*house.asked_to_end.lock().unwrap() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                return Outcome::Interrupted;
            }
            Outcome::Done
        });
        let mut heard = Heard::default();
        service.run(&house, plan(&["a", "b"]), &mut heard);
        let mut ran = house.ran.into_inner().unwrap();
        ran.sort();
        assert_eq!(ran, ["a", "b"]);
        assert_eq!(heard.0.first().map(String::as_str), Some("ready"));
        assert!(heard.0.iter().any(|heard| heard == "stopping"), "{heard:?}", heard = heard.0);
    }

    #[test]
    fn s10_a_panic_in_one_run_is_a_failed_run_and_the_others_go_on() {
        let service = Service::default();
        let house = House::new(&service, |house, account| {
            assert!(account != "bad", "nested too deep");
            house.doorbell.stop();
            Outcome::Done
        });
        service.run(&house, plan(&["bad", "good"]), &mut Heard::default());
        assert!(house.ran.into_inner().unwrap().contains(&"good".to_owned()));
    }

    #[test]
    fn o05_a_broken_configuration_leaves_the_old_one_in_force_and_says_so() {
        let service = Service::default();
        let house = House::new(&service, |house, account| {
            if account == "new" {
                house.doorbell.stop();
            } else {
                house.doorbell.reload();
                house.doorbell.reload();
            }
            Outcome::Done
        });
        // Taken from the end: first a broken one, then a good one.
        house
            .plans
            .lock()
            .unwrap()
            .extend([Ok(plan(&["old", "new"])), Err("line 3: what is this".to_owned())]);
        let mut heard = Heard::default();
        service.run(&house, plan(&["old"]), &mut heard);
        let reloads = heard.0.windows(2).filter(|pair| pair[0] == "reloading" && pair[1] == "ready").count();
        assert_eq!(reloads, 2, "{:?}", heard.0);
        assert!(house.ran.into_inner().unwrap().contains(&"new".to_owned()));
    }

    #[test]
    fn a_run_that_is_asked_for_begins_at_once() {
        let service = Service::default();
        let house = House::new(&service, |house, account| {
            match house.ran.lock().unwrap().iter().filter(|ran| *ran == account).count() {
                1 => house.doorbell.run(account),
                _ => house.doorbell.stop(),
            }
            Outcome::Done
        });
        service.run(&house, plan(&["a"]), &mut Heard::default());
        assert_eq!(house.ran.into_inner().unwrap(), ["a", "a"]);
    }
}
