//! Files over HTTPS: nothing but HTTPS, not even after a redirect; no proxy but what the network itself
//! has, no cookies, no credentials.

use std::sync::Arc;

use rustls::crypto::ring;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Error};

use crate::door::{NoAnswer, Web};
use crate::limits::{FILE_BYTES, REDIRECTS, WEB_TIME};

/// The web, with the authorities that the system trusts.
pub struct Https {
    agent: Agent,
}

impl Https {
    /// Reads the system's authorities.
    #[must_use]
    pub fn with_the_system_s_authorities() -> Self {
        let found = rustls_native_certs::load_native_certs();
        Self::trusting(
            found.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect(),
        )
    }

    fn trusting(roots: Vec<Certificate<'static>>) -> Self {
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
            .build();
        let config = Agent::config_builder()
            .https_only(true)
            .max_redirects(REDIRECTS)
            .timeout_global(Some(WEB_TIME))
            .proxy(None)
            .user_agent("restante")
            .tls_config(tls)
            .build();
        Self { agent: config.into() }
    }
}

impl Web for Https {
    fn get(&self, url: &str) -> Result<Option<Vec<u8>>, NoAnswer> {
        match self.agent.get(url).call() {
            Ok(mut answer) => {
                let body = answer.body_mut().with_config().limit(FILE_BYTES).read_to_vec();
                body.map(Some).map_err(|error| NoAnswer(error.to_string()))
            }
            Err(Error::StatusCode(404 | 410)) => Ok(None),
            Err(error) => Err(NoAnswer(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use std::io::{Read, Write};
    use std::net::TcpListener;

    use rcgen::{CertificateParams, KeyPair};
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{ServerConfig, ServerConnection, Stream};

    use super::*;

    /// A web server on loopback, and the web of one who trusts it.
    fn world() -> (u16, Https) {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let der: CertificateDer<'static> = certificate.der().clone();
        let web = Https::trusting(vec![Certificate::from_der(&der).to_owned()]);
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![der], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = Arc::new(config);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let mut socket = socket.unwrap();
                let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                // Who does not trust us, or has heard enough, goes away in the middle.
                let _ = serve(&mut Stream::new(&mut connection, &mut socket), port);
            }
        });
        (port, web)
    }

    fn serve(line: &mut (impl Read + Write), port: u16) -> std::io::Result<()> {
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") {
            line.read_exact(&mut byte)?;
            request.push(byte[0]);
        }
        let request = String::from_utf8(request).unwrap();
        let path = request.split(' ').nth(1).unwrap();
        let (status, header, length) = match path {
            "/file" => ("200 OK", String::new(), 5),
            "/large" => ("200 OK", String::new(), usize::try_from(FILE_BYTES).unwrap() + 1),
            "/moved" => ("302 Found", format!("Location: https://localhost:{port}/file\r\n"), 0),
            "/open" => ("302 Found", format!("Location: http://localhost:{port}/file\r\n"), 0),
            "/round" => ("302 Found", format!("Location: https://localhost:{port}/round\r\n"), 0),
            "/broken" => ("500 Oh", String::new(), 0),
            _ => ("404 Not Found", String::new(), 0),
        };
        write!(line, "HTTP/1.1 {status}\r\n{header}Content-Length: {length}\r\nConnection: close\r\n\r\n")?;
        line.write_all(&vec![b'x'; length])?;
        line.flush()
    }

    #[test]
    fn s06_nothing_but_https_is_spoken_not_even_after_a_redirect() {
        let (port, web) = world();
        let get = |path: &str| web.get(&format!("https://localhost:{port}{path}"));
        assert_eq!(get("/file"), Ok(Some(b"xxxxx".to_vec())));
        assert_eq!(get("/moved"), Ok(Some(b"xxxxx".to_vec())));
        assert!(get("/open").is_err());
        assert!(web.get(&format!("http://localhost:{port}/file")).is_err());
        assert!(Https::trusting(vec![]).get(&format!("https://localhost:{port}/file")).is_err());
    }

    #[test]
    fn a_file_that_is_not_there_is_told_from_a_server_that_is_of_no_use() {
        let (port, web) = world();
        let get = |path: &str| web.get(&format!("https://localhost:{port}{path}"));
        assert_eq!(get("/nothing"), Ok(None));
        for path in ["/large", "/round", "/broken"] {
            assert!(get(path).is_err(), "{path}");
        }
    }
}
