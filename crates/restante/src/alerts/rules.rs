//! What of the configuration and of ledgers counts for `daemon::alerts`.

use std::time::Duration;

use daemon::Schedule;
use daemon::alerts::{AccountRule, Cause, Patience, Rules, RunEnd, RunResult};
use remote::Kind;
use sync::{EndedBy, Ledger, Outcome};

use super::channel::Channel;
use crate::config::{Account, Config};

/// An account with a frequent schedule is stale after this.
const STALE_AFTER: Duration = Duration::from_secs(26 * 3_600);
/// One with a rare schedule after so many of its longest pauses.
const PAUSES: u32 = 3;

/// The rules of a configuration for the daemon.
pub(crate) fn rules(config: &Config, now_ms: i64) -> Rules {
    let mut pauses = Pauses { now_s: now_ms.div_euclid(1_000), known: Vec::new() };
    Rules {
        accounts: config.accounts.iter().map(|account| rule(config, account, &mut pauses)).collect(),
        channels: Channel::all(&config.alerts).into_iter().map(|channel| channel.name).collect(),
        collect_ms: ms(config.alerts.collect),
        patience: Patience::default(),
    }
}

fn rule(config: &Config, account: &Account, pauses: &mut Pauses) -> AccountRule {
    let by_schedule = || {
        let pause = config.schedule_of(account).map_or(Duration::ZERO, |schedule| pauses.of(schedule));
        STALE_AFTER.max(pause.saturating_mul(PAUSES))
    };
    let stale_after = account.stale_after.or(config.alerts.stale_after).unwrap_or_else(by_schedule);
    AccountRule {
        name: account.name.clone(),
        host: account.host.to_ascii_lowercase(),
        stale_after_ms: ms(stale_after),
    }
}

fn ms(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// The longest pauses of schedules; thousands of accounts share a few.
struct Pauses {
    now_s: i64,
    known: Vec<(Schedule, Duration)>,
}

impl Pauses {
    fn of(&mut self, schedule: &Schedule) -> Duration {
        if let Some((_, pause)) = self.known.iter().find(|(known, _)| known == schedule) {
            return *pause;
        }
        let pause = schedule.longest_pause(self.now_s);
        self.known.push((schedule.clone(), pause));
        pause
    }
}

/// What a ledger says of an account; `None` where somebody asked the run to end. `suspicious`: whether
/// the account has suspicious runs that nobody has acknowledged, where that is known.
pub(crate) fn run_end(ledger: &Ledger, suspicious: Option<bool>, details: bool) -> Option<RunEnd> {
    let result = match (ledger.outcome, ledger.ended_by) {
        (_, Some(EndedBy::Request)) => return None,
        (Outcome::Ok, _) => RunResult::Good,
        (Outcome::Partial, _) => RunResult::Partial,
        (Outcome::Failed, ended_by) => failure(ended_by),
    };
    let warning = || ledger.warnings.first().filter(|_| ledger.suspicious);
    let detail = ledger.error.as_ref().or_else(warning).filter(|_| details).cloned();
    Some(RunEnd { account: ledger.account.clone(), result, suspicious, detail })
}

fn failure(ended_by: Option<EndedBy>) -> RunResult {
    RunResult::Failed(match ended_by {
        Some(EndedBy::Server(Kind::Credentials)) => return RunResult::LoginRefused,
        Some(EndedBy::Server(Kind::Unsure)) => return RunResult::PerhapsLoginRefused,
        Some(EndedBy::Server(Kind::Network)) => Cause::Unreachable,
        Some(EndedBy::Server(Kind::Limit { .. })) => Cause::Limit,
        Some(EndedBy::Server(Kind::Tls)) => Cause::Tls,
        Some(EndedBy::Server(Kind::Refused)) => Cause::Refused,
        Some(EndedBy::Server(_)) => Cause::Protocol,
        Some(EndedBy::Other | EndedBy::Request) => Cause::Here,
        None => Cause::NotBegun,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use super::*;

    fn ledger(outcome: Outcome, ended_by: Option<EndedBy>) -> Ledger {
        Ledger {
            outcome,
            error: Some("the server's words".into()),
            ended_by,
            ..Ledger::failed("work", "imap", "")
        }
    }

    #[test]
    fn what_a_run_came_to_is_a_class_of_cause() {
        let server = |kind| Some(EndedBy::Server(kind));
        for (ended_by, expected) in [
            (server(Kind::Credentials), RunResult::LoginRefused),
            (server(Kind::Unsure), RunResult::PerhapsLoginRefused),
            (server(Kind::Network), RunResult::Failed(Cause::Unreachable)),
            (server(Kind::Limit { wait: None }), RunResult::Failed(Cause::Limit)),
            (server(Kind::Tls), RunResult::Failed(Cause::Tls)),
            (server(Kind::Refused), RunResult::Failed(Cause::Refused)),
            (server(Kind::NotThisProtocol), RunResult::Failed(Cause::Protocol)),
            (Some(EndedBy::Other), RunResult::Failed(Cause::Here)),
            (None, RunResult::Failed(Cause::NotBegun)),
        ] {
            let end = run_end(&ledger(Outcome::Failed, ended_by), None, false).unwrap();
            assert_eq!((end.result, end.detail), (expected, None));
        }
        let end = run_end(&ledger(Outcome::Partial, server(Kind::Network)), Some(true), true).unwrap();
        assert_eq!((end.result, end.suspicious), (RunResult::Partial, Some(true)));
        assert_eq!(end.detail.as_deref(), Some("the server's words"));
    }

    #[test]
    fn a_run_that_somebody_asked_to_end_says_nothing() {
        let asked = Some(EndedBy::Request);
        assert_eq!(run_end(&ledger(Outcome::Failed, asked), None, true), None);
        assert_eq!(run_end(&ledger(Outcome::Partial, asked), None, true), None);
    }

    #[test]
    fn an_account_is_stale_after_a_day_or_three_of_its_pauses_unless_it_is_said_otherwise() {
        let hours = |lines: &str| {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("r.toml");
            let account = "[[account]]\nname = \"a\"\nhost = \"Mail.Example.org\"\nuser = \"a\"\n\
                           password_command = [\"x\"]\ntimezone = \"UTC\"\n";
            let text = format!("[archive]\npath = \"a\"\n{account}{lines}");
            std::fs::write(&file, text).unwrap();
            let rules = rules(&Config::load(Some(&file)).unwrap(), 0);
            assert_eq!(rules.accounts[0].host, "mail.example.org");
            rules.accounts[0].stale_after_ms / 3_600_000
        };
        assert_eq!(hours(""), 26);
        assert_eq!(hours("schedule = \"0 3 * * *\"\n"), 72);
        assert_eq!(hours("schedule = \"0 3 * * 1\"\n"), 3 * 7 * 24);
        assert_eq!(hours("schedule = \"0 3 * * *\"\nstale_after = \"30h\"\n"), 30);
        assert_eq!(hours("[alerts]\nstale_after = \"2h\"\n"), 2);
    }
}
