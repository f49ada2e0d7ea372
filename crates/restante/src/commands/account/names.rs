//! A name for a new account: made of its address, and nobody else's.

use crate::config::MAX_NAME_BYTES;

/// The first name that is free: `anna`, `anna-example.org`, `anna-2`, …
pub(super) fn proposed(address: Option<&str>, user: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let whole = address.unwrap_or(user);
    let (local, domain) = whole.rsplit_once('@').unwrap_or((whole, ""));
    let short = match clean(local) {
        short if short.is_empty() => "mail".to_owned(),
        short => short,
    };
    let long = clean(&format!("{short}-{domain}"));
    let numbered = (2..).map(|number: u32| {
        let number = format!("-{number}");
        let room = MAX_NAME_BYTES - number.len();
        format!("{}{number}", &short[..short.len().min(room)])
    });
    // There are more numbers than accounts fit into a file.
    [short.clone(), long].into_iter().chain(numbered).find(|name| !is_taken(name)).unwrap_or(short)
}

/// What of a text may stand in a name, in small letters.
fn clean(text: &str) -> String {
    let mut name = String::new();
    for letter in text.chars() {
        match letter {
            plain if plain.is_ascii_alphanumeric() => name.push(plain.to_ascii_lowercase()),
            '.' | '_' if !name.is_empty() => name.push(letter),
            _ if !name.is_empty() && !name.ends_with('-') => name.push('-'),
            _ => {}
        }
        if name.len() == MAX_NAME_BYTES {
            break;
        }
    }
    name.trim_end_matches(['-', '.', '_']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(address: &str, taken: &[&str]) -> String {
        proposed(Some(address), "user", |name| taken.contains(&name))
    }

    #[test]
    fn a_name_is_made_of_the_address_and_is_free() {
        assert_eq!(name("Anna@example.org", &[]), "anna");
        assert_eq!(name("anna@example.org", &["anna"]), "anna-example.org");
        assert_eq!(name("anna@example.org", &["anna", "anna-example.org"]), "anna-2");
        assert_eq!(name("anna@example.org", &["anna", "anna-example.org", "anna-2"]), "anna-3");
        assert_eq!(name("anna+lists/x@example.org", &[]), "anna-lists-x");
        assert_eq!(name("äöü@example.org", &[]), "mail");
        assert_eq!(name("../x@example.org", &[]), "x");
        assert_eq!(proposed(None, "Shared Box", |_| false), "shared-box");
    }

    #[test]
    fn a_name_is_never_too_long() {
        let long = format!("{}@example.org", "a".repeat(64));
        assert_eq!(name(&long, &[]).len(), MAX_NAME_BYTES);
        let taken = name(&long, &[]);
        let next = name(&long, &[&taken]);
        assert!(next.len() <= MAX_NAME_BYTES && next != taken, "{next}");
    }
}
