//! What it is that answers, when it is not the server that was expected.

/// A guess from the first octets, with what to change; empty where there is none.
pub(crate) fn what_else(first: &[u8]) -> &'static str {
    let known: [(&[u8], &str); 8] = [
        (b"+OK", " (a POP3 server: set protocol = \"pop3\", or another port)"),
        (b"* OK", " (an IMAP server: set protocol = \"imap\", or another port)"),
        (b"220", " (an SMTP or FTP server)"),
        (b"HTTP/", " (a web server, or the login page of a guest network)"),
        (b"<", " (a web server, or the login page of a guest network)"),
        (b"SSH-", " (an SSH server)"),
        (&[0x15, 0x03], " (it speaks TLS: set tls = \"implicit\")"),
        (&[0x16, 0x03], " (it speaks TLS: set tls = \"implicit\")"),
    ];
    known.iter().find(|(start, _)| first.starts_with(start)).map_or("", |(_, hint)| hint)
}
