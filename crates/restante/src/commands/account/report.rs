//! What is said of an account that is added: what was found before it is written, and what to do next.

use std::io::Write;
use std::path::Path;

use discover::Address;

use super::file::Configuration;
use super::owner::SERVICE;
use super::trial::Accepted;
use crate::commands::{Context, remarks};
use crate::config::Account;
use crate::exit::Failure;
use crate::output::amount::count;
use crate::output::{json, stdout};

/// Folders that are shown by name; the others by their number.
const MOST_SHOWN: usize = 40;

/// All that there is to say.
pub(super) struct Done<'d> {
    pub(super) name: &'d str,
    pub(super) address: Option<&'d Address>,
    pub(super) configuration: &'d Configuration,
    pub(super) archive: &'d Path,
    /// The password file that is made.
    pub(super) password_file: Option<&'d Path>,
    pub(super) account: &'d Account,
    pub(super) accepted: &'d Accepted,
    pub(super) bins: &'d [String],
    pub(super) tested: bool,
    pub(super) remarks: Vec<String>,
    /// What is added to the configuration.
    pub(super) toml: String,
}

impl Done<'_> {
    fn messages(&self) -> u64 {
        self.accepted.folders.iter().filter_map(|folder| folder.messages).sum()
    }
}

/// What the login has shown, before anything is written.
pub(super) fn found(context: &Context, done: &Done<'_>) {
    for remark in remarks::of(done.account) {
        context.say(&remark);
    }
    for passed in &done.accepted.passed_over {
        context.say(&format!("passed over: {}: {}", passed.server.shown(), passed.why));
    }
    if !done.tested {
        context.say("not tried: no login was made");
        return;
    }
    let folders = &done.accepted.folders;
    context.say(&format!(
        "logged in: {} folders, {} messages",
        count(folders.len() as u64),
        count(done.messages())
    ));
    for folder in folders.iter().take(MOST_SHOWN) {
        let messages = folder.messages.map_or_else(|| "?".to_owned(), count);
        context.say(&format!("  {messages:>9}  {}", folder.name));
    }
    if folders.len() > MOST_SHOWN {
        context.say(&format!("  and {} more folders", count((folders.len() - MOST_SHOWN) as u64)));
    }
    if !done.bins.is_empty() {
        context.say(&format!(
            "what is thrown away is backed up, too ({}); `exclude` in the configuration leaves it out",
            done.bins.join(", ")
        ));
    }
}

/// What was done, and what to do next.
pub(super) fn done(context: &Context, done: &Done<'_>, dry_run: bool, written: bool) -> Result<(), Failure> {
    let file = done.configuration.named.display();
    if context.global.json {
        json::write(&mut stdout(), &document(done, written))?;
    } else if dry_run {
        let mut out = stdout();
        out.write_all(done.toml.as_bytes())?;
        out.flush()?;
    }
    if !written {
        context.say("nothing was written");
        return Ok(());
    }
    let made = if done.configuration.before.is_none() { "made, with the account" } else { "has the account" };
    context.say(&format!("{file} {made} \"{}\"", done.name));
    if let Some(path) = done.password_file {
        context.say(&format!("{} has its password", path.display()));
    }
    if done.configuration.before.is_none() {
        context.say(&format!(
            "the archive will be in {}; `path` in [archive] changes that",
            done.archive.display()
        ));
    }
    for line in next(done, context.global.config.as_deref()) {
        context.say(&line);
    }
    Ok(())
}

fn next(done: &Done<'_>, named: Option<&Path>) -> Vec<String> {
    let config = named.map_or_else(String::new, |file| format!(" --config {}", file.display()));
    let name = done.name;
    if done.configuration.is_for_service() {
        return vec![
            format!("next: sudo -u {SERVICE} restante{config} --run-now {name}"),
            format!("or, where the daemon runs: systemctl reload {SERVICE}"),
        ];
    }
    vec![format!("next: restante{config} --run-now {name}")]
}

fn document(done: &Done<'_>, written: bool) -> serde_json::Value {
    let server = &done.accepted.server;
    let folder =
        |folder: &sync::Probed| serde_json::json!({ "folder": folder.name, "messages": folder.messages });
    let passed_over = |passed: &super::trial::PassedOver| {
        let server = &passed.server;
        serde_json::json!({
            "protocol": server.protocol_word(), "host": server.host, "port": server.port,
            "tls": server.tls_word(), "error": passed.why,
        })
    };
    serde_json::json!({
        "account": done.name,
        "address": done.address.map(Address::text),
        "file": done.configuration.named.display().to_string(),
        "archive": done.archive.display().to_string(),
        "password_file": done.password_file.map(|path| path.display().to_string()),
        "written": written,
        "created": written && done.configuration.before.is_none(),
        "tested": done.tested,
        "server": {
            "protocol": server.protocol_word(), "host": server.host, "port": server.port,
            "tls": server.tls_word(), "user": server.user,
            "found_by": server.source.map(|source| source.to_string()),
        },
        "passed_over": done.accepted.passed_over.iter().map(passed_over).collect::<Vec<_>>(),
        "folders": done.accepted.folders.iter().map(folder).collect::<Vec<_>>(),
        "messages": done.tested.then(|| done.messages()),
        "remarks": done.remarks.iter().cloned().chain(remarks::of(done.account)).collect::<Vec<_>>(),
        "toml": done.toml,
    })
}
