//! A client of a few lines, for the tests of the server: sends commands, reads the answers whole.

#![allow(clippy::unwrap_used, dead_code, reason = "a test says what it expects; each file uses its part")]

use std::time::Duration;

use restante_server::{Behaviour, Server, Store};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than any answer takes; only a broken server is waited for so long.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

pub(crate) struct Client {
    pub(crate) stream: Box<dyn Stream>,
    input: Vec<u8>,
    tags: u32,
}

impl Client {
    pub(crate) fn over(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), input: Vec::new(), tags: 0 }
    }

    pub(crate) async fn connect(server: &Server) -> Self {
        let mut client = Self::over(TcpStream::connect(server.address()).await.unwrap());
        assert!(client.line().await.unwrap().starts_with("* OK"));
        client
    }

    pub(crate) async fn login(server: &Server) -> Self {
        let mut client = Self::connect(server).await;
        client.ok("LOGIN alice secret").await;
        client
    }

    async fn more(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("an answer");
        let octets = read.unwrap_or(0);
        self.input.extend_from_slice(&buffer[..octets]);
        octets > 0
    }

    /// A line with the literals in it; `None` when the connection ends before.
    pub(crate) async fn line(&mut self) -> Option<String> {
        let mut end = 0;
        loop {
            let Some(at) = self.input[end..].iter().position(|&byte| byte == b'\n') else {
                if !self.more().await {
                    return None;
                }
                continue;
            };
            end += at + 1;
            let line = String::from_utf8_lossy(&self.input[..end - 2]).into_owned();
            let literal = line
                .strip_suffix('}')
                .and_then(|line| line.rsplit_once('{'))
                .map(|(_, n)| n.parse::<usize>());
            if let Some(Ok(length)) = literal {
                end += length;
                while self.input.len() < end {
                    if !self.more().await {
                        return None;
                    }
                }
                continue;
            }
            let all: Vec<u8> = self.input.drain(..end).collect();
            return Some(String::from_utf8_lossy(&all[..all.len() - 2]).into_owned());
        }
    }

    pub(crate) async fn send(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The untagged lines and the tagged one without its tag, last; without the latter when the
    /// connection ends before.
    pub(crate) async fn ask(&mut self, command: &str) -> Vec<String> {
        self.tags += 1;
        let tag = format!("t{}", self.tags);
        self.send(format!("{tag} {command}\r\n").as_bytes()).await;
        self.answer(&tag).await
    }

    pub(crate) async fn answer(&mut self, tag: &str) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.line().await {
            if let Some(rest) = line.strip_prefix(tag) {
                lines.push(rest.trim_start().to_owned());
                break;
            }
            lines.push(line);
        }
        lines
    }

    /// As [`ask`], and the answer is OK.
    pub(crate) async fn ok(&mut self, command: &str) -> Vec<String> {
        let lines = self.ask(command).await;
        assert!(lines.last().is_some_and(|line| line.starts_with("OK")), "{command}: {lines:?}");
        lines
    }

    /// Whether the connection is over.
    pub(crate) async fn is_over(&mut self) -> bool {
        while self.more().await {}
        true
    }
}

pub(crate) fn mail(number: u32) -> Vec<u8> {
    format!("From: a@post.example\r\nSubject: number {number}\r\n\r\nText {number}\r\n").into_bytes()
}

/// A store with `alice` and so many messages in her INBOX.
pub(crate) fn store_with(messages: u32) -> Store {
    let store = Store::new();
    store.add_user("alice", "secret");
    let date = message::InternalDate::from_unix(1_700_000_000, 60);
    for number in 1..=messages {
        store.append("alice", "INBOX", &message::Flags::new(), &date, mail(number)).unwrap();
    }
    store
}

pub(crate) async fn server_with(messages: u32, behaviour: Behaviour) -> Server {
    Server::start(store_with(messages), behaviour).await.unwrap()
}

/// The client with both directions deflated.
pub(crate) fn deflated(client: Client) -> Client {
    assert!(client.input.is_empty());
    let (near, far) = tokio::io::duplex(1 << 16);
    let (mut from_client, mut to_client) = tokio::io::split(far);
    let (mut from_server, mut to_server) = tokio::io::split(client.stream);
    tokio::spawn(async move {
        let mut compress = flate2::Compress::new(flate2::Compression::default(), false);
        let mut buffer = [0; 1024];
        while let Ok(octets @ 1..) = from_client.read(&mut buffer).await {
            let mut small = Vec::with_capacity(4096);
            compress.compress_vec(&buffer[..octets], &mut small, flate2::FlushCompress::Sync).unwrap();
            to_server.write_all(&small).await.unwrap();
        }
    });
    tokio::spawn(async move {
        let mut inflate = flate2::Decompress::new(false);
        let mut buffer = [0; 1024];
        while let Ok(octets @ 1..) = from_server.read(&mut buffer).await {
            let mut rest = &buffer[..octets];
            loop {
                let mut large = Vec::with_capacity(64 << 10);
                let before = inflate.total_in();
                inflate.decompress_vec(rest, &mut large, flate2::FlushDecompress::None).unwrap();
                rest = &rest[usize::try_from(inflate.total_in() - before).unwrap()..];
                if large.is_empty() && rest.is_empty() {
                    break;
                }
                to_client.write_all(&large).await.unwrap();
            }
        }
    });
    Client { stream: Box::new(near), input: Vec::new(), tags: 100 }
}
