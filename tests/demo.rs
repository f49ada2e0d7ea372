//! The demo is the first thing that anybody runs: it must hold what it shows.

use testkit::Restante;

#[test]
fn the_demo_backs_up_loses_everything_and_gives_it_back() {
    let home = tempfile::tempdir().expect("a temporary folder");
    // It needs no configuration.
    let program = Restante::new(&home.path().join("none.toml"), home.path());
    let output = program.run(["--json", "demo"]);
    let told = output.expect_code(0).json();
    let messages = told["messages"].as_u64().expect("a count");
    assert!(messages > 200, "{told}");
    assert_eq!((&told["identical"], &told["restored"]), (&true.into(), &messages.into()));
    assert_eq!(told["second_run_bytes_fetched"], 0);
    assert_eq!((&told["restore"]["outcome"], &told["restore"]["verify"]), (&"proven".into(), &"full".into()));
    assert_eq!(told["restore"]["totals"]["added"], messages);
    for line in ["5. Disaster", "7. Restore", "8. Compared", "Nothing comes twice."] {
        assert!(output.stderr.contains(line), "{line}: {}", output.stderr);
    }
}
