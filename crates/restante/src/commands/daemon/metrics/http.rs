//! What is answered to a request for metrics: pure, from the head of the request to the bytes of the
//! response.
//!
//! Just enough of HTTP/1.1 (RFC 9112) for a page that is only ever read: GET and HEAD, one request a
//! connection. A request's body would be none of our business, and is not read.

use daemon::metrics::MEDIA_TYPE;

/// A longer head is refused; Prometheus sends some 300 bytes.
pub(super) const MAX_HEAD_BYTES: usize = 8 << 10;

const PLAIN: &str = "text/plain; charset=utf-8";
const WELCOME: &str = "restante: its metrics are at /metrics\n";

/// Who may be called by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// TCP on loopback. A page in somebody's browser may make its own name point here (DNS rebinding), so
    /// the request must be meant for this machine.
    Loopback,
    /// A socket in the file system, which no browser reaches.
    File,
}

/// Whether a request's head is there as a whole, or can be no more.
pub(super) fn is_whole(head: &[u8]) -> bool {
    head.len() > MAX_HEAD_BYTES || head.windows(4).any(|window| window == b"\r\n\r\n")
}

/// The response.
pub(super) fn answer(head: &[u8], door: Door, page: impl FnOnce() -> String) -> Vec<u8> {
    let (status, media_type, body) = match read(head, door) {
        Err(status) => (status, PLAIN, format!("{status}\n")),
        Ok(Request { path: "/metrics", .. }) => ("200 OK", MEDIA_TYPE, page()),
        Ok(Request { path: "/", .. }) => ("200 OK", PLAIN, WELCOME.to_owned()),
        Ok(_) => ("404 Not Found", PLAIN, "404 Not Found\n".to_owned()),
    };
    let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
    let mut response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n{allow}\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        body.len()
    );
    if !head.starts_with(b"HEAD ") {
        response.push_str(&body);
    }
    response.into_bytes()
}

struct Request<'h> {
    path: &'h str,
}

/// The request, or with what status it is refused.
fn read(head: &[u8], door: Door) -> Result<Request<'_>, &'static str> {
    const BAD: &str = "400 Bad Request";
    if head.len() > MAX_HEAD_BYTES {
        return Err("431 Request Header Fields Too Large");
    }
    let head = std::str::from_utf8(head).map_err(|_| BAD)?;
    let (head, _body) = head.split_once("\r\n\r\n").ok_or(BAD)?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(BAD);
    };
    let mut hosts = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(BAD)?;
        if name.eq_ignore_ascii_case("host") {
            hosts.push(value.trim_matches([' ', '\t']));
        }
    }
    match (version, &hosts[..]) {
        ("HTTP/1.1", [host]) | ("HTTP/1.0", [host]) if door == Door::File || is_local(host) => {}
        ("HTTP/1.1" | "HTTP/1.0", [_]) => return Err("421 Misdirected Request"),
        ("HTTP/1.0", []) => {}
        ("HTTP/1.1" | "HTTP/1.0", _) => return Err(BAD),
        _ if version.starts_with("HTTP/") => return Err("505 HTTP Version Not Supported"),
        _ => return Err(BAD),
    }
    if !matches!(method, "GET" | "HEAD") {
        return Err("405 Method Not Allowed");
    }
    if !target.starts_with('/') {
        return Err(BAD);
    }
    Ok(Request { path: target.split_once('?').map_or(target, |(path, _query)| path) })
}

/// Whether a Host field, with or without a port, names this machine by loopback.
fn is_local(host: &str) -> bool {
    let has_port = |name: &str| {
        let rest = host.strip_prefix(name)?;
        let port = rest.strip_prefix(':');
        Some(rest.is_empty() || port.is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit())))
    };
    if has_port("localhost") == Some(true) || has_port("[::1]") == Some(true) {
        return true;
    }
    let name = host.split_once(':').map_or(host, |(name, _port)| name);
    name.parse()
        .is_ok_and(|address: std::net::Ipv4Addr| address.is_loopback() && has_port(name) == Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(head: &str, door: Door) -> String {
        let response = answer(head.as_bytes(), door, || "restante_accounts 1\n".to_owned());
        String::from_utf8_lossy(&response).into_owned()
    }

    fn status(head: &str) -> String {
        let response = ask(head, Door::Loopback);
        response.split(' ').nth(1).unwrap_or_default().to_owned()
    }

    #[test]
    fn metrics_are_told_to_who_asks_for_them() {
        let response = ask("GET /metrics?x=y HTTP/1.1\r\nHost: 127.0.0.1:9464\r\n\r\n", Door::Loopback);
        assert!(
            response.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4;"),
            "{response}"
        );
        assert!(response.contains("Content-Length: 20\r\n"), "{response}");
        assert!(response.ends_with("\r\n\r\nrestante_accounts 1\n"), "{response}");
        let head = ask("HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", Door::Loopback);
        assert!(head.contains("Content-Length: 20\r\n") && head.ends_with("\r\n\r\n"), "{head}");
        assert!(ask("GET / HTTP/1.0\r\n\r\n", Door::Loopback).ends_with("/metrics\n"));
    }

    #[test]
    fn s15_a_request_that_was_meant_for_another_host_gets_nothing() {
        let of = |host: &str| format!("GET /metrics HTTP/1.1\r\nhOST:\t{host} \r\n\r\n");
        for host in ["127.0.0.1", "127.3.4.5:1", "localhost:9464", "[::1]", "[::1]:9464"] {
            assert_eq!(status(&of(host)), "200", "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example:80",
            "192.0.2.1",
            "",
            "[::2]",
            "1",
        ] {
            assert_eq!(status(&of(host)), "421", "{host}");
            assert!(ask(&of(host), Door::File).starts_with("HTTP/1.1 200"), "{host}: a proxy's name");
        }
    }

    #[test]
    fn s15_whatever_is_no_plain_request_to_read_is_refused() {
        let host = "Host: localhost\r\n\r\n";
        for (expected, head) in [
            ("405", format!("POST /metrics HTTP/1.1\r\n{host}")),
            ("405", format!("DELETE / HTTP/1.1\r\n{host}")),
            ("404", format!("GET /metrics/../etc/passwd HTTP/1.1\r\n{host}")),
            ("404", format!("GET /metrics%00 HTTP/1.1\r\n{host}")),
            ("400", format!("GET http://evil.example/ HTTP/1.1\r\n{host}")),
            ("400", "GET /metrics HTTP/1.1\r\n\r\n".to_owned()),
            ("400", format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{host}")),
            ("400", format!("GET  /metrics HTTP/1.1\r\n{host}")),
            ("400", format!("GET /metrics HTTP/1.1\r\nno colon\r\n{host}")),
            ("400", "GET /metrics HTTP/1.1\r\nHost: localhost\r\n".to_owned()),
            ("400", "\u{16}\u{3}\u{1}\r\n\r\n".to_owned()),
            ("400", String::new()),
            ("505", format!("GET /metrics HTTP/2.0\r\n{host}")),
            ("431", format!("GET /{} HTTP/1.1\r\n{host}", "x".repeat(MAX_HEAD_BYTES))),
        ] {
            assert_eq!(status(&head), expected, "{head:?}");
        }
        assert!(answer(b"\xff\xfe\r\n\r\n", Door::Loopback, String::new).starts_with(b"HTTP/1.1 400 "));
    }
}
