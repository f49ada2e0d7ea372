//! How the new account comes by its password: a file or a program that is there already, or one that is
//! read or typed now and goes into a file beside the configuration.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use super::entry::Secret;
use super::file::{Configuration, already_there};
use super::person::Person;
use crate::cli::Add;
use crate::commands::{Context, password};
use crate::config::{self, PasswordSource};
use crate::exit::{Exit, Failure};

/// Octets that are read from standard input: more than a password has, so that a longer one is seen.
const MAX_READ: u64 = 8192;

/// Where the password is, and where it is to be.
pub(super) struct Way {
    /// What the configuration says.
    pub(super) secret: Secret,
    /// The file that is made, when one is.
    pub(super) new_file: Option<PathBuf>,
    source: Source,
}

enum Source {
    Named(PasswordSource),
    StandardInput,
    Person,
    /// Only a look is wanted that needs none.
    None,
}

impl Way {
    /// The way that the command line names, else the person. Nothing is read or asked yet.
    ///
    /// # Errors
    /// When there is none, or the file that would be made is there.
    pub(super) fn of(
        what: &Add,
        person: &Person<'_>,
        name: &str,
        configuration: &Configuration,
    ) -> Result<Self, Failure> {
        let given = password::named(what.password_file.as_deref(), what.password_command.as_deref())?;
        let way = |secret, source| Self { secret, new_file: None, source: Source::Named(source) };
        match given {
            Some(PasswordSource::File(path)) => {
                let path = absolute(&path)?;
                let text = text_of(&path, "--password-file")?;
                Ok(way(Secret::File(text), PasswordSource::File(path)))
            }
            Some(PasswordSource::Command(mut words)) => {
                // What the shell's folder is now, the daemon's will not be.
                if words[0].contains('/') {
                    words[0] = text_of(&absolute(Path::new(&words[0]))?, "--password-command")?;
                }
                Ok(way(Secret::Command(words.clone()), PasswordSource::Command(words)))
            }
            _ => {
                let source = match () {
                    () if what.password_stdin => Source::StandardInput,
                    () if what.dry_run && what.no_test => Source::None,
                    () if person.is_there() => Source::Person,
                    () => {
                        return Err(Failure::words(Exit::Usage, "there is no password").help(
                            "give --password-stdin, --password-file FILE or --password-command COMMAND; \
                             or run it on a terminal, to be asked",
                        ));
                    }
                };
                let file = format!("{name}.password");
                let path = configuration.folder().join(&file);
                if path.symlink_metadata().is_ok() {
                    return Err(already_there(&path));
                }
                let new_file = (!matches!(source, Source::None)).then_some(path);
                Ok(Self { secret: Secret::Beside(file), new_file, source })
            }
        }
    }

    /// Comes by the password; `None` where none is needed.
    ///
    /// # Errors
    /// When there is none after all.
    pub(super) fn password(&self, context: &Context, user: &str) -> Result<Option<SecretString>, Failure> {
        let wrong = |error: config::SecretError| Failure::new(Exit::Usage, error);
        match &self.source {
            Source::None => Ok(None),
            Source::Named(source) => source.reveal().map(Some).map_err(wrong),
            Source::Person => password::asked(&context.screen, user).map(Some),
            Source::StandardInput => {
                let mut bytes = Zeroizing::new(Vec::new());
                io::stdin().lock().take(MAX_READ).read_to_end(&mut bytes).map_err(|error| {
                    Failure::words(Exit::Failed, format!("cannot read standard input: {error}"))
                })?;
                config::password(&bytes, "standard input").map(Some).map_err(wrong)
            }
        }
    }
}

/// The path as it is from anywhere.
///
/// # Errors
/// When the folder in which we are is gone.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::words(Exit::Usage, format!("{}: {error}", path.display())))
}

/// The path as text, as the configuration has it.
///
/// # Errors
/// When it is none.
pub(super) fn text_of(path: &Path, option: &str) -> Result<String, Failure> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Failure::words(Exit::Usage, format!("{option}: the path {} is not UTF-8", path.display()))
    })
}
