//! What a POP3 server does wrong while a run goes on.

use server::pop3::{Effect, Fault, Trigger};

use super::provider::Kind;
use crate::dice::Dice;

const COMMANDS: [&str; 9] = ["PASS", "CAPA", "STAT", "UIDL", "LIST", "RETR", "RETR", "TOP", "NOOP"];

const REFUSALS: [&str; 7] = [
    "[SYS/TEMP] disk is full",
    "[SYS/PERM] corrupt",
    "[IN-USE] another session",
    "[LOGIN-DELAY] too soon",
    "[AUTH] no",
    "failed",
    "",
];

/// Some faults, seldom none.
pub(super) fn draw(dice: &mut Dice, kind: Kind) -> Vec<Fault> {
    (0..=dice.magnitude(3)).map(|_| one(dice, kind)).collect()
}

fn one(dice: &mut Dice, kind: Kind) -> Fault {
    let command = Trigger::Command((*dice.pick(&COMMANDS).unwrap()).to_owned());
    let octets = dice.magnitude(5_000) as u64;
    let number = u32::try_from(1 + dice.magnitude(20)).unwrap();
    let fault = match dice.below(12) {
        0 | 1 => Fault::new(Trigger::SentInAll(dice.magnitude(40_000) as u64), Effect::Disconnect),
        2 => Fault::new(Trigger::Sent(dice.magnitude(40_000) as u64), Effect::Disconnect),
        3 => Fault::new(command, Effect::DisconnectAfter(octets)),
        4 => Fault::new(command, Effect::SilenceAfter(octets)),
        5 => Fault::new(command, Effect::Err((*dice.pick(&REFUSALS).unwrap()).to_owned())),
        6 => Fault::new(Trigger::Message(number), Effect::Err((*dice.pick(&REFUSALS).unwrap()).to_owned())),
        7 => Fault::new(Trigger::Message(number), Effect::DisconnectAfter(octets)),
        8 => Fault::on(dice.pick(&["UIDL", "LIST"]).unwrap(), Effect::EndsAfter(dice.magnitude(10))),
        9 => Fault::new(Trigger::Listed(number), Effect::Hide),
        10 => Fault::new(Trigger::Greeting, Effect::Err((*dice.pick(&REFUSALS).unwrap()).to_owned())),
        // Among several answers that are under way the first of a maildrop can be taken for one another,
        // for no count of octets is known to be true yet.
        _ if kind.pipelining => Fault::on("RETR", Effect::Octets(octets)),
        _ => Fault::new(Trigger::Message(number), Effect::Terminator(b".\r".to_vec())),
    };
    let times = u32::try_from(1 + dice.below(4)).unwrap();
    match dice.below(4) {
        0 => fault.first(times),
        1 => fault.only(times),
        2 => fault.from(times),
        _ => fault,
    }
}
