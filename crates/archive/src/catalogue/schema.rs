//! The tables of the catalogue.
//!
//! The catalogue is a view of the journal and may be thrown away at any time, so the schema changes
//! without migrations: another `user_version` means that it is made anew. What it weighs shows in the
//! size of every archive, so rows are small: numbers for names, one integer for epoch and UID, four
//! bytes of a hash where an index needs it and the whole hash stands elsewhere.

/// Raised with every change to the tables or to what is written in them.
pub(crate) const VERSION: i32 = 9;

/// Marks the file as ours for file(1) and for people ("RSTC").
pub(crate) const APPLICATION_ID: i32 = 0x5253_5443;

/// Tables in the order in which they are compared, each with what its rows are ordered by.
pub(crate) const TABLES: [(&str, &str); 25] = [
    ("state", "one"),
    ("packs", "number"),
    ("retired", "pack"),
    ("blocks", "number"),
    ("blobs", "number"),
    ("blob_names", "prefix, blob"),
    ("accounts", "id"),
    ("runs", "id"),
    ("ledgers", "run"),
    ("alarms", "run"),
    ("drills", "account"),
    ("mailboxes", "id"),
    ("mailbox_history", "mailbox, run"),
    ("epochs", "id"),
    ("names", "place"),
    ("messages", "number"),
    ("flag_sets", "id"),
    ("placements", "place"),
    ("whereabouts", "account, message, place"),
    ("former", "place, last_run, first_run, message"),
    ("flag_history", "place, run"),
    ("troubles", "place"),
    ("known_damage", "pack, kind, start, length"),
    ("lost_blobs", "number"),
    ("lost_messages", "number"),
];

pub(crate) const TABLES_SQL: &str = "
-- How far the packs have been applied, and what the next numbers are.
CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    archive BLOB NOT NULL,
    commit_number INTEGER NOT NULL,
    commit_check BLOB NOT NULL,
    pack BLOB,                          -- the pack with the last commit
    pack_end INTEGER NOT NULL,          -- where that commit ends in it
    next_blob INTEGER NOT NULL, next_message INTEGER NOT NULL, next_account INTEGER NOT NULL,
    next_mailbox INTEGER NOT NULL, next_epoch INTEGER NOT NULL, next_run INTEGER NOT NULL,
    blobs INTEGER NOT NULL, blob_bytes INTEGER NOT NULL,
    messages INTEGER NOT NULL, message_bytes INTEGER NOT NULL
) STRICT;
CREATE TABLE packs (
    number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE,
    length INTEGER NOT NULL,            -- up to the last commit
    sealed INTEGER NOT NULL
) STRICT;
-- Packs that were replaced, and by which one.
CREATE TABLE retired (pack BLOB PRIMARY KEY, stand_in BLOB NOT NULL) STRICT, WITHOUT ROWID;
-- Packs that became no smaller when they were compacted, in a group of so many bytes. Not compared: the packs
-- do not say it.
CREATE TABLE tried (
    pack BLOB PRIMARY KEY, level INTEGER NOT NULL, bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE blocks (
    number INTEGER PRIMARY KEY, pack INTEGER NOT NULL, start INTEGER NOT NULL, stream INTEGER NOT NULL,
    directory INTEGER NOT NULL, stored INTEGER NOT NULL, plain INTEGER NOT NULL  -- bytes of it and of the body
) STRICT;
CREATE TABLE blobs (number INTEGER PRIMARY KEY, block INTEGER NOT NULL, slot INTEGER NOT NULL) STRICT;
-- The first four bytes of each blob's name; the whole name stands in the block's directory.
CREATE TABLE blob_names (
    prefix INTEGER NOT NULL, blob INTEGER NOT NULL, PRIMARY KEY (prefix, blob)
) STRICT, WITHOUT ROWID;
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, protocol TEXT NOT NULL,
    messages INTEGER NOT NULL, message_bytes INTEGER NOT NULL  -- distinct ones, ever placed
) STRICT;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, account INTEGER NOT NULL, started_ms INTEGER NOT NULL,
    finished_ms INTEGER, outcome TEXT,
    new INTEGER NOT NULL, vanished INTEGER NOT NULL, suspicious INTEGER NOT NULL  -- as its ledger says
) STRICT;
CREATE TABLE ledgers (run INTEGER PRIMARY KEY, ledger BLOB NOT NULL) STRICT;  -- compressed
-- Runs that a person should look at, or has looked at.
CREATE TABLE alarms (
    run INTEGER PRIMARY KEY, account INTEGER NOT NULL, acknowledged INTEGER NOT NULL
) STRICT;
-- The last drill of each account.
CREATE TABLE drills (
    account INTEGER PRIMARY KEY, sample INTEGER NOT NULL, as_of INTEGER,
    started_ms INTEGER NOT NULL, finished_ms INTEGER NOT NULL,
    messages_asked INTEGER NOT NULL, messages_proven INTEGER NOT NULL,
    bytes_asked INTEGER NOT NULL, bytes_proven INTEGER NOT NULL, outcome TEXT NOT NULL
) STRICT;
CREATE TABLE mailboxes (
    id INTEGER PRIMARY KEY, account INTEGER NOT NULL, identity BLOB NOT NULL,
    raw BLOB NOT NULL, utf8 INTEGER NOT NULL, delimiter INTEGER,
    attributes TEXT NOT NULL,           -- each ended by a line feed
    special_use TEXT, subscribed INTEGER NOT NULL, object_id TEXT, selectable INTEGER NOT NULL,
    gone INTEGER
) STRICT;
-- What a mailbox was from a run on.
CREATE TABLE mailbox_history (
    mailbox INTEGER NOT NULL, run INTEGER NOT NULL,
    raw BLOB NOT NULL, utf8 INTEGER NOT NULL, delimiter INTEGER, attributes TEXT NOT NULL,
    special_use TEXT, subscribed INTEGER NOT NULL, object_id TEXT, selectable INTEGER NOT NULL,
    gone INTEGER,                       -- the same run, where that found it gone
    PRIMARY KEY (mailbox, run)
) STRICT, WITHOUT ROWID;
CREATE TABLE epochs (
    id INTEGER PRIMARY KEY, mailbox INTEGER NOT NULL, account INTEGER NOT NULL, validity INTEGER,
    marked INTEGER NOT NULL, uid_next INTEGER, modseq INTEGER, mark_messages INTEGER NOT NULL,
    live INTEGER NOT NULL, live_bytes INTEGER NOT NULL
) STRICT;
-- What messages of POP3 maildrops were known by when they got their UIDs. Such an epoch has a row for UID 0.
CREATE TABLE names (place INTEGER PRIMARY KEY, octets INTEGER NOT NULL, uidl BLOB) STRICT;
CREATE TABLE messages (
    number INTEGER PRIMARY KEY,
    prefix INTEGER NOT NULL, rest BLOB NOT NULL,               -- the key: 4 and 28 bytes
    size INTEGER NOT NULL, date INTEGER, subject TEXT NOT NULL, sender TEXT NOT NULL,
    recipe BLOB NOT NULL                -- count and numbers of the blobs, then the steps
) STRICT;
CREATE TABLE flag_sets (id INTEGER PRIMARY KEY, flags TEXT NOT NULL UNIQUE) STRICT;
-- The newest message under each UID, live or not. place = epoch * 2^32 + uid.
CREATE TABLE placements (
    place INTEGER PRIMARY KEY, message INTEGER NOT NULL,
    date INTEGER, zone INTEGER, raw_date TEXT,                 -- the text only if the numbers do not give it
    flags INTEGER NOT NULL, proof INTEGER NOT NULL,            -- 1: by header only
    first_run INTEGER NOT NULL, last_run INTEGER
) STRICT;
-- Where an account has or had a message.
CREATE TABLE whereabouts (
    account INTEGER NOT NULL, message INTEGER NOT NULL, place INTEGER NOT NULL,
    PRIMARY KEY (account, message, place)
) STRICT, WITHOUT ROWID;
-- What lay under a UID before the newest message did, or before it came back.
CREATE TABLE former (
    place INTEGER NOT NULL, last_run INTEGER NOT NULL, first_run INTEGER NOT NULL, message INTEGER NOT NULL,
    date INTEGER, zone INTEGER, raw_date TEXT, flags INTEGER NOT NULL, proof INTEGER NOT NULL,
    PRIMARY KEY (place, last_run, first_run, message)
) STRICT, WITHOUT ROWID;
-- The flags that held until a run changed them.
CREATE TABLE flag_history (
    place INTEGER NOT NULL, run INTEGER NOT NULL, flags INTEGER NOT NULL, PRIMARY KEY (place, run)
) STRICT, WITHOUT ROWID;
CREATE TABLE troubles (
    place INTEGER PRIMARY KEY, reason TEXT NOT NULL, attempts INTEGER NOT NULL, last_run INTEGER NOT NULL
) STRICT;
-- What repair has found, and nobody has brought back since.
CREATE TABLE known_damage (
    pack BLOB NOT NULL, kind INTEGER NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL, what TEXT NOT NULL,
    PRIMARY KEY (pack, kind, start, length)
) STRICT, WITHOUT ROWID;
CREATE TABLE lost_blobs (number INTEGER PRIMARY KEY) STRICT;
CREATE TABLE lost_messages (number INTEGER PRIMARY KEY) STRICT;
";

/// While a catalogue is being made, names of blobs are put aside: they come in no order, and a tree that
/// grows in no order is read and written all over again once it is larger than the memory for it.
pub(crate) const ASIDE_SQL: &str =
    "CREATE TABLE temp.names_aside (prefix INTEGER NOT NULL, blob INTEGER NOT NULL)";
pub(crate) const IS_BEING_MADE: &str = "SELECT 1 FROM temp.sqlite_schema WHERE name = 'names_aside'";
pub(crate) const PUT_NAME_ASIDE: &str = "INSERT INTO temp.names_aside VALUES (?1, ?2)";
/// In their order they fill page after page.
pub(crate) const TAKE_NAMES_SQL: &str = "
INSERT OR IGNORE INTO blob_names SELECT prefix, blob FROM temp.names_aside ORDER BY prefix, blob;
";
pub(crate) const NAMES_TAKEN_SQL: &str = "DROP TABLE temp.names_aside";

/// Made after the tables; when a catalogue is made anew, after the rows too.
pub(crate) const INDEXES_SQL: &str = "
CREATE INDEX runs_by_account ON runs (account, id);
CREATE INDEX runs_by_time ON runs (account, started_ms, new, vanished);
CREATE INDEX good_runs ON runs (account, id) WHERE outcome = 'ok' AND suspicious = 0;
CREATE INDEX mailboxes_by_identity ON mailboxes (account, identity);
CREATE INDEX epochs_by_mailbox ON epochs (mailbox, id);
CREATE INDEX epochs_by_account ON epochs (account, id);
CREATE INDEX messages_by_prefix ON messages (prefix);
CREATE INDEX messages_by_size ON messages (size);
CREATE INDEX unproven ON placements (place) WHERE proof = 1;
";
