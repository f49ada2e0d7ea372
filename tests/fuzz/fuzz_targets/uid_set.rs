#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| message::fuzzing::uid_set(data));
