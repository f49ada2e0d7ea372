//! Restores by chance: any source, any state of the target, any kind of server, anything that can go
//! wrong, cut anywhere, run until it is done. The same seed is the same restore.
//!
//! The law: at the end each mailbox has each content as often as the source or the target had it,
//! whichever is more; each message of the source is there with its flags and its date; and what the
//! target had besides is untouched. In no state on the way is any content there more often.

use std::collections::BTreeMap;

use message::{Flags, InternalDate, MessageKey};
use restante_sync::{RestoreOutcome, Verify};
use server::sample::Random;
use server::{Alteration, Behaviour, Effect, Fault, Trigger};

use super::world::{Kept, World, contents, kept, mail, on, put};

/// After so many runs with faults the server does no more wrong.
const RUNS_WITH_FAULTS: usize = 3;

const FOLDERS: [&str; 5] = ["INBOX", "Sent", "Archive/2024", "Entwürfe", "Work"];
const FLAGS: [&str; 6] = ["", "\\Seen", "\\Seen \\Answered", "\\Flagged $Forwarded", "\\Seen odd", "\\Draft"];

#[test]
fn whatever_happens_every_message_is_there_once_when_it_is_done() {
    let long = std::env::var("RESTANTE_LONG").is_ok_and(|long| long == "1");
    // 147: a helper that is cut off gives its folder back while the server still stores what it sent.
    let seeds = (0..if long { 3_000 } else { 40 }).chain([147]);
    for seed in seeds {
        // A failure names its seed, which can be put in place of the range above.
        let done = std::panic::catch_unwind(|| one(seed));
        assert!(done.is_ok(), "the restore of seed {seed} went wrong");
    }
}

fn one(seed: u64) {
    let mut dice = Random::new(seed);
    let mut world = source(&mut dice);
    let before = strangers_and_some_of_ours(&mut dice, &world);
    world.patience.cuts = [0, 1, 5][dice.below(3)];
    let kind = kind(&mut dice);
    let wanted = contents(&world.source);
    for run in 0..RUNS_WITH_FAULTS {
        let faults: Vec<Fault> = (0..dice.below(3)).map(|_| fault(&mut dice)).collect();
        let told_faults = format!("{faults:?}");
        let target = faults.into_iter().fold(kind.clone(), Behaviour::with_fault);
        let (connections, verify) = (1 + dice.below(3), verify(&mut dice));
        let restored = world.restore_with(target, |job| {
            job.connections = connections;
            job.verify = verify;
            job.limits.settle = std::time::Duration::from_millis(1);
        });
        assert_never_too_many(&world, &wanted, &before, &format!("run {run}: {told_faults} {restored:?}"));
        if restored.report.outcome == RestoreOutcome::Proven {
            assert_done(&world, &wanted, &before);
        }
    }
    world.patience.cuts = 5;
    let last = world.restore(kind.clone());
    assert_eq!(last.report.outcome, RestoreOutcome::Proven, "{kind:?} {:#?}", last.report);
    last.assert_proven();
    assert_done(&world, &wanted, &before);
    let again = world.restore(kind);
    again.assert_proven();
    assert!(again.appends().is_empty(), "{:#?}", again.report);
}

fn source(dice: &mut Random) -> World {
    let world = World::empty();
    for folder in &FOLDERS[..1 + dice.below(FOLDERS.len())] {
        for _ in 0..dice.below(12) {
            // Few contents, so that many are there more than once.
            let mut bytes = mail(u32::try_from(dice.below(9)).unwrap());
            bytes.extend_from_slice(&b"more of it\r\n".repeat(dice.below(2) * 500));
            world.deliver(folder, &bytes, FLAGS[dice.below(FLAGS.len())]);
        }
        if dice.below(3) == 0 && world.source.messages("anna", folder).is_err() {
            world.source.create("anna", folder).unwrap();
        }
    }
    world.pull();
    world
}

/// Fills the target by chance; gives what it has then.
fn strangers_and_some_of_ours(dice: &mut Random, world: &World) -> BTreeMap<String, Vec<Kept>> {
    let share = dice.below(3);
    for mailbox in world.source.mailboxes("anna").unwrap() {
        for message in world.source.messages("anna", &mailbox.name).unwrap() {
            if dice.below(4) < share {
                let flags = if dice.below(2) == 0 {
                    message.flags.clone()
                } else {
                    Flags::parse(FLAGS[dice.below(FLAGS.len())])
                };
                put(&world.target, &mailbox.name, &message.bytes, &flags.to_string(), &message.date);
            }
        }
        for _ in 0..dice.below(3) {
            let date = InternalDate::from_unix(1_400_000_000, 0);
            let number = 1_000 + u32::try_from(dice.below(5)).unwrap();
            put(&world.target, &mailbox.name, &mail(number), "\\Deleted strange", &date);
        }
    }
    contents(&world.target)
}

/// A kind of server, with any way to write names.
fn kind(dice: &mut Random) -> Behaviour {
    let kind = capabilities(dice);
    match dice.below(3) {
        0 => kind.with_delimiter(Some('.')).with_prefix("INBOX.").with("NAMESPACE"),
        1 => kind.with_delimiter(Some('.')),
        _ => kind,
    }
}

fn capabilities(dice: &mut Random) -> Behaviour {
    let mut kind = if dice.below(4) == 0 { Behaviour::bare() } else { Behaviour::modern() };
    for capability in [
        "UIDPLUS",
        "MULTIAPPEND",
        "LITERAL+",
        "IMAP4rev2",
        "CONDSTORE",
        "COMPRESS=DEFLATE",
        "LIST-STATUS",
        "LIST-EXTENDED",
        "NAMESPACE",
        "ESEARCH",
        "UTF8=ACCEPT",
        "APPENDLIMIT",
        "UNSELECT",
    ] {
        if dice.below(3) == 0 {
            kind = kind.without(capability);
        }
    }
    for capability in ["LITERAL-", "QUOTA", "CREATE-SPECIAL-USE"] {
        if dice.below(3) == 0 {
            kind = kind.with(capability);
        }
    }
    kind
}

fn fault(dice: &mut Random) -> Fault {
    let nth = 1 + u32::try_from(dice.below(4)).unwrap();
    let octets = 1 + dice.below(12_000) as u64;
    let fault = match dice.below(13) {
        0 => Fault::new(Trigger::Literal, Effect::Disconnect),
        1 => Fault::new(Trigger::Literal, Effect::DisconnectInLiteral(octets % 700)),
        2 => Fault::new(on("APPEND"), Effect::Disconnect),
        3 => Fault::new(on("APPEND"), Effect::DisconnectAfter(octets % 40)),
        4 => Fault::new(on("APPEND"), Effect::No("[LIMIT] slow down".into())),
        5 => Fault::new(on("UID STORE"), Effect::DisconnectAfter(octets % 40)),
        6 => Fault::new(on("CREATE"), Effect::DisconnectAfter(0)),
        7 => Fault::new(on("UID FETCH"), Effect::DisconnectAfter(octets)),
        8 => Fault::new(on("APPEND"), Effect::NoAppendUid),
        11 => Fault::new(on("APPEND"), Effect::StoresLate(1)),
        9 => return Fault::new(Trigger::SentInAll(octets), Effect::Disconnect),
        10 => return Fault::new(Trigger::ReceivedInAll(octets), Effect::Disconnect),
        _ => Fault::new(on("APPEND"), Effect::Bye("System Error".into())),
    };
    if dice.below(3) == 0 { fault.from(nth) } else { fault.only(nth) }
}

fn verify(dice: &mut Random) -> Verify {
    [Verify::Headers, Verify::Headers, Verify::Full, Verify::Off][dice.below(4)]
}

fn count(messages: &[Kept], key: MessageKey) -> usize {
    messages.iter().filter(|(known, _, _)| *known == key).count()
}

fn of<'a>(mail: &'a BTreeMap<String, Vec<Kept>>, mailbox: &str) -> &'a [Kept] {
    mail.get(mailbox).map(Vec::as_slice).unwrap_or_default()
}

fn assert_never_too_many(
    world: &World,
    wanted: &BTreeMap<String, Vec<Kept>>,
    before: &BTreeMap<String, Vec<Kept>>,
    told: &str,
) {
    for (mailbox, now) in contents(&world.target) {
        for (key, _, _) in &now {
            let most = count(of(wanted, &mailbox), *key).max(count(of(before, &mailbox), *key));
            assert!(count(&now, *key) <= most, "{mailbox}: more of {key} than there were; {told}");
        }
    }
    for (mailbox, old) in before {
        for (key, _, _) in old {
            assert!(count(&kept(&world.target, mailbox), *key) >= count(old, *key), "{mailbox}: {told}");
        }
    }
}

fn assert_done(world: &World, wanted: &BTreeMap<String, Vec<Kept>>, before: &BTreeMap<String, Vec<Kept>>) {
    for (mailbox, wanted) in wanted {
        let mut left = kept(&world.target, mailbox);
        for message in wanted {
            let at = left.iter().position(|other| other == message);
            let at = at.unwrap_or_else(|| panic!("{mailbox} lacks {message:?}; it has {left:?} besides"));
            left.remove(at);
        }
        // The rest is what the target had more than was wanted.
        for (key, _, _) in &left {
            let extra = count(of(before, mailbox), *key).saturating_sub(count(wanted, *key));
            assert_eq!(count(&left, *key), extra, "{mailbox}: {key}");
        }
    }
}

/// What a target can make of mail that it is given, a message here and there.
fn quirk(dice: &mut Random) -> Fault {
    let some = super::world::given(u32::try_from(dice.below(9)).unwrap());
    let when = if dice.below(3) == 0 { on("APPEND") } else { some };
    let what = match dice.below(13) {
        0 => Effect::Alters(Alteration::AddsField("X-Received: by the target".into())),
        1 => Effect::Alters(Alteration::ReordersFields),
        2 => Effect::Alters(Alteration::EndsWithLine),
        3 => Effect::Alters(Alteration::Becomes(mail(77))),
        4 => Effect::DropsFlags(vec![]),
        5 => Effect::DateMoved(3_600),
        6 => Effect::DateIgnored,
        7 => Effect::Merges,
        8 => Effect::MergesById,
        9 => Effect::Forgets,
        10 => Effect::ForgetsAtEnd,
        11 => Effect::MovesTo("Elsewhere".into()),
        _ => return Fault::new(Trigger::Flag("\\Flagged".into()), Effect::Bad("no such flag".into())),
    };
    Fault::new(when, what)
}

#[test]
fn whatever_a_target_makes_of_mail_nothing_is_called_proven_that_is_not_there() {
    let seeds = if std::env::var("RESTANTE_LONG").is_ok_and(|long| long == "1") { 0..2_000 } else { 0..40 };
    for seed in seeds {
        let done = std::panic::catch_unwind(|| one_odd(seed));
        assert!(done.is_ok(), "the restore of seed {seed} went wrong");
    }
}

fn one_odd(seed: u64) {
    let mut dice = Random::new(seed ^ 0x6f64_6400);
    let world = source(&mut dice);
    strangers_and_some_of_ours(&mut dice, &world);
    let wanted = contents(&world.source);
    let kind = capabilities(&mut dice);
    for _ in 0..2 {
        let quirks: Vec<Fault> = (0..1 + dice.below(3)).map(|_| quirk(&mut dice)).collect();
        let target = quirks.iter().cloned().fold(kind.clone(), Behaviour::with_fault);
        let verify = if dice.below(2) == 0 { Verify::Headers } else { Verify::Full };
        let restored = world.restore_with(target, |job| job.verify = verify);
        let told = format!("{quirks:?} {restored:?}");
        for folder in &restored.report.folders {
            let mut there = kept(&world.target, &folder.target);
            let exact = of(&wanted, &folder.folder).iter().filter(|message| {
                let found = there.iter().position(|other| other == *message);
                found.map(|at| there.remove(at)).is_some()
            });
            let exact = exact.count() as u64;
            assert_eq!(folder.error, None, "{told}");
            assert!(folder.proven <= exact, "{}: {exact} are there; {told}", folder.folder);
            let named = folder.remarks.len() + folder.refused.len();
            let accounted = folder.proven + named as u64 + folder.not_sent;
            assert!(accounted >= folder.asked, "{}: some are not accounted for; {told}", folder.folder);
        }
    }
}
