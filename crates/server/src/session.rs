//! One client's session: reads commands, lets the faults have their say, answers.
//!
//! Each command is a method in the module of its subject. It writes untagged data to the wire and
//! gives the text of the tagged OK, or says by [`Stop`] why there is none. What others have done to
//! the open mailbox is told between that data and the tagged answer.

mod append;
mod change;
mod fetch;
mod folders;
mod list;
mod login;
mod quota;
mod search;
mod select;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::arguments::{Arguments, Malformed, Part};
use crate::behaviour::Tls;
use crate::effect::Effect;
use crate::fault::Event;
use crate::limits;
use crate::server::{Admitted, Shared};
use crate::store::{self, StoreError};
use crate::transport::{Broken, Stream};
use crate::wire::{Command, Wire};
use append::Forgotten;
use select::Selected;

/// Why a command has no OK.
#[derive(Debug)]
enum Stop {
    Bad(String),
    No(String),
    /// The session ends, with these words before.
    Bye(String),
    /// The session has ended.
    Gone,
}

impl From<Malformed> for Stop {
    fn from(Malformed(what): Malformed) -> Self {
        Self::Bad(what.to_owned())
    }
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Gone => Self::Gone,
            Broken::Abuse(what) => Self::Bye(what.into_owned()),
        }
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::NoMailbox(_) | StoreError::NoUser(_) => "[NONEXISTENT] ",
            StoreError::Exists(_) => "[ALREADYEXISTS] ",
            StoreError::NoUidLeft(_) => "[LIMIT] ",
            StoreError::OverQuota => "[OVERQUOTA] ",
            StoreError::TooLarge(_) => "[TOOBIG] ",
            StoreError::NoMessage(_) | StoreError::Inbox | StoreError::Virtual(_) => "[CANNOT] ",
        };
        // The error quotes names with escapes, so that it is a single line.
        let text: String = error.to_string().chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
        Self::No(format!("{code}{text}"))
    }
}

/// The text behind OK, or why there is none.
type Done = Result<String, Stop>;

/// A session with its state.
pub(crate) struct Session {
    shared: Arc<Shared>,
    wire: Wire,
    user: Option<String>,
    selected: Option<Selected>,
    /// Names are said in UTF-8.
    utf8: bool,
    /// SEARCH is answered by ESEARCH, LIST tells children (RFC 9051).
    rev2: bool,
    condstore: bool,
    qresync: bool,
    /// Messages have no numbers, only UIDs (RFC 9586).
    uid_only: bool,
    encrypted: bool,
    deflated: bool,
    /// Faults that change what the current command answers.
    twists: Vec<Effect>,
    /// APPENDs that went well.
    appends: u32,
    forgotten: Forgotten,
    admitted: Option<Admitted>,
}

/// Serves one client until it goes.
pub(crate) async fn serve(mut session: Session) {
    if let Err(Stop::Bye(text)) = session.converse().await {
        session.say(&format!("* BYE {text}"));
        session.wire.close().await;
    }
}

impl Session {
    pub(crate) fn new(stream: Box<dyn Stream>, shared: Arc<Shared>) -> Self {
        Self {
            wire: Wire::new(stream, Arc::clone(&shared)),
            forgotten: Forgotten::new(shared.store.clone()),
            shared,
            user: None,
            selected: None,
            utf8: false,
            rev2: false,
            condstore: false,
            qresync: false,
            uid_only: false,
            encrypted: false,
            deflated: false,
            twists: Vec::new(),
            appends: 0,
            admitted: None,
        }
    }

    fn say(&mut self, line: &str) {
        self.wire.out.extend_from_slice(line.as_bytes());
        self.wire.out.extend_from_slice(b"\r\n");
    }

    fn offers(&self, capability: &str) -> bool {
        self.shared.behaviour.offers(capability)
    }

    /// How many messages of a mailbox are shown at most: the newest.
    fn most_shown(&self) -> usize {
        let limit = self.twists.iter().find_map(|twist| match twist {
            Effect::ShowsNewest(limit) if !self.uid_only => Some(*limit),
            _ => None,
        });
        limit.unwrap_or(usize::MAX)
    }

    /// BAD, unless the server offers this.
    fn needs(&self, capability: &str) -> Result<(), Stop> {
        if self.offers(capability) {
            Ok(())
        } else {
            Err(Stop::Bad(format!("{capability} is not offered here")))
        }
    }

    /// The user, once logged in.
    fn user(&self) -> Result<String, Stop> {
        self.user.clone().ok_or_else(|| Stop::Bad("log in first".to_owned()))
    }

    async fn converse(&mut self) -> Result<(), Stop> {
        if let Tls::Implicit(config) = self.shared.behaviour.tls().clone() {
            self.wire.start_tls(config).await?;
            self.encrypted = true;
        }
        self.greet().await?;
        loop {
            let command = self.wire.command(self.user.is_some()).await?;
            self.obey(command).await?;
        }
    }

    async fn greet(&mut self) -> Result<(), Stop> {
        let mut greeting = format!("* {}\r\n", self.shared.behaviour.greeting()).into_bytes();
        let mut after = Vec::new();
        for effect in self.shared.script.strikes(Event::Greeting, None) {
            match effect {
                Effect::Instead(octets) => greeting = octets,
                Effect::After(octets) => after = octets,
                Effect::Before(octets) => self.wire.out.extend_from_slice(&octets),
                other => self.strike("*", other).await?.unwrap_or(Ok(()))?,
            }
        }
        if greeting.starts_with(b"* PREAUTH") {
            // The first user there is; a server that greets so has known the client otherwise.
            self.user = self.shared.store.look(|state| state.first_user());
        }
        let turned_away = greeting.starts_with(b"* BYE");
        self.wire.out.append(&mut greeting);
        self.wire.out.append(&mut after);
        self.wire.flush().await?;
        if turned_away {
            self.wire.close().await;
            return Err(Stop::Gone);
        }
        self.wire.release();
        Ok(())
    }

    /// Takes one command and answers it.
    async fn obey(&mut self, command: Command) -> Result<(), Stop> {
        let text = text_of(&command.parts);
        let mut arguments = Arguments::new(command.parts);
        let tag = read_tag(&mut arguments).unwrap_or_else(|_| "*".to_owned());
        let Ok(name) = read_name(&mut arguments) else {
            self.shared.note(&text);
            self.say(&format!("{tag} BAD no tag or no command"));
            return Ok(self.wire.flush().await?);
        };
        let line = match name.as_str() {
            "LOGIN" | "AUTHENTICATE" => format!("{name} ***"),
            _ => text.split_once(' ').map_or(String::new(), |(_, line)| line.to_owned()),
        };
        self.shared.note(&line);
        self.shared.count(|counts| counts.commands += 1);
        if let Some(answer) = command.refused {
            self.say(&format!("{tag} {answer}"));
            return Ok(self.wire.flush().await?);
        }

        let mailbox = self.selected.as_ref().map(Selected::text);
        let names = self.mailbox_ahead(&name, &arguments);
        let event = Event::Command {
            name: &name,
            line: &line,
            names: names.as_deref(),
            widest: widest(&name, &line),
            appends: self.appends,
        };
        let mut done = None;
        let mut after = Vec::new();
        self.twists.clear();
        for effect in self.shared.script.strikes(event, mailbox.as_deref()) {
            match effect {
                Effect::After(octets) => after = octets,
                other => done = self.strike(&tag, other).await?.map_or(done, Some),
            }
        }
        if matches!(done, Some(Ok(()))) {
            // The answer has been given in other words.
            self.wire.flush().await?;
            self.wire.release();
            return Ok(());
        }
        let done = match done {
            Some(Err(stop)) => Err(stop),
            _ => self.perform(&tag, &name, &mut arguments).await,
        };
        let agreed = done.is_ok();
        let selective = matches!(name.as_str(), "FETCH" | "STORE" | "SEARCH");
        if !matches!(done, Err(Stop::Gone | Stop::Bye(_))) {
            self.tell_updates(!selective)?;
        }
        match done {
            Ok(words) => self.say(&format!("{tag} OK {words}")),
            Err(Stop::No(words)) => self.say(&format!("{tag} NO {words}")),
            Err(Stop::Bad(words)) => self.say(&format!("{tag} BAD {words}")),
            Err(stop) => return Err(stop),
        }
        self.wire.out.append(&mut after);
        self.wire.flush().await?;
        self.wire.release();
        match name.as_str() {
            "STARTTLS" if agreed => self.take_up_tls().await,
            "COMPRESS" if agreed => self.take_up_deflate(),
            "LOGOUT" if agreed => {
                self.wire.close().await;
                Err(Stop::Gone)
            }
            _ => Ok(()),
        }
    }

    /// An effect on a whole command. `None`: the command is still to be done; `Some(Ok)`: it is
    /// answered already; `Some(Err)`: this is its answer.
    async fn strike(&mut self, tag: &str, effect: Effect) -> Result<Option<Result<(), Stop>>, Stop> {
        match effect {
            Effect::Disconnect => Err(self.wire.cut().await.into()),
            Effect::Silence => Err(self.wire.fall_silent().await.into()),
            Effect::Bye(text) => Err(Stop::Bye(text)),
            Effect::No(text) => Ok(Some(Err(Stop::No(text)))),
            Effect::Bad(text) => Ok(Some(Err(Stop::Bad(text)))),
            Effect::Instead(octets) => {
                let filled = with_tag(&octets, tag);
                self.wire.out.extend_from_slice(&filled);
                Ok(Some(Ok(())))
            }
            Effect::Before(octets) => {
                self.wire.out.extend_from_slice(&octets);
                Ok(None)
            }
            Effect::DisconnectAfter(octets) => {
                self.wire.cut_after(octets);
                Ok(None)
            }
            Effect::Drip(octets, gate) => {
                self.wire.drip(octets, gate);
                Ok(None)
            }
            twist => {
                self.twists.push(twist);
                Ok(None)
            }
        }
    }

    async fn perform(&mut self, tag: &str, name: &str, arguments: &mut Arguments) -> Done {
        match name {
            "CAPABILITY" => self.capability(arguments),
            "NOOP" | "CHECK" => arguments.end().map(|()| format!("{name} done")).map_err(Stop::from),
            "LOGOUT" => {
                arguments.end()?;
                self.say("* BYE see you");
                Ok("LOGOUT done".to_owned())
            }
            "ID" => self.id(),
            "STARTTLS" => self.may_start_tls(arguments),
            "LOGIN" => self.login(arguments),
            "AUTHENTICATE" => self.authenticate(arguments).await,
            "ENABLE" => self.enable(arguments),
            "COMPRESS" => self.may_deflate(arguments),
            "NAMESPACE" => self.namespace(arguments),
            "LIST" => self.list(arguments).await,
            "LSUB" => self.lsub(arguments),
            "STATUS" => self.status(arguments),
            "CREATE" => self.create(arguments),
            "DELETE" => self.delete(arguments),
            "RENAME" => self.rename(arguments),
            "SUBSCRIBE" => self.subscribe(arguments, true),
            "UNSUBSCRIBE" => self.subscribe(arguments, false),
            "SELECT" => self.select(arguments, false),
            "EXAMINE" => self.select(arguments, true),
            "UNSELECT" => self.unselect(arguments),
            "CLOSE" => self.close(arguments),
            "IDLE" => self.idle(arguments).await,
            "APPEND" => self.append(arguments).await,
            "GETQUOTA" => self.get_quota(arguments),
            "GETQUOTAROOT" => self.get_quota_root(arguments),
            "SEARCH" => self.search(tag, arguments, false),
            "UID SEARCH" => self.search(tag, arguments, true),
            "FETCH" => self.fetch(arguments, false).await,
            "UID FETCH" => self.fetch(arguments, true).await,
            "STORE" => self.store_flags(arguments, false).await,
            "UID STORE" => self.store_flags(arguments, true).await,
            "EXPUNGE" => self.expunge(arguments, false),
            "UID EXPUNGE" => self.expunge(arguments, true),
            "COPY" => self.copy(arguments, false, false),
            "UID COPY" => self.copy(arguments, true, false),
            "MOVE" => self.copy(arguments, false, true),
            "UID MOVE" => self.copy(arguments, true, true),
            _ => Err(Stop::Bad("unknown command".to_owned())),
        }
    }
}

impl Session {
    /// The mailbox that a command names first, as the store calls it; for faults.
    fn mailbox_ahead(&self, name: &str, arguments: &Arguments) -> Option<String> {
        const NAMING: [&str; 9] = [
            "SELECT",
            "EXAMINE",
            "APPEND",
            "CREATE",
            "DELETE",
            "RENAME",
            "STATUS",
            "SUBSCRIBE",
            "UNSUBSCRIBE",
        ];
        if !NAMING.contains(&name) {
            return None;
        }
        let wire = arguments.string_ahead()?;
        let name = self.mailbox_name(&wire).ok()?;
        Some(store::name_text(&store::fold_inbox(&name)))
    }
}

/// The command as one line, literals as `{n}`.
fn text_of(parts: &[Part]) -> String {
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Text(octets) => text.push_str(&String::from_utf8_lossy(octets)),
            Part::Literal(octets) => text.push_str(&format!("{{{}}}", octets.len())),
        }
    }
    text
}

fn read_tag(arguments: &mut Arguments) -> Result<String, Malformed> {
    let tag = arguments.string()?;
    let plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'+';
    if tag.is_empty() || tag.len() > limits::TAG || !tag.iter().all(plain) {
        return Err(Malformed("no tag"));
    }
    Ok(String::from_utf8_lossy(&tag).into_owned())
}

fn read_name(arguments: &mut Arguments) -> Result<String, Malformed> {
    arguments.space()?;
    let name = arguments.keyword()?;
    if name != "UID" {
        return Ok(name);
    }
    arguments.space()?;
    Ok(format!("UID {}", arguments.keyword()?))
}

/// The widest range in the set that the command names first.
fn widest(name: &str, line: &str) -> u32 {
    if !matches!(
        name,
        "FETCH" | "UID FETCH" | "STORE" | "UID STORE" | "UID EXPUNGE" | "UID COPY" | "UID MOVE"
    ) {
        return 0;
    }
    let word = line.get(name.len()..).unwrap_or_default().trim_start();
    let mut arguments = Arguments::new(vec![Part::Text(word.as_bytes().to_vec())]);
    arguments.set().map_or(0, |set| set.widest())
}

fn with_tag(octets: &[u8], tag: &str) -> Vec<u8> {
    const PLACE: &[u8] = b"{tag}";
    let mut filled = Vec::with_capacity(octets.len());
    let mut rest = octets;
    while let Some(at) = rest.windows(PLACE.len()).position(|window| window == PLACE) {
        filled.extend_from_slice(&rest[..at]);
        filled.extend_from_slice(tag.as_bytes());
        rest = &rest[at + PLACE.len()..];
    }
    filled.extend_from_slice(rest);
    filled
}

/// A number that was not given before in this process, for faults that never say the same twice.
fn another_number() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(1_000_000);
    LAST.fetch_add(1, Ordering::Relaxed)
}
