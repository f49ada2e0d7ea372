//! The program itself, run as a user would.
//!
//! It gets a home of its own, so that a test neither sees nor touches what belongs to the person who
//! runs it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// A way to run the program with one configuration.
#[derive(Debug, Clone)]
pub struct Restante {
    program: PathBuf,
    config: PathBuf,
    home: PathBuf,
}

/// What a run gave.
#[derive(Debug, Clone)]
pub struct Output {
    /// The exit status; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error, as text.
    pub stderr: String,
}

impl Restante {
    /// The program with this configuration file; `home` is an existing folder for everything else.
    ///
    /// # Panics
    /// When the program was not built.
    #[must_use]
    pub fn new(config: &Path, home: &Path) -> Self {
        Self { program: find_program(), config: config.to_owned(), home: home.to_owned() }
    }

    /// Where the program is.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The command, ready to be started or changed.
    pub fn command(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--config")
            .arg(&self.config)
            .args(arguments)
            .env("HOME", &self.home)
            .env("XDG_CONFIG_HOME", self.home.join("config"))
            .env("XDG_STATE_HOME", self.home.join("state"))
            .env("XDG_CACHE_HOME", self.home.join("cache"))
            .env_remove("STATE_DIRECTORY")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
        self.command(arguments).output().expect("the program starts").into()
    }
}

impl From<std::process::Output> for Output {
    fn from(output: std::process::Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Output {
    /// Fails the test with all that was said, unless the exit status is this.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &Self {
        assert!(
            self.code == Some(code),
            "exit status {:?}, not {code}\nstandard output:\n{}\nstandard error:\n{}",
            self.code,
            String::from_utf8_lossy(&self.stdout),
            self.stderr
        );
        self
    }

    /// Standard output as one JSON document.
    ///
    /// # Panics
    /// When it is anything else.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| {
            let text = String::from_utf8_lossy(&self.stdout);
            panic!("not JSON ({error}):\n{text}\nstandard error:\n{}", self.stderr)
        })
    }
}

/// Where Cargo says it is, else beside the test: `target/<profile>/deps/test` → `target/<profile>/`.
fn find_program() -> PathBuf {
    if let Some(told) = std::env::var_os("CARGO_BIN_EXE_restante") {
        return told.into();
    }
    let test = std::env::current_exe().expect("a test knows where it is");
    let beside = test.ancestors().skip(1).take(2).map(|folder| folder.join("restante"));
    let found = beside.into_iter().find(|program| program.is_file());
    found.expect("the program is built: `cargo build -p restante` with the profile of the tests")
}
