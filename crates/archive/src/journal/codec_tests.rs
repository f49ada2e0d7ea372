//! Tests of the journal's codec.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use message::Uidl;
use proptest::prelude::*;

use super::*;
use crate::info::PopName;

fn uid() -> impl Strategy<Value = Uid> {
    (1u32..).prop_map(|number| Uid::new(number).unwrap())
}

fn uids() -> impl Strategy<Value = UidSet> {
    prop::collection::vec(uid(), 0..10).prop_map(|uids| uids.into_iter().collect())
}

fn flags() -> impl Strategy<Value = Flags> {
    prop::collection::vec("[\\\\$]?[a-zA-Z]{1,8}", 0..4).prop_map(|flags| flags.iter().collect())
}

fn date() -> impl Strategy<Value = InternalDate> {
    prop_oneof![
        (-10_000_000_000i64..90_000_000_000, -719i16..720)
            .prop_map(|(at, zone)| InternalDate::from_unix(at, zone)),
        "\\PC{0,20}".prop_map(|text| InternalDate::parse(&text)),
    ]
}

fn number() -> impl Strategy<Value = u64> {
    1..u64::MAX >> 1
}

fn seen() -> impl Strategy<Value = MailboxSeen> {
    let name = (prop::collection::vec(any::<u8>(), 0..20), any::<bool>(), any::<Option<u8>>());
    let uses = (prop::option::of("\\PC{0,9}"), prop::option::of("\\PC{0,9}"));
    (name, prop::collection::vec("\\PC{0,9}", 0..3), uses, any::<bool>(), any::<bool>()).prop_map(
        |((raw, utf8, delimiter), attributes, (special_use, object_id), subscribed, selectable)| {
            let encoding = if utf8 { NameEncoding::Utf8 } else { NameEncoding::ModifiedUtf7 };
            let name = MailboxName::new(raw, encoding, delimiter);
            MailboxSeen { name, attributes, special_use, subscribed, object_id, selectable }
        },
    )
}

fn message() -> impl Strategy<Value = Record> {
    let texts = ("\\PC{0,30}", "\\PC{0,30}", any::<Option<i64>>());
    let recipe = (prop::collection::vec(number(), 0..5), any::<Vec<u8>>());
    (number(), any::<[u8; 32]>(), any::<u64>(), texts, recipe).prop_map(
        |(number, key, size, (subject, from, date), (blobs, steps))| {
            Record::Message(MessageRecord {
                number: MessageNumber(number),
                key: MessageKey::from_bytes(key),
                size,
                subject,
                from,
                date,
                blobs: blobs.into_iter().map(BlobNumber).collect(),
                steps,
            })
        },
    )
}

pub(crate) fn record() -> impl Strategy<Value = Record> {
    let ids = || (any::<u32>().prop_map(RunId), any::<u32>().prop_map(EpochId));
    prop_oneof![
        (any::<u32>(), "\\PC*", "\\PC*").prop_map(|(account, name, protocol)| Record::Account {
            account: AccountId(account),
            name,
            protocol
        }),
        (ids(), any::<u32>(), any::<i64>()).prop_map(|((run, _), account, started_ms)| Record::RunBegin {
            run,
            account: AccountId(account),
            started_ms
        }),
        (ids(), any::<i64>(), "\\PC*", "\\PC*").prop_map(|((run, _), finished_ms, outcome, ledger)| {
            Record::RunEnd { run, finished_ms, outcome, ledger }
        }),
        (any::<u32>(), any::<u32>(), seen()).prop_map(|(mailbox, account, seen)| Record::Mailbox {
            mailbox: MailboxId(mailbox),
            account: AccountId(account),
            seen
        }),
        (ids(), any::<u32>())
            .prop_map(|((run, _), mailbox)| Record::MailboxGone { run, mailbox: MailboxId(mailbox) }),
        (ids(), any::<u32>(), any::<u32>()).prop_map(|((_, epoch), mailbox, validity)| Record::EpochBegin {
            epoch,
            mailbox: MailboxId(mailbox),
            validity: UidValidity::new(validity)
        }),
        ids().prop_map(|(run, epoch)| Record::EpochEnd { run, epoch }),
        message(),
        (ids(), uid(), number(), date(), flags(), any::<bool>()).prop_map(
            |((run, epoch), uid, message, date, flags, bytes)| {
                let proof = if bytes { Proof::Bytes } else { Proof::Header };
                let placed = Placed { uid, message: MessageNumber(message), date, flags, proof };
                Record::Placed { run, epoch, placed }
            }
        ),
        (ids(), uid(), flags()).prop_map(|((run, epoch), uid, flags)| Record::FlagsChanged {
            run,
            epoch,
            uid,
            flags
        }),
        (ids(), uids()).prop_map(|((run, epoch), uids)| Record::Vanished { run, epoch, uids }),
        (ids(), uids()).prop_map(|((_, epoch), uids)| Record::Proven { epoch, uids }),
        (ids(), any::<u32>(), any::<Option<u32>>(), any::<u32>()).prop_map(
            |((_, epoch), uid_next, modseq, messages)| {
                let highest_modseq = modseq.map(|modseq| ModSeq(modseq.into()));
                Record::Mark { epoch, mark: Mark { uid_next: Uid::new(uid_next), highest_modseq, messages } }
            }
        ),
        (ids(), uid(), "\\PC*").prop_map(|((run, epoch), uid, reason)| Record::Trouble {
            run,
            epoch,
            uid,
            reason
        }),
        (ids(), any::<u32>())
            .prop_map(|((run, _), account)| Record::Alarm { run, account: AccountId(account) }),
        (ids(), any::<u32>())
            .prop_map(|((run, _), account)| Record::Acknowledged { account: AccountId(account), run }),
        (any::<u32>(), drill())
            .prop_map(|(account, drill)| Record::Drilled { account: AccountId(account), drill }),
        (ids(), names()).prop_map(|((_, epoch), names)| Record::Names { epoch, names }),
        (ids(), uid(), history()).prop_map(|((_, epoch), uid, history)| Record::Restated {
            epoch,
            uid,
            history
        }),
        (any::<[u8; 8]>(), any::<u8>(), any::<u64>(), any::<u64>(), "\\PC*").prop_map(
            |(pack, kind, start, length, what)| {
                Record::KnownDamage(KnownDamage { pack: PackId(pack), kind, start, length, what })
            }
        ),
        (numbers(), numbers()).prop_map(|(blobs, messages)| Record::Lost {
            blobs: blobs.into_iter().map(BlobNumber).collect(),
            messages: messages.into_iter().map(MessageNumber).collect(),
        }),
    ]
}

fn drill() -> impl Strategy<Value = DrillInfo> {
    let times = (any::<i64>(), any::<i64>());
    (any::<bool>(), prop::option::of(1u32..), times, any::<[u64; 4]>(), "\\PC*").prop_map(
        |(whole, as_of, (started_ms, finished_ms), [asked, proven, bytes_asked, bytes_proven], outcome)| {
            DrillInfo {
                scope: if whole { DrillScope::Whole } else { DrillScope::Sample },
                as_of: as_of.map(RunId),
                started_ms,
                finished_ms,
                messages_asked: asked,
                messages_proven: proven,
                bytes_asked,
                bytes_proven,
                outcome,
            }
        },
    )
}

/// Some names, ascending by UID.
fn names() -> impl Strategy<Value = Vec<PopName>> {
    let uidl = prop::collection::vec(any::<u8>(), 0..80).prop_map(|octets| Uidl::new(&octets));
    let names = prop::collection::btree_map(uid(), (uidl, any::<u64>()), 0..9);
    names.prop_map(|names| {
        names.into_iter().map(|(uid, (uidl, octets))| PopName { uid, uidl, octets }).collect()
    })
}

/// Some numbers, ascending.
fn numbers() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::btree_set(number(), 0..9).prop_map(|numbers| numbers.into_iter().collect())
}

fn history() -> impl Strategy<Value = History> {
    let stay = (any::<u32>(), prop::option::of(1u32..), number(), date(), flags(), any::<bool>());
    let stay = stay.prop_map(|(first_run, last_run, message, date, flags, bytes)| Stay {
        first_run: RunId(first_run),
        last_run: last_run.map(RunId),
        message: MessageNumber(message),
        date,
        flags,
        proof: if bytes { Proof::Bytes } else { Proof::Header },
    });
    let flags_until = (any::<u32>().prop_map(RunId), flags());
    (prop::collection::vec(stay, 0..4), prop::collection::vec(flags_until, 0..4))
        .prop_map(|(stays, flags_until)| History { stays, flags_until })
}

fn decode(keys: &[u8], records: &[u8]) -> Result<Vec<Record>, JournalError> {
    let mut decoder = Decoder::new(keys, records);
    std::iter::from_fn(|| decoder.next().transpose()).collect()
}

proptest! {
    #[test]
    fn records_come_back(records in prop::collection::vec(record(), 1..20)) {
        let mut encoder = Encoder::default();
        for record in &records {
            prop_assert_eq!(encoder.add(record), Ok(()));
        }
        let (keys, bytes) = encoder.take().unwrap();
        prop_assert_eq!(decode(&keys, &bytes), Ok(records));
    }

    #[test]
    fn no_bytes_make_the_journal_panic(keys: Vec<u8>, kind in (0u8..49).prop_map(|kind| if kind < 18 { kind } else { kind + 110 }), payload: Vec<u8>, rest: Vec<u8>) {
        let mut records = vec![kind];
        put_bytes(&mut records, &payload);
        records.extend(rest);
        let _ = decode(&keys, &records);
    }

    #[test]
    fn a_cut_or_changed_frame_does_not_panic(records in prop::collection::vec(record(), 1..6), at: prop::sample::Index, bit in 0u8..8) {
        let mut encoder = Encoder::default();
        for record in &records {
            encoder.add(record).unwrap();
        }
        let (keys, mut bytes) = encoder.take().unwrap();
        let at = at.index(bytes.len());
        let _ = decode(&keys, &bytes[..at]);
        bytes[at] ^= 1 << bit;
        let _ = decode(&keys, &bytes);
    }
}

#[test]
fn j3_unknown_records_are_skipped_only_when_they_may_be() {
    assert_eq!(decode(&[], &[0x90, 2, 7, 7]), Ok(vec![]));
    assert_eq!(decode(&[], &[0x40, 0]), Err(JournalError::UnknownRecord(0x40)));
}

#[test]
fn p02_a_unique_id_of_any_octets_up_to_its_bound_comes_back_and_a_longer_one_is_damage() {
    let names: Vec<PopName> = [Some(&[0xff; Uidl::MAX_LENGTH][..]), None, Some(b"\0 \r\n\x1b")]
        .into_iter()
        .zip([1, 7, u32::MAX])
        .map(|(octets, uid)| PopName {
            uid: Uid::new(uid).unwrap(),
            uidl: octets.and_then(Uidl::new),
            octets: u64::MAX,
        })
        .collect();
    let record = Record::Names { epoch: EpochId(3), names };
    let mut encoder = Encoder::default();
    encoder.add(&record).unwrap();
    let (_, bytes) = encoder.take().unwrap();
    assert_eq!(decode(&[], &bytes), Ok(vec![record]));

    let of_length = |length: usize| {
        // One name: UID, octets, length, unique-id.
        let mut payload = vec![1, 1, 0];
        put_bytes(&mut payload, &vec![b'x'; length]);
        let mut records = vec![155];
        put_bytes(&mut records, &payload);
        decode(&[], &records)
    };
    assert!(of_length(Uidl::MAX_LENGTH).is_ok());
    assert!(of_length(Uidl::MAX_LENGTH + 1).is_err());
}

#[test]
fn s09_a_record_of_more_names_than_the_limit_is_damage_and_never_written() {
    let record = |count: usize| {
        let mut payload = Vec::new();
        put_varint(&mut payload, count as u64);
        payload.extend([1, 0, 0].map(|byte| [byte].repeat(count)).concat());
        let mut records = vec![155];
        put_bytes(&mut records, &payload);
        decode(&[], &records)
    };
    let most = record(limit::NAMES_IN_RECORD).unwrap().remove(0);
    assert!(record(limit::NAMES_IN_RECORD + 1).is_err());
    let mut encoder = Encoder::default();
    encoder.add(&most).unwrap();
    let Record::Names { epoch, mut names } = most else { panic!("{most:?}") };
    names.push(PopName { uid: Uid::MAX, uidl: None, octets: 0 });
    assert!(encoder.add(&Record::Names { epoch, names }).is_err());
}

#[test]
fn j10_uids_of_names_ascend() {
    let names = |steps: &[u8]| {
        let mut payload = Vec::new();
        put_varint(&mut payload, steps.len() as u64);
        payload.extend_from_slice(steps);
        // No octets, no unique-ids.
        payload.extend([0, 0].repeat(steps.len()));
        let mut records = vec![155];
        put_bytes(&mut records, &payload);
        decode(&[], &records).is_ok()
    };
    assert!(names(&[1, 1, 5]));
    assert!(!names(&[0]));
    assert!(!names(&[3, 0]));
}

#[test]
fn s09_a_message_of_more_blobs_than_the_limit_is_damage() {
    let message = |count: usize| {
        // Number, size, subject, from, no date; then the blobs, each one more than the one before.
        let mut payload = vec![2, 0, 0, 0, 0];
        put_varint(&mut payload, count as u64);
        payload.extend(std::iter::repeat_n(2, count));
        let mut records = vec![8];
        put_bytes(&mut records, &payload);
        decode(&[7; 32], &records)
    };
    assert!(message(limit::BLOBS_IN_MESSAGE).is_ok());
    assert!(message(limit::BLOBS_IN_MESSAGE + 1).is_err());
}

#[test]
fn j3_what_repair_found_and_what_messages_were_called_may_be_skipped_without_harm_to_the_records_behind_it() {
    let placed = |message| {
        let date = InternalDate::from_unix(7, 0);
        let (flags, proof) = (Flags::new(), Proof::Bytes);
        let placed = Placed { uid: Uid::MIN, message: MessageNumber(message), date, flags, proof };
        Record::Placed { run: RunId(1), epoch: EpochId(1), placed }
    };
    let known = KnownDamage { pack: PackId([1; 8]), kind: 1, start: 5, length: 6, what: "x".to_owned() };
    let lost = Record::Lost { blobs: vec![BlobNumber(900)], messages: vec![MessageNumber(800)] };
    let names =
        Record::Names { epoch: EpochId(1), names: vec![PopName { uid: Uid::MAX, uidl: None, octets: 9 }] };
    let mut encoder = Encoder::default();
    for record in [placed(70), Record::KnownDamage(known), lost, names, placed(71)] {
        encoder.add(&record).unwrap();
    }
    let (_, mut bytes) = encoder.take().unwrap();
    // To a version that knows neither, they are types like any other that may be skipped.
    for position in [128, 129, 155].map(|kind| bytes.iter().position(|&byte| byte == kind).unwrap()) {
        bytes[position] = 0xf0;
    }
    assert_eq!(decode(&[], &bytes), Ok(vec![placed(70), placed(71)]));
}

#[test]
fn j4_a_key_without_its_message_is_refused() {
    assert!(decode(&[0; 32], &[]).is_err());
}

#[test]
fn s08_a_record_beyond_the_limit_is_refused_and_leaves_the_frame_as_it_was() {
    let mut encoder = Encoder::default();
    let ledger = "x".repeat(limit::RECORD_BYTES);
    let record = Record::RunEnd { run: RunId(0), finished_ms: 0, outcome: String::new(), ledger };
    assert!(encoder.add(&record).is_err());
    assert!(encoder.take().is_none());
}
