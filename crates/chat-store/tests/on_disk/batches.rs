//! R16: the same commands give the same tables and outcomes, however they are split into batches.

use bytes::Bytes;
use chat_store::{ChainValue, ChatState, CommittedEntry, LogIndex, Term};
use futures::executor::block_on;

use crate::history::{USERS, create_user, random_command};
use crate::tables::dump;

#[test]
fn tables_and_outcomes_do_not_depend_on_batch_sizes() {
    let expected = run(1, false);
    assert!(expected.1.len() > 10_000);
    assert!(run(2000, false) == expected, "one batch");
    assert!(
        run(64, true) == expected,
        "batches of up to 64, with commits and restarts"
    );
    assert!(
        run(700, true) == expected,
        "batches larger than a statement"
    );
}

fn run(batch_max: usize, restarts: bool) -> (Vec<Bytes>, String) {
    let directory = tempfile::tempdir().unwrap();
    let (mut state, _) = ChatState::open(directory.path()).unwrap();
    let history = history();
    let mut random = fastrand::Rng::with_seed(batch_max as u64);
    let mut outcomes = Vec::new();
    let mut rest = history.as_slice();
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(random.usize(1..=batch_max).min(rest.len()));
        outcomes.extend(block_on(state.apply(batch)).unwrap().outcomes);
        rest = after;
        if restarts && random.bool() {
            block_on(state.commit()).unwrap();
        }
        if restarts && random.u8(0..20) == 0 {
            state.close().unwrap();
            (state, _) = ChatState::open(directory.path()).unwrap();
        }
    }
    state.close().unwrap();
    (outcomes, dump(directory.path()))
}

fn history() -> Vec<CommittedEntry> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut commands = vec![None];
    commands.extend((1..=USERS).map(|number| Some(create_user(number))));
    commands.extend((0..1500).map(|serial| Some(random_command(&mut random, serial))));
    let entry = |(command, index)| CommittedEntry {
        index: LogIndex(index),
        term: Term(1),
        chain: ChainValue([1; 16]),
        command,
    };
    commands.into_iter().zip(1..).map(entry).collect()
}
