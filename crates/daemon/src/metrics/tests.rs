#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

use super::*;

const RUN: Run = Run {
    outcome: Outcome::Ok,
    suspicious: false,
    ended_ms: 1_795_420_800_500,
    took: Duration::from_millis(2_500),
    new: 37,
    vanished: 2,
    failed: 0,
    fetched_bytes: 1_200_345,
};

fn daemon() -> Daemon {
    Daemon { started: 1_795_400_000, configuration_is_right: true, durations: Durations::default() }
}

fn of(account: Account) -> Metrics {
    let accounts = BTreeMap::from([("work".to_owned(), account)]);
    Metrics { version: "1.2.3", daemon: Some(daemon()), accounts, archive: Archive::default() }
}

/// The value of a sample, named as it stands in the page.
fn value<'t>(text: &'t str, sample: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))
}

fn full() -> Metrics {
    let mut account = Account {
        next: Some(1_795_428_000),
        held: Some(Held { messages: 11_424, bytes: 2_000_000, unacknowledged: 1 }),
        ..Account::default()
    };
    account.ended(RUN);
    let mut metrics = of(account);
    metrics.archive = Archive {
        readable: Some(true),
        sizes: Some(Sizes {
            packs: 2,
            pack_bytes: 900_000,
            catalogue_bytes: 100_000,
            messages: 11_000,
            mail_bytes: 2_000_000,
            known_damage: 0,
        }),
        disk: Some(Disk { free_bytes: 7, size_bytes: 9 }),
        reserve_bytes: 1 << 30,
        ..Archive::default()
    };
    metrics.archive.verified("full", Verified { at: 1_795_000_000, whole: false });
    metrics
}

#[test]
fn a_page_says_how_account_and_archive_stand() {
    let text = full().to_text();
    for (sample, expected) in [
        ("restante_build_info{version=\"1.2.3\"}", "1"),
        ("restante_accounts", "1"),
        ("restante_start_time_seconds", "1795400000"),
        ("restante_config_last_reload_successful", "1"),
        ("restante_last_run_timestamp_seconds{account=\"work\"}", "1795420800.5"),
        ("restante_last_good_run_timestamp_seconds{account=\"work\"}", "1795420800.5"),
        ("restante_last_run_duration_seconds{account=\"work\"}", "2.5"),
        ("restante_last_run_outcome{account=\"work\",outcome=\"ok\"}", "1"),
        ("restante_last_run_outcome{account=\"work\",outcome=\"failed\"}", "0"),
        ("restante_next_run_timestamp_seconds{account=\"work\"}", "1795428000"),
        ("restante_account_messages{account=\"work\"}", "11424"),
        ("restante_unacknowledged_alarms{account=\"work\"}", "1"),
        ("restante_runs_total{account=\"work\",outcome=\"ok\"}", "1"),
        ("restante_runs_total{account=\"work\",outcome=\"partial\"}", "0"),
        ("restante_fetched_bytes_total{account=\"work\"}", "1200345"),
        ("restante_archive_ratio", "0.5"),
        ("restante_archive_last_verification_whole", "0"),
        ("restante_archive_last_verification_timestamp_seconds{depth=\"full\"}", "1795000000"),
    ] {
        assert_eq!(value(&text, sample), Some(expected), "{sample}: {text}");
    }
}

#[test]
fn every_line_is_a_comment_or_a_sample_and_every_family_is_in_one_piece() {
    let text = full().to_text();
    let mut family = "";
    let mut seen = Vec::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split_once(' ').unwrap().0;
            assert!(family.starts_with("restante_") && !seen.contains(&family), "{line}");
            seen.push(family);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, family);
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with(family), "{line} is below {family}");
            value.parse::<f64>().unwrap();
        }
    }
    assert!(text.ends_with('\n'));
}

#[test]
fn o10_an_account_without_a_good_run_is_as_old_as_can_be() {
    let mut account = Account::default();
    account.ended(Run { outcome: Outcome::Failed, failed: 3, ..RUN });
    account.ended(Run { suspicious: true, ..RUN });
    let text = of(account).to_text();
    assert_eq!(value(&text, "restante_last_good_run_timestamp_seconds{account=\"work\"}"), Some("0"));
    assert_eq!(value(&text, "restante_last_run_suspicious{account=\"work\"}"), Some("1"));
    assert_eq!(value(&text, "restante_runs_total{account=\"work\",outcome=\"failed\"}"), Some("1"));
    assert_eq!(value(&text, "restante_failed_messages_total{account=\"work\"}"), Some("3"));
}

#[test]
fn what_the_archive_remembers_never_overrides_what_is_newer() {
    let mut account = Account::default();
    account.ended(RUN);
    let older = Run { outcome: Outcome::Partial, ended_ms: RUN.ended_ms - 9_000, ..RUN };
    account.recall(Some(older), Some(RUN.ended_ms - 99_000));
    assert_eq!((account.last, account.last_good_ms), (Some(RUN), Some(RUN.ended_ms)));
    let newer = Run { outcome: Outcome::Partial, ended_ms: RUN.ended_ms + 9_000, ..RUN };
    account.recall(Some(newer), Some(RUN.ended_ms - 99_000));
    assert_eq!((account.last, account.last_good_ms), (Some(newer), Some(RUN.ended_ms)));
    let text = of(account).to_text();
    assert_eq!(value(&text, "restante_runs_total{account=\"work\",outcome=\"partial\"}"), Some("0"));
}

#[test]
fn the_newest_verification_says_whether_the_archive_is_whole() {
    let mut metrics = full();
    let whole = |metrics: &Metrics| {
        value(&metrics.to_text(), "restante_archive_last_verification_whole").map(str::to_owned)
    };
    metrics.archive.verified("quick", Verified { at: 1_794_999_999, whole: true });
    assert_eq!(whole(&metrics).as_deref(), Some("0"));
    metrics.archive.verified("rolling", Verified { at: 1_795_000_001, whole: true });
    assert_eq!(whole(&metrics).as_deref(), Some("1"));
    metrics.archive.verified("rolling", Verified { at: 1_700_000_000, whole: false });
    assert_eq!(whole(&metrics).as_deref(), Some("1"), "what is older changes nothing");
    let full = "restante_archive_last_verification_timestamp_seconds{depth=\"full\"}";
    assert_eq!(value(&metrics.to_text(), full), Some("1795000000"));
}

#[test]
fn a_run_from_a_timer_writes_no_counters_that_would_begin_anew_each_time() {
    let metrics = Metrics { daemon: None, ..full() };
    let text = metrics.to_text();
    assert!(!text.contains("_total") && !text.contains("restante_start_time"), "{text}");
    assert!(text.contains("restante_last_run_new_messages{account=\"work\"} 37"), "{text}");
}

#[test]
fn what_is_not_known_is_left_out() {
    let text = of(Account::default()).to_text();
    for name in ["restante_last_run_timestamp_seconds", "restante_archive_packs", "restante_archive_ratio"] {
        assert!(!text.contains(name), "{name}: {text}");
    }
    assert!(text.contains("restante_account_running{account=\"work\"} 0"), "{text}");
}

#[test]
fn a_page_grows_with_accounts_alone() {
    let account = full().accounts.remove("work").unwrap();
    let accounts = (0..500).map(|number| (format!("user{number}"), account.clone())).collect();
    let text = Metrics { accounts, ..full() }.to_text();
    assert!(text.lines().count() < 500 * 25, "{}", text.lines().count());
}
