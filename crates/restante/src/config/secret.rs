//! Where an account's password comes from, and how it is fetched without leaving traces.
//!
//! A password is read when an account is about to be used, kept in a [`SecretString`] (no `Debug`,
//! wiped when dropped), and goes nowhere but into the login. It never stands in the arguments or
//! the environment of a process.
//!
//! A password file must belong to its reader alone. A password command is run as [`program`] says, with
//! nothing to read from; it has [`COMMAND_LIMIT`] to answer.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use crate::program::{self, NoEnd};

/// No password is longer; what a wrong path yields is not read into memory.
const MAX_PASSWORD_BYTES: u64 = 4096;

/// How long a password command may take. Unlocking a key can ask a person elsewhere for a touch.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// The one place that an account's password comes from.
#[derive(Clone)]
pub(crate) enum PasswordSource {
    /// The first line's worth of a file.
    File(PathBuf),
    /// What a program prints: its path and arguments.
    Command(Vec<String>),
    /// A systemd credential of this name.
    Credential(String),
    /// The configuration itself.
    Inline(SecretString),
}

impl PasswordSource {
    /// Whether the password comes from the same place.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(other)) => one == other,
            (Self::Command(one), Self::Command(other)) => one == other,
            (Self::Credential(one), Self::Credential(other)) => one == other,
            (Self::Inline(one), Self::Inline(other)) => one.expose_secret() == other.expose_secret(),
            _ => false,
        }
    }
}

impl fmt::Debug for PasswordSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Command(argv) => write!(f, "Command({:?}, …)", argv.first()),
            Self::Credential(name) => write!(f, "Credential({name})"),
            Self::Inline(_) => f.write_str("Inline(…)"),
        }
    }
}

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that others than its owner can get at.
    #[error(
        "{path} can be read or written by others (mode {mode:04o}); \
         make it yours alone: chmod 600 {path}"
    )]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Nothing came.
    #[error("{0} is empty")]
    Empty(String),
    /// More came than any password has.
    #[error("{0} is longer than any password ({MAX_PASSWORD_BYTES} bytes)")]
    TooLong(String),
    /// A password that no login could carry.
    #[error("{0} is not a line of UTF-8 text")]
    NotText(String),
    /// Not started by systemd with this credential.
    #[error(
        "there is no credential {name:?}: $CREDENTIALS_DIRECTORY is not set, for restante was not \
         started by systemd with LoadCredential={name}:…"
    )]
    NoCredentials {
        /// The credential's name.
        name: String,
    },
    /// The password command cannot be started.
    #[error("cannot start the password command {program:?}: {source}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// The password command does not come to an end.
    #[error("the password command {program:?} gave no answer within {} s and was stopped", limit.as_secs())]
    Slow {
        /// The program.
        program: String,
        /// What it was given.
        limit: Duration,
    },
    /// The password command failed.
    #[error("the password command {program:?} failed ({status}){}", complaint(said))]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: String,
        /// What it wrote to standard error, escaped.
        said: String,
    },
}

fn complaint(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

impl PasswordSource {
    /// Looks whether the password could be fetched, as far as that needs no command and no service
    /// manager: its file is there, readable, and nobody else's.
    ///
    /// # Errors
    /// When it could not.
    pub(super) fn check(&self) -> Result<(), SecretError> {
        match self {
            Self::File(path) => read_private_file(path).map(drop),
            Self::Command(_) | Self::Credential(_) | Self::Inline(_) => Ok(()),
        }
    }

    /// Fetches the password.
    ///
    /// # Errors
    /// When there is none; no error carries any part of it.
    pub(crate) fn reveal(&self) -> Result<SecretString, SecretError> {
        match self {
            Self::File(path) => read_private_file(path),
            Self::Command(argv) => ask(argv, COMMAND_LIMIT),
            Self::Credential(name) => read_credential(name, std::env::var_os("CREDENTIALS_DIRECTORY")),
            Self::Inline(password) => Ok(password.clone()),
        }
    }
}

/// Refuses a file that anyone but its owner can read or write.
///
/// # Errors
/// When they can.
pub(super) fn must_be_private(path: &Path, file: &File) -> Result<(), SecretError> {
    let metadata = file.metadata().map_err(|source| SecretError::Read { path: path.into(), source })?;
    let mode = metadata.permissions().mode() & 0o7777;
    if metadata.is_file() && mode & 0o077 != 0 {
        return Err(SecretError::OpenToOthers { path: path.into(), mode });
    }
    Ok(())
}

fn read_private_file(path: &Path) -> Result<SecretString, SecretError> {
    let file = File::open(path).map_err(|source| SecretError::Read { path: path.into(), source })?;
    must_be_private(path, &file)?;
    read_password(file, path)
}

fn read_credential(name: &str, folder: Option<std::ffi::OsString>) -> Result<SecretString, SecretError> {
    let folder = folder.ok_or_else(|| SecretError::NoCredentials { name: name.to_owned() })?;
    let path = Path::new(&folder).join(name);
    let file = File::open(&path).map_err(|source| SecretError::Read { path: path.clone(), source })?;
    read_password(file, &path)
}

fn read_password(file: File, path: &Path) -> Result<SecretString, SecretError> {
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_PASSWORD_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| SecretError::Read { path: path.into(), source })?;
    password(&bytes, &path.display().to_string())
}

/// What was read, less one line end; `whence` is for errors.
///
/// # Errors
/// When it is no password; no error carries any part of it.
pub(crate) fn password(bytes: &[u8], whence: &str) -> Result<SecretString, SecretError> {
    if bytes.len() as u64 > MAX_PASSWORD_BYTES {
        return Err(SecretError::TooLong(whence.to_owned()));
    }
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let line = line.strip_suffix(b"\r").filter(|_| bytes.ends_with(b"\n")).unwrap_or(line);
    if line.is_empty() {
        return Err(SecretError::Empty(whence.to_owned()));
    }
    match std::str::from_utf8(line) {
        Ok(text) if !text.contains(['\n', '\r', '\0']) => Ok(SecretString::from(text)),
        _ => Err(SecretError::NotText(whence.to_owned())),
    }
}

/// Runs a password command and takes what it prints.
fn ask(argv: &[String], limit: Duration) -> Result<SecretString, SecretError> {
    let program = argv.first().cloned().unwrap_or_default();
    let ended = match program::run(argv, Vec::new(), MAX_PASSWORD_BYTES + 1, limit) {
        Ok(ended) => ended,
        Err(NoEnd::Start(source)) => return Err(SecretError::Start { program, source }),
        Err(NoEnd::Slow) => return Err(SecretError::Slow { program, limit }),
    };
    if !ended.status.success() {
        return Err(SecretError::Failed { program, status: ended.status.to_string(), said: ended.said });
    }
    password(&ended.printed, &format!("what the password command {program:?} printed"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use super::*;

    fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    fn sh(script: &str) -> Result<String, SecretError> {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned);
        ask(&argv, Duration::from_secs(20)).map(|secret| secret.expose_secret().to_owned())
    }

    #[test]
    fn one_line_end_is_cut_and_no_more() {
        for (content, expected) in
            [("canary\n", "canary"), ("canary", "canary"), ("canary\r\n", "canary"), (" canary ", " canary ")]
        {
            let (_folder, path) = file(content.as_bytes(), 0o600);
            let secret = PasswordSource::File(path).reveal().unwrap();
            assert_eq!(secret.expose_secret(), expected);
        }
    }

    #[test]
    fn what_is_no_password_is_an_error_that_does_not_show_it() {
        let table: [(&[u8], &str); 5] = [
            (b"", "is empty"),
            (b"\n", "is empty"),
            (b"canary\nsecond\n", "not a line of UTF-8 text"),
            (b"canary\xff", "not a line of UTF-8 text"),
            (&[b'x'; 5000], "longer than any password"),
        ];
        for (content, expected) in table {
            let (_folder, path) = file(content, 0o600);
            let error = PasswordSource::File(path).reveal().unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        for mode in [0o644, 0o640, 0o604, 0o620] {
            let (_folder, path) = file(b"canary", mode);
            let error = PasswordSource::File(path).check().unwrap_err();
            assert!(matches!(error, SecretError::OpenToOthers { mode: seen, .. } if seen == mode), "{error}");
        }
    }

    #[test]
    fn a_password_is_what_the_command_prints() {
        assert_eq!(sh("echo canary").unwrap(), "canary");
        assert!(matches!(sh("true").unwrap_err(), SecretError::Empty(_)));
    }

    #[test]
    fn a_command_that_fails_is_quoted_escaped() {
        let error = sh(r"printf 'locked\033[31m\n' >&2; echo canary; exit 3").unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("locked"), "{error}");
        assert!(!error.contains('\u{1b}') && !error.contains("canary"), "{error}");
    }

    #[test]
    fn a_command_sees_no_terminal_no_input_and_a_small_environment() {
        assert_eq!(sh("read x || echo nothing").unwrap(), "nothing");
        assert_eq!(sh("echo ${CARGO_MANIFEST_DIR:-none}").unwrap(), "none");
    }

    #[test]
    fn a_command_that_hangs_is_stopped_with_all_it_started() {
        let argv = ["/bin/sh", "-c", "sleep 600 & sleep 600"].map(str::to_owned);
        let error = ask(&argv, Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, SecretError::Slow { .. }), "{error}");
    }

    #[test]
    fn a_command_that_prints_without_end_is_not_kept_in_memory() {
        let error = sh("head -c 1000000 /dev/zero").unwrap_err();
        assert!(matches!(error, SecretError::TooLong(_)), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = ask(&["/nonexistent/pass".to_owned()], Duration::from_secs(1)).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/pass"), "{error}");
    }

    #[test]
    fn a_credential_comes_from_the_folder_of_the_service_manager() {
        let (folder, _path) = file(b"canary", 0o400);
        let secret = read_credential("secret", Some(folder.path().into())).unwrap();
        assert_eq!(secret.expose_secret(), "canary");
        let error = read_credential("secret", None).unwrap_err();
        assert!(error.to_string().contains("LoadCredential=secret"), "{error}");
    }

    #[test]
    fn debug_shows_no_password() {
        let inline = PasswordSource::Inline(SecretString::from("canary"));
        assert_eq!(format!("{inline:?}"), "Inline(…)");
    }
}
