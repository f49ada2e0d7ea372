//! D17, D22: two machines on one disk without a lock that both see, and an archive that was put back
//! from its own copy while another copy went on.
//!
//! A kernel's lock does not always reach another machine, so here each host has a table of locks of its
//! own over the same disk. What is left is the owner mark and the length of the file: whoever finds
//! another's mark, or bytes that it has not written, stops before it writes over them.

use std::collections::BTreeSet;

use super::crash_states::{OPTIONS, assert_verified, in_memory};
use super::*;
use crate::surroundings::Seeded;

/// One machine, its view of the disk, and what it does next.
struct Host {
    place: Place,
    chance: Arc<Seeded>,
    /// Its mails have numbers from here on.
    first: u32,
    steps: usize,
    writer: Option<Writer>,
    acknowledged: BTreeSet<u32>,
}

impl Host {
    fn new(disk: &SimulatedDisk, number: u32) -> Self {
        Self {
            place: in_memory(&disk.other_host()),
            chance: Arc::new(Seeded::new(u64::from(number))),
            first: number * 100,
            steps: 0,
            writer: None,
            acknowledged: BTreeSet::new(),
        }
    }

    /// The next of: open, put some mail whose blocks are written at once, commit, and that again.
    fn step(&mut self) -> Result<()> {
        let step = self.steps;
        self.steps += 1;
        let options = WriterOptions { block_bytes: 100, ..OPTIONS };
        let Some(writer) = &mut self.writer else {
            if step == 0 {
                self.writer = Some(Writer::open_at(self.place.clone(), self.chance.clone(), options)?);
            }
            return Ok(());
        };
        let mails = self.first + step as u32 / 2 * 10..self.first + step as u32 / 2 * 10 + 2;
        if step % 2 == 1 {
            let run = begin(writer, &format!("of host {}", self.first))?;
            fill(writer, &run, mails)?;
            writer.wait_for_blocks();
        } else {
            writer.commit()?;
            self.acknowledged.extend(mails.map(|mail| mail - 10));
        }
        Ok(())
    }
}

/// All orders in which two hosts can take so many steps each: bit i says whose turn it is.
fn orders(steps: u32) -> impl Iterator<Item = u32> {
    (0..1u32 << (2 * steps)).filter(move |order| order.count_ones() == steps)
}

#[test]
fn d17_two_hosts_without_a_common_lock_never_write_over_what_the_other_has_committed() {
    let steps = 5;
    let (mut stopped, mut count) = (0, 0);
    for order in orders(steps) {
        let disk = SimulatedDisk::new();
        init_at(&in_memory(&disk), &Seeded::new(7)).unwrap();
        let first = Writer::open_at(in_memory(&disk), Arc::new(Seeded::new(8)), OPTIONS);
        pull(&mut first.unwrap(), 1..3);
        let mut hosts = [Host::new(&disk, 1), Host::new(&disk, 2)];
        for turn in 0..2 * steps {
            let host = &mut hosts[(order >> turn & 1) as usize];
            if let Err(error) = host.step() {
                assert!(
                    matches!(error, Error::OwnerChanged { .. } | Error::Abandoned),
                    "order {order:b}: {}",
                    chain(&error)
                );
                host.writer = None;
                host.steps = 99;
                stopped += 1;
            }
        }
        let mut expected: BTreeSet<u32> = hosts.iter().flat_map(|host| host.acknowledged.clone()).collect();
        expected.extend(1..3);
        drop(hosts);
        let what = format!("order {order:b}");
        let reader = Archive::open_at(in_memory(&disk)).unwrap();
        assert_eq!(readable(reader.view()), expected, "{what}");
        assert_eq!(reader.damage(), [], "{what}");
        assert_verified(&in_memory(&disk), &what);
        count += 1;
    }
    tell(&format!("orders of two hosts: {count}, in which a host was stopped {stopped} times"));
    assert!(stopped > 100, "{stopped}");
}

#[test]
fn d17_on_one_machine_the_lock_keeps_the_second_writer_out() {
    let disk = SimulatedDisk::new();
    init_at(&in_memory(&disk), &Seeded::new(7)).unwrap();
    let _first = Writer::open_at(in_memory(&disk), Arc::new(Seeded::new(1)), OPTIONS).unwrap();
    let second = Writer::open_at(in_memory(&disk), Arc::new(Seeded::new(2)), OPTIONS);
    assert!(matches!(second, Err(Error::Locked { .. })));
}

/// An archive with two commits, once as it was left and once as a copy of it that a replica took.
fn archive_and_copy(catalogue: Option<std::path::PathBuf>) -> (SimulatedDisk, Place, SimulatedDisk) {
    let disk = SimulatedDisk::new();
    let place = Place::on(Arc::new(disk.clone()), Path::new("/archive"), catalogue);
    init_at(&place, &Seeded::new(1)).unwrap();
    let mut writer = Writer::open_at(place.clone(), Arc::new(Seeded::new(1)), OPTIONS).unwrap();
    pull(&mut writer, 1..3);
    drop(writer);
    let copy = disk.copy();
    (disk, place, copy)
}

fn packs(disk: &SimulatedDisk) -> BTreeSet<std::path::PathBuf> {
    disk.paths().into_iter().filter(|path| path.extension().is_some_and(|e| e == "pack")).collect()
}

fn pull_with_seed(place: &Place, seed: u64, mails: std::ops::Range<u32>) {
    let mut writer = Writer::open_at(place.clone(), Arc::new(Seeded::new(seed)), OPTIONS).unwrap();
    for first in mails.step_by(2) {
        pull(&mut writer, first..first + 2);
    }
}

#[test]
fn d22_two_copies_of_an_archive_that_go_on_apart_never_give_one_name_to_two_new_packs() {
    let (disk, place, copy) = archive_and_copy(None);
    let before = packs(&disk);
    pull_with_seed(&place, 2, 3..13);
    pull_with_seed(&in_memory(&copy), 3, 3..13);
    let (one, other) = (packs(&disk), packs(&copy));
    assert!(one.len() > 2 && other.len() > 2, "{one:?} {other:?}");
    let common: BTreeSet<_> = one.intersection(&other).cloned().collect();
    assert_eq!(common, before, "only what both had before has one name in both");
    for path in common {
        let (one, other) = (disk.read(&path), copy.read(&path));
        let shared = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
        assert!(shared >= 128, "{}: what both had before is the same still", path.display());
    }
}

#[test]
fn d22_an_archive_that_its_catalogue_knows_to_be_rolled_back_writes_on_in_a_new_pack_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("catalog.db");
    let (_disk, place, copy) = archive_and_copy(Some(file.clone()));
    pull_with_seed(&place, 2, 3..5);
    let before: Vec<_> = packs(&copy).into_iter().map(|path| (copy.read(&path), path)).collect();
    let rolled_back = Place::on(Arc::new(copy.clone()), Path::new("/archive"), Some(file));
    let mut writer = Writer::open_at(rolled_back.clone(), Arc::new(Seeded::new(3)), OPTIONS).unwrap();
    let told: Vec<_> = writer.damage().iter().map(|damage| damage.what.clone()).collect();
    assert!(
        told.iter().any(|what| what.contains("commits 2 to 2 are missing; the catalogue has seen them")),
        "{told:?}"
    );
    pull(&mut writer, 3..5);
    drop(writer);
    for (bytes, path) in before {
        assert!(copy.read(&path) == bytes, "a replica may hold {} with more in it", path.display());
    }
    let reader = Archive::open_at(rolled_back).unwrap();
    assert_eq!(readable(reader.view()), up_to(4));
}
