//! What must hold for any file from the web: the law of this crate's fuzz target.

use crate::address::Address;
use crate::autoconfig;
use crate::candidate::Source;
use crate::host;
use crate::limits::{ADDRESS_BYTES, SERVERS};

/// An autoconfig file: read or refused with a reason; what is read has hosts that are host names, ports,
/// and user names that can be shown and written.
pub fn autoconfig(data: &[u8]) {
    let address = Address::parse("anna@example.org").expect("it is one");
    match autoconfig::read(data, &address, Source::Database) {
        Ok(offer) => {
            assert!(offer.candidates.len() + offer.plain.len() + offer.tokens.len() <= SERVERS);
            for candidate in &offer.candidates {
                assert!(candidate.port > 0);
                assert!(!candidate.user.is_empty() && candidate.user.len() <= ADDRESS_BYTES);
                assert!(!candidate.user.chars().any(char::is_control));
            }
            let named = offer.candidates.iter().map(|candidate| &candidate.host);
            for host in named.chain(&offer.plain).chain(&offer.tokens) {
                assert_eq!(host::name(host).as_ref(), Some(host));
            }
            let sorted = offer.candidates.is_sorted_by_key(|candidate| candidate.service);
            assert!(sorted, "IMAP comes first");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s18_any_autoconfig_file_is_read_or_refused() {
        seeds::replay("autoconfig", autoconfig);
        seeds::mutate("autoconfig", autoconfig, 2_000);
    }
}
