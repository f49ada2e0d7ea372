//! A headless backup daemon for mailboxes.
//!
//! This crate is the program: it reads the command line and the configuration, starts logging, wires
//! the rooms together, and says what came of it. Everything that is to be known about mail, archives
//! and servers is in the libraries.
//!
//! * [`cli`]: the command line. [`config`]: the configuration. [`memory`]: what is remembered outside
//!   the archive.
//! * [`commands`]: one file a command. [`alerts`]: telling people of trouble.
//! * [`program`]: other programs, run for what they print.
//! * [`output`], [`logging`]: what people, programs and the journal see. [`exit`]: how it ends.

mod alerts;
mod cli;
mod commands;
mod config;
mod exit;
mod logging;
mod memory;
mod output;
#[cfg(test)]
mod packaged;
mod process;
mod program;

use std::process::ExitCode;

use commands::Context;
use exit::{Exit, Failure};
use output::screen::Screen;

fn main() -> ExitCode {
    process::harden();
    let (global, command) = match cli::Cli::read(std::env::args_os()) {
        Ok(read) => read,
        Err(error) => {
            // Help and version go to standard output; when nobody reads them, that is all right.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    let screen = Screen::new(global.quiet);
    logging::start(&global, &screen);
    let context = Context { global, screen };
    match commands::run(&context, command) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            say(&context, &failure);
            failure.exit.into()
        }
    }
}

/// Says why the command failed: to people on standard error, with `--json` also as a document.
fn say(context: &Context, failure: &Failure) {
    for report in &failure.reports {
        context.screen.report(report);
    }
    if context.global.json
        && let Some(error) = failure.summary()
    {
        // Where standard output is gone, standard error has said it.
        let _ = output::json::write(&mut output::stdout(), &serde_json::json!({ "error": error }));
    }
}
