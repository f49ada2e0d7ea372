//! Which message is which: servers without UIDLs, with doubled, odd, changed and recycled ones.

use restante_sync::Outcome;
use server::pop3::{Behaviour, Effect, Fault, Trigger, Uidls};
use testkit::ScriptedPop3;

use crate::scripted::mail;
use crate::world::{World, asked};

/// Headers and the sample that is compared by bytes, not the bodies of all.
fn hints_and_a_sample(messages: u64) -> u64 {
    messages * 200 + 25 * 2_300
}

#[test]
fn p01_without_uidls_size_and_header_are_a_hint_and_nothing_is_doubled() {
    let world = World::with_messages(60);
    let behaviour = || Behaviour::modern().without("UIDL");
    world.assert_whole(&world.pull(behaviour()).0);
    for _ in 0..2 {
        let (ledger, server) = world.pull(behaviour());
        world.assert_whole(&ledger);
        assert_eq!(ledger.totals.new, 0, "{ledger:#?}");
        let counts = server.counts();
        assert!(counts.retrieved_octets + counts.top_octets <= hints_and_a_sample(60), "{counts:?}");
        assert_eq!(world.stored(), 60);
    }
    world.expunge("5,7");
    world.deliver(&mail(61, 2_000));
    let (ledger, _) = world.pull(behaviour());
    world.assert_whole(&ledger);
    assert_eq!((ledger.totals.new, ledger.totals.vanished), (1, 2));
}

#[test]
fn p01_without_uidls_and_top_all_is_fetched_each_time_and_told_by_its_content() {
    let world = World::with_messages(10);
    for run in 0..3 {
        let (ledger, server) = world.pull(Behaviour::bare());
        world.assert_whole(&ledger);
        assert_eq!((ledger.totals.new, world.stored()), (if run == 0 { 10 } else { 0 }, 10));
        assert_eq!((asked(&server, "RETR"), server.counts().pipelined), (10, 0));
    }
    world.expunge("1");
    world.deliver(&mail(11, 2_000));
    let (ledger, _) = world.pull(Behaviour::bare());
    world.assert_whole(&ledger);
    assert_eq!((ledger.totals.new, ledger.totals.vanished), (1, 1));
}

#[test]
fn p01_a_line_that_never_lasts_for_all_of_a_maildrop_without_uidls_ends_the_run_and_loses_nothing() {
    let world = World::with_messages(20);
    let fault = Fault::new(Trigger::Sent(20_000), Effect::Disconnect);
    let (ledger, server) = world.pull(Behaviour::bare().with_fault(fault));
    assert_ne!(ledger.outcome, Outcome::Ok);
    assert!(server.counts().connections < 20, "{:?}", server.counts());
    assert!(world.held().len() > 5, "{ledger:#?}");
    world.assert_whole(&world.pull(Behaviour::bare()).0);
    assert_eq!(world.stored(), 20);
}

#[test]
fn p02_a_name_keeps_its_message_when_a_twin_without_a_name_of_its_own_was_taken_for_it() {
    let twin =
        |letter: char| format!("Subject: twin\r\n\r\n{}\r\n", letter.to_string().repeat(1_500)).into_bytes();
    for scheme in [Uidls::by_content(), Uidls::by_uid()] {
        let world = World::new();
        let names = |names: Uidls| Behaviour::modern().with_uidls(names);
        world.deliver(&twin('a'));
        let b = world.deliver(&twin('b'));
        world.assert_whole(&world.pull(names(scheme.clone())).0);
        // One twin goes; the other comes once more, under one name, or loses it.
        world.expunge("1");
        let again = world.deliver(&twin('b'));
        let shared = scheme.clone().but(b.get(), b"b").but(again.get(), b"b");
        let ledger = world.pull(names(shared)).0;
        world.assert_whole(&ledger);
        assert_eq!((ledger.totals.replaced, ledger.totals.new), (1, 0), "{ledger:#?}");
        // And is back.
        world.expunge(&again.to_string());
        world.deliver(&twin('a'));
        world.assert_whole(&world.pull(names(scheme)).0);
    }
}

#[test]
fn p01_without_uidls_two_messages_of_one_size_and_header_are_two() {
    let world = World::new();
    let twin =
        |letter: char| format!("Subject: twin\r\n\r\n{}\r\n", letter.to_string().repeat(1_500)).into_bytes();
    for letter in ['a', 'b', 'b'] {
        world.deliver(&twin(letter));
    }
    for _ in 0..3 {
        world.assert_whole(&world.pull(Behaviour::modern().without("UIDL")).0);
    }
    // One of them turns into a third: what the hint cannot see, the sample of bytes does.
    world.expunge("2");
    world.deliver(&twin('c'));
    world.assert_whole(&world.pull(Behaviour::modern().without("UIDL")).0);
    world.assert_whole(&world.pull(Behaviour::modern().without("UIDL")).0);
    assert_eq!(world.stored(), 3);
}

#[test]
fn p02_two_messages_of_one_uidl_are_both_fetched_and_known_again() {
    let world = World::with_messages(30);
    let doubled = || Uidls::by_uid().but(3, b"same").but(9, b"same").but(20, b"same");
    let (ledger, _) = world.pull(Behaviour::modern().with_uidls(doubled()));
    world.assert_whole(&ledger);
    for _ in 0..3 {
        let (ledger, server) = world.pull(Behaviour::modern().with_uidls(doubled()));
        world.assert_whole(&ledger);
        assert_eq!((ledger.totals.new, world.stored()), (0, 30));
        assert!(
            server.counts().retrieved_octets <= 3 * 2_300,
            "no others are asked for: {:?}",
            server.counts()
        );
    }
    world.expunge("9");
    let (ledger, _) = world.pull(Behaviour::modern().with_uidls(doubled()));
    world.assert_whole(&ledger);
    assert_eq!(ledger.totals.vanished, 1);
}

#[test]
fn p02_a_message_that_lies_there_twice_lies_there_twice() {
    let world = World::with_messages(5);
    world.deliver(&mail(3, 2_000));
    for _ in 0..2 {
        let (ledger, _) = world.pull(Behaviour::modern().with_uidls(Uidls::by_content()));
        world.assert_whole(&ledger);
        assert_eq!((world.placements("a").len(), world.stored()), (6, 5));
    }
}

#[test]
fn p02_uidls_may_be_long_have_blanks_and_be_in_no_encoding() {
    let world = World::with_messages(12);
    let odd = || {
        Uidls::by_uid()
            .but(1, &[b'x'; 70])
            .but(2, &[b'y'; 512])
            .but(3, &[b'y'; 513])
            .but(4, &vec![b'z'; 100_000])
            .but(5, b"two words")
            .but(6, b" ahead")
            .but(7, b"\xff\xfe\x1b[2J")
            .but(8, b"")
            .but(9, b"tab\tnul\0")
    };
    world.assert_whole(&world.pull(Behaviour::modern().with_uidls(odd())).0);
    let (ledger, server) = world.pull(Behaviour::modern().with_uidls(odd()));
    world.assert_whole(&ledger);
    assert_eq!((ledger.totals.new, world.stored()), (0, 12));
    // Those without a usable one are compared; all others are known by theirs.
    assert!(asked(&server, "RETR") <= 3, "{:?}", server.log());
    let told = serde_json::to_string(&ledger).unwrap();
    assert!(!told.contains('\u{1b}'), "{told}");
}

#[test]
fn p03_uidls_that_all_changed_cost_headers_and_double_nothing() {
    let world = World::with_messages(100);
    let server = ScriptedPop3::start(world.store.clone(), Behaviour::modern());
    world.assert_whole(&world.pull_from(&server, &()));
    let before = server.counts();
    server.set_uidls(Uidls::of_generation(1));
    let ledger = world.pull_from(&server, &());
    world.assert_whole(&ledger);
    assert_eq!((world.stored(), ledger.totals.matched_by_header), (100, 100), "{ledger:#?}");
    let counts = server.counts();
    let octets = counts.retrieved_octets + counts.top_octets - before.retrieved_octets - before.top_octets;
    assert!(octets <= 2 * hints_and_a_sample(100), "{octets}");
    assert_eq!(world.placements("a").len(), 100);
    // What was believed by its header is proven bit by bit, and then it is known by its UIDL.
    for _ in 0..6 {
        world.assert_whole(&world.pull_from(&server, &()));
    }
    let before = server.counts();
    world.assert_whole(&world.pull_from(&server, &()));
    assert_eq!(server.counts().retrieved_octets, before.retrieved_octets);
}

#[test]
fn p03_where_top_is_missing_changed_uidls_cost_traffic_and_double_nothing() {
    let world = World::with_messages(20);
    let behaviour =
        |generation| Behaviour::modern().without("TOP").with_uidls(Uidls::of_generation(generation));
    world.assert_whole(&world.pull(behaviour(0)).0);
    let (ledger, _) = world.pull(behaviour(1));
    world.assert_whole(&ledger);
    assert_eq!((world.stored(), world.placements("a").len()), (20, 20));
    let (ledger, server) = world.pull(behaviour(1));
    world.assert_whole(&ledger);
    assert_eq!(asked(&server, "RETR"), 0);
}

#[test]
fn p04_a_uidl_that_was_given_to_another_message_is_seen_by_its_octets() {
    let world = World::with_messages(30);
    world.assert_whole(&world.pull(Behaviour::modern()).0);
    world.expunge("7");
    let other = world.deliver(&mail(700, 5_000));
    let recycled = || Uidls::by_uid().but(other.get(), b"0000000100000007");
    let (ledger, _) = world.pull(Behaviour::modern().with_uidls(recycled()));
    world.assert_whole(&ledger);
    assert_eq!((world.stored(), ledger.totals.new, ledger.totals.vanished), (31, 1, 1), "{ledger:#?}");
    let (ledger, server) = world.pull(Behaviour::modern().with_uidls(recycled()));
    world.assert_whole(&ledger);
    assert_eq!(asked(&server, "RETR"), 0);
}

#[test]
fn p04_a_uidl_that_was_given_to_another_message_of_the_same_octets_is_seen_by_a_sample() {
    // All of them: what a server put back from an old backup does.
    let world = World::with_messages(30);
    world.assert_whole(&world.pull(Behaviour::modern()).0);
    world.expunge("1:30");
    let mut recycled = Uidls::by_uid();
    for number in 1..=30 {
        let mut bytes = mail(number, 2_000);
        bytes[.."Message-ID".len()].copy_from_slice(b"Message-id");
        let uid = world.deliver(&bytes);
        recycled = recycled.but(uid.get(), format!("00000001{number:08x}").as_bytes());
    }
    world.clock.pass_hours(24 * 15);
    let (ledger, _) = world.pull(Behaviour::modern().with_uidls(recycled));
    world.assert_whole(&ledger);
    assert_eq!((world.stored(), ledger.totals.replaced), (60, 30), "{ledger:#?}");
}

#[test]
fn p05_where_message_numbers_are_the_uidls_shifting_ones_double_nothing() {
    let world = World::with_messages(30);
    let behaviour = || Behaviour::modern().with_uidls(Uidls::numbers());
    world.assert_whole(&world.pull(behaviour()).0);
    world.expunge("1,10:12");
    world.deliver(&mail(31, 2_000));
    for _ in 0..2 {
        let (ledger, _) = world.pull(behaviour());
        world.assert_whole(&ledger);
        assert_eq!((world.stored(), world.placements("a").len()), (31, 27));
    }
}

#[test]
fn p05_a_deletion_that_was_undone_is_undone_here_and_costs_nothing() {
    let world = World::with_messages(10);
    let behaviour = || Behaviour::modern().with_uidls(Uidls::by_content());
    world.assert_whole(&world.pull(behaviour()).0);
    world.expunge("3:5");
    let (ledger, _) = world.pull(behaviour());
    world.assert_whole(&ledger);
    assert_eq!(ledger.totals.vanished, 3);
    world.fill(3..=5, 2_000);
    let (ledger, server) = world.pull(behaviour());
    world.assert_whole(&ledger);
    assert_eq!((asked(&server, "RETR"), world.stored()), (0, 10));
    let uids: Vec<u32> = world.placements("a").iter().map(|placement| placement.uid.get()).collect();
    assert_eq!(uids, (1..=10).collect::<Vec<_>>(), "they lie where they lay");
}

#[test]
fn p05_a_maildrop_that_is_empty_has_lost_everything_and_the_archive_nothing() {
    let world = World::with_messages(40);
    world.assert_whole(&world.pull(Behaviour::modern()).0);
    world.expunge("1:40");
    let (ledger, _) = world.pull(Behaviour::modern());
    assert_eq!(ledger.outcome, Outcome::Ok, "{ledger:#?}");
    assert!(ledger.suspicious, "{ledger:#?}");
    assert_eq!((ledger.totals.vanished, world.stored(), world.held().len()), (40, 40, 0));
}

#[test]
fn with_nothing_new_a_run_is_one_listing() {
    let world = World::with_messages(50);
    world.assert_whole(&world.pull(Behaviour::modern()).0);
    let (ledger, server) = world.pull(Behaviour::modern());
    world.assert_whole(&ledger);
    let log = server.log();
    assert_eq!(ledger.totals.bytes_fetched, 0);
    let work: Vec<&String> = log.iter().skip_while(|line| !line.starts_with("PASS")).skip(1).collect();
    assert_eq!(work.iter().filter(|line| line.starts_with("UIDL")).count(), 1, "{log:?}");
    assert!(work.iter().all(|line| ["CAPA", "STAT", "UIDL", "QUIT"].contains(&line.as_str())), "{log:?}");
}
