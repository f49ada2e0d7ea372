//! `account add`: from an address to an account that works.
//!
//! First everything that can be wrong without anybody's help is looked at: the configuration, whether it
//! can be written, names that are taken. Then servers are found, the password is asked for, and a login
//! proves both. Only then something is written, and what is written is what was tried.

use discover::Address;
use secrecy::SecretString;

use super::file::{Configuration, NewPassword};
use super::names;
use super::owner::SERVICE;
use super::person::Person;
use super::report::{self, Done};
use super::secret::{Way, absolute, text_of};
use super::servers::Servers;
use super::trial::{Accepted, Trial, added};
use crate::cli::Add;
use crate::commands::{Context, account::entry};
use crate::config::{Config, MAX_NAME_BYTES, Place};
use crate::exit::{Exit, Failure};

pub(super) fn run(context: &Context, what: &Add) -> Result<Exit, Failure> {
    let person = Person::new(context, what.yes);
    let place = Config::locate(context.global.config.as_deref())?;
    let configuration = Configuration::open(&place)?;
    let base = base(context, &place, &configuration)?;
    let present = configuration.read(&base)?;
    let address = address(what, &person)?;
    let user = user(what, &person, address.as_ref())?;
    let name = name(what, &person, &present, address.as_ref(), user.as_deref())?;
    let way = Way::of(what, &person, &name, &configuration)?;
    let tls_ca_file = match &what.tls_ca_file {
        None => None,
        Some(file) => Some(text_of(&absolute(file)?, "--tls-ca-file")?),
    };
    let servers = servers(context, what, address.as_ref(), user)?;
    for remark in &servers.remarks {
        context.say(remark);
    }
    let trial = Trial {
        context,
        person: &person,
        configuration: &configuration,
        base: &base,
        name: &name,
        address: address.as_ref(),
        secret: &way.secret,
        tls_ca_file: tls_ca_file.as_deref(),
    };
    let mut remarks = servers.remarks.clone();
    if let Some(file) = what.password_file.as_deref().filter(|file| configuration.keeps_from_service(file)) {
        let file = file.display();
        let remark =
            format!("{file} must belong to the user {SERVICE}, or its service cannot read the password");
        context.say(&remark);
        remarks.push(remark);
    }
    let password = way.password(context, &servers.servers[0].user)?;
    let accepted = accepted(what, &trial, servers, password.as_ref())?;
    refuse_doubles(&person, &present, &accepted)?;
    let bins: Vec<String> =
        accepted.folders.iter().filter(|folder| folder.is_bin).map(|folder| folder.name.clone()).collect();
    let (text, section) = trial.text(&accepted.server, &bins);
    let config = configuration.read(&text)?;
    let done = Done {
        name: &name,
        address: address.as_ref(),
        configuration: &configuration,
        archive: &config.archive.path,
        password_file: way.new_file.as_deref(),
        account: added(&config, &name)?,
        accepted: &accepted,
        bins: &bins,
        tested: !what.no_test,
        remarks,
        // Of a file that is made, all of it is new.
        toml: if configuration.before.is_some() { section } else { text.clone() },
    };
    report::found(context, &done);
    let question = format!("Write it to {}?", configuration.named.display());
    let written = !what.dry_run && person.confirms(&question)?;
    if written {
        let beside = way.new_file.clone().zip(password.as_ref());
        let beside = beside.map(|(path, password)| NewPassword { path, password });
        configuration.write(&text, beside.as_ref())?;
    }
    report::done(context, &done, what.dry_run, written)?;
    Ok(if written || what.dry_run { Exit::Done } else { Exit::Failed })
}

/// The text that the account is added to.
fn base(context: &Context, place: &Place, configuration: &Configuration) -> Result<String, Failure> {
    match (&configuration.before, &context.global.archive) {
        (Some(text), None) => Ok(text.clone()),
        (Some(_), Some(_)) => {
            let message = format!("{} says already where the archive is", place.file.display());
            Err(Failure::words(Exit::Usage, message).help("leave out --archive"))
        }
        (None, Some(archive)) => Ok(entry::template(&absolute(archive)?)),
        (None, None) => Ok(entry::template(&place.usual_archive)),
    }
}

fn address(what: &Add, person: &Person<'_>) -> Result<Option<Address>, Failure> {
    let given = what.address.clone().or_else(|| what.named_address.clone());
    let text = match given {
        Some(text) => text,
        // Who logs in where is said without one.
        None if what.host.is_some() && what.user.is_some() => return Ok(None),
        None => match person.line("Mail address", None)? {
            Some(text) => text,
            None => {
                return Err(Failure::words(Exit::Usage, "there is no address")
                    .help("give ADDRESS, or --host and --user; or run it on a terminal, to be asked"));
            }
        },
    };
    let shown = text.clone();
    Address::parse(&text)
        .map(Some)
        .map_err(|error| Failure::words(Exit::Usage, format!("\"{shown}\" is no mail address: {error}")))
}

/// The user name, where it is not the provider's to say.
fn user(what: &Add, person: &Person<'_>, address: Option<&Address>) -> Result<Option<String>, Failure> {
    if let Some(user) = &what.user {
        return match user.trim().is_empty() || user.chars().any(char::is_control) {
            true => Err(Failure::words(Exit::Usage, "--user: it is empty, or holds control characters")),
            false => Ok(Some(user.clone())),
        };
    }
    if what.host.is_none() {
        return Ok(None);
    }
    person.line("User name", address.map(Address::text))
}

fn name(
    what: &Add,
    person: &Person<'_>,
    present: &Config,
    address: Option<&Address>,
    user: Option<&str>,
) -> Result<String, Failure> {
    let is_taken =
        |name: &str| present.accounts.iter().any(|account| account.name.eq_ignore_ascii_case(name));
    let name = match &what.name {
        Some(name) => name.clone(),
        None => {
            let proposed = names::proposed(address.map(Address::text), user.unwrap_or_default(), is_taken);
            person.line("Name for the account", Some(&proposed))?.unwrap_or(proposed)
        }
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.chars().all(is_name) {
        let message = format!("\"{name}\" is no name for an account");
        return Err(Failure::words(Exit::Usage, message)
            .help("letters (a to z), digits, '.', '_' and '-'; at most 64"));
    }
    if is_taken(&name) {
        let message = format!("there is an account \"{name}\" already; names differ by more than case");
        return Err(Failure::words(Exit::Usage, message).help("give the new one another: --name NAME"));
    }
    Ok(name)
}

/// The same mailbox under two names is archived once, but pulled twice.
fn refuse_doubles(person: &Person<'_>, present: &Config, accepted: &Accepted) -> Result<(), Failure> {
    let server = &accepted.server;
    let is_same = |account: &&crate::config::Account| {
        account.host.eq_ignore_ascii_case(&server.host)
            && account.port == server.port
            && account.user == server.user
    };
    let Some(account) = present.accounts.iter().find(is_same) else { return Ok(()) };
    let what = format!("the account \"{}\" has this mailbox already", account.name);
    match person.agrees_to(&what, "if it is to be backed up twice, say --yes")? {
        true => Ok(()),
        false => Err(Failure::words(Exit::Failed, "nothing was written")),
    }
}

fn servers(
    context: &Context,
    what: &Add,
    address: Option<&Address>,
    user: Option<String>,
) -> Result<Servers, Failure> {
    let no_user = || Failure::words(Exit::Usage, "there is no user name").help("give --user, or an address");
    match (&what.host, address) {
        (Some(host), address) => {
            let user = user.or_else(|| address.map(|address| address.text().to_owned()));
            Servers::named(what, host, user.ok_or_else(no_user)?)
        }
        (None, Some(address)) => Servers::found(context, what, address),
        (None, None) => Err(no_user()),
    }
}

fn accepted(
    what: &Add,
    trial: &Trial<'_>,
    servers: Servers,
    password: Option<&SecretString>,
) -> Result<Accepted, Failure> {
    match password.filter(|_| !what.no_test) {
        Some(password) => trial.run(servers.servers, password),
        None => {
            let server = servers.untried()?;
            Ok(Accepted { server, folders: Vec::new(), passed_over: Vec::new() })
        }
    }
}
