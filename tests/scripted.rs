//! Accounts on the scripted server, an archive, and the program between them: the world of the daemon's
//! tests, which needs no Dovecot and can be told to misbehave.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use message::{Flags, InternalDate};
use server::{Behaviour, Store};
use testkit::{Restante, Scripted};

use crate::supervised::Daemon;

/// A server of users, and the program, not yet configured.
pub struct ScriptedWorld {
    /// The program; its configuration is `r.toml` in the test's own folder.
    pub program: Restante,
    /// The server.
    pub server: Scripted,
    /// What lies on it.
    pub store: Store,
    folder: tempfile::TempDir,
}

impl ScriptedWorld {
    /// Every user's.
    pub const PASSWORD: &str = "pass";

    /// With these users, none of whom has mail.
    ///
    /// # Panics
    /// When there is no room for a temporary folder.
    #[must_use]
    pub fn new(users: &[&str], behaviour: Behaviour) -> Self {
        let store = Store::new();
        users.iter().for_each(|user| store.add_user(user, Self::PASSWORD));
        let server = Scripted::start(store.clone(), behaviour);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = Restante::new(&folder.path().join("r.toml"), folder.path());
        Self { program, server, store, folder }
    }

    /// A path in the test's own folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the daemon.
    #[must_use]
    pub fn start(&self) -> Daemon {
        Daemon::start(&self.program, self.folder.path())
    }

    /// Configures these sections, and these accounts, each with these lines.
    pub fn configure(&self, sections: &str, users: &[&str], lines: &str) {
        let (port, password) = (self.server.port(), Self::PASSWORD);
        let account = |user: &&str| {
            format!(
                "[[account]]\nname = \"{user}\"\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\n\
                 user = \"{user}\"\npassword = \"{password}\"\n{lines}"
            )
        };
        let accounts: String = users.iter().map(account).collect();
        self.write(&format!("[archive]\npath = \"archive\"\nreserve = \"0\"\n{sections}{accounts}"));
    }

    /// Writes the configuration as it stands here.
    ///
    /// # Panics
    /// When the test's own folder cannot be written.
    pub fn write(&self, text: &str) {
        let file = self.path("r.toml");
        fs::write(&file, text).expect("the test's own folder");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("an own file");
    }

    /// Puts so many messages into a folder of a user, numbered from 0.
    ///
    /// # Panics
    /// As [`deliver`](Self::deliver).
    pub fn deliver_many(&self, user: &str, folder: &str, count: u32) {
        (0..count).for_each(|number| self.deliver(user, folder, number));
    }

    /// Puts a message into a folder of a user; the number tells it from others.
    ///
    /// # Panics
    /// When there is no such user or folder.
    pub fn deliver(&self, user: &str, folder: &str, number: u32) {
        let lines: String =
            (0..40).map(|line| format!("{line} of {number}: {}\r\n", number * 7919 + line)).collect();
        let bytes = format!("Subject: {number} for {user}\r\n\r\n{lines}");
        let date = InternalDate::from_unix(i64::from(number), 0);
        let added = self.store.append(user, folder, &Flags::default(), &date, bytes.as_bytes());
        added.expect("the user and the folder are there");
    }
}
