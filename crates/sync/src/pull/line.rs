//! The connection of a run: made, lost, and made anew.

use std::sync::Arc;

use message::MailboxName;
use remote::imap::{Listed, Session};
use remote::{Credentials, Endpoint, Limits, Network};

use super::cuts::Cuts;
use super::{Context, RunError};

/// The connection, and how often it was cut of late.
#[derive(Default)]
pub(super) struct Line {
    pub(super) session: Option<Session>,
    pub(super) cuts: Cuts,
    /// Some folder shows messages of other folders: it is worth while to ask for ids of their content.
    pub(super) shows_copies: bool,
}

impl Line {
    /// Connects, and asks for the list.
    pub(super) async fn list(&mut self, context: &Context<'_>) -> Result<Vec<Listed>, RunError> {
        let (session, listed) = self.open(context, Session::open_and_list).await?;
        self.session = Some(session);
        Ok(listed)
    }

    /// The session that is there, or another one.
    pub(super) async fn connect(&mut self, context: &Context<'_>) -> Result<&mut Session, RunError> {
        if self.session.is_none() {
            self.session = Some(self.open(context, Session::open_through).await?);
        }
        let session = self.session.as_mut().ok_or(RunError::Stopped)?;
        if self.shows_copies {
            session.want_content_ids();
        }
        Ok(session)
    }

    /// Opens a session in this way, again and again as long as that may be of use.
    async fn open<T>(
        &mut self,
        context: &Context<'_>,
        open: impl AsyncFn(&dyn Network, &Endpoint, &Credentials, &Limits) -> Result<T, remote::Error>,
    ) -> Result<T, RunError> {
        loop {
            let (job, network) = (context.job, context.surroundings.network);
            let limits = self.limits(context);
            let opened = tokio::select! {
                biased;
                opened = open(network, &job.endpoint, &job.credentials, &limits) => opened,
                () = context.stop.wait() => return Err(RunError::Stopped),
            };
            match opened {
                Ok(opened) => return Ok(opened),
                Err(error) => self.cut(context, error).await?,
            }
        }
    }

    /// The bounds of a connection.
    fn limits(&self, context: &Context<'_>) -> Limits {
        let mut limits = context.job.limits.remote.clone();
        if self.cuts.throttled() {
            limits.commands_in_flight = 1;
        }
        limits
    }

    /// Asks for the numbers of mailboxes of which the list has told none, where these can show that
    /// nothing has changed.
    pub(super) async fn look_into(
        &mut self,
        context: &Context<'_>,
        wanted: &mut [Listed],
    ) -> Result<(), RunError> {
        let session = self.connect(context).await?;
        if session.capabilities().list_status || !session.capabilities().condstore {
            return Ok(());
        }
        let untold = wanted.iter().filter(|folder| folder.status.is_none());
        let names: Vec<MailboxName> = untold.map(|folder| folder.name.clone()).collect();
        match session.statuses(&names).await {
            Ok(mut statuses) => {
                for folder in wanted.iter_mut().filter(|folder| folder.status.is_none()) {
                    folder.status = statuses.remove(&folder.name);
                }
                Ok(())
            }
            // Without them each mailbox is opened.
            Err(error) => self.cut(context, error).await,
        }
    }

    pub(super) async fn cut(&mut self, context: &Context<'_>, error: remote::Error) -> Result<(), RunError> {
        self.cut_shared(context, Arc::new(error)).await
    }

    /// Drops the connection and waits before the next one, or gives the error back.
    pub(super) async fn cut_shared(
        &mut self,
        context: &Context<'_>,
        error: Arc<remote::Error>,
    ) -> Result<(), RunError> {
        self.session = None;
        self.cuts.wait(context, error).await
    }

    /// The server has promised to show all messages of a mailbox.
    pub(super) fn shows_all(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.capabilities().uid_only)
    }

    pub(super) async fn hang_up(&mut self) {
        if let Some(session) = self.session.take() {
            session.logout().await;
        }
    }
}
