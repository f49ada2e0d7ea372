//! What each kind of run costs, on each kind of server.
//!
//! What is the same everywhere: the greeting; CAPABILITY, which this server does not tell unasked; the
//! login; all that follows a login, with the listing; LOGOUT.

use server::Behaviour;

use crate::world::{Cost, World};

const FOLDERS: u32 = 37;

/// A kind of server, and how many round trips each run costs there: the first, one with nothing new, one
/// with a new message that was read, with an unread one, with one that is gone.
type Row = (&'static str, fn() -> Behaviour, [u64; 5]);

const TABLE: [Row; 5] = [
    ("with all extensions", Behaviour::modern, [43, 5, 8, 10, 8]),
    (
        "without LIST-STATUS",
        || Behaviour::modern().without("LIST-STATUS").without("IMAP4rev2"),
        [53, 15, 18, 20, 18],
    ),
    ("without QRESYNC", || Behaviour::modern().without("QRESYNC"), [43, 5, 10, 12, 10]),
    ("without CONDSTORE", || Behaviour::modern().without("CONDSTORE"), [43, 117, 117, 119, 117]),
    ("without any", Behaviour::bare, [80, 117, 117, 119, 117]),
];

#[test]
fn n16_each_run_waits_as_often_as_it_has_to_and_no_oftener() {
    let measured = TABLE.map(|(kind, behaviour, _)| {
        let world = World::new(FOLDERS, 5);
        let round_trips = || world.pull(behaviour()).1.round_trips;
        let (first, nothing) = (round_trips(), round_trips());
        world.deliver("folder 7", 1_000, "\\Seen");
        let read = round_trips();
        world.deliver("folder 7", 1_001, "");
        let unread = round_trips();
        world.expunge("folder 7", "2");
        (kind, [first, nothing, read, unread, round_trips()])
    });
    assert_eq!(measured, TABLE.map(|(kind, _, expected)| (kind, expected)));
}

#[test]
fn n16_nothing_new_in_a_thousand_folders_costs_six_round_trips_at_most() {
    let mut world = World::new(1_000, 1);
    // Of so many folders, a few fall due each hour to be looked at in full.
    world.limits.recheck = std::time::Duration::ZERO;
    let (first, Cost { round_trips, .. }) = world.pull(Behaviour::modern());
    assert_eq!(first.totals.new, 1_000);
    assert!(round_trips <= 8 + 3 * 1_000, "{round_trips}");
    let (_, again) = world.pull(Behaviour::modern());
    assert!(again.round_trips <= 6, "{again:?}");
}

#[test]
fn nothing_new_costs_the_same_for_few_messages_and_for_many() {
    let [few, many] = [10, 2_000].map(|messages| {
        let world = World::new(1, messages);
        world.pull(Behaviour::modern());
        world.pull(Behaviour::modern()).1
    });
    assert_eq!((few.round_trips, few.commands), (many.round_trips, many.commands));
    assert!(many.octets < few.octets + 20, "{few:?}, {many:?}: only numbers are longer");
}
