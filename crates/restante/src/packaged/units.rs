//! The units of systemd/: each stands for itself, so that it can be read and changed alone, and so what
//! all of them must have is looked for in each.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const UNITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../systemd");

/// What every service is confined by (S16), and how it is started and stopped.
const IN_ALL: [&str; 33] = [
    "User=restante",
    "Group=restante",
    "StateDirectory=restante-state restante",
    "StateDirectoryMode=0700",
    "UMask=0077",
    "TimeoutStopSec=60",
    "LimitCORE=0",
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "PrivateMounts=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "ProcSubset=pid",
    "RemoveIPC=yes",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "KeyringMode=private",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
];

/// File names and texts of the units of a kind.
fn units(kind: &str) -> Vec<(String, String)> {
    let read = fs::read_dir(Path::new(UNITS)).expect("the tree has its units");
    let paths = read.map(|entry| entry.expect("the folder can be read").path());
    let of_kind = paths.filter(|path| path.extension().is_some_and(|extension| extension == kind));
    let mut units: Vec<_> = of_kind
        .map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("a unit is text"))
        })
        .collect();
    units.sort();
    units
}

#[test]
fn s16_every_service_is_confined_in_the_same_way() {
    let services = units("service");
    assert!(services.len() >= 4, "{services:?}");
    for (name, text) in services {
        let lines: BTreeSet<&str> = text.lines().collect();
        let missing: Vec<_> = IN_ALL.iter().filter(|line| !lines.contains(*line)).collect();
        assert!(missing.is_empty(), "{name} lacks {missing:?}");
    }
}

#[test]
fn every_timer_starts_a_service_that_is_there_and_makes_up_for_a_night_without_power() {
    let services: BTreeSet<String> = units("service").into_iter().map(|(name, _)| name).collect();
    for (name, text) in units("timer") {
        assert!(services.contains(&name.replace(".timer", ".service")), "{name} starts nothing");
        assert!(text.contains("\nPersistent=true\n"), "{name} forgets what was missed");
        assert!(text.contains("\nRandomizedDelaySec="), "{name} starts all machines at once");
    }
}
