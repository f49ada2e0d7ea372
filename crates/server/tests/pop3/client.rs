//! A client of a few lines: sends commands, reads lines.

use std::time::Duration;

use message::{Flags, InternalDate};
use restante_server::Store;
use restante_server::pop3::{Behaviour, Host};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longer than any answer takes; only a broken server is waited for so long.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

pub(crate) struct Client {
    pub(crate) stream: Box<dyn Stream>,
    input: Vec<u8>,
}

impl Client {
    pub(crate) fn over(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), input: Vec::new() }
    }

    /// Connected, and not greeted yet.
    pub(crate) fn new(host: &Host) -> Self {
        let (client, server) = tokio::io::duplex(1 << 20);
        let host = host.clone();
        tokio::spawn(async move { host.serve(server).await });
        Self::over(client)
    }

    pub(crate) async fn connect(host: &Host) -> Self {
        let mut client = Self::new(host);
        assert!(client.line().await.unwrap().starts_with("+OK"));
        client
    }

    pub(crate) async fn login(host: &Host) -> Self {
        let mut client = Self::connect(host).await;
        client.ok("USER anna").await;
        client.ok("PASS pass").await;
        client
    }

    async fn more(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("an answer");
        let octets = read.unwrap_or(0);
        self.input.extend_from_slice(&buffer[..octets]);
        octets > 0
    }

    /// All that comes until an end like this, the end included; or until the connection ends.
    pub(crate) async fn until(&mut self, end: &[u8]) -> String {
        loop {
            if let Some(at) = self.input.windows(end.len()).position(|window| window == end) {
                let all: Vec<u8> = self.input.drain(..at + end.len()).collect();
                return text(&all);
            }
            if !self.more().await {
                return text(&std::mem::take(&mut self.input));
            }
        }
    }

    /// A line without its end; `None` when the connection ends before.
    pub(crate) async fn line(&mut self) -> Option<String> {
        let line = self.until(b"\r\n").await;
        line.strip_suffix("\r\n").map(str::to_owned)
    }

    /// What came before the connection ended.
    pub(crate) async fn rest(&mut self) -> String {
        while self.more().await {}
        text(&std::mem::take(&mut self.input))
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The status line that answers a command.
    pub(crate) async fn ask(&mut self, command: &str) -> String {
        self.send(&format!("{command}\r\n")).await;
        self.line().await.unwrap_or_default()
    }

    pub(crate) async fn ok(&mut self, command: &str) -> String {
        let status = self.ask(command).await;
        status.strip_prefix("+OK ").unwrap_or_else(|| panic!("{command}: {status}")).to_owned()
    }

    /// What stands between the status line and the terminator, stuffed dots and all.
    pub(crate) async fn lines(&mut self, command: &str) -> String {
        self.ok(command).await;
        let all = self.until(b"\r\n.\r\n").await;
        all.strip_suffix(".\r\n").expect("a terminator").to_owned()
    }
}

fn text(octets: &[u8]) -> String {
    octets.iter().map(|&octet| char::from(octet)).collect()
}

pub(crate) fn store_with(messages: &[&[u8]]) -> Store {
    let store = Store::new();
    store.add_user("anna", "pass");
    messages.iter().for_each(|message| deliver(&store, 0, message));
    store
}

/// One more message in INBOX, received on this day since 2020.
pub(crate) fn deliver(store: &Store, day: i64, message: &[u8]) {
    let date = InternalDate::from_unix(1_577_836_800 + day * 86_400, 0);
    store.append("anna", "INBOX", &Flags::new(), &date, message).unwrap();
}

/// A server with three small messages.
pub(crate) fn host(behaviour: Behaviour) -> Host {
    let messages: [&[u8]; 3] = [b"A: 1\r\n\r\none\r\n", b"A: 2\r\n\r\n.two\r\n..\r\n", b"A: 3\r\n\r\nthree"];
    Host::new(store_with(&messages), behaviour)
}
