//! What goes wrong while a run goes on: on the line, in the server's answers, on the disk.

use std::collections::BTreeSet;

use archive::disk::simulated::{AfterFailedSync, Call, Faults as DiskFaults, errno};
use message::Uid;
use server::{Effect, Fault, Field, Trigger};

use crate::dice::Dice;
use crate::events::Account;
use crate::model::Model;

/// What the server does wrong in one run.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) faults: Vec<Fault>,
    /// Connections that do not come about, before one does.
    pub(crate) refused: usize,
    /// False INTERNALDATEs, or none, are told for these: they are not held against the archive.
    pub(crate) untrue_dates: BTreeSet<Uid>,
    /// Likewise flags.
    pub(crate) untrue_flags: BTreeSet<Uid>,
}

const COMMANDS: [&str; 10] = [
    "LOGIN",
    "LIST",
    "EXAMINE",
    "UID FETCH",
    "UID FETCH",
    "UID FETCH",
    "UID SEARCH",
    "NOOP",
    "STATUS",
    "ENABLE",
];

const SLOW_DOWN: [&str; 4] = [
    "[THROTTLED] Account exceeded command or bandwidth limits. (Failure)",
    "[LIMIT] Request is throttled. Suggested Backoff Time: 29961 milliseconds",
    "[INUSE] mailbox is in use",
    "[UNAVAILABLE] Service temporarily unavailable",
];

const UNASKED: [&[u8]; 7] = [
    b"* OK still here\r\n",
    b"* FLAGS (\\Seen odd)\r\n",
    b"* 1 FETCH (MODSEQ (3))\r\n",
    b"* SEARCH\r\n",
    b"* 1000 EXISTS\r\n",
    b"* LIST () \"/\" Ghost\r\n",
    b"* CAPABILITY IMAP4rev1\r\n",
];

impl Script {
    /// Some faults, seldom none.
    pub(crate) fn draw(dice: &mut Dice, account: &Account, model: &mut Model) -> Self {
        let mut script = Self::default();
        for _ in 0..=dice.magnitude(3) {
            match dice.below(100) {
                0..40 => script.line_breaks(dice),
                40..70 => script.command_fails(dice),
                70..90 => script.message_comes_wrong(dice, account, model),
                90..95 => script.refused = dice.below(7),
                _ => script.says_what_nobody_asked(dice),
            }
        }
        // One lie about what there is: two that agree would be a smaller mailbox, and no lie.
        if dice.permille(250) {
            script.lies_about_the_mailbox(dice, account);
        }
        script
    }

    fn add(&mut self, dice: &mut Dice, when: Trigger, what: Effect) {
        let fault = Fault::new(when, what);
        let times = u32::try_from(1 + dice.below(4)).unwrap();
        self.faults.push(match dice.below(4) {
            0 => fault.first(times),
            1 => fault.only(times),
            2 => fault.from(times),
            _ => fault,
        });
    }

    fn line_breaks(&mut self, dice: &mut Dice) {
        let at = dice.magnitude(40_000) as u64;
        let effect = if dice.permille(700) { Effect::Disconnect } else { Effect::Silence };
        let when = match dice.below(8) {
            0 => Trigger::Greeting,
            1 | 2 => Trigger::Sent(at),
            _ => Trigger::SentInAll(at),
        };
        self.add(dice, when, effect);
    }

    fn command_fails(&mut self, dice: &mut Dice) {
        let command = (*dice.pick(&COMMANDS).unwrap()).to_owned();
        let text = || "what the server says".to_owned();
        let slow_down = (*dice.pick(&SLOW_DOWN).unwrap()).to_owned();
        let effect = match dice.below(8) {
            0 | 1 => Effect::No(text()),
            2 => Effect::Bad(text()),
            3 => Effect::Bye(text()),
            4 => Effect::Bye(slow_down),
            5 => Effect::No(slow_down),
            6 => Effect::Silence,
            _ => Effect::DisconnectAfter(dice.magnitude(3_000) as u64),
        };
        self.add(dice, Trigger::Command(command), effect);
    }

    fn message_comes_wrong(&mut self, dice: &mut Dice, account: &Account, model: &mut Model) {
        let uid = account.some_uid(dice);
        let number = uid.get();
        let octets = u32::try_from(1 + dice.magnitude(60)).unwrap();
        let rebuilt = format!("X-Rebuilt: {}\r\n\r\nrebuilt\r\n", dice.number()).into_bytes();
        let when = if dice.permille(800) { Trigger::Body(number) } else { Trigger::Fetch(number) };
        let effect = match dice.below(18) {
            0 | 1 => Effect::No("not this one".to_owned()),
            2 => Effect::Bad("not this one".to_owned()),
            3 | 4 => Effect::Disconnect,
            5 => Effect::Bye("not this one".to_owned()),
            6 => {
                model.tears(uid);
                Effect::ShortLiteral(octets)
            }
            7 => Effect::LongLiteral(octets),
            8 => Effect::Size(dice.magnitude(1 << 31) as u64),
            9 => {
                self.untrue_dates.insert(uid);
                Effect::Date("00-Jan-0000 00:00:00 +0000".to_owned())
            }
            10 | 11 => self.item_is_missing(dice, uid),
            12 => Effect::Hide,
            13 => {
                model.gives_out(uid, &rebuilt);
                Effect::Content(rebuilt)
            }
            14 => Effect::UidLast,
            15 => Effect::InPieces,
            16 => Effect::Descending,
            _ => Effect::DisconnectAfter(u64::from(octets)),
        };
        self.add(dice, when, effect);
    }

    fn item_is_missing(&mut self, dice: &mut Dice, uid: Uid) -> Effect {
        let field = *dice
            .pick(&[Field::Uid, Field::Flags, Field::InternalDate, Field::Size, Field::Body, Field::Body])
            .unwrap();
        match field {
            Field::InternalDate => drop(self.untrue_dates.insert(uid)),
            Field::Flags => drop(self.untrue_flags.insert(uid)),
            _ => {}
        }
        if dice.permille(500) { Effect::Omit(field) } else { Effect::Nil(field) }
    }

    fn says_what_nobody_asked(&mut self, dice: &mut Dice) {
        let command = (*dice.pick(&COMMANDS).unwrap()).to_owned();
        let octets = dice.pick(&UNASKED).unwrap().to_vec();
        let effect = if dice.permille(500) { Effect::Before(octets) } else { Effect::After(octets) };
        self.add(dice, Trigger::Command(command), effect);
    }

    fn lies_about_the_mailbox(&mut self, dice: &mut Dice, account: &Account) {
        let folder = account.some_folder(dice);
        let few = dice.below(folder.messages + 3);
        let number = u32::try_from(few).unwrap();
        let effect = match dice.below(11) {
            0..3 => Effect::Exists(number),
            3 => Effect::Validity(Some(folder.validity.get() + 500_000 + number)),
            4 => Effect::Validity(None),
            5 => Effect::UidNext(None),
            6 => Effect::UidNext(Some(1 + number)),
            7 => Effect::HighestModSeq(if dice.permille(500) { None } else { Some(0) }),
            8 => Effect::Vanished(format!("1:{}", 1 + number)),
            9 => Effect::SearchLimit(few),
            _ => Effect::SearchAlso(vec![number + 1, number + 7]),
        };
        let command = match &effect {
            Effect::SearchLimit(_) | Effect::SearchAlso(_) => "UID SEARCH",
            _ => *dice.pick(&["EXAMINE", "EXAMINE", "STATUS", "LIST"]).unwrap(),
        };
        self.add(dice, Trigger::Command(command.to_owned()), effect);
    }
}

/// What the disk does wrong in one run.
pub(crate) fn disk_faults(dice: &mut Dice) -> DiskFaults {
    let number = 1 + dice.magnitude(40);
    let error = *dice.pick(&[errno::IO, errno::NOSPC, errno::ROFS, errno::DQUOT]).unwrap();
    let call = *dice
        .pick(&[
            Call::Sync,
            Call::Sync,
            Call::Write,
            Call::Write,
            Call::Create,
            Call::Read,
            Call::SyncDir,
            Call::Truncate,
        ])
        .unwrap();
    let mut faults = match dice.below(4) {
        0 => DiskFaults { room: Some(dice.magnitude(30_000)), ..DiskFaults::default() },
        1 => DiskFaults::from_then_on(call, number, error),
        _ => DiskFaults::once(call, number, error),
    };
    if dice.permille(300) {
        faults.short = Some(1 + dice.magnitude(2_000));
    }
    faults.after_failed_sync =
        *dice.pick(&[AfterFailedSync::Kept, AfterFailedSync::Hidden, AfterFailedSync::Dropped]).unwrap();
    faults
}
