//! A server that plays a list of lines, for tests: `C` what must come, `S` what is answered.
