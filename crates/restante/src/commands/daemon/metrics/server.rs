//! The door at which metrics are asked for: a thread of its own, a few connections at a time, a moment
//! for each. Nothing that comes in through it changes anything.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, oneshot};

use super::http::{Door, MAX_HEAD_BYTES, answer, is_whole};
use crate::config::Listen;

/// From the first octet of a request to the last of the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Who comes when so many are being served is sent away.
const MOST_CONNECTIONS: usize = 16;
/// Where a connection cannot be taken (no file descriptor is left) it is tried again after this.
const BREATH: Duration = Duration::from_millis(200);
/// So much is read of what comes behind a question; who sends more may lose the answer.
const MAX_BYTES_BEHIND: usize = 1 << 20;

/// A proxy of the same group may ask.
const SOCKET_MODE: u32 = 0o660;

/// Writes the page as it is now.
pub(super) type Writer = Arc<dyn Fn() -> String + Send + Sync>;

/// A server that works until it is dropped.
pub(super) struct Server {
    place: String,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    socket: Option<PathBuf>,
}

impl Server {
    /// Begins to serve; once this returns, whoever comes is answered.
    ///
    /// # Errors
    /// When the place is taken, or cannot be had.
    pub(super) fn start(listen: &Listen, page: Writer) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let listener = {
            let _inside = runtime.enter();
            Listener::bind(listen)?
        };
        let place = listener.place()?;
        let socket = match listen {
            Listen::Unix(path) => Some(path.clone()),
            Listen::Tcp(_) => None,
        };
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("metrics-door".to_owned())
            .spawn(move || serve(&runtime, listener, page, ended))?;
        Ok(Self { place, end: Some(end), thread: Some(thread), socket })
    }

    /// Where it is, for people.
    pub(super) fn place(&self) -> &str {
        &self.place
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nobody to be told.
        let _ = self.end.take().map(|end| end.send(()));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that tells metrics has panicked; backups go on");
        }
        if let Some(socket) = &self.socket {
            // Who begins next takes it away as well.
            let _ = std::fs::remove_file(socket);
        }
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Listener {
    fn bind(listen: &Listen) -> io::Result<Self> {
        match listen {
            Listen::Tcp(address) => {
                let listener = std::net::TcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                Ok(Self::Tcp(TcpListener::from_std(listener)?))
            }
            Listen::Unix(path) => {
                remove_left_over(path)?;
                let listener = UnixListener::bind(path)?;
                std::fs::set_permissions(path, PermissionsExt::from_mode(SOCKET_MODE))?;
                Ok(Self::Unix(listener, path.clone()))
            }
        }
    }

    fn place(&self) -> io::Result<String> {
        match self {
            Self::Tcp(listener) => Ok(format!("http://{}/metrics", listener.local_addr()?)),
            Self::Unix(_, path) => Ok(format!("the socket {}", path.display())),
        }
    }

    async fn accept(&self) -> io::Result<(Box<dyn Stream>, Door)> {
        match self {
            Self::Tcp(listener) => Ok((Box::new(listener.accept().await?.0), Door::Loopback)),
            Self::Unix(listener, _) => Ok((Box::new(listener.accept().await?.0), Door::File)),
        }
    }
}

/// Takes a socket away that nobody listens at any more. Whatever else lies there is left alone.
fn remove_left_over(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "something lies there that is no socket",
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another program listens there")),
        Err(_) => std::fs::remove_file(path),
    }
}

fn serve(runtime: &Runtime, listener: Listener, page: Writer, ended: oneshot::Receiver<()>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let take = async move {
        loop {
            let Ok((stream, door)) = listener.accept().await else {
                tokio::time::sleep(BREATH).await;
                continue;
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
            let page = Arc::clone(&page);
            tokio::spawn(async move {
                // Who is too slow, or goes away, gets nothing; it is theirs to ask again.
                let _ = tokio::time::timeout(PATIENCE, converse(stream, door, page)).await;
                drop(place);
            });
        }
    };
    runtime.block_on(async {
        tokio::select! {
            () = take => {}
            _ = ended => {}
        }
    });
}

async fn converse(mut stream: Box<dyn Stream>, door: Door, page: Writer) -> io::Result<()> {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while !is_whole(&head) {
        match stream.read(&mut piece).await? {
            0 => break,
            length => head.extend_from_slice(&piece[..length]),
        }
    }
    debug_assert!(head.len() <= MAX_HEAD_BYTES + piece.len());
    stream.write_all(&answer(&head, door, || page())).await?;
    stream.shutdown().await?;
    // What the other still sends is waited for, or the answer would be lost with the connection.
    let mut read = 0;
    while read < MAX_BYTES_BEHIND {
        match stream.read(&mut piece).await? {
            0 => break,
            length => read += length,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    const ASK: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

    fn start(listen: &Listen) -> io::Result<Server> {
        Server::start(listen, Arc::new(|| "a 1\n".to_owned()))
    }

    fn loopback() -> (Server, std::net::SocketAddr) {
        let server = start(&Listen::Tcp("127.0.0.1:0".parse().unwrap())).unwrap();
        let address =
            server.place().strip_prefix("http://").unwrap().strip_suffix("/metrics").unwrap().parse();
        (server, address.unwrap())
    }

    fn ask(mut stream: impl Read + Write) -> String {
        stream.write_all(ASK).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn s15_who_connects_and_says_nothing_or_without_end_keeps_nobody_out() {
        let (server, address) = loopback();
        let silent: Vec<_> =
            (0..MOST_CONNECTIONS - 1).map(|_| TcpStream::connect(address).unwrap()).collect();
        assert!(ask(TcpStream::connect(address).unwrap()).ends_with("a 1\n"));
        drop(silent);
        let mut endless = TcpStream::connect(address).unwrap();
        let mut answer = Vec::new();
        // The answer comes in the middle of it, and the connection ends.
        let sent = (0..1_000_000).take_while(|_| endless.write_all(&[b'x'; 4096]).is_ok()).count();
        assert!(sent < 1_000_000, "it reads without end");
        let _ = endless.read_to_end(&mut answer);
        assert!(ask(TcpStream::connect(address).unwrap()).ends_with("a 1\n"));
        drop(server);
        assert!(TcpStream::connect(address).is_err(), "the door is closed");
    }

    #[test]
    fn a_socket_in_the_file_system_is_taken_over_when_nobody_is_there_and_never_from_somebody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics");
        let listen = Listen::Unix(path.clone());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let server = start(&listen).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, SOCKET_MODE);
        assert!(ask(std::os::unix::net::UnixStream::connect(&path).unwrap()).ends_with("a 1\n"));
        assert_eq!(start(&listen).err().unwrap().kind(), io::ErrorKind::AddrInUse);
        drop(server);
        assert!(!path.exists());
        std::fs::write(&path, "precious").unwrap();
        assert_eq!(start(&listen).err().unwrap().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }
}
