#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| remote::fuzzing::pop3_conversation(data));
