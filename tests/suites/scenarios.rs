//! Plays every transcript. `UPDATE_EXPECT=1` writes down what came of it: read that as code.

use chat_tests::scenario;

#[test]
fn transcripts_read_as_written() {
    let transcripts = scenario::files().unwrap();
    assert!(!transcripts.is_empty());
    for transcript in &transcripts {
        let played = scenario::play(transcript)
            .unwrap_or_else(|why| panic!("{}: {why}", transcript.path.display()));
        expect_test::expect_file![&transcript.path].assert_eq(&played);
    }
}
