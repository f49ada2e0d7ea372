//! Targets that make something else of what they are given: bytes, dates, one of two; or have it and
//! lose it (R11, R12, R13, R16).

use message::{InternalDate, MessageKey};
use server::{Alteration, Behaviour, Effect, Fault};

use super::world::{World, contents, given, kept, mail, on, put};

/// Mail that every change changes: several fields, bare line ends, a NUL, no line end at the end, MIME.
fn changeable(number: u32) -> Vec<u8> {
    format!(
        "Message-ID: <c{number}@post.example>\nFrom: anna@post.example\nSubject: number {number}\n\
         Content-Type: multipart/mixed; boundary=\"part-of-{number}\"\n\n--part-of-{number}\n\n\
         text with a \0 in it\n--part-of-{number}--\nno line end"
    )
    .into_bytes()
}

fn three_changeable() -> World {
    let world = World::empty();
    for number in 1..=3 {
        world.deliver("INBOX", &changeable(number), "\\Seen");
    }
    world.pull();
    world
}

#[test]
fn r11_each_change_that_a_server_makes_is_told_by_name_and_nothing_is_sent_again() {
    let adds = || Alteration::AddsField("X-Server: it was here".into());
    for (alterations, changes) in [
        (vec![adds()], "header fields added (X-Server)"),
        (vec![Alteration::ReordersFields], "header fields in another order"),
        (vec![Alteration::LinesEndWithCrlf], "line ends made CRLF"),
        (vec![Alteration::StripsNul], "NUL bytes left out"),
        (vec![Alteration::EndsWithLine], "a line end added at the end"),
        (vec![Alteration::RebuildsMime], "the MIME structure written anew around the same parts"),
        (
            vec![adds(), Alteration::LinesEndWithCrlf, Alteration::StripsNul],
            "header fields added (X-Server), line ends made CRLF, NUL bytes left out",
        ),
    ] {
        let world = three_changeable();
        let faults =
            || alterations.iter().cloned().map(|change| Fault::new(on("APPEND"), Effect::Alters(change)));
        let restored = world.restore_despite(faults());
        restored.assert_partial();
        let inbox = restored.folder("INBOX");
        assert_eq!((inbox.added, inbox.proven, inbox.remarks.len()), (3, 0, 3), "{:#?}", restored.report);
        for remark in restored.remarks("INBOX") {
            assert_eq!(remark, format!("equal but for: {changes}"));
        }
        let again = world.restore_despite(faults());
        assert_eq!((again.report.totals.already_there, again.report.totals.added), (3, 0), "{changes}");
        assert_eq!(kept(&world.target, "INBOX").len(), 3);
    }
}

#[test]
fn r11_one_message_that_is_changed_does_not_spoil_the_proof_of_the_others() {
    let world = World::with(6);
    let change = Effect::Alters(Alteration::Becomes(b"Subject: gone\r\n\r\nthis is not it\r\n".to_vec()));
    let restored = world.restore_despite([Fault::new(given(4), change)]);
    restored.assert_partial();
    assert_eq!(restored.folder("INBOX").proven, 5);
    let remarks = restored.remarks("INBOX");
    assert_eq!(remarks.len(), 1);
    assert!(remarks[0].starts_with("different"), "{remarks:?}");
    let key = MessageKey::of(&mail(4)).to_string();
    assert_eq!(restored.folder("INBOX").remarks[0].id, key);
}

#[test]
fn r11_a_message_changed_under_the_same_header_and_size_is_found_by_its_bytes() {
    let world = World::with(4);
    let other = String::from_utf8(mail(2)).unwrap().replace("line 3 of", "fine 3 of").into_bytes();
    let change = Effect::Alters(Alteration::Becomes(other));
    let restored = world.restore_despite([Fault::new(given(2), change)]);
    restored.assert_partial();
    assert_eq!(restored.folder("INBOX").proven, 3, "{:#?}", restored.report);
}

#[test]
fn r12_equal_messages_that_are_merged_are_told_and_not_counted_as_proven() {
    let world = World::empty();
    for number in [1, 1, 2, 1] {
        world.deliver("INBOX", &mail(number), "\\Seen");
    }
    world.pull();
    let merges = || [Fault::new(on("APPEND"), Effect::Merges)];
    let restored = world.restore_despite(merges());
    restored.assert_partial();
    assert_eq!(restored.folder("INBOX").proven, 2, "{:#?}", restored.report);
    let remarks = restored.remarks("INBOX");
    assert_eq!(remarks.len(), 2);
    for remark in remarks {
        let first = "14-Jul-2017 03:40:01 +0000";
        assert_eq!(
            remark,
            format!("merged by the server with an equal message, which keeps the received date {first}")
        );
    }
    // It is tried again, and there are no more of them than before.
    world.restore_despite(merges()).assert_partial();
    assert_eq!(kept(&world.target, "INBOX").len(), 2);
}

#[test]
fn r12_a_message_merged_with_one_in_the_bin_has_the_date_of_that_one() {
    let world = World::with(3);
    let old = InternalDate::from_unix(1_000_000_000, 0);
    put(&world.target, "Bin", &mail(2), "", &old);
    let restored = world.restore_despite([Fault::new(on("APPEND"), Effect::Merges)]);
    restored.assert_partial();
    let remarks = restored.remarks("INBOX");
    assert_eq!(remarks.len(), 1);
    assert!(
        remarks[0].starts_with("the server keeps another received date:")
            && remarks[0].contains("9-Sep-2001 01:46:40 +0000"),
        "{remarks:?}"
    );
    assert_eq!(restored.folder("INBOX").proven, 2);
}

#[test]
fn r12_different_mail_under_one_message_id_that_is_merged_is_not_there() {
    let world = World::empty();
    world.deliver("INBOX", &mail(1), "\\Seen");
    let other = [mail(1), b"a footer of the list\r\n".to_vec()].concat();
    world.deliver("INBOX", &other, "\\Seen");
    world.pull();
    let restored = world.restore_despite([Fault::new(on("APPEND"), Effect::MergesById)]);
    restored.assert_partial();
    assert_eq!((restored.folder("INBOX").proven, restored.folder("INBOX").remarks.len()), (1, 1));
    assert_eq!(restored.folder("INBOX").remarks[0].id, MessageKey::of(&other).to_string());
}

#[test]
fn r13_a_received_date_that_is_ignored_or_moved_is_told() {
    for effect in [Effect::DateIgnored, Effect::DateMoved(86_400)] {
        let world = World::with(3);
        let restored = world.restore_despite([Fault::new(given(2), effect)]);
        restored.assert_partial();
        let remarks = restored.remarks("INBOX");
        assert_eq!(remarks.len(), 1);
        assert!(remarks[0].starts_with("the server keeps another received date: "), "{remarks:?}");
        assert_eq!(restored.folder("INBOX").proven, 2);
        let again = world.restore(Behaviour::modern());
        assert_eq!((again.report.totals.already_there, again.report.totals.added), (3, 0));
    }
}

#[test]
fn r13_a_date_that_is_refused_is_replaced_by_the_nearest_that_is_not_and_told() {
    let world = World::empty();
    world.deliver("INBOX", &mail(1), "\\Seen kept");
    put(&world.source, "INBOX", &mail(2), "\\Seen kept", &InternalDate::from_unix(-631_152_000, 0));
    put(&world.source, "INBOX", &mail(3), "\\Seen kept", &InternalDate::from_unix(7_258_118_400, 0));
    world.pull();
    for target in [Behaviour::modern(), Behaviour::bare()] {
        world.target.wipe("anna").unwrap();
        let fault = Fault::new(on("APPEND"), Effect::DatesWithin(0..=i64::from(i32::MAX)));
        let restored = world.restore(target.with_fault(fault));
        restored.assert_partial();
        assert_eq!(restored.folder("INBOX").added, 3, "{:#?}", restored.report);
        assert_eq!(restored.folder("INBOX").proven, 1);
        let kept = kept(&world.target, "INBOX");
        assert!(kept.iter().all(|(_, flags, _)| flags == "\\seen kept"), "{kept:?}");
        let dates: Vec<i64> = kept.iter().filter_map(|(_, _, date)| *date).collect();
        assert!(dates.iter().any(|date| (0..400_000_000).contains(date)), "{dates:?}");
        assert!(dates.iter().any(|date| *date > 2_000_000_000), "{dates:?}");
    }
}

#[test]
fn r13_days_are_sent_with_two_digits() {
    let world = World::empty();
    // 3 February 2020
    put(&world.source, "INBOX", &mail(1), "", &InternalDate::from_unix(1_580_724_000, 0));
    world.pull();
    let restored = world.restore(Behaviour::modern());
    restored.assert_proven();
    let appends = restored.appends();
    assert!(appends[0].contains("\"03-Feb-2020 10:00:00 +0000\""), "{appends:?}");
}

#[test]
fn r16_what_is_taken_and_then_gone_is_told() {
    for (effect, kind) in [
        (Effect::Forgets, "forgotten at once"),
        (Effect::MovesTo("Elsewhere".into()), "moved by a filter"),
        (Effect::ForgetsAtEnd, "forgotten when the connection ends"),
    ] {
        for target in [Behaviour::modern(), Behaviour::bare()] {
            let world = World::with(4);
            world.target.create("anna", "Elsewhere").unwrap();
            let restored = world.restore(target.with_fault(Fault::new(given(3), effect.clone())));
            restored.assert_partial();
            let inbox = restored.folder("INBOX");
            assert_eq!((inbox.asked, inbox.proven), (4, 3), "{kind}: {:#?}", restored.report);
            let remarks = restored.remarks("INBOX");
            assert_eq!(remarks.len(), 1, "{kind}");
            assert!(remarks[0].starts_with("taken, then gone"), "{kind}: {remarks:?}");
            assert_eq!(inbox.remarks[0].id, MessageKey::of(&mail(3)).to_string());
        }
    }
}

#[test]
fn r16_junk_that_deletes_at_once_is_told_and_the_other_folders_are_proven() {
    let world = World::empty();
    world.fill("INBOX", 3);
    world.fill("Junk", 2);
    world.pull();
    world.target.create("anna", "Junk").unwrap();
    let junk = Fault::new(server::Trigger::Given(String::new()), Effect::Forgets).in_mailbox("Junk");
    let restored = world.restore_despite([junk]);
    restored.assert_partial();
    assert_eq!((restored.folder("INBOX").proven, restored.folder("Junk").proven), (3, 0));
    assert_eq!(restored.folder("Junk").remarks.len(), 2);
    assert!(contents(&world.target)["Junk"].is_empty());
}
