//! The archive's place: what lies there, what is remembered of it, and whether it may be written.

use std::path::Path;

use archive::{Archive, Writer, WriterOptions};

use crate::exit::{Exit, Failure};
use crate::memory::{Found, Memory, MemoryError, Verdict, judge};

impl From<MemoryError> for Failure {
    fn from(error: MemoryError) -> Self {
        let exit = match error {
            MemoryError::Homeless | MemoryError::InsideArchive { .. } => Exit::Usage,
            MemoryError::File { .. } | MemoryError::Garbled { .. } => Exit::Failed,
        };
        Self::new(exit, error)
    }
}

/// What lies at a path.
pub(super) fn look(path: &Path) -> Result<Found, Failure> {
    // Whether it is vacant is asked first: what another program makes meanwhile is then seen as an
    // archive, not as a folder that holds something else (D17).
    let vacant = archive::is_vacant(path)?;
    if archive::identify(path)?.is_some() {
        let archive = Archive::open(path)?;
        return Ok(Found::Archive(archive.id(), archive.last_commit()?));
    }
    Ok(if vacant { Found::Nothing } else { Found::Other })
}

/// Refuses an archive that may not be written to, or is not there. What is refused, and why, is the
/// contract's part "Archive not there".
pub(super) fn refuse_unwritable(path: &Path, memory: &Memory) -> Result<(), Failure> {
    if must_be_created(path, memory)? {
        return Err(Failure::words(Exit::Failed, format!("there is no archive in {}", path.display())));
    }
    Ok(())
}

/// The same, but where an archive may be created that is to be done.
fn must_be_created(path: &Path, memory: &Memory) -> Result<bool, Failure> {
    let found = look(path)?;
    let shown = path.display();
    match judge(memory.recall(path)?.as_ref(), &found) {
        Verdict::Use => Ok(false),
        Verdict::Create => Ok(true),
        Verdict::Absent(why) => {
            Err(Failure::words(Exit::Failed, format!("there is no archive in {shown}: {why}"))
                .help("mount its disk; if the archive is gone for good, `restante init --accept` begins a new one in an empty folder"))
        }
        Verdict::ReadOnly(why) => {
            Err(Failure::words(Exit::Failed, format!("the archive in {shown} is not written to: {why}"))
                .help("reading works; to write on with this one, run `restante init --accept`"))
        }
    }
}

/// Opens the archive to write to it; creates it where that may be.
pub(super) fn open_writer(path: &Path, memory: &Memory) -> Result<Writer, Failure> {
    let shown = path.display();
    if must_be_created(path, memory)? {
        match archive::init(path) {
            Ok(id) => tracing::info!("archive {id} created in {shown}"),
            // Another program was quicker (D17).
            Err(archive::Error::NotEmpty { .. }) if archive::identify(path)?.is_some() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let writer = Writer::open(path, WriterOptions::default())?;
    tracing::debug!("archive opened in {shown}");
    remember(path, memory, &writer)?;
    Ok(writer)
}

/// Remembers how far the archive is.
pub(super) fn remember(path: &Path, memory: &Memory, writer: &Writer) -> Result<(), Failure> {
    Ok(memory.remember(path, writer.id(), writer.last_commit())?)
}
