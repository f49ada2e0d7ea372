//! What a server can do (RFC 9051 §6.1.1 and the RFCs named below), and what has been switched on.

use std::collections::HashSet;

/// What the server announced after the login. What IMAP4rev2 includes counts as announced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    words: HashSet<String>,
    /// Modification sequences (RFC 7162), announced and switched on.
    pub condstore: bool,
    /// Quick resynchronisation (RFC 7162), announced and switched on.
    pub qresync: bool,
    /// Messages without numbers, all of them shown (RFC 9586), announced and switched on.
    pub uid_only: bool,
    /// How many messages one command may be about (RFC 9738).
    pub message_limit: Option<u64>,
    /// STATUS in LIST (RFC 5819).
    pub list_status: bool,
    /// LIST with options (RFC 5258).
    pub list_extended: bool,
    /// Extended SEARCH results (RFC 4731).
    pub esearch: bool,
    /// Special-use attributes (RFC 6154).
    pub special_use: bool,
    /// NAMESPACE (RFC 2342).
    pub namespace: bool,
    /// MAILBOXID and EMAILID (RFC 8474).
    pub object_id: bool,
    /// COMPRESS=DEFLATE (RFC 4978).
    pub compress: bool,
    /// IDLE (RFC 2177).
    pub idle: bool,
    /// UNSELECT (RFC 3691).
    pub unselect: bool,
    /// APPENDUID and COPYUID (RFC 4315).
    pub uidplus: bool,
    /// Literals without leave (RFC 7888).
    pub literal_plus: bool,
    /// Gmail's own extensions.
    pub gmail: bool,
}

impl Capabilities {
    /// From the words of a CAPABILITY response, in capitals.
    pub(crate) fn new(words: Vec<String>) -> Self {
        let words: HashSet<String> = words.into_iter().collect();
        let has = |word: &str| words.contains(word);
        let rev2 = has("IMAP4REV2");
        Self {
            condstore: false,
            qresync: false,
            uid_only: false,
            message_limit: words
                .iter()
                .find_map(|word| word.strip_prefix("MESSAGELIMIT=")?.parse().ok())
                .filter(|&most| most > 0),
            list_status: rev2 || has("LIST-STATUS"),
            list_extended: rev2 || has("LIST-EXTENDED"),
            esearch: rev2 || has("ESEARCH"),
            special_use: rev2 || has("SPECIAL-USE"),
            namespace: rev2 || has("NAMESPACE"),
            object_id: has("OBJECTID"),
            compress: has("COMPRESS=DEFLATE"),
            idle: rev2 || has("IDLE"),
            unselect: rev2 || has("UNSELECT"),
            uidplus: rev2 || has("UIDPLUS"),
            literal_plus: has("LITERAL+"),
            gmail: has("X-GM-EXT-1"),
            words,
        }
    }

    /// Whether the server announced this word, in capitals.
    #[must_use]
    pub fn has(&self, word: &str) -> bool {
        self.words.contains(word)
    }

    /// The ways to log in that were announced, for errors.
    pub(crate) fn offered_logins(&self) -> String {
        let mut logins: Vec<&str> = self
            .words
            .iter()
            .filter(|word| word.starts_with("AUTH=") || *word == "LOGINDISABLED")
            .map(String::as_str)
            .collect();
        logins.sort_unstable();
        if logins.is_empty() { "nothing".to_owned() } else { logins.join(" ") }
    }
}
