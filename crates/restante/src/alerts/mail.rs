//! Messages by mail (SMTP, RFC 5321).

use daemon::alerts::Message;
use lettre::message::header::{ContentTransferEncoding, HeaderName, HeaderValue};
use lettre::message::{SinglePart, header};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{SmtpTransport, Transport};
use remote::Security;
use secrecy::ExposeSecret;

use super::{PATIENCE, authorities};
use crate::config::MailConfig;
use crate::exit::chain;

/// Sends a message to all its recipients.
///
/// # Errors
/// Why it is not sent.
pub(super) fn send(config: &MailConfig, message: &Message, machine: &str) -> Result<(), String> {
    let mail = letter(config, message, machine)?;
    let mut way = SmtpTransport::builder_dangerous(config.host.as_str())
        .port(config.port)
        .tls(tls(config)?)
        .timeout(Some(PATIENCE))
        .hello_name(ClientId::Domain(plain(machine)));
    if let Some((user, password)) = &config.login {
        let password = password.reveal().map_err(|error| chain(&error))?;
        way = way.credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()));
    }
    way.build().send(&mail).map(drop).map_err(|error| why(&error, config))
}

/// The mail: plain text, from a program, with an id that is the same however often it is sent.
fn letter(config: &MailConfig, message: &Message, machine: &str) -> Result<lettre::Message, String> {
    let from = &config.from;
    let date = u64::try_from(message.at_ms).unwrap_or_default();
    let id = format!("<restante.{}.{date}@{}>", message.number, plain(machine));
    let mut mail = lettre::Message::builder()
        .from(from.clone())
        .date(std::time::UNIX_EPOCH + std::time::Duration::from_millis(date))
        .message_id(Some(id))
        .subject(message.subject(machine))
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ));
    for to in &config.to {
        mail = mail.to(to.clone());
    }
    // Not only 7-bit lines may be in it, and servers that take no others are still around.
    let text = SinglePart::builder()
        .header(header::ContentType::TEXT_PLAIN)
        .header(ContentTransferEncoding::QuotedPrintable)
        .body(message.text(machine));
    mail.singlepart(text).map_err(|error| chain(&error))
}

fn tls(config: &MailConfig) -> Result<Tls, String> {
    if config.tls == Security::Plain {
        return Ok(Tls::None);
    }
    let mut parameters =
        TlsParameters::builder(config.host.clone()).certificate_store(CertificateStore::None);
    for authority in authorities(config.tls_ca_file.as_deref())? {
        // One that cannot be read is not trusted; that is all.
        if let Ok(authority) = Certificate::from_der(authority.to_vec()) {
            parameters = parameters.add_root_certificate(authority);
        }
    }
    let parameters = parameters.build().map_err(|error| chain(&error))?;
    Ok(if config.tls == Security::StartTls { Tls::Required(parameters) } else { Tls::Wrapper(parameters) })
}

/// A failure without the server's words: they could hold what was said to it.
fn why(error: &lettre::transport::smtp::Error, config: &MailConfig) -> String {
    let (host, port) = (&config.host, config.port);
    if let Some(code) = error.status() {
        return match u16::from(code) {
            530 | 534 | 535 | 538 => format!("{host} port {port} refuses the login (reply {code})"),
            _ => format!("{host} port {port} does not take the mail (reply {code})"),
        };
    }
    if error.is_response() {
        return format!("{host} port {port} does not answer as a mail server does");
    }
    format!("{host} port {port}: {}", message::escape::escape(&chain(error)))
}

/// A host name of which nothing can end a line or an id.
fn plain(machine: &str) -> String {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let name: String = machine.chars().filter(is_plain).take(255).collect();
    if name.is_empty() { "localhost".to_owned() } else { name }
}
