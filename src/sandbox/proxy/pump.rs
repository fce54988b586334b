//! Moves bytes, within a share for each command and with an end when nothing moves any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::policy::Refused;

const PIECE: usize = 32 << 10;

/// One connection's part in what its command may move.
pub(super) struct Flow {
    left: Arc<AtomicU64>,
    idle: Duration,
    start: Instant,
    /// When something moved last, in either direction: milliseconds since the start.
    moved: AtomicU64,
}

impl Flow {
    /// `left` is shared by all connections of a command.
    pub(super) fn new(left: Arc<AtomicU64>, idle: Duration) -> Self {
        Self { left, idle, start: Instant::now(), moved: AtomicU64::new(0) }
    }

    /// Everything up to the end of `from`, which becomes the end of `to`.
    pub(super) async fn copy(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), Refused> {
        self.copy_at_most(u64::MAX, from, to).await?;
        to.shutdown().await.map_err(|_| Refused::Gone)
    }

    /// So many bytes; fewer are the end of both.
    pub(super) async fn copy_exactly(
        &self,
        count: u64,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), Refused> {
        if self.copy_at_most(count, from, to).await? == count { Ok(()) } else { Err(Refused::Gone) }
    }

    async fn copy_at_most(
        &self,
        count: u64,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<u64, Refused> {
        let mut buffer = vec![0; PIECE];
        let mut copied = 0;
        while copied < count {
            let room = usize::try_from(count - copied).unwrap_or(PIECE).min(PIECE);
            let read = self.read(from, &mut buffer[..room]).await?;
            if read == 0 {
                break;
            }
            self.write(to, &buffer[..read]).await?;
            copied += read as u64;
        }
        Ok(copied)
    }

    /// Waits as long as anything moves in this connection.
    pub(super) async fn read(&self, from: &mut (impl AsyncRead + Unpin), buffer: &mut [u8]) -> Result<usize, Refused> {
        loop {
            match timeout(self.idle, from.read(buffer)).await {
                Ok(Ok(read)) => {
                    self.spend(read as u64)?;
                    return Ok(read);
                }
                Ok(Err(_)) => return Err(Refused::Gone),
                Err(_) if self.quiet_for() < self.idle => {}
                Err(_) => return Err(Refused::TooSlow),
            }
        }
    }

    /// All of it, or the other side does not take it.
    pub(super) async fn write(&self, to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), Refused> {
        match timeout(self.idle, to.write_all(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Refused::Gone),
        }
    }

    fn spend(&self, count: u64) -> Result<(), Refused> {
        self.moved.store(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        let enough = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(count));
        if enough.is_err() {
            self.left.store(0, Ordering::Relaxed);
        }
        enough.map(drop).map_err(|_| Refused::Quota)
    }

    fn quiet_for(&self) -> Duration {
        self.start.elapsed().saturating_sub(Duration::from_millis(self.moved.load(Ordering::Relaxed)))
    }
}
