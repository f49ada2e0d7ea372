//! What the lives have found: each as a story of its own, in the same world.

use message::{Flags, InternalDate, Uid};
use restante_sync::{Ledger, Outcome};
use server::{Behaviour, Effect, Fault, Host, Snapshot, Trigger};

use crate::dice::Dice;
use crate::events::Account;
use crate::invariants::{self, Finished};
use crate::model::Model;
use crate::paused::USER;
use crate::world::{Pulled, World};

/// An account with three messages, and what watches over its archive.
struct Story {
    account: Account,
    world: World,
    model: Model,
    dice: Dice,
}

impl Story {
    fn on(behaviour: Behaviour) -> Self {
        let mut dice = Dice::new(1);
        let account = Account::new();
        let host = Host::new(account.store.clone(), behaviour);
        let world = World::new(&mut dice, host);
        let story = Self { account, world, model: Model::default(), dice };
        for number in 1..=3 {
            story.arrives(number, "words");
        }
        story
    }

    /// A message comes to INBOX. Two with the same number differ in their words alone.
    fn arrives(&self, number: i64, words: &str) {
        let date = InternalDate::from_unix(1_772_445_600 + number, 0);
        let bytes = format!("Subject: number {number}\r\n\r\n{words}\r\n").into_bytes();
        self.account.store.append(USER, "INBOX", &Flags::parse("\\Seen"), &date, bytes).unwrap();
    }

    /// The server is put back to what it was.
    fn is_put_back(&mut self, then: &Snapshot) {
        self.account.store.restore(then);
        self.model.is_restored(&self.account.store);
    }

    /// Messages that still wait to be compared by their bytes.
    fn unproven(&self) -> u64 {
        let archive = invariants::opened(&self.world).unwrap();
        invariants::unproven(archive.view()).unwrap()
    }

    /// A run in which this goes wrong; whatever it says of itself is held against what is.
    fn run(&mut self, faults: &[Fault]) -> Ledger {
        self.world.host.set_faults(faults);
        self.model.begin_run(&self.account.store, true);
        let Pulled { started, ledger, .. } = self.world.pull(&mut self.dice, 0, &()).unwrap();
        let finished = Finished { started, ledger };
        let archive = invariants::opened(&self.world).unwrap();
        invariants::nothing_is_gone(archive.view(), &mut self.model).unwrap();
        invariants::run_is_true(archive.view(), &self.model, &finished, &mut Vec::new()).unwrap();
        finished.ledger
    }
}

fn on(command: &str, effect: Effect) -> [Fault; 1] {
    [Fault::new(Trigger::Command(command.into()), effect)]
}

fn refuses(uid: u32) -> Fault {
    Fault::new(Trigger::Fetch(uid), Effect::No("not this one".into()))
}

#[test]
fn i01_l09_a_count_of_nothing_makes_no_message_vanish() {
    for behaviour in [Behaviour::modern(), Behaviour::bare()] {
        let mut story = Story::on(behaviour);
        assert_eq!(story.run(&[]).outcome, Outcome::Ok);
        // Something changes, so that the folder is opened.
        story.account.store.set_flags(USER, "INBOX", Uid::MIN, &Flags::parse("work")).unwrap();
        let lied_to = story.run(&on("EXAMINE", Effect::Exists(0)));
        assert_ne!(lied_to.outcome, Outcome::Ok, "{lied_to:#?}");
        assert_eq!((lied_to.totals.vanished, lied_to.totals.archived), (0, 3), "{lied_to:#?}");
        let error = lied_to.folders[0].error.as_deref().unwrap_or_default();
        assert!(error.contains("counts 0 messages but lists 3"), "{error}");
        assert_eq!(story.run(&[]).outcome, Outcome::Ok);
    }
}

#[test]
fn i01_a_folder_that_is_new_and_says_that_it_is_empty_is_looked_into_if_it_has_given_uids() {
    let mut story = Story::on(Behaviour::bare());
    let lied_to = story.run(&on("EXAMINE", Effect::Exists(0)));
    assert_ne!(lied_to.outcome, Outcome::Ok, "{lied_to:#?}");
    assert_eq!(story.run(&[]).totals.archived, 3);
}

/// Lives 200088 and 200557.
#[test]
fn i01_a_count_of_nothing_of_which_no_list_is_given_makes_no_message_vanish() {
    for behaviour in [Behaviour::modern(), Behaviour::bare()] {
        let mut story = Story::on(behaviour);
        let lies = || {
            let list = Fault::new(Trigger::Line(" (UID)".into()), Effect::No("not now".into()));
            [&on("EXAMINE", Effect::Exists(0))[..], &on("NOOP", Effect::Exists(0)), &[list]].concat()
        };
        let new = story.run(&lies());
        assert_ne!(new.outcome, Outcome::Ok, "{new:#?}");
        assert_eq!(story.run(&[]).totals.archived, 3);
        story.account.store.set_flags(USER, "INBOX", Uid::MIN, &Flags::parse("work")).unwrap();
        let known = story.run(&lies());
        assert_ne!(known.outcome, Outcome::Ok, "{known:#?}");
        assert_eq!(known.totals.vanished, 0, "{known:#?}");
        let error = known.folders[0].error.as_deref().unwrap_or_default();
        assert!(error.contains("refused UID FETCH 1:* (UID)"), "{error}");
        assert_eq!(story.run(&[]).outcome, Outcome::Ok);
    }
}

#[test]
fn i01_an_empty_folder_of_which_no_list_is_given_is_empty_when_a_search_says_so_as_well() {
    let mut story = Story::on(Behaviour::modern());
    assert_eq!(story.run(&[]).outcome, Outcome::Ok);
    let all = (1..=3).filter_map(Uid::new).collect();
    story.account.store.expunge(USER, "INBOX", &all).unwrap();
    let list = Fault::new(Trigger::Line(" (UID)".into()), Effect::No("nothing there".into()));
    let ledger = story.run(&[list]);
    assert_eq!((ledger.outcome, ledger.totals.vanished), (Outcome::Ok, 3), "{ledger:#?}");
}

/// Life 203157.
#[test]
fn i01_a_count_that_is_too_small_does_not_hide_what_comes_after_a_message_that_cannot_be_listed() {
    let mut story = Story::on(Behaviour::bare());
    assert_eq!(story.run(&[]).outcome, Outcome::Ok);
    let lies =
        [&on("EXAMINE", Effect::Exists(1))[..], &on("NOOP", Effect::Exists(1)), &[refuses(2)]].concat();
    let lied_to = story.run(&lies);
    assert_ne!(lied_to.outcome, Outcome::Ok, "{lied_to:#?}");
    let error = lied_to.folders[0].error.as_deref().unwrap_or_default();
    assert!(error.contains("counts 1 messages but lists 2"), "{error}");
    assert_eq!(story.run(&[]).totals.archived, 3);
}

/// Life 202238.
#[test]
fn l05_an_empty_message_under_the_uid_of_another_empty_one_has_its_own_date() {
    let mut story = Story::on(Behaviour::modern());
    let before = story.account.store.snapshot();
    let arrives = |story: &Story, unix| {
        let date = InternalDate::from_unix(unix, 0);
        story.account.store.append(USER, "INBOX", &Flags::default(), &date, Vec::new()).unwrap();
    };
    arrives(&story, 1_772_445_700);
    assert_eq!(story.run(&[]).totals.archived, 4);
    story.is_put_back(&before);
    arrives(&story, 1_772_445_800);
    story.arrives(5, "and one more");
    let ledger = story.run(&[]);
    assert_eq!((ledger.outcome, ledger.totals.archived), (Outcome::Ok, 5), "{ledger:#?}");
}

/// A server that refuses to tell whose flags have changed.
fn refuses_flags() -> Fault {
    Fault::new(Trigger::Line("(UID FLAGS) (CHANGEDSINCE".into()), Effect::No("not now".into()))
}

#[test]
fn i17_flags_that_the_server_refused_to_tell_are_asked_for_again() {
    let mut story = Story::on(Behaviour::modern().without("QRESYNC"));
    // The first one is not among the newest, which are looked at with their flags whenever a folder is opened.
    (4..=5).for_each(|number| story.arrives(number, "words"));
    assert_eq!(story.run(&[]).outcome, Outcome::Ok);
    story.account.store.set_flags(USER, "INBOX", Uid::MIN, &Flags::parse("\\Flagged")).unwrap();
    let refused = story.run(&[refuses_flags()]);
    assert_eq!((refused.outcome, refused.totals.flags_changed), (Outcome::Failed, 0), "{refused:#?}");
    let error = refused.folders[0].error.as_deref().unwrap_or_default();
    assert!(error.contains("refuses to tell the flags of 5 messages"), "{error}");
    let healed = story.run(&[]);
    assert_eq!((healed.outcome, healed.totals.flags_changed), (Outcome::Ok, 1), "{healed:#?}");
}

#[test]
fn i17_flags_that_the_server_tells_with_another_answer_are_recorded_though_it_refuses_to_tell_them() {
    let mut story = Story::on(Behaviour::modern().without("QRESYNC"));
    assert_eq!(story.run(&[]).outcome, Outcome::Ok);
    story.account.store.set_flags(USER, "INBOX", Uid::MIN, &Flags::parse("\\Flagged")).unwrap();
    // Told by the look at the newest messages, behind which the question for flags was sent ahead.
    let refused = story.run(&[refuses_flags()]);
    assert_eq!((refused.outcome, refused.totals.flags_changed), (Outcome::Failed, 1), "{refused:#?}");
    let healed = story.run(&[]);
    assert_eq!((healed.outcome, healed.totals.flags_changed), (Outcome::Ok, 0), "{healed:#?}");
}

#[test]
fn d01_i17_n01_a_life_cut_short_at_each_octet_leaves_nothing_out() {
    for at in (0..2_500).step_by(7) {
        let mut story = Story::on(Behaviour::modern());
        let cut = Fault::new(Trigger::SentInAll(at), Effect::Disconnect).first(1);
        let ledger = story.run(&[cut]);
        assert_eq!(ledger.outcome, Outcome::Ok, "cut at {at}: {ledger:#?}");
        let healed = story.run(&[]);
        assert_eq!((healed.outcome, healed.totals.archived), (Outcome::Ok, 3), "cut at {at}: {healed:#?}");
    }
}

/// Lives 100335 and 100556: what had vanished from a UID was taken to be back there when another message of
/// its size and date lay under it, and no later run looked at the bytes.
#[test]
fn l05_a_uid_that_the_server_had_forgotten_does_not_bring_back_what_lay_there_before() {
    for behaviour in [Behaviour::modern(), Behaviour::bare()] {
        let mut story = Story::on(behaviour);
        let before = story.account.store.snapshot();
        story.arrives(4, "lost with the server");
        assert_eq!(story.run(&[]).totals.archived, 4);
        story.is_put_back(&before);
        assert_eq!(story.run(&[]).totals.vanished, 1);
        // Moved here with its date: as many octets, and other words.
        story.arrives(4, "come after the loss ");
        let ledger = story.run(&[]);
        assert_eq!((ledger.outcome, ledger.totals.new), (Outcome::Ok, 1), "{ledger:#?}");
        assert_eq!(story.unproven(), 0);
    }
}

#[test]
fn l05_a_server_that_was_put_back_unseen_is_found_out_by_the_bytes_of_what_returns() {
    for behaviour in [Behaviour::modern(), Behaviour::bare()] {
        let mut story = Story::on(behaviour);
        let before = story.account.store.snapshot();
        story.arrives(4, "lost with the server");
        assert_eq!(story.run(&[]).totals.archived, 4);
        story.account.store.expunge(USER, "INBOX", &[Uid::new(4).unwrap()].into_iter().collect()).unwrap();
        assert_eq!(story.run(&[]).totals.vanished, 1);
        // Until the next run it has given more UIDs than before.
        story.is_put_back(&before);
        story.arrives(4, "come after the loss ");
        story.arrives(5, "and one more");
        let ledger = story.run(&[]);
        assert_eq!((ledger.outcome, ledger.totals.new, story.unproven()), (Outcome::Ok, 1, 1), "{ledger:#?}");
        let ledger = story.run(&[]);
        assert_eq!(
            (ledger.outcome, ledger.totals.archived, story.unproven()),
            (Outcome::Ok, 5, 0),
            "{ledger:#?}"
        );
    }
}

#[test]
fn n03_a_line_cut_at_the_same_octet_each_time_is_given_up_also_where_all_is_recognised_anew() {
    for at in (600..2_500).step_by(7) {
        let mut story = Story::on(Behaviour::modern());
        assert_eq!(story.run(&[]).outcome, Outcome::Ok);
        let faults = [
            Fault::new(Trigger::Always, Effect::Validity(None)),
            Fault::new(Trigger::Sent(at), Effect::Disconnect),
        ];
        // The world ends a run that connects hundreds of times by a panic, and `run` tells of it.
        story.run(&faults);
        let healed = story.run(&[]);
        assert_eq!((healed.outcome, healed.totals.archived), (Outcome::Ok, 3), "cut at {at}: {healed:#?}");
    }
}
