#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| message::fuzzing::date_and_flags(data));
