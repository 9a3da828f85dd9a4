//! `docs/embedding.md` is made from the examples, which run.

use std::fs;
use std::path::Path;

#[path = "../examples/lock.rs"]
mod lock;
#[path = "../examples/map.rs"]
mod map;

const LINES_MAX: usize = 100;

fn read(path: &str) -> String {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(package.join(path)).expect("the file is in the repository")
}

/// The blocks of Rust on a page.
fn blocks(page: &str) -> Vec<&str> {
    let after = page.split("```rust\n").skip(1);
    after
        .map(|text| text.split("```").next().expect("there is a first"))
        .collect()
}

#[test]
fn blocks_of_the_page_are_parts_of_the_examples() {
    let examples = [read("examples/map.rs"), read("examples/lock.rs")];
    for example in &examples {
        assert!(example.lines().count() <= LINES_MAX);
    }
    let page = read("../../docs/embedding.md");
    let blocks = blocks(&page);
    assert!(blocks.len() >= 9, "{}", blocks.len());
    for block in blocks {
        let found = examples.iter().any(|example| example.contains(block));
        assert!(found, "no example has this:\n{block}");
    }
}

#[test]
fn map_runs() {
    map::main().unwrap();
}

#[test]
fn locks_run() {
    lock::main().unwrap();
}
