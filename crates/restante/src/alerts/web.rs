//! Messages to webhooks, and pings for services that notice when they stop (O10).
//!
//! Redirects are never followed: where a secret goes is the operator's choice alone (S7). Of an answer
//! its status counts, its body is not read. No proxy is taken from the environment.

use std::path::Path;
use std::sync::Arc;

use secrecy::ExposeSecret;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::{PATIENCE, authorities};
use crate::config::{WebUrl, WebhookConfig};
use crate::exit::chain;

const MAX_HEADER_BYTES: usize = 32 << 10;

/// Posts a document.
///
/// # Errors
/// Why it is not taken.
pub(super) fn post(config: &WebhookConfig, document: &[u8]) -> Result<(), String> {
    let mut request = agent(config.tls_ca_file.as_deref())?
        .post(config.url.as_str())
        .header("Content-Type", "application/json");
    if let Some((name, value)) = &config.header {
        let value = value.reveal().map_err(|error| chain(&error))?;
        let mut value = ureq::http::HeaderValue::from_str(value.expose_secret())
            .map_err(|_| "the password cannot be sent in a header".to_owned())?;
        value.set_sensitive(true);
        request = request.header(name.as_str(), value);
    }
    judge(&config.url, request.send(document))
}

/// Asks for an address, so that a service knows that we are there.
///
/// # Errors
/// Why it does not know.
pub(crate) fn ping(url: &WebUrl) -> Result<(), String> {
    judge(url, agent(None)?.get(url.as_str()).call())
}

fn agent(authorities_file: Option<&Path>) -> Result<ureq::Agent, String> {
    let roots: Vec<Certificate<'static>> = authorities(authorities_file)?
        .iter()
        .map(|authority| Certificate::from_der(authority.as_ref()).to_owned())
        .collect();
    let tls = TlsConfig::builder().root_certs(RootCerts::Specific(Arc::new(roots))).build();
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .max_response_header_size(MAX_HEADER_BYTES)
        .user_agent(concat!("restante/", env!("CARGO_PKG_VERSION")))
        .proxy(None)
        .tls_config(tls)
        .build();
    Ok(config.new_agent())
}

fn judge(url: &WebUrl, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<(), String> {
    let host = url.host();
    let status = match answer {
        Ok(answer) => answer.status(),
        Err(error) => return Err(format!("{host}: {}", why(&error))),
    };
    if status.is_success() {
        Ok(())
    } else if status.is_redirection() {
        Err(format!("{host} redirects elsewhere ({}), which is not followed", status.as_u16()))
    } else {
        Err(format!("{host} does not take it (status {})", status.as_u16()))
    }
}

/// A failure without the address, of which some errors hold parts.
fn why(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => message::escape::escape(&error.to_string()).into_owned(),
        ureq::Error::Timeout(_) => format!("no answer within {} s", PATIENCE.as_secs()),
        ureq::Error::HostNotFound => "the name cannot be resolved".to_owned(),
        ureq::Error::ConnectionFailed => "cannot connect".to_owned(),
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::Pem(_) => {
            format!("no secure connection: {}", message::escape::escape(&error.to_string()))
        }
        ureq::Error::LargeResponseHeader(..) => "it answers with too long a header".to_owned(),
        _ => "it does not answer as a web server does".to_owned(),
    }
}
