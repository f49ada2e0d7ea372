//! The catalogue: the journal replayed into SQLite, for fast answers.
//!
//! It holds nothing that the packs do not hold (but what may be forgotten, [`tried`]), and it is never asked
//! when the two disagree. It notes the last commit that it has applied in the same transaction in which it
//! applies it; whatever is odd about it at open (another archive, another schema, a file that SQLite does not
//! take, a commit that the packs do not know) means that it is made anew (D14).
//!
//! * [`schema`]: the tables.
//! * [`sizes`]: what the blocks weigh.
//! * [`apply`]: the one function by which anything gets in, live or in a replay.
//! * [`query`]: what can be asked.
//! * [`listing`]: the placements of a mailbox.
//! * [`as_of`]: the mailboxes that an account had.
//! * [`history`]: all that is known of a UID, asked and restated.
//! * [`changes`]: what runs brought and took, and the life of a message.
//! * [`ledgers`]: what runs said of themselves.
//! * [`names`]: what messages of POP3 maildrops were known by.
//! * [`wanted`]: what a folder held, to be given back.
//! * [`damaged`]: what cannot be given back, and what damage is known.
//! * [`retired`]: packs that were replaced by others.
//! * [`tried`]: packs that a compaction does not make smaller.
//! * [`compare`]: two catalogues, row for row.
//!
//! While a batch is open its records are applied in a transaction that is committed only after the
//! pack is synced; a second connection gives views of the last commit meanwhile. On network file
//! systems, where SQLite's shared memory does not work, there is one connection, exclusively locked,
//! and no write-ahead log (D15).

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use crate::error::{Context as _, Error, Result};
use crate::frame::NextNumbers;
use crate::ids::{ArchiveId, CommitId, PackId};

pub(crate) mod apply;
pub(crate) mod as_of;
pub(crate) mod changes;
pub(crate) mod compare;
pub(crate) mod damaged;
pub(crate) mod history;
pub(crate) mod ledgers;
pub(crate) mod listing;
pub(crate) mod loss;
pub(crate) mod names;
pub(crate) mod query;
pub(crate) mod retired;
pub(crate) mod schema;
pub(crate) mod sizes;
pub(crate) mod tried;
pub(crate) mod wanted;

/// How long a statement waits for another process before it gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Pages of a catalogue that are kept in memory.
const CACHE_KIB: i64 = 8_192;

/// The same while one is made, and what is sorted at a time.
const MAKING_CACHE_KIB: i64 = 32_768;

/// Prepared statements kept per connection; there are fewer.
const STATEMENTS: usize = 96;

/// How far a catalogue has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) archive: ArchiveId,
    pub(crate) commit: CommitId,
    /// The pack with the last commit, and where that commit ends in it.
    pub(crate) position: Option<(PackId, u64)>,
    pub(crate) next: NextNumbers,
}

/// How a catalogue file is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// With a write-ahead log: readers beside the writer.
    Shared,
    /// One process at a time, for file systems that cannot do better.
    Exclusive,
}

/// Opens a catalogue for writing; it is made when it is not there.
pub(crate) fn open_for_writing(path: Option<&Path>, mode: Mode, archive: ArchiveId) -> Result<Connection> {
    let connection = match path {
        Some(path) => {
            if path.exists() {
                refuse_cut_file(path)?;
            } else {
                create_private(path)?;
            }
            Connection::open_with_flags(
                path,
                OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            )?
        }
        None => Connection::open_in_memory()?,
    };
    prepare(&connection)?;
    match mode {
        Mode::Shared => set(&connection, "journal_mode", "wal")?,
        Mode::Exclusive => {
            set(&connection, "locking_mode", "exclusive")?;
            set(&connection, "journal_mode", "truncate")?;
        }
    }
    set(&connection, "synchronous", "normal")?;
    set(&connection, "wal_autocheckpoint", 1000)?;
    if user_version(&connection)? == 0 && is_empty(&connection)? {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        create_tables(&connection, archive)?;
        connection.execute_batch(schema::INDEXES_SQL)?;
        connection.execute_batch("COMMIT")?;
    }
    Ok(connection)
}

/// A catalogue that is being made anew in `path`, or in a temporary file: fast, and worth nothing
/// until it is finished. Indexes come last, with [`finish`].
pub(crate) fn open_for_making(path: Option<&Path>, archive: ArchiveId) -> Result<Connection> {
    let connection = match path {
        Some(path) => {
            create_private(path)?;
            Connection::open_with_flags(
                path,
                OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            )?
        }
        // SQLite's temporary database: in memory while it is small, then in a file without a name.
        None => Connection::open("")?,
    };
    prepare(&connection)?;
    set(&connection, "journal_mode", "memory")?;
    set(&connection, "synchronous", "off")?;
    set(&connection, "locking_mode", "exclusive")?;
    // What is sorted may be more than memory; files are made only when it is.
    set(&connection, "temp_store", "file")?;
    set(&connection, "cache_size", -MAKING_CACHE_KIB)?;
    create_tables(&connection, archive)?;
    connection.execute_batch(schema::ASIDE_SQL)?;
    Ok(connection)
}

/// Adds the indexes to a catalogue that has been made anew.
pub(crate) fn finish(connection: &Connection) -> Result<()> {
    connection.execute_batch(&format!(
        "BEGIN; {} {} COMMIT;",
        schema::TAKE_NAMES_SQL,
        schema::INDEXES_SQL
    ))?;
    connection.execute_batch(schema::NAMES_TAKEN_SQL)?;
    // From now on as any other that is read.
    set(connection, "temp_store", "memory")?;
    set(connection, "cache_size", -CACHE_KIB)
}

/// Opens a catalogue for reading, beside a writer or on a medium that cannot be written.
pub(crate) fn open_for_reading(path: &Path) -> Result<Connection> {
    refuse_cut_file(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection)?;
    match user_version(&connection) {
        Ok(_) => Ok(connection),
        // Without a log beside it the file can be read as it is, where no shared memory can be made.
        Err(_) if log_is_empty(path) => {
            let uri = format!("file:{}?immutable=1", escape_uri(path));
            let connection = Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?;
            prepare(&connection)?;
            Ok(connection)
        }
        Err(error) => Err(error),
    }
}

fn prepare(connection: &Connection) -> Result<()> {
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // S12: a hostile file must not run anything through its schema.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // Plans do not depend on the values that are bound: else SQLite would plan most statements anew for each
    // message.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    set(connection, "cell_size_check", "on")?;
    // D9: a mapped file turns a read error into a signal.
    set(connection, "mmap_size", 0)?;
    // D7: reading commands need no byte of new space.
    set(connection, "temp_store", "memory")?;
    // Negative: in KiB.
    set(connection, "cache_size", -CACHE_KIB)
}

fn set(connection: &Connection, pragma: &str, value: impl rusqlite::ToSql) -> Result<()> {
    // Some pragmas answer with the new value, some do not.
    connection.pragma_update_and_check(None, pragma, value, |_| Ok(())).optional()?;
    Ok(())
}

fn user_version(connection: &Connection) -> Result<i32> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

fn is_empty(connection: &Connection) -> Result<bool> {
    Ok(connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?)
}

fn create_tables(connection: &Connection, archive: ArchiveId) -> Result<()> {
    set(connection, "user_version", schema::VERSION)?;
    set(connection, "application_id", schema::APPLICATION_ID)?;
    connection.execute_batch(schema::TABLES_SQL)?;
    connection.execute(
        "INSERT INTO state VALUES (1, ?1, 0, ?2, NULL, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0)",
        (archive.0, CommitId::NONE.check),
    )?;
    Ok(())
}

/// What a catalogue says of itself; `None` when it is of another schema or says nothing sensible.
pub(crate) fn state(connection: &Connection) -> Result<Option<State>> {
    if user_version(connection)? != schema::VERSION {
        return Ok(None);
    }
    let mut statement = connection.prepare_cached(
        "SELECT archive, commit_number, commit_check, pack, pack_end,
                next_blob, next_message, next_account, next_mailbox, next_epoch, next_run FROM state",
    )?;
    let state = statement.query_row([], |row| {
        let number = |index| row.get::<_, i64>(index).map(i64::cast_unsigned);
        let pack: Option<[u8; 8]> = row.get(3)?;
        let end = number(4)?;
        Ok(State {
            archive: ArchiveId(row.get(0)?),
            commit: CommitId { number: number(1)?, check: row.get(2)? },
            position: pack.map(|pack| (PackId(pack), end)),
            next: NextNumbers {
                blob: number(5)?,
                message: number(6)?,
                account: row.get(7)?,
                mailbox: row.get(8)?,
                epoch: row.get(9)?,
                run: row.get(10)?,
            },
        })
    });
    Ok(state.optional()?)
}

/// Whether an error of SQLite means that the file is not worth keeping.
pub(crate) fn is_broken(error: &Error) -> bool {
    use rusqlite::ErrorCode;
    let code = match error {
        Error::Catalogue(rusqlite::Error::SqliteFailure(failure, _)) => failure.code,
        // Missing tables and columns, values of another type: not what we wrote.
        Error::Catalogue(
            rusqlite::Error::SqlInputError { .. }
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..),
        ) => return true,
        Error::CatalogueWrong { .. } => return true,
        _ => return false,
    };
    matches!(
        code,
        ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::SchemaChanged
            | ErrorCode::Unknown
            | ErrorCode::TypeMismatch
            | ErrorCode::ConstraintViolation
    )
}

/// A file that is shorter than its header says was cut; SQLite would notice only when it got there.
fn refuse_cut_file(path: &Path) -> Result<()> {
    use std::os::unix::fs::FileExt as _;
    if !log_is_empty(path) {
        return Ok(());
    }
    let file = std::fs::File::open(path).doing("open", path)?;
    let length = file.metadata().doing("read", path)?.len();
    let mut header = [0; 32];
    if length == 0 || file.read_exact_at(&mut header, 0).is_err() {
        return if length == 0 {
            Ok(())
        } else {
            Err(Error::CatalogueWrong { what: "the file is cut short" })
        };
    }
    let page = match u64::from(u16::from_be_bytes([header[16], header[17]])) {
        1 => 65_536,
        page => page,
    };
    let pages = u64::from(u32::from_be_bytes([header[28], header[29], header[30], header[31]]));
    if length < page * pages { Err(Error::CatalogueWrong { what: "the file is cut short" }) } else { Ok(()) }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn log_is_empty(path: &Path) -> bool {
    std::fs::metadata(beside(path, "-wal")).map_or(true, |metadata| metadata.len() == 0)
}

fn create_private(path: &Path) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path).doing("create", path)?;
    Ok(())
}

fn escape_uri(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let mut uri = String::new();
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

/// Takes a catalogue away, and whatever SQLite left beside it. The file itself goes first: without it
/// the rest means nothing, while it without its log could mean something wrong.
pub(crate) fn remove(path: &Path) -> Result<()> {
    for file in [path.to_owned(), beside(path, "-wal"), beside(path, "-shm"), beside(path, "-journal")] {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).doing("remove", &file);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Gives a catalogue another name, with what SQLite keeps beside it and still needs.
pub(crate) fn rename(path: &Path, target: &Path) -> Result<()> {
    std::fs::rename(path, target).doing("move aside", path)?;
    for suffix in ["-wal", "-journal"] {
        let beside_it = beside(path, suffix);
        match std::fs::rename(&beside_it, beside(target, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).doing("move aside", &beside_it);
            }
            _ => {}
        }
    }
    remove(path)
}

/// Whether SQLite finds its own structure sound.
pub(crate) fn is_sound(connection: &Connection) -> Result<bool> {
    let word: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok(word == "ok")
}

/// Whether a catalogue was made by another version of this program: of no use, and nothing wrong with it.
pub(crate) fn is_outdated(connection: &Connection) -> Result<bool> {
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    Ok(application == schema::APPLICATION_ID && user_version(connection)? != schema::VERSION)
}

/// Puts a catalogue that was made in `made` in the place of the one in `path`.
pub(crate) fn replace(made: &Path, path: &Path) -> Result<()> {
    let synced = std::fs::File::open(made).and_then(|file| file.sync_all());
    synced.doing("sync", made)?;
    remove(path)?;
    std::fs::rename(made, path).doing("rename", made)?;
    let dir = path.parent().unwrap_or(Path::new("."));
    std::fs::File::open(dir).and_then(|dir| dir.sync_all()).doing("sync", dir)
}
