//! Running the real program, as a user or a unit would.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The `restante` that was built together with the tests, and a configuration for it.
pub struct Program {
    configuration: PathBuf,
    state: PathBuf,
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit status; `None` after a signal.
    pub code: Option<i32>,
    /// Standard output, as bytes: `show` gives messages.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: String,
}

impl Ended {
    /// Standard output as one JSON document.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| {
            panic!("not JSON ({error}): {:?} {}", String::from_utf8_lossy(&self.stdout), self.stderr)
        })
    }

    /// Itself, if the exit status is this one.
    ///
    /// # Panics
    /// When it is another one; says what the program said.
    pub fn expect_code(self, code: i32) -> Self {
        let stdout = String::from_utf8_lossy(&self.stdout);
        assert_eq!(self.code, Some(code), "stdout: {stdout}\nstderr: {}", self.stderr);
        self
    }
}

impl Program {
    /// The program with this configuration file; what it remembers outside the archive is kept in
    /// `state`, not in the home folder of whoever runs the tests.
    #[must_use]
    pub fn new(configuration: &Path, state: &Path) -> Self {
        Self { configuration: configuration.to_owned(), state: state.to_owned() }
    }

    /// Runs it to its end, without a terminal.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Ended {
        let Output { status, stdout, stderr } = self.command(arguments).output().expect("the program starts");
        Ended { code: status.code(), stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() }
    }

    /// The command that [`run`](Self::run) runs, for tests that kill it.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg("--config").arg(&self.configuration).args(arguments);
        command.env("XDG_STATE_HOME", &self.state).env_remove("STATE_DIRECTORY").env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// The program lies beside the folder of the test programs: `target/<profile>/restante`.
///
/// # Panics
/// When it has not been built.
#[must_use]
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let profile = test.ancestors().nth(2).expect("tests lie in target/<profile>/deps");
    let binary = profile.join("restante");
    assert!(binary.exists(), "{} is missing: `cargo build -p restante` makes it", binary.display());
    binary
}
