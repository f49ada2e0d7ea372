//! A headless backup daemon for mailboxes.
//!
//! This crate is the program: it reads the command line and the configuration, starts logging, wires
//! the rooms together, and says what came of it. Everything that is to be known about mail, archives
//! and servers is in the libraries.
//!
//! * [`cli`]: the command line. [`config`]: the configuration. [`memory`]: what is remembered outside
//!   the archive.
//! * [`commands`]: one file a command.
//! * [`output`], [`logging`]: what people, programs and the journal see. [`exit`]: how it ends.

mod cli;
mod config;
mod exit;
mod logging;
mod memory;
mod output;
mod process;

use std::process::ExitCode;

fn main() -> ExitCode {
    process::harden();
    let (global, _command) = match cli::Cli::read(std::env::args_os()) {
        Ok(read) => read,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let screen = output::screen::Screen::new(global.quiet);
    logging::start(&global, &screen);
    ExitCode::SUCCESS
}
