//! The engine: planning, the pull pipeline, content matching, the ledger, retry policy.
