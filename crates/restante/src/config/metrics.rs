//! Where metrics are told: `[metrics]`. Off where the section says nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::document::Section;

/// The section `[metrics]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MetricsConfig {
    /// Where the daemon answers whoever asks for them.
    pub(crate) listen: Option<Listen>,
    /// The file that they are written to.
    pub(crate) textfile: Option<PathBuf>,
}

/// A place that only this machine can reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listen {
    /// On loopback.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// Longer paths do not fit into a socket's address on Linux (108 with the NUL at the end).
const MAX_SOCKET_PATH_BYTES: usize = 107;

const FROM_AFAR: &str = "put a reverse proxy with TLS and a password before it, or use `textfile` and \
                         node_exporter";

/// Reads the section; relative paths are relative to `folder`.
pub(super) fn read(mut section: Section<'_, '_>, folder: &Path, archive: Option<&Path>) -> MetricsConfig {
    let listen = section.text("listen").and_then(|text| listen(&mut section, &text));
    let textfile = section.text("textfile").and_then(|text| {
        let path = folder.join(text);
        match why_no_textfile(&path, archive) {
            None => return Some(path),
            Some(why) => drop(section.wrong("textfile", why)),
        }
        None
    });
    section.close();
    MetricsConfig { listen, textfile }
}

fn listen(section: &mut Section<'_, '_>, text: &str) -> Option<Listen> {
    if text.starts_with('/') {
        if text.len() > MAX_SOCKET_PATH_BYTES || text.contains('\0') {
            section.wrong("listen", format!("a socket's path has at most {MAX_SOCKET_PATH_BYTES} bytes"));
            return None;
        }
        return Some(Listen::Unix(text.into()));
    }
    match address(text) {
        Some(address) if address.ip().is_loopback() => return Some(Listen::Tcp(address)),
        Some(_) => section.wrong_help("listen", "others could reach this; it must be on loopback", FROM_AFAR),
        None => drop(section.wrong("listen", "write an address like \"127.0.0.1:9464\", or a socket's path")),
    }
    None
}

/// An address and a port; of names only the one of this machine.
fn address(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.parse().ok()?)),
        None => text.parse().ok(),
    }
}

/// What is wrong with the path, if anything.
fn why_no_textfile(path: &Path, archive: Option<&Path>) -> Option<&'static str> {
    if path.extension().is_none_or(|extension| extension != "prom") {
        return Some("its name must end in \".prom\": node_exporter reads no other");
    }
    if archive.is_some_and(|archive| path.starts_with(archive)) {
        return Some("lies in the archive, where nothing else belongs");
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use super::super::{Config, ConfigError};
    use super::*;

    fn read(lines: &str) -> Result<MetricsConfig, String> {
        let text = format!("[archive]\npath = \"/srv/mail\"\n[metrics]\n{lines}\n");
        match Config::parse(Path::new("/etc/restante/restante.toml"), &text) {
            Ok(config) => Ok(config.metrics),
            Err(ConfigError::Invalid(invalid)) => Err(invalid.to_json().to_string()),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn metrics_are_off_unless_asked_for() {
        assert_eq!(read("").unwrap(), MetricsConfig::default());
    }

    #[test]
    fn s15_only_this_machine_can_ask_for_metrics() {
        for (text, expected) in [
            ("127.0.0.1:9464", Listen::Tcp("127.0.0.1:9464".parse().unwrap())),
            ("127.8.8.8:0", Listen::Tcp("127.8.8.8:0".parse().unwrap())),
            ("[::1]:9464", Listen::Tcp("[::1]:9464".parse().unwrap())),
            ("localhost:9464", Listen::Tcp("127.0.0.1:9464".parse().unwrap())),
            ("/run/restante/metrics", Listen::Unix("/run/restante/metrics".into())),
        ] {
            assert_eq!(read(&format!("listen = \"{text}\"")).unwrap().listen, Some(expected));
        }
        for text in ["0.0.0.0:9464", "[::]:9464", "192.0.2.1:9464", "[2001:db8::1]:9464"] {
            let error = read(&format!("listen = \"{text}\"")).unwrap_err();
            assert!(error.contains("on loopback") && error.contains("\"line\":4"), "{error}");
        }
        for text in ["", "9464", "127.0.0.1", "metrics.example.org:9464", "localhost:port", &"/x".repeat(99)]
        {
            read(&format!("listen = \"{text}\"")).unwrap_err();
        }
    }

    #[test]
    fn a_textfile_is_one_that_is_read_and_lies_in_no_archive() {
        let textfile =
            |text: &str| read(&format!("textfile = \"{text}\"")).map(|read| read.textfile.unwrap());
        assert_eq!(textfile("/var/lib/x/restante.prom").unwrap(), Path::new("/var/lib/x/restante.prom"));
        assert_eq!(textfile("restante.prom").unwrap(), Path::new("/etc/restante/restante.prom"));
        assert!(textfile("/var/lib/x/restante.txt").unwrap_err().contains(".prom"));
        assert!(textfile("/srv/mail/restante.prom").unwrap_err().contains("in the archive"));
    }
}
