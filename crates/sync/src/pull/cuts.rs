//! A connection that was cut, or was never had: waiting before the next one, or giving up.

use std::sync::Arc;

use remote::Kind;

use super::{Context, RunError};
use crate::retry::Cause;

/// What has happened to the connections of a run of late.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    fruitless: u32,
    any: bool,
    throttled: bool,
    /// The server has refused a login without saying whether it is the password.
    unsure: bool,
}

impl Cuts {
    /// The last connection has brought something: patience begins anew.
    pub(super) fn forgive(&mut self) {
        self.fruitless = 0;
    }

    /// Whether a connection of this run was cut, perhaps because the server cannot bear to be asked ahead.
    pub(super) fn any(&self) -> bool {
        self.any
    }

    /// Whether the server has asked us to slow down: one thing at a time for the rest of the run.
    pub(super) fn throttled(&self) -> bool {
        self.throttled
    }

    /// Waits before the next connection, or gives the error back when waiting is no use: it is not a
    /// matter of time, or patience has ended.
    pub(super) async fn wait(
        &mut self,
        context: &Context<'_>,
        error: Arc<remote::Error>,
    ) -> Result<(), RunError> {
        self.fruitless += 1;
        self.any = true;
        let cause = match error.kind() {
            Kind::Limit { wait } => Cause::Throttled(wait),
            Kind::Network | Kind::Protocol => Cause::Broken,
            // Once more, later: a second refusal is about the password.
            Kind::Unsure if !self.unsure => {
                self.unsure = true;
                Cause::Throttled(None)
            }
            _ => return Err(RunError::Remote(error)),
        };
        self.throttled |= matches!(cause, Cause::Throttled(_));
        let jitter = context.surroundings.dice.throw();
        let Some(pause) = context.job.limits.patience.pause(self.fruitless, cause, jitter) else {
            return Err(RunError::Remote(error));
        };
        tracing::warn!(account = %context.job.account, %error, pause_ms = pause.as_millis(), "connection lost; trying again");
        context.sleep(pause).await
    }
}
