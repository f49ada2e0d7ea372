//! The test's world itself: what is put in comes out, on Dovecot and on our own server alike.

#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

use std::collections::BTreeMap;

use message::{Flags, InternalDate, UidSet};
use restante_testkit::{Dovecot, Imap, Mail, Options, Scripted};
use server::sample::Sample;
use server::{Behaviour, Store};

/// Flags, second of receipt and octets of each message, by folder; the order within is free.
type World = BTreeMap<String, Vec<(String, Option<i64>, Vec<u8>)>>;

fn wanted(mail: &Mail, change: impl Fn(Sample) -> Sample) -> World {
    let mut world = World::new();
    for sample in mail.messages().map(change) {
        let message = (sample.flags.to_string(), sample.date.unix(), sample.bytes);
        world.entry(sample.folder).or_default().push(message);
    }
    sorted(world)
}

fn seen(imap: &mut Imap) -> World {
    let mut world = World::new();
    for (folder, messages) in imap.everything() {
        let messages = messages.into_iter();
        let told = messages.map(|m| (m.flags.to_string(), m.internal_date.unix(), m.bytes)).collect();
        world.insert(folder, told);
    }
    sorted(world)
}

fn sorted(mut world: World) -> World {
    world.values_mut().for_each(|messages| messages.sort());
    world
}

/// Dovecot sends every line end as CRLF.
fn with_crlf(sample: Sample) -> Sample {
    let mut bytes = Vec::with_capacity(sample.bytes.len());
    for &byte in &sample.bytes {
        if byte == b'\n' && bytes.last() != Some(&b'\r') {
            bytes.push(b'\r');
        }
        bytes.push(byte);
    }
    Sample { bytes, ..sample }
}

#[test]
fn what_is_delivered_to_dovecot_comes_back() {
    let Some(mut dovecot) = Dovecot::start(Options::default()) else { return };
    let mail = Mail::small(1, 400);
    assert_eq!(dovecot.fill("alice", &mail), 400);
    assert_eq!(seen(&mut dovecot.imap("alice")), wanted(&mail, with_crlf));
}

#[test]
fn a_dovecot_of_the_old_style_has_dots_and_a_prefix() {
    let Some(mut dovecot) = Dovecot::start(Options::default().separator('.').prefix("INBOX.")) else {
        return;
    };
    let date = InternalDate::from_unix(1_600_000_000, 0);
    dovecot.deliver(
        "bob",
        "Archive/Entwürfe",
        &Flags::parse("\\Seen $Forwarded"),
        &date,
        b"A: b\r\n\r\nc\r\n",
    );
    let mut imap = dovecot.imap("bob");
    let listed = imap.list();
    let found = listed.iter().find(|listed| listed.name == "INBOX.Archive.Entwürfe").unwrap();
    assert_eq!(found.delimiter, Some('.'));
    let messages = imap.fetch_all("INBOX.Archive.Entwürfe");
    assert_eq!(messages[0].flags.to_string(), "\\Seen $Forwarded");
    assert_eq!(messages[0].internal_date.unix(), Some(1_600_000_000));
}

#[test]
fn dovecot_forgets_its_uids_when_it_is_made_to() {
    let Some(mut dovecot) = Dovecot::start(Options::default()) else { return };
    let mail = Mail::small(2, 30).in_folders(&["INBOX", "Kept"]);
    dovecot.fill("carol", &mail);
    let mut imap = dovecot.imap("carol");
    for folder in ["INBOX", "Kept"] {
        let before = (imap.status(folder).uid_validity, imap.fetch_all(folder).len());
        drop(imap);
        dovecot.new_uidvalidity("carol", folder);
        imap = dovecot.imap("carol");
        assert_ne!(imap.status(folder).uid_validity, before.0, "{folder}");
        assert_eq!(imap.fetch_all(folder).len(), before.1);
    }
}

/// The judge's whole trade, on one server.
fn works(imap: &mut Imap) {
    let date = InternalDate::from_unix(1_500_000_000, 120);
    let set = |text: &str| UidSet::parse(text).unwrap();
    imap.create("Kiste/Äpfel");
    for text in ["one", "two", "three"] {
        let bytes = format!("Subject: {text}\r\n\r\n{text}\r\n");
        imap.append("Kiste/Äpfel", &Flags::parse("\\Flagged red"), &date, bytes.as_bytes());
    }
    imap.store("Kiste/Äpfel", &set("1:2"), "-FLAGS", &Flags::parse("\\Flagged"));
    imap.expunge("Kiste/Äpfel", &set("2"));
    imap.rename("Kiste/Äpfel", "Obst");
    imap.move_to("Obst", &set("3"), "INBOX");
    assert_eq!(imap.status("Obst").messages, 1);
    let left = imap.fetch_all("Obst");
    assert_eq!((left[0].uid.get(), left[0].flags.to_string()), (1, "red".to_owned()));
    let inbox = imap.fetch_all("INBOX");
    assert_eq!((inbox[0].internal_date.unix(), inbox[0].bytes.len()), (Some(1_500_000_000), 25));
    imap.delete("Obst");
    assert!(!imap.list().iter().any(|listed| listed.name == "Obst"));
}

#[test]
fn the_judge_works_on_dovecot_and_on_our_own_server_alike() {
    if let Some(dovecot) = Dovecot::start(Options::default()) {
        works(&mut dovecot.imap("dave"));
    }
    let store = Store::new();
    store.add_user("dave", "pass");
    for behaviour in [Behaviour::modern(), Behaviour::bare()] {
        let server = Scripted::start(store.clone(), behaviour);
        works(&mut Imap::login(server.address(), "dave", "pass"));
        store.wipe("dave").unwrap();
    }
}

#[test]
fn our_own_server_gives_the_sample_mail_exactly() {
    let store = Store::new();
    store.add_user("erin", "pass");
    let mail = Mail::small(3, 300);
    for folder in mail.folders().iter().filter(|folder| *folder != "INBOX") {
        store.create("erin", folder).unwrap();
    }
    for sample in mail.messages() {
        store.append("erin", &sample.folder, &sample.flags, &sample.date, sample.bytes).unwrap();
    }
    let server = Scripted::start(store, Behaviour::modern());
    let all = wanted(&mail, |sample| sample);
    assert_eq!(all.len(), 37);
    assert_eq!(seen(&mut Imap::login(server.address(), "erin", "pass")), all);
}
