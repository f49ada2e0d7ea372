//! What a server can do (RFC 9051 §6.1.1 and the RFCs named below), and what has been switched on.

use std::collections::HashSet;

use super::command::Literals;

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
    /// Literals of at most 4,096 octets without leave (RFC 7888 §5).
    pub literal_minus: bool,
    /// Several messages in one APPEND (RFC 3502).
    pub multiappend: bool,
    /// Literals that may hold NUL (RFC 3516).
    pub binary: bool,
    /// The largest message that APPEND takes anywhere, in octets (RFC 7889).
    pub append_limit: Option<u64>,
    /// Each mailbox has its own such limit, which STATUS tells (RFC 7889).
    pub append_limit_by_mailbox: bool,
    /// How much may be stored (RFC 9208, RFC 2087).
    pub quota: bool,
    /// Special uses can be given to new mailboxes (RFC 6154 §3).
    pub create_special_use: bool,
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
            literal_minus: rev2 || has("LITERAL-"),
            multiappend: has("MULTIAPPEND"),
            binary: rev2 || has("BINARY"),
            append_limit: words.iter().find_map(|word| word.strip_prefix("APPENDLIMIT=")?.parse().ok()),
            append_limit_by_mailbox: has("APPENDLIMIT"),
            quota: has("QUOTA"),
            create_special_use: has("CREATE-SPECIAL-USE"),
            gmail: has("X-GM-EXT-1"),
            words,
        }
    }

    /// Whether the server announced this word, in capitals.
    #[must_use]
    pub fn has(&self, word: &str) -> bool {
        self.words.contains(word)
    }

    /// Which literals the server takes without being asked.
    pub(crate) fn literals(&self) -> Literals {
        match (self.literal_plus, self.literal_minus) {
            (true, _) => Literals::All,
            (false, true) => Literals::Small,
            (false, false) => Literals::Synchronising,
        }
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
