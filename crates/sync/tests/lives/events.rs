//! What happens to the mail of an account, as its owner, its provider, chance and thieves will have it.

use std::collections::BTreeSet;

use message::{Flags, Uid, UidSet, UidValidity};
use server::{MailboxInfo, Snapshot, Store, StoredMessage};

use crate::dice::Dice;
use crate::mail::{Post, encrypted};
use crate::model::Model;
use crate::paused::USER;

const NAMES: [&str; 7] = ["Archive", "Sent", "Lists/a", "Lists/b", "Entwürfe", "Junk", "Old & odd"];
const FLAGS: [&str; 6] = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "$Forwarded", "work"];

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Arrives,
    Moves,
    ChangesFlags,
    Vanishes,
    FolderIsMade,
    FolderIsRenamed,
    FolderIsDeleted,
    FolderIsMadeAnew,
    UidsBeginAnew,
    BackupIsMade,
    BackupIsPutBack,
    Wiped,
    Encrypted,
}

/// What happens between two runs, and how often.
const BETWEEN: [(usize, Event); 13] = [
    (40, Event::Arrives),
    (10, Event::Moves),
    (16, Event::ChangesFlags),
    (9, Event::Vanishes),
    (5, Event::FolderIsMade),
    (4, Event::FolderIsRenamed),
    (2, Event::FolderIsDeleted),
    (2, Event::FolderIsMadeAnew),
    (2, Event::UidsBeginAnew),
    (4, Event::BackupIsMade),
    (3, Event::BackupIsPutBack),
    (1, Event::Wiped),
    (1, Event::Encrypted),
];

/// What happens while a run goes on.
const MEANWHILE: [(usize, Event); 4] =
    [(5, Event::Arrives), (2, Event::Moves), (3, Event::ChangesFlags), (3, Event::Vanishes)];

/// The account on its server.
pub(crate) struct Account {
    pub(crate) store: Store,
    post: Post,
    backups: Vec<Snapshot>,
    /// A server that was put back may give numbers of folders twice.
    was_restored: bool,
}

impl Account {
    pub(crate) fn new() -> Self {
        let store = Store::new();
        store.add_user(USER, "pass");
        Self { store, post: Post::default(), backups: Vec::new(), was_restored: false }
    }

    /// Something happens between two runs. What it was, in words.
    pub(crate) fn happens(&mut self, dice: &mut Dice, model: &mut Model) -> String {
        let event = dice.weighted(&BETWEEN);
        let detail = self.let_happen(event, dice, model);
        model.look(&self.store);
        format!("{event:?} {detail}")
    }

    /// Something happens while a run goes on.
    pub(crate) fn happens_meanwhile(&mut self, dice: &mut Dice, model: &mut Model) -> String {
        let event = dice.weighted(&MEANWHILE);
        format!("{event:?} {}", self.let_happen(event, dice, model))
    }

    fn let_happen(&mut self, event: Event, dice: &mut Dice, model: &mut Model) -> String {
        match event {
            Event::Arrives => self.arrives(dice),
            Event::Moves => self.moves(dice),
            Event::ChangesFlags => self.changes_flags(dice),
            Event::Vanishes => self.vanishes(dice),
            Event::FolderIsMade => self.folder_is_made(dice, model),
            Event::FolderIsRenamed => self.folder_is_renamed(dice, model),
            Event::FolderIsDeleted => self.folder_is_deleted(dice),
            Event::FolderIsMadeAnew => {
                let name = self.folder_is_deleted(dice);
                if !name.is_empty() {
                    self.store.create(USER, &name).unwrap();
                    self.note_numbers(&name, model);
                }
                name
            }
            Event::UidsBeginAnew => self.uids_begin_anew(dice),
            Event::BackupIsMade => {
                self.backups.push(self.store.snapshot());
                String::new()
            }
            Event::BackupIsPutBack => self.backup_is_put_back(dice, model),
            Event::Wiped => {
                self.store.wipe(USER).unwrap();
                self.note_numbers("INBOX", model);
                String::new()
            }
            Event::Encrypted => self.encrypted(dice),
        }
    }

    fn arrives(&mut self, dice: &mut Dice) -> String {
        let folder = self.folder(dice).name;
        let mut uids = Vec::new();
        for _ in 0..=dice.magnitude(6) {
            let (bytes, date) = self.post.next(dice);
            uids.push(self.store.append(USER, &folder, &flags(dice), &date, bytes).unwrap().get());
        }
        format!("{folder} {uids:?}")
    }

    fn moves(&mut self, dice: &mut Dice) -> String {
        let (from, to) = (self.folder(dice).name, self.folder(dice).name);
        let Some(message) = self.message(&from, dice) else { return String::new() };
        let uid = self.store.append(USER, &to, &message.flags, &message.date, message.bytes).unwrap();
        self.store.expunge(USER, &from, &UidSet::from_iter([message.uid])).unwrap();
        format!("{from} {} to {to} {uid}", message.uid)
    }

    fn changes_flags(&mut self, dice: &mut Dice) -> String {
        let folder = self.folder(dice).name;
        let Some(message) = self.message(&folder, dice) else { return String::new() };
        let flags = flags(dice);
        self.store.set_flags(USER, &folder, message.uid, &flags).unwrap();
        format!("{folder} {} ({flags})", message.uid)
    }

    fn vanishes(&mut self, dice: &mut Dice) -> String {
        let folder = self.folder(dice).name;
        let few = dice.magnitude(5);
        let uids: UidSet = (0..=few).filter_map(|_| Some(self.message(&folder, dice)?.uid)).collect();
        self.store.expunge(USER, &folder, &uids).unwrap();
        format!("{folder} {uids}")
    }

    fn folder_is_made(&mut self, dice: &mut Dice, model: &mut Model) -> String {
        let Some(name) = self.free_name(dice) else { return String::new() };
        self.store.create(USER, name).unwrap();
        self.note_numbers(name, model);
        name.to_owned()
    }

    fn folder_is_renamed(&mut self, dice: &mut Dice, model: &mut Model) -> String {
        let (folder, Some(name)) = (self.folder(dice).name, self.free_name(dice)) else {
            return String::new();
        };
        self.store.rename(USER, &folder, name).unwrap();
        if !model.tells_flags(&folder) {
            model.flags_are_untold(name);
        }
        self.note_numbers(name, model);
        format!("{folder} to {name}")
    }

    fn folder_is_deleted(&mut self, dice: &mut Dice) -> String {
        let folder = self.folder(dice).name;
        if folder == "INBOX" {
            return String::new();
        }
        self.store.delete(USER, &folder).unwrap();
        folder
    }

    fn uids_begin_anew(&mut self, dice: &mut Dice) -> String {
        let folder = self.folder(dice);
        let validity = UidValidity::new(folder.validity.get() + 1_000).unwrap();
        let renumber = dice.permille(500);
        self.store.set_validity(USER, &folder.name, validity, renumber).unwrap();
        format!("{} {validity}, numbered anew: {renumber}", folder.name)
    }

    fn backup_is_put_back(&mut self, dice: &mut Dice, model: &mut Model) -> String {
        let Some(backup) = dice.pick(&self.backups).cloned() else { return String::new() };
        self.store.restore(&backup);
        self.was_restored = true;
        model.is_restored(&self.store);
        // New mail gets the numbers of mail that was lost.
        if dice.permille(700) { self.arrives(dice) } else { String::new() }
    }

    fn encrypted(&mut self, dice: &mut Dice) -> String {
        for folder in self.store.mailboxes(USER).unwrap() {
            let messages = self.store.messages(USER, &folder.name).unwrap();
            for message in &messages {
                let bytes = encrypted(&message.bytes, dice.number());
                self.store.append(USER, &folder.name, &message.flags, &message.date, bytes).unwrap();
            }
            let all = messages.iter().map(|message| message.uid).collect();
            self.store.expunge(USER, &folder.name, &all).unwrap();
        }
        String::new()
    }

    fn note_numbers(&self, folder: &str, model: &mut Model) {
        if self.was_restored {
            model.may_have_old_numbers(folder);
        }
    }

    /// One of the folders; INBOX and the first ones more often than others.
    fn folder(&self, dice: &mut Dice) -> MailboxInfo {
        let folders = self.store.mailboxes(USER).unwrap();
        let which = dice.magnitude(folders.len());
        folders[which].clone()
    }

    fn message(&self, folder: &str, dice: &mut Dice) -> Option<StoredMessage> {
        dice.pick(&self.store.messages(USER, folder).unwrap()).cloned()
    }

    fn free_name(&self, dice: &mut Dice) -> Option<&'static str> {
        let folders = self.store.mailboxes(USER).unwrap();
        let taken: BTreeSet<&str> = folders.iter().map(|folder| folder.name.as_str()).collect();
        let free: Vec<&'static str> = NAMES.into_iter().filter(|name| !taken.contains(name)).collect();
        dice.pick(&free).copied()
    }

    /// UIDs that faults may be aimed at: such that are there, and sometimes one that is not.
    pub(crate) fn some_uid(&self, dice: &mut Dice) -> Uid {
        let folder = self.folder(dice).name;
        let there = self.message(&folder, dice).map(|message| message.uid);
        there.unwrap_or(Uid::MIN)
    }

    pub(crate) fn some_folder(&self, dice: &mut Dice) -> MailboxInfo {
        self.folder(dice)
    }
}

fn flags(dice: &mut Dice) -> Flags {
    FLAGS.into_iter().filter(|_| dice.permille(250)).collect()
}
