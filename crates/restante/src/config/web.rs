//! Addresses on the web: of webhooks and pings.
//!
//! Such an address is often a secret itself, for who has it may write there. So nothing shows more of
//! it than its host.

use std::fmt;

use super::account::is_loopback;

/// Longer addresses are refused.
const MAX_BYTES: usize = 2048;

/// An address on the web.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct WebUrl {
    url: String,
    host: String,
    is_plain: bool,
}

/// Only the host is shown.
impl fmt::Debug for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebUrl({}, …)", self.host)
    }
}

impl WebUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it, for people; no part of it is in there.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "is not an address like \"https://example.org/path\"";
        if text.len() > MAX_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(FORM);
        }
        let uri: ureq::http::Uri = text.parse().map_err(|_| FORM)?;
        let is_plain = match uri.scheme_str() {
            Some("https") => false,
            Some("http") => true,
            _ => return Err(FORM),
        };
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("holds a user or password; give them in a header");
        }
        if text.contains('#') {
            return Err("holds a `#`, and what follows it is never sent");
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(FORM)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { url: text.to_owned(), host, is_plain })
    }

    /// All of it.
    pub(crate) fn as_str(&self) -> &str {
        &self.url
    }

    /// The host.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Whether others on the way could read what is sent.
    pub(crate) fn is_open_to_others(&self) -> bool {
        self.is_plain && !is_loopback(&self.host)
    }

    /// The address below this one: `/fail` for services that want to hear of failures.
    pub(crate) fn below(&self, word: &str) -> Self {
        let (path, query) = match self.url.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (self.url.as_str(), None),
        };
        let mut url = format!("{}/{word}", path.trim_end_matches('/'));
        if let Some(query) = query {
            url = format!("{url}?{query}");
        }
        Self { url, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use super::*;

    #[test]
    fn an_address_is_read_and_only_its_host_is_shown() {
        let url = WebUrl::parse("https://hc.example.org:8443/ping/canary?x=1").unwrap();
        assert_eq!((url.host(), url.is_open_to_others()), ("hc.example.org", false));
        assert!(!format!("{url:?}").contains("canary"));
        assert_eq!(url.below("fail").as_str(), "https://hc.example.org:8443/ping/canary/fail?x=1");
        assert!(WebUrl::parse("http://lan.example/x").unwrap().is_open_to_others());
        assert!(!WebUrl::parse("http://[::1]:80/x").unwrap().is_open_to_others());
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_shown() {
        for text in [
            "",
            "canary",
            "ftp://canary.example/",
            "https://",
            "https:///canary",
            "https://user:canary@example.org/",
            "https://example.org/\r\nX: canary",
            "https://example.org/#canary",
            "/canary",
        ] {
            let why = WebUrl::parse(text).unwrap_err();
            assert!(!why.contains("canary"), "{why}");
        }
    }
}
