//! The name or address of a server, as people write it: in the configuration and in URLs.

use std::net::IpAddr;

/// The longest name that DNS has (RFC 1035 §2.3.4).
const MAX_BYTES: usize = 255;

/// Why a text is no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoHost {
    /// It holds more than a name: a port, a user, a path.
    #[error("is not a host name")]
    More,
    /// No host name is so long, so empty, or has such letters.
    #[error("is not a host name")]
    Letters,
}

/// A host name, or an address without its brackets.
///
/// # Errors
/// When the text is neither.
pub(crate) fn parse(text: &str) -> Result<String, NoHost> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if bare.parse::<IpAddr>().is_ok() {
        return Ok(bare.to_owned());
    }
    if text.contains("://") || text.contains(['/', '@', ':']) {
        return Err(NoHost::More);
    }
    if text.is_empty() || text.len() > MAX_BYTES || text.chars().any(|c| c.is_whitespace() || c.is_control())
    {
        return Err(NoHost::Letters);
    }
    Ok(text.to_owned())
}
