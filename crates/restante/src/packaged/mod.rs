//! What of packaging/ is made from the command line: manual pages and shell completions.
//!
//! They stand in the tree, so that a package needs nothing but the tree to be built, and so that a
//! change of the command line is seen in review as people will meet it. The test below fails when a
//! file is missing, is not what the command line says, or belongs to no command any more;
//! `RESTANTE_WRITE_MANUAL=1 cargo test -p restante packaged` writes them anew.

mod completions;
mod manual;
mod units;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use clap::CommandFactory;

use crate::cli::Cli;

const PACKAGING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging");

/// File names and what is in them.
type Files = BTreeMap<String, Vec<u8>>;

/// The command line, with the names of all its commands made out.
fn command() -> clap::Command {
    let mut command = Cli::command().name("restante");
    command.build();
    command
}

fn read(folder: &Path) -> io::Result<Files> {
    let mut files = Files::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files.insert(entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?);
    }
    Ok(files)
}

fn write(folder: &Path, files: &Files) -> io::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    files.iter().try_for_each(|(name, bytes)| fs::write(folder.join(name), bytes))
}

#[test]
fn manual_pages_and_completions_say_what_the_command_line_does() -> io::Result<()> {
    for (folder, made) in
        [("man", manual::pages(&command())?), ("completions", completions::scripts(command()))]
    {
        let folder = Path::new(PACKAGING).join(folder);
        if std::env::var_os("RESTANTE_WRITE_MANUAL").is_some() {
            write(&folder, &made)?;
            continue;
        }
        let held = read(&folder)?;
        let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
        let hint = "RESTANTE_WRITE_MANUAL=1 cargo test -p restante packaged writes it anew";
        assert_eq!(names(&held), names(&made), "{}: {hint}", folder.display());
        for (name, bytes) in &made {
            assert!(held[name] == *bytes, "{}: {hint}", folder.join(name).display());
        }
    }
    Ok(())
}
