//! Receivers of what the program tells: a web server and a mail server for one test, on loopback, plain
//! or with TLS. They write down what comes and answer as they are told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::Identity;

/// Beyond this something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came, in the order in which it came.
#[derive(Debug)]
struct Book<T> {
    entries: Mutex<Vec<T>>,
    came: Condvar,
}

impl<T: Clone> Book<T> {
    fn new() -> Arc<Self> {
        Arc::new(Self { entries: Mutex::new(Vec::new()), came: Condvar::new() })
    }

    fn write(&self, entry: T) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        self.came.notify_all();
    }

    fn read(&self) -> Vec<T> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn wait_for(&self, is_enough: impl Fn(&[T]) -> bool, what: &str) -> Vec<T> {
        let begun = Instant::now();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        while !is_enough(&entries) {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            assert!(!left.is_zero(), "{what} did not come");
            entries = self.came.wait_timeout(entries, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        entries.clone()
    }
}

/// A request that a [`Web`] server had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`.
    pub method: String,
    /// The path, with what follows it.
    pub path: String,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The status that it was answered with.
    pub status: String,
}

impl Request {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// A web server that takes everything, or answers as it is told.
#[derive(Debug)]
pub struct Web {
    address: SocketAddr,
    book: Arc<Book<Request>>,
    answer: Arc<Mutex<String>>,
    scheme: &'static str,
}

impl Web {
    /// A plain one.
    #[must_use]
    pub fn start() -> Self {
        Self::with(None)
    }

    /// One with this certificate.
    #[must_use]
    pub fn with_tls(identity: &Identity) -> Self {
        Self::with(Some(identity))
    }

    fn with(identity: Option<&Identity>) -> Self {
        let tls = identity.map(tls);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (book, answer) = (Book::new(), Arc::new(Mutex::new("200 OK\r\n".to_owned())));
        let (written, says) = (Arc::clone(&book), Arc::clone(&answer));
        let address = serve(move |stream| {
            let mut stream = BufReader::new(Line::new(stream, tls.as_ref())?);
            let mut request = request(&mut stream)?;
            let answer = says.lock().unwrap_or_else(PoisonError::into_inner).clone();
            request.status = answer.chars().take_while(char::is_ascii_digit).collect();
            written.write(request);
            write!(stream.get_mut(), "HTTP/1.1 {answer}Content-Length: 0\r\nConnection: close\r\n\r\n")?;
            stream.get_mut().flush()
        });
        Self { address, book, answer, scheme }
    }

    /// The address of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}://localhost:{}{path}", self.scheme, self.address.port())
    }

    /// Answers with this status, and perhaps headers, from now on: `500 No` or `302 Go\r\nLocation: /x`.
    ///
    /// # Panics
    /// Never.
    pub fn answer(&self, status: &str) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = format!("{status}\r\n");
    }

    /// The requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.book.read()
    }

    /// Waits until so many requests have come for which this holds; gives back those.
    ///
    /// # Panics
    /// When they do not come.
    #[must_use]
    #[track_caller]
    pub fn wait_for(&self, count: usize, is_one: impl Fn(&Request) -> bool) -> Vec<Request> {
        let enough = |all: &[Request]| all.iter().filter(|request| is_one(request)).count() >= count;
        let all = self.book.wait_for(enough, "a request");
        all.into_iter().filter(is_one).collect()
    }
}

/// A mail that a [`PostOffice`] has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// Whom MAIL FROM named.
    pub from: String,
    /// Whom RCPT TO named.
    pub to: Vec<String>,
    /// What came after DATA, lines ended by line feeds.
    pub data: String,
    /// What the client said to log in: the base64 of AUTH PLAIN.
    pub login: Option<String>,
    /// It came over TLS.
    pub with_tls: bool,
}

/// How a [`PostOffice`] behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// No TLS.
    Plain,
    /// TLS from the first byte.
    Implicit,
    /// TLS after STARTTLS.
    StartTls,
}

/// A mail server that takes everything, or refuses it.
#[derive(Debug)]
pub struct PostOffice {
    address: SocketAddr,
    book: Arc<Book<Posted>>,
    refusal: Arc<Mutex<Option<(&'static str, String)>>>,
}

impl PostOffice {
    /// One that speaks TLS as it is told, with this certificate.
    #[must_use]
    pub fn start(counter: Counter, identity: &Identity) -> Self {
        let tls = tls(identity);
        let (book, refusal) = (Book::new(), Arc::new(Mutex::new(None)));
        let (written, refuses) = (Arc::clone(&book), Arc::clone(&refusal));
        let address = serve(move |stream| {
            let refused: Option<(&'static str, String)> =
                refuses.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let mut line = Line::new(stream, (counter == Counter::Implicit).then_some(&tls))?;
            write!(line, "220 post office\r\n")?;
            line.flush()?;
            let mut line = BufReader::new(line);
            let mut mail = Posted {
                from: String::new(),
                to: Vec::new(),
                data: String::new(),
                login: None,
                with_tls: counter == Counter::Implicit,
            };
            loop {
                let command = read_line(&mut line)?;
                let word = command.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
                let refusal = refused.as_ref().filter(|(refused, _)| *refused == word);
                let answer = match (word.as_str(), refusal) {
                    (_, Some((_, answer))) => answer.clone(),
                    ("EHLO", _) if counter == Counter::StartTls && !mail.with_tls => {
                        "250-post office\r\n250 STARTTLS".to_owned()
                    }
                    ("EHLO", _) => "250-post office\r\n250 AUTH PLAIN".to_owned(),
                    ("STARTTLS", _) => {
                        let stream = line.get_mut();
                        write!(stream, "220 go\r\n")?;
                        stream.flush()?;
                        mail.with_tls = true;
                        line = BufReader::new(line.into_inner().secured(&tls)?);
                        continue;
                    }
                    ("AUTH", _) => {
                        mail.login = command.rsplit(' ').next().map(str::to_owned);
                        "235 welcome".to_owned()
                    }
                    ("MAIL", _) => {
                        mail.from = command;
                        "250 ok".to_owned()
                    }
                    ("RCPT", _) => {
                        mail.to.push(command);
                        "250 ok".to_owned()
                    }
                    ("DATA", _) => {
                        write!(line.get_mut(), "354 go on\r\n")?;
                        line.get_mut().flush()?;
                        loop {
                            let text = read_line(&mut line)?;
                            if text == "." {
                                break;
                            }
                            mail.data += &text;
                            mail.data.push('\n');
                        }
                        written.write(mail.clone());
                        "250 taken".to_owned()
                    }
                    ("QUIT", _) => {
                        write!(line.get_mut(), "221 bye\r\n")?;
                        return line.get_mut().flush();
                    }
                    _ => "250 ok".to_owned(),
                };
                write!(line.get_mut(), "{answer}\r\n")?;
                line.get_mut().flush()?;
            }
        });
        Self { address, book, refusal }
    }

    /// Its port on localhost.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Answers this command (`RCPT`) with this reply (`550 nobody here`) from now on.
    ///
    /// # Panics
    /// Never.
    pub fn refuse(&self, command: &'static str, reply: &str) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some((command, reply.to_owned()));
    }

    /// The mails so far.
    #[must_use]
    pub fn mails(&self) -> Vec<Posted> {
        self.book.read()
    }

    /// Waits until so many mails have come.
    ///
    /// # Panics
    /// When they do not come.
    #[must_use]
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Posted> {
        self.book.wait_for(|mails| mails.len() >= count, "a mail")
    }
}

/// A connection, with or without TLS.
enum Line {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Line {
    fn new(stream: TcpStream, tls: Option<&Arc<ServerConfig>>) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        tls.map_or(Ok(Self::Plain(stream.try_clone()?)), |tls| Self::Plain(stream).secured(tls))
    }

    fn secured(self, tls: &Arc<ServerConfig>) -> io::Result<Self> {
        let Self::Plain(stream) = self else { return Ok(self) };
        let connection = ServerConnection::new(Arc::clone(tls)).map_err(io::Error::other)?;
        Ok(Self::Tls(Box::new(StreamOwned::new(connection, stream))))
    }
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

fn tls(identity: &Identity) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("a certificate of the test");
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("a key of the test");
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring knows the usual versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate that fits its key");
    Arc::new(config)
}

/// Serves each connection on a thread of its own until the test's process ends.
fn serve(each: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("a listener has an address");
    let each = Arc::new(each);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let each = Arc::clone(&each);
            // A client that breaks off is no fault of the test; what it did not send is missed there.
            thread::spawn(move || drop(each(stream)));
        }
    });
    address
}

fn read_line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn request(stream: &mut impl BufRead) -> io::Result<Request> {
    let first = read_line(stream)?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Request { method, path, headers, body, status: String::new() })
}
