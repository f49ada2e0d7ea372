//! `alert-test`: a test message through every channel, so that the first message is not the one of the
//! worst day.
//!
//! It keeps and changes nothing, so that it can be used beside a daemon. Ping addresses are not asked
//! for: a ping says that a backup went well.

use std::io::Write;

use daemon::alerts::{Body, Message};
use message::escape::escape;

use super::Context;
use crate::alerts::channel::Channel;
use crate::alerts::{machine, now_ms};
use crate::exit::{Exit, Failure};
use crate::output::{json, stdout};

pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    config.check_alert_secrets()?;
    let channels = Channel::all(&config.alerts);
    if channels.is_empty() {
        let message = format!("{} has no channel to send a message through", config.file.display());
        let help = "add [[alerts.mail]], [[alerts.webhook]] or [[alerts.command]]";
        return Err(Failure::words(Exit::Usage, message).help(help));
    }
    let now = now_ms();
    // A number of its own, so that no mailbox takes it for one that it has.
    let message = Message { number: now.unsigned_abs(), at_ms: now, body: Body::Test };
    let machine = machine();
    let results: Vec<Result<(), String>> = std::thread::scope(|scope| {
        let tried: Vec<_> =
            channels.iter().map(|channel| scope.spawn(|| channel.deliver(&message, &machine))).collect();
        let end = |tried: std::thread::ScopedJoinHandle<'_, _>| {
            tried.join().unwrap_or_else(|_| Err("it panicked".to_owned()))
        };
        tried.into_iter().map(end).collect()
    });
    let mut out = stdout();
    if context.global.json {
        let channel = |(channel, result): (&Channel, &Result<(), String>)| {
            serde_json::json!({
                "channel": channel.name,
                "ok": result.is_ok(),
                "error": result.as_ref().err(),
            })
        };
        let listed: Vec<_> = channels.iter().zip(&results).map(channel).collect();
        json::write(&mut out, &serde_json::json!({ "channels": listed }))?;
    } else {
        for (channel, result) in channels.iter().zip(&results) {
            let words =
                result.as_ref().err().map_or_else(|| "taken".to_owned(), |why| format!("FAILED: {why}"));
            writeln!(out, "{}: {}", channel.name, escape(&words))?;
        }
    }
    out.flush()?;
    Ok(match results.iter().filter(|result| result.is_err()).count() {
        0 => Exit::Done,
        failed if failed == results.len() => Exit::Failed,
        _ => Exit::Partial,
    })
}
