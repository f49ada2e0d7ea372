//! A line to a server in this process, on which each octet takes its time, by a clock that is not real.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use remote::{Connection, Network};
use server::Host;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// There and back.
const ROUND_TRIP: Duration = Duration::from_millis(100);

/// Octets that are given to the line at once.
const PIECE: usize = 64 << 10;

/// From when to when.
type Used = Arc<Mutex<Option<(Instant, Instant)>>>;

/// The line, and how long it was used.
pub(crate) struct LongLine {
    pub(crate) host: Host,
    used: Used,
}

impl LongLine {
    pub(crate) fn to(host: Host) -> Self {
        Self { host, used: Arc::default() }
    }

    /// From the first connection, when it had been made, until the last octet from the server.
    pub(crate) fn round_trips(&self) -> u64 {
        let (first, last) = self.used.lock().unwrap().unwrap();
        let (took, trip) = ((last - first).as_millis(), ROUND_TRIP.as_millis());
        // The clock of the runtime counts in milliseconds, and each leg rounds up.
        u64::try_from((took + trip / 2) / trip).unwrap()
    }
}

impl Network for LongLine {
    fn connect<'a>(
        &'a self,
        _host: &'a str,
        _port: u16,
        _limit: Duration,
    ) -> BoxFuture<'a, Result<Connection, remote::Error>> {
        Box::pin(async move {
            let now = Instant::now();
            self.used.lock().unwrap().get_or_insert((now, now));
            let (client, near) = tokio::io::duplex(PIECE);
            let (far, server) = tokio::io::duplex(PIECE);
            let ((near_in, near_out), (far_in, far_out)) = (tokio::io::split(near), tokio::io::split(far));
            tokio::spawn(carry(near_in, far_out, None));
            tokio::spawn(carry(far_in, near_out, Some(Arc::clone(&self.used))));
            let host = self.host.clone();
            tokio::spawn(async move {
                // The server sees the connection when the last part of the handshake has come.
                tokio::time::sleep(ROUND_TRIP / 2).await;
                host.serve(server).await;
            });
            Ok(Connection { stream: Box::new(client), is_local: false })
        })
    }
}

/// Carries octets one way, any number of them at a time, until their sender has none any more.
async fn carry(mut from: ReadHalf<DuplexStream>, to: WriteHalf<DuplexStream>, used: Option<Used>) {
    let (give, take) = mpsc::unbounded_channel();
    tokio::spawn(deliver(take, to, used));
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        match from.read_buf(&mut piece).await {
            Ok(1..) if give.send((Instant::now() + ROUND_TRIP / 2, piece)).is_ok() => {}
            _ => return,
        }
    }
}

async fn deliver(
    mut pieces: mpsc::UnboundedReceiver<(Instant, Vec<u8>)>,
    mut to: WriteHalf<DuplexStream>,
    used: Option<Used>,
) {
    while let Some((due, piece)) = pieces.recv().await {
        tokio::time::sleep_until(due).await;
        if let Some(used) = &used
            && let Some((_, last)) = used.lock().unwrap().as_mut()
        {
            *last = Instant::now();
        }
        if to.write_all(&piece).await.is_err() {
            return;
        }
    }
    // Whoever is gone at the other end has no use for our end.
    let _ = to.shutdown().await;
}
