//! What must hold for any configuration file: the laws of its fuzz targets.

use std::fmt::Write as _;
use std::path::Path;

use miette::{GraphicalReportHandler, GraphicalTheme};

use super::size::{parse_duration, parse_size};
use super::{Config, ConfigError};

/// A password that must not be shown.
const CANARY: &str = "canary-7431";

/// A configuration file: read, or refused with everything that is wrong, each with a place in the file
/// that can be shown. A password in it is not shown.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Config::parse(Path::new("/etc/restante/restante.toml"), text) {
        Ok(config) => {
            let names: std::collections::HashSet<_> =
                config.accounts.iter().map(|account| account.name.to_lowercase()).collect();
            assert_eq!(names.len(), config.accounts.len());
            assert!(!config.accounts.iter().any(|account| account.include.is_empty()));
            is_quiet(text, &format!("{:?}", config.accounts));
        }
        Err(ConfigError::Invalid(invalid)) => {
            let reports = invalid.reports();
            assert!(!reports.is_empty());
            let handler = GraphicalReportHandler::new_themed(GraphicalTheme::none());
            let mut shown = String::new();
            for report in reports.iter().take(20) {
                handler.render_report(&mut shown, report.as_ref()).expect("memory takes everything");
            }
            write!(shown, "{}", invalid.to_json()).expect("memory takes everything");
            is_quiet(text, &shown);
        }
        Err(error) => panic!("{error}"),
    }
}

/// Where the canary stands in the file only as the value of `password`, it is not shown.
fn is_quiet(text: &str, shown: &str) {
    let assigned = text.matches(&format!("password = \"{CANARY}")).count();
    if text.matches(CANARY).count() == assigned {
        assert!(!shown.contains(CANARY), "the password is shown: {shown}");
    }
}

/// Sizes and times: what is taken is a number with a unit, and is read as the same again without blanks
/// around it.
pub fn amounts(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for line in text.lines() {
        if let Ok(bytes) = parse_size(line) {
            assert_eq!(parse_size(line.trim()), Ok(bytes));
            assert!(line.trim() == "0" || line.trim().ends_with('B'));
            assert_eq!(parse_size(&format!("{bytes}B")).is_ok(), bytes < 10u64.pow(18));
        }
        if let Ok(time) = parse_duration(line) {
            assert_eq!(parse_duration(line.trim()), Ok(time));
            assert!(line.trim() == "0" || line.trim().ends_with(['s', 'm', 'h', 'd']));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s18_any_configuration_is_read_or_refused_and_no_password_is_shown() {
        seeds::replay("config", config);
        seeds::mutate("config", config, 2_000);
    }

    #[test]
    fn s18_sizes_and_times_are_numbers_with_a_unit_and_nothing_else() {
        seeds::replay("amounts", amounts);
        seeds::mutate("amounts", amounts, 10_000);
    }
}
