//! The autoconfig file (`config-v1.1.xml`, as Thunderbird reads it): which servers a provider names.
//!
//! Only what is needed is read: in `clientConfig`, `emailProvider` the elements `incomingServer`, with
//! `hostname`, `port`, `socketType`, `username` and `authentication`. The file comes from a stranger: its
//! length, depth and number of servers are bounded, a document type (and with it entities of its own)
//! makes it unreadable, and nothing in it is ever fetched.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::address::Address;
use crate::candidate::{Candidate, Encryption, Service, Source};
use crate::host;
use crate::limits::{ADDRESS_BYTES, DEPTH, FILE_BYTES, SERVERS, TEXT_BYTES};

/// The way to a server's element.
const SERVER: [&str; 3] = ["clientConfig", "emailProvider", "incomingServer"];

/// A file cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no autoconfig file ({0})")]
pub(crate) struct Unreadable(String);

/// What a file offers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Offer {
    /// IMAP first, else in the order of the file.
    pub(crate) candidates: Vec<Candidate>,
    /// Hosts that are named for connections without encryption alone.
    pub(crate) plain: Vec<String>,
    /// Hosts that take no password, but tokens alone.
    pub(crate) tokens: Vec<String>,
}

/// Reads a file.
///
/// # Errors
/// When it is none, or passes a bound.
pub(crate) fn read(file: &[u8], address: &Address, source: Source) -> Result<Offer, Unreadable> {
    let unreadable = |why: &str| Unreadable(why.to_owned());
    if file.len() as u64 > FILE_BYTES {
        return Err(unreadable("it is too large"));
    }
    let text = std::str::from_utf8(file).map_err(|_| unreadable("it is not UTF-8"))?;
    let mut offer = Offer::default();
    for server in servers(text)? {
        server.put(address, source, &mut offer);
    }
    offer.candidates.sort_by_key(|candidate| candidate.service);
    Ok(offer)
}

/// One `incomingServer`, as written.
#[derive(Debug, Default)]
struct Server {
    kind: String,
    hostname: String,
    port: String,
    socket: String,
    username: String,
    authentications: Vec<String>,
}

impl Server {
    fn field(&mut self, element: &str) -> Option<&mut String> {
        match element {
            "hostname" => Some(&mut self.hostname),
            "port" => Some(&mut self.port),
            "socketType" => Some(&mut self.socket),
            "username" => Some(&mut self.username),
            "authentication" => self.authentications.last_mut(),
            _ => None,
        }
    }

    /// Puts the server where it belongs; what is none of ours (other protocols, no host) nowhere.
    fn put(&self, address: &Address, source: Source, offer: &mut Offer) {
        let service = match self.kind.trim() {
            kind if kind.eq_ignore_ascii_case("imap") => Service::Imap,
            kind if kind.eq_ignore_ascii_case("pop3") => Service::Pop3,
            _ => return,
        };
        let Some(host) = host::name(&filled_in(&self.hostname, address)) else { return };
        let encryption = match self.socket.trim() {
            socket if socket.eq_ignore_ascii_case("ssl") => Encryption::Implicit,
            socket if socket.eq_ignore_ascii_case("starttls") => Encryption::StartTls,
            _ => return offer.plain.push(host),
        };
        if !self.takes_passwords() {
            return offer.tokens.push(host);
        }
        let port = match self.port.trim() {
            "" => service.usual_port(encryption),
            port => match port.parse() {
                Ok(port) if port > 0 => port,
                _ => return,
            },
        };
        let user = user(&self.username, address);
        offer.candidates.push(Candidate { service, host, port, encryption, user, source });
    }

    /// Whether one of the ways to log in rests on a password; where none is named, one may.
    fn takes_passwords(&self) -> bool {
        self.authentications.is_empty()
            || self.authentications.iter().any(|way| {
                let way = way.trim().to_ascii_lowercase();
                way.starts_with("password") || matches!(way.as_str(), "plain" | "secure" | "")
            })
    }
}

/// The servers of a file, in its order.
fn servers(text: &str) -> Result<Vec<Server>, Unreadable> {
    let unreadable = |why: &str| Unreadable(why.to_owned());
    let mut reader = Reader::from_str(text);
    let mut open: Vec<String> = Vec::new();
    let mut servers: Vec<Server> = Vec::new();
    loop {
        match reader.read_event().map_err(|error| Unreadable(error.to_string()))? {
            Event::Start(element) => {
                if open.len() >= DEPTH {
                    return Err(unreadable("its elements are nested too deep"));
                }
                open.push(name(&element));
                if open == SERVER && servers.len() == SERVERS {
                    return Ok(servers);
                }
                begin(&open, &element, &mut servers);
            }
            Event::End(_) => drop(open.pop()),
            Event::Text(text) => add(&open, &text.xml10_content(), &mut servers)?,
            Event::CData(text) => add(&open, &text.xml10_content(), &mut servers)?,
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref() {
                    Ok(Some(character)) => Some(character),
                    Ok(None) => predefined(&reference.xml10_content()),
                    Err(_) => None,
                };
                let character = character.ok_or_else(|| unreadable("it has an entity of its own"))?;
                add(&open, character.encode_utf8(&mut [0; 4]), &mut servers)?;
            }
            Event::DocType(_) => return Err(unreadable("it has a document type")),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    match open.is_empty() {
        true => Ok(servers),
        false => Err(unreadable("it ends in the middle of an element")),
    }
}

fn name(element: &BytesStart<'_>) -> String {
    let name = element.local_name();
    let name: &str = name.as_ref();
    // The longest name of ours is short; what is longer need not be kept.
    name.chars().take(TEXT_BYTES).collect()
}

/// An element begins: a server, or something that is said of it.
fn begin(open: &[String], element: &BytesStart<'_>, servers: &mut Vec<Server>) {
    if open == SERVER {
        let kind = element.try_get_attribute("type").ok().flatten();
        let kind = kind.map(|kind| kind.value.as_ref().to_owned());
        servers.push(Server { kind: kind.unwrap_or_default(), ..Server::default() });
        return;
    }
    let (Some(server), [way @ .., element]) = (servers.last_mut(), open) else { return };
    if way != SERVER {
        return;
    }
    if element == "authentication" && server.authentications.len() < SERVERS {
        server.authentications.push(String::new());
    } else if let Some(field) = server.field(element) {
        // Of an element that is there twice the last one counts.
        field.clear();
    }
}

/// Text within the innermost element.
fn add(open: &[String], text: &str, servers: &mut [Server]) -> Result<(), Unreadable> {
    let [way @ .., element] = open else { return Ok(()) };
    if way != SERVER {
        return Ok(());
    }
    let Some(field) = servers.last_mut().and_then(|server| server.field(element)) else { return Ok(()) };
    if field.len() + text.len() > TEXT_BYTES {
        return Err(Unreadable(format!("the text of an element is longer than {TEXT_BYTES} bytes")));
    }
    field.push_str(text);
    Ok(())
}

/// The five entities that XML itself has.
fn predefined(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

fn filled_in(text: &str, address: &Address) -> String {
    text.trim()
        .replace("%EMAILADDRESS%", address.text())
        .replace("%EMAILLOCALPART%", address.local_part())
        .replace("%EMAILDOMAIN%", address.domain())
}

/// The user name that is meant; the address where the file names none that can be one.
fn user(template: &str, address: &Address) -> String {
    let user = filled_in(template, address);
    // Other placeholders ask for what we do not know (%REALNAME%).
    let unknown = template.split('%').skip(1).step_by(2).any(|word| !word.is_empty() && !is_known(word));
    let fits = !user.is_empty() && user.len() <= ADDRESS_BYTES && !user.chars().any(char::is_control);
    if fits && !unknown { user } else { address.text().to_owned() }
}

fn is_known(word: &str) -> bool {
    matches!(word, "EMAILADDRESS" | "EMAILLOCALPART" | "EMAILDOMAIN")
}

#[cfg(test)]
mod tests;
