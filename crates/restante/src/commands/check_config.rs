//! `check-config`: read the configuration, say what is wrong and where; with `--connect` also log in
//! to every account and list its folders, which changes nothing.

use remote::Security;

use super::Context;
use super::remarks;
use super::target::job;
use crate::config::{Account, Config, ConfigError};
use crate::exit::{Exit, Failure, chain};
use crate::output::amount::{count, local_time, rfc3339};
use crate::output::table::{Align, Table};
use crate::output::{json, stdout};

/// What is known of one account after the check.
struct Checked<'c> {
    account: &'c Account,
    /// What a person should know though nothing is wrong.
    remarks: Vec<String>,
    /// With `--connect`: how many wanted folders there are, or why it cannot be said.
    connection: Option<Result<u64, String>>,
}

pub(super) fn run(context: &Context, connect: bool) -> Result<Exit, Failure> {
    let config = match load(context) {
        Ok(config) => config,
        Err(ConfigError::Invalid(invalid)) if context.global.json => {
            json::write(&mut stdout(), &serde_json::json!({ "ok": false, "problems": invalid.to_json() }))?;
            return Ok(Exit::Usage);
        }
        Err(error) => return Err(error.into()),
    };
    let checked: Vec<Checked<'_>> =
        config.accounts.iter().map(|account| check(context, &config, account, connect)).collect();
    if context.global.json {
        json::write(&mut stdout(), &document(&config, &checked))?;
    } else {
        write(context, &config, &checked)?;
    }
    Ok(exit(&checked))
}

fn load(context: &Context) -> Result<Config, ConfigError> {
    let config = Config::load(context.global.config.as_deref())?;
    config.check_secrets(&config.accounts.iter().collect::<Vec<_>>())?;
    config.check_alert_secrets()?;
    Ok(config)
}

fn check<'c>(context: &Context, config: &Config, account: &'c Account, connect: bool) -> Checked<'c> {
    let connection = connect.then(|| {
        context.say(&format!("{}: connecting to {} port {}", account.name, account.host, account.port));
        connect_to(config, account)
    });
    Checked { account, remarks: remarks::of(account), connection }
}

fn connect_to(config: &Config, account: &Account) -> Result<u64, String> {
    let job = job(config, account).map_err(|error| chain(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| chain(&error))?;
    let folders = runtime.block_on(sync::probe(&job)).map_err(|error| chain(&error))?;
    Ok(folders.len() as u64)
}

fn exit(checked: &[Checked<'_>]) -> Exit {
    let tried: Vec<bool> =
        checked.iter().filter_map(|checked| checked.connection.as_ref()).map(Result::is_ok).collect();
    match () {
        () if tried.iter().all(|&ok| ok) => Exit::Done,
        () if tried.iter().any(|&ok| ok) => Exit::Partial,
        () => Exit::Failed,
    }
}

fn next_run(config: &Config, account: &Account) -> Option<i64> {
    config.schedule_of(account)?.next_after(jiff::Timestamp::now().as_second())
}

fn document(config: &Config, checked: &[Checked<'_>]) -> serde_json::Value {
    let account = |checked: &Checked<'_>| {
        let account = checked.account;
        serde_json::json!({
            "account": account.name, "protocol": account.protocol.word(),
            "host": account.host, "port": account.port, "tls": tls(account), "user": account.user,
            "next_run": next_run(config, account).and_then(rfc3339),
            "remarks": checked.remarks,
            "folders": checked.connection.as_ref().and_then(|tried| tried.as_ref().ok()),
            "error": checked.connection.as_ref().and_then(|tried| tried.as_ref().err()),
        })
    };
    serde_json::json!({
        "ok": exit(checked) == Exit::Done,
        "file": config.file.display().to_string(),
        "archive": config.archive.path.display().to_string(),
        "accounts": checked.iter().map(account).collect::<Vec<_>>(),
        "problems": [],
    })
}

fn tls(account: &Account) -> &'static str {
    match account.tls {
        Security::Implicit => "implicit",
        Security::StartTls => "starttls",
        Security::Plain => "none",
    }
}

fn write(context: &Context, config: &Config, checked: &[Checked<'_>]) -> Result<(), Failure> {
    let mut table = Table::new(&[
        ("account", Align::Left),
        ("protocol", Align::Left),
        ("server", Align::Left),
        ("tls", Align::Left),
        ("user", Align::Left),
        ("next run", Align::Left),
        ("login", Align::Left),
    ]);
    for Checked { account, connection, .. } in checked {
        let login = match connection {
            None => "not tried".to_owned(),
            Some(Ok(folders)) => format!("ok, {} folders", count(*folders)),
            Some(Err(_)) => "failed".to_owned(),
        };
        table.row([
            account.name.clone(),
            account.protocol.word().to_owned(),
            format!("{} port {}", account.host, account.port),
            tls(account).to_owned(),
            account.user.clone(),
            next_run(config, account).map_or_else(|| "no schedule".to_owned(), local_time),
            login,
        ]);
    }
    let mut out = stdout();
    table.write(&mut out)?;
    std::io::Write::flush(&mut out)?;
    for Checked { account, connection, remarks } in checked {
        for remark in remarks {
            context.screen.say(&format!("{}: {remark}", account.name));
        }
        if let Some(Err(error)) = connection {
            context.screen.say(&format!("{}: {error}", account.name));
        }
    }
    if checked.is_empty() {
        context.screen.say("there is no [[account]], so there is nothing to back up");
    }
    context.say(&format!("{}: nothing wrong in it", config.file.display()));
    Ok(())
}
