//! The two connections with which folders are restored, one after the other: one that writes and one
//! that only reads, which is the one that proves. And what happens when they are cut.

use std::sync::Arc;

use remote::Kind;
use remote::imap::{Session, Target};

use super::Room;
use super::error::RestoreError;
use crate::retry::Cause;

/// The connections of one worker.
#[derive(Default)]
pub(super) struct Line {
    reading: Option<Session>,
    writing: Option<Target>,
    /// The server lets us have only one of the two at a time.
    alternates: bool,
    fruitless_cuts: u32,
}

impl Line {
    /// Whether a mailbox that was opened on one connection may be closed since the other was used.
    pub(super) fn alternates(&self) -> bool {
        self.alternates
    }

    /// The connection that reads.
    pub(super) async fn reading(&mut self, room: &Room<'_>) -> Result<&mut Session, RestoreError> {
        if self.reading.is_none() {
            let session = match open_reading(room).await {
                Err(error) if !matches!(error, RestoreError::Stopped) && self.writing.is_some() => {
                    // Perhaps the server lets each user in once.
                    self.alternates = true;
                    self.hang_up().await;
                    tracing::info!(account = %room.job.account, %error, "goes on with one connection at a time");
                    open_reading(room).await?
                }
                opened => opened?,
            };
            self.reading = Some(session);
        }
        self.reading.as_mut().ok_or(RestoreError::Stopped)
    }

    /// The connection that writes.
    pub(super) async fn writing(&mut self, room: &Room<'_>) -> Result<&mut Target, RestoreError> {
        if self.writing.is_none() {
            let target = match open_writing(room).await {
                Err(error) if !matches!(error, RestoreError::Stopped) && self.reading.is_some() => {
                    self.alternates = true;
                    self.hang_up().await;
                    tracing::info!(account = %room.job.account, %error, "goes on with one connection at a time");
                    open_writing(room).await?
                }
                opened => opened?,
            };
            self.writing = Some(target);
        }
        self.writing.as_mut().ok_or(RestoreError::Stopped)
    }

    /// Something was gained: patience begins anew.
    pub(super) fn gained(&mut self) {
        self.fruitless_cuts = 0;
    }

    /// Drops the connections and waits before the next ones, or gives the error back when waiting is
    /// no use: it is not a matter of time, or patience has ended.
    pub(super) async fn cut(&mut self, room: &Room<'_>, error: RestoreError) -> Result<(), RestoreError> {
        let kind = match &error {
            RestoreError::Remote(error) => Some(error.kind()),
            RestoreError::NotNow(refusal) => refusal.kind(),
            _ => None,
        };
        let cause = match kind {
            Some(Kind::Limit { wait }) => Cause::Throttled(wait),
            Some(Kind::Network | Kind::Protocol) => Cause::Broken,
            _ => return Err(error),
        };
        self.reading = None;
        self.writing = None;
        self.fruitless_cuts += 1;
        if matches!(cause, Cause::Throttled(_)) {
            room.slow_down();
        }
        let jitter = room.surroundings.dice.throw();
        let Some(pause) = room.job.limits.patience.pause(self.fruitless_cuts, cause, jitter) else {
            return Err(error);
        };
        tracing::warn!(account = %room.job.account, %error, pause_ms = pause.as_millis(), "connection lost; trying again");
        tokio::select! {
            biased;
            () = tokio::time::sleep(pause) => Ok(()),
            () = room.surroundings.stop.wait() => Err(RestoreError::Stopped),
        }
    }

    /// Says goodbye on both.
    pub(super) async fn hang_up(&mut self) {
        if let Some(session) = self.reading.take() {
            session.logout().await;
        }
        if let Some(target) = self.writing.take() {
            target.logout().await;
        }
    }
}

async fn open_reading(room: &Room<'_>) -> Result<Session, RestoreError> {
    let limits = room.remote_limits();
    let (network, job) = (room.surroundings.network, room.job);
    room.unless_stopped(Session::open_through(network, &job.endpoint, &job.credentials, &limits)).await
}

async fn open_writing(room: &Room<'_>) -> Result<Target, RestoreError> {
    let limits = room.remote_limits();
    let (network, job) = (room.surroundings.network, room.job);
    room.unless_stopped(Target::connect(network, &job.endpoint, &job.credentials, &limits)).await
}

impl Room<'_> {
    /// Waits for a connection, unless somebody asks to stop.
    async fn unless_stopped<T>(
        &self,
        opening: impl Future<Output = Result<T, remote::Error>>,
    ) -> Result<T, RestoreError> {
        tokio::select! {
            biased;
            opened = opening => opened.map_err(|error| RestoreError::Remote(Arc::new(error))),
            () = self.surroundings.stop.wait() => Err(RestoreError::Stopped),
        }
    }
}
