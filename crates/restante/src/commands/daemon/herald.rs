//! Telling systemd how the daemon stands (sd_notify(3)), where systemd wants to know.

use daemon::service::Herald;
use sd_notify::NotifyState;

/// The service manager that started us; nobody, where none did.
pub(super) struct Systemd;

impl Herald for Systemd {
    fn ready(&mut self) {
        tell(&[NotifyState::Ready]);
    }

    fn reloading(&mut self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::debug!(%error, "no clock for the service manager"),
        }
    }

    fn stopping(&mut self) {
        tell(&[NotifyState::Stopping]);
    }

    fn status(&mut self, line: &str) {
        // A line feed would begin another assignment.
        let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        tell(&[NotifyState::Status(&line)]);
    }

    fn heartbeat(&mut self) {
        if sd_notify::watchdog_enabled().is_some() {
            tell(&[NotifyState::Watchdog]);
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager does not hear us");
    }
}
