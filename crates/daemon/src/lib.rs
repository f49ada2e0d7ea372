//! When a job is due: cron expressions and time zones.
