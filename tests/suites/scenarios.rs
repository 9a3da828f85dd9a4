//! Runs every scenario. `UPDATE_EXPECT=1` writes the output into the file: read the diff as code.

use chat_tests::scenario;

#[test]
fn scenarios_produce_their_expected_output() {
    let scenarios = scenario::files().unwrap();
    assert!(!scenarios.is_empty());
    for scenario in &scenarios {
        let output = scenario::run(scenario)
            .unwrap_or_else(|why| panic!("{}: {why}", scenario.path.display()));
        expect_test::expect_file![&scenario.path].assert_eq(&output);
    }
}
