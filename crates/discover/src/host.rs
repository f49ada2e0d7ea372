//! Host names as DNS has them, from strangers and from people.

use std::net::IpAddr;

use crate::limits::HOST_BYTES;

/// The name in small ASCII letters (names of other alphabets as A-labels, RFC 5890), without the root's
/// dot; `None` when it is none that a certificate could be made out for. Addresses are none: whoever
/// announces one by DNS or in a file cannot prove that it is theirs.
pub(crate) fn name(text: &str) -> Option<String> {
    if text.len() > 4 * HOST_BYTES {
        return None;
    }
    let ascii = idna::domain_to_ascii(text.trim()).ok()?;
    let name = ascii.strip_suffix('.').unwrap_or(&ascii);
    let fits = !name.is_empty() && name.len() <= HOST_BYTES && name.split('.').all(is_label);
    let is_numeric = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    (fits && !is_numeric && name.parse::<IpAddr>().is_err()).then(|| name.to_owned())
}

/// RFC 1123 §2.1; underscores are seen in the wild and harm nobody.
fn is_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    (1..=63).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Whether the host is the domain or lies below it; both as [`name`] gives them.
pub(crate) fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_what_is_none() {
        for (text, expected) in [
            ("Mail.Example.ORG.", Some("mail.example.org")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("localhost", Some("localhost")),
            ("a_b.example", Some("a_b.example")),
            (".", None),
            ("", None),
            ("a..b", None),
            ("-a.example", None),
            ("192.0.2.1", None),
            ("::1", None),
            ("a b.example", None),
            ("a\u{1b}.example", None),
            ("a/b", None),
            ("a@b", None),
            ("a:993", None),
        ] {
            assert_eq!(name(text).as_deref(), expected, "{text}");
        }
        assert_eq!(name(&"a.".repeat(200)), None);
        assert_eq!(name(&format!("{}.example", "a".repeat(64))), None);
    }

    #[test]
    fn a_host_that_only_ends_alike_is_not_within_the_domain() {
        assert!(is_within("example.org", "example.org"));
        assert!(is_within("imap.example.org", "example.org"));
        assert!(!is_within("imap-example.org", "example.org"));
        assert!(!is_within("example.org.evil.example", "example.org"));
        assert!(!is_within("org", "example.org"));
    }
}
