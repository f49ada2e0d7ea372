//! The POP3 client (RFC 1939, 2449, 2595, 5034).

/// How to log in to a POP3 server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// SASL PLAIN where the server offers it, else USER and PASS. Never APOP.
    #[default]
    Auto,
    /// USER and PASS (RFC 1939 §7).
    User,
    /// SASL PLAIN (RFC 4616, RFC 5034).
    Plain,
    /// APOP (RFC 1939 §7): the password does not cross the line, but MD5 is all that protects it.
    Apop,
    /// SASL XOAUTH2, as Google and Microsoft have it; the password is the access token.
    XOauth2,
    /// SASL OAUTHBEARER (RFC 7628); the password is the access token.
    OAuthBearer,
}
