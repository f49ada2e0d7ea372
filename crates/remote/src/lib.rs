//! Talking to mail servers: TLS, authentication, the IMAP client.
