//! What layers of a connection have in common that only watch, or hold back, what is read.

/// A layer that leaves what is written as it is: its `AsyncWrite` is that of its field `$under`. `$wrote`
/// is told how many octets were taken.
macro_rules! write_through {
    ($layer:ident $(<$kind:ident>)?, $under:ident, $wrote:expr) => {
        impl $(<$kind: tokio::io::AsyncWrite + Unpin>)? tokio::io::AsyncWrite for $layer $(<$kind>)? {
            fn poll_write(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                bytes: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                let polled = std::pin::Pin::new(&mut self.$under).poll_write(cx, bytes);
                polled.map_ok(|octets| ($wrote)(&*self, octets))
            }

            fn poll_write_vectored(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                slices: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                let polled = std::pin::Pin::new(&mut self.$under).poll_write_vectored(cx, slices);
                polled.map_ok(|octets| ($wrote)(&*self, octets))
            }

            fn is_write_vectored(&self) -> bool {
                self.$under.is_write_vectored()
            }

            fn poll_flush(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::pin::Pin::new(&mut self.$under).poll_flush(cx)
            }

            fn poll_shutdown(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::pin::Pin::new(&mut self.$under).poll_shutdown(cx)
            }
        }
    };
}
pub(crate) use write_through;
