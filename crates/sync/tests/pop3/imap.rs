//! The same mail over IMAP: another account of the same archive, and an account that moves.

use restante_sync::Outcome;
use server::pop3::Behaviour;

use crate::scripted::mail;
use crate::world::World;

#[test]
fn the_same_mail_over_imap_and_pop3_is_the_same_content_stored_once() {
    let world = World::with_messages(100);
    world.assert_whole(&world.pull_with([]));
    let ledger = world.pull_over_imap("b");
    assert_eq!(ledger.outcome, Outcome::Ok, "{ledger:#?}");
    let keys = |account: &str| {
        let mut keys: Vec<_> = world.placements(account).iter().map(|placement| placement.message).collect();
        keys.sort_unstable();
        keys
    };
    assert_eq!((keys("a"), world.stored()), (keys("b"), 100));
}

#[test]
fn an_account_that_moves_to_imap_and_back_goes_on_and_doubles_nothing() {
    let world = World::with_messages(60);
    world.assert_whole(&world.pull_with([]));
    world.deliver(&mail(61, 2_000));
    let ledger = world.pull_over_imap("a");
    assert_eq!((ledger.outcome, ledger.suspicious), (Outcome::Ok, false), "{ledger:#?}");
    assert_eq!((world.stored(), world.held()), (61, world.keys_on_server()));
    assert!(ledger.totals.bytes_fetched < 61 * 2_000, "{ledger:#?}");

    world.deliver(&mail(62, 2_000));
    let (ledger, server) = world.pull(Behaviour::modern());
    world.assert_whole(&ledger);
    assert_eq!((world.stored(), ledger.suspicious), (62, false), "{ledger:#?}");
    assert!(server.counts().retrieved_octets < 40 * 2_300, "{:?}", server.counts());
    for _ in 0..4 {
        let (ledger, _) = world.pull(Behaviour::modern());
        world.assert_whole(&ledger);
        assert_eq!((world.stored(), world.placements("a").len()), (62, 62));
    }
}
