//! COMPRESS=DEFLATE (RFC 4978): raw deflate both ways, over whatever lies below.
//!
//! Inflating is streamed into the reader's buffer, so a bomb is only a long answer, held to the
//! same bounds of lines and literals as any other.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Compressed octets read at once.
const READ: usize = 16 << 10;

/// A connection compressed in both directions.
pub(crate) struct Deflate<T> {
    inner: T,
    inflater: Decompress,
    deflater: Compress,
    /// Compressed octets that have come; valid from `taken`.
    compressed: Vec<u8>,
    taken: usize,
    /// Whether the inflater may hold more than it could give out last time.
    holds_more: bool,
    /// Compressed octets on their way out.
    outgoing: Vec<u8>,
    unflushed: bool,
}

impl<T> Deflate<T> {
    /// `early`: octets of the compressed stream that were read already.
    pub(crate) fn new(inner: T, early: Bytes) -> Self {
        Self {
            inner,
            inflater: Decompress::new(false),
            deflater: Compress::new(Compression::fast(), false),
            compressed: early.to_vec(),
            taken: 0,
            holds_more: !early.is_empty(),
            outgoing: Vec::new(),
            unflushed: false,
        }
    }

    /// Inflates what is there into `buffer`; gives the number of octets.
    fn inflate(&mut self, buffer: &mut ReadBuf<'_>) -> io::Result<usize> {
        let (before_in, before_out) = (self.inflater.total_in(), self.inflater.total_out());
        let room = buffer.initialize_unfilled();
        let room_length = room.len();
        let status = self
            .inflater
            .decompress(&self.compressed[self.taken..], room, FlushDecompress::Sync)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        self.taken += usize::try_from(self.inflater.total_in() - before_in).unwrap_or(usize::MAX);
        let inflated = usize::try_from(self.inflater.total_out() - before_out).unwrap_or(usize::MAX);
        buffer.advance(inflated);
        self.holds_more = inflated == room_length || self.taken < self.compressed.len();
        match status {
            Status::StreamEnd if inflated == 0 => {
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the compressed stream has ended"))
            }
            Status::Ok | Status::BufError if inflated == 0 && self.taken < self.compressed.len() => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "the compressed stream makes no progress"))
            }
            _ => Ok(inflated),
        }
    }

    /// Appends what the deflater makes of `bytes` to `outgoing`.
    fn deflate(&mut self, mut bytes: &[u8], flush: FlushCompress) -> io::Result<()> {
        loop {
            self.outgoing.reserve(bytes.len() / 2 + 256);
            let before = self.deflater.total_in();
            let room = self.outgoing.capacity() - self.outgoing.len();
            let had = self.outgoing.len();
            self.deflater.compress_vec(bytes, &mut self.outgoing, flush).map_err(io::Error::other)?;
            bytes.advance(usize::try_from(self.deflater.total_in() - before).unwrap_or(usize::MAX));
            // Room left over means that all has been given out (zlib.h, deflate).
            if bytes.is_empty() && self.outgoing.len() - had < room {
                return Ok(());
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> Deflate<T> {
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.outgoing))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Deflate<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.holds_more && this.inflate(buffer)? > 0 {
                return Poll::Ready(Ok(()));
            }
            this.compressed.resize(READ, 0);
            let mut read = ReadBuf::new(&mut this.compressed);
            let polled = Pin::new(&mut this.inner).poll_read(cx, &mut read);
            let length = read.filled().len();
            this.compressed.truncate(length);
            this.taken = 0;
            ready!(polled)?;
            if length == 0 {
                return Poll::Ready(Ok(()));
            }
            this.holds_more = true;
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Deflate<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        this.deflate(bytes, FlushCompress::None)?;
        this.unflushed = true;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.unflushed {
            this.deflate(&[], FlushCompress::Sync)?;
            this.unflushed = false;
        }
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_is_written_at_one_end_is_read_at_the_other() {
        let (a, b) = tokio::io::duplex(700);
        let (mut a, mut b) = (Deflate::new(a, Bytes::new()), Deflate::new(b, Bytes::new()));
        let body: Vec<u8> = (0..=250).cycle().step_by(7).take(400_000).collect();
        let mut echoed = vec![0; body.len()];
        let write = async {
            for piece in body.chunks(10_000) {
                a.write_all(piece).await.unwrap();
                a.flush().await.unwrap();
            }
        };
        tokio::join!(write, async { b.read_exact(&mut echoed).await.unwrap() });
        assert!(echoed == body);
    }

    #[tokio::test]
    async fn octets_read_too_early_are_not_lost() {
        let mut early = Compress::new(Compression::fast(), false);
        let mut bytes = Vec::with_capacity(100);
        early.compress_vec(b"* 3 EXISTS\r\n", &mut bytes, FlushCompress::Sync).unwrap();
        let (a, _b) = tokio::io::duplex(64);
        let mut stream = Deflate::new(a, bytes.into());
        let mut line = [0; 12];
        stream.read_exact(&mut line).await.unwrap();
        assert_eq!(&line, b"* 3 EXISTS\r\n");
    }

    #[tokio::test]
    async fn garbage_is_an_error() {
        let (a, mut b) = tokio::io::duplex(64);
        b.write_all(&[0xff; 40]).await.unwrap();
        let mut stream = Deflate::new(a, Bytes::new());
        assert!(stream.read_u8().await.is_err());
    }
}
