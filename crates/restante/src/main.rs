//! The program.
mod config;
fn main() {
    let _ = config::Config::load(None);
}
