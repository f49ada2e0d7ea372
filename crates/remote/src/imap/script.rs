//! IMAP sessions with servers that play a script.

use super::Session;
use crate::script::World;
use crate::{Error, Limits, Security};

impl World {
    /// Opens a session with a server that plays `script`, and does `test` with it.
    pub(crate) async fn play<T>(
        &self,
        script: &str,
        test: impl AsyncFnOnce(Session) -> T,
    ) -> Result<T, Error> {
        self.meet(script, async |transport, counters| {
            let (endpoint, credentials) = (&self.endpoint, &self.credentials);
            let session =
                Session::begin(transport, counters, endpoint, credentials, &self.limits, self.compress)
                    .await?;
            Ok(test(session).await)
        })
        .await
    }

    /// The error with which opening ends.
    pub(crate) async fn fail(&self, script: &str) -> Error {
        self.play(script, async |_| ()).await.expect_err("this server cannot be logged in to")
    }
}

/// A session that needs no login, with a server that can do `capabilities`, and then plays `script`.
pub(crate) async fn talk<T>(capabilities: &str, script: &str, test: impl AsyncFnOnce(Session) -> T) -> T {
    talk_within(Limits::default(), capabilities, script, test).await
}

pub(crate) async fn talk_within<T>(
    limits: Limits,
    capabilities: &str,
    script: &str,
    test: impl AsyncFnOnce(Session) -> T,
) -> T {
    let mut world = World::new(Security::Plain);
    world.limits = limits;
    let script = format!("S: * PREAUTH [CAPABILITY IMAP4rev1 {capabilities}] hello\n{script}");
    world.play(&script, test).await.unwrap()
}
