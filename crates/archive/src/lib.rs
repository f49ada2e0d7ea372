//! The store: packs, journal, catalogue, lock, verify, rebuild, history.
