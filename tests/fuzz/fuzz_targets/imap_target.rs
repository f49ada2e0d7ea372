#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| remote::fuzzing::imap_target(data));
