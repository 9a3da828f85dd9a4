//! One file of one node is damaged, again and again: each time in a restored copy of a healthy cluster
//! of real servers, which must detect the damage or be indifferent to it.
//!
//! A round passes if the cluster serves, everything that was acknowledged is there and nothing else,
//! read through the damaged node too, new messages are acknowledged, and the damaged node is level
//! again by itself, as a voter, or with another storage id as a learner, which votes again later (R18,
//! R20). Nothing here depends on the names of files: the files of a node are those that are found in its
//! directory.
//!
//! Only one file is damaged at a time: two disks that lie at once are the operator's problem.

pub mod facts;
pub mod file_damage;
pub mod golden;
pub mod record;
pub mod round;
mod serving;
pub mod tree;

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::{JoinSet, LocalSet};
use tokio::time::timeout;

use golden::Goldens;
use record::{Record, Records};
use round::Plan;

/// Building the healthy cluster and its copies; half a minute on a slow machine.
const GOLDEN_LIMIT: Duration = Duration::from_secs(180);

/// Which rounds are run.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many damages.
    pub count: u64,
    /// The first one's seed; the next one's is greater by one.
    pub first_seed: u64,
    /// How many clusters are damaged at the same time.
    pub workers: u64,
    /// Where the directories and logs of rounds that fail are copied to.
    pub keep: Option<PathBuf>,
}

/// Runs the rounds, prints a line for each, and returns all of them.
///
/// Each worker builds a healthy cluster first and runs a round without damage on each copy of it.
///
/// # Panics
///
/// When a healthy cluster cannot be built.
pub async fn run(options: &Options) -> Records {
    let next = Rc::new(AtomicU64::new(0));
    // What takes time is in the servers: one thread is enough for all that waits for them.
    let thread = LocalSet::new();
    let mut workers = JoinSet::new();
    for _ in 0..options.workers {
        workers.spawn_local_on(work(options.clone(), Rc::clone(&next)), &thread);
    }
    let mut all = Records::default();
    for records in thread.run_until(workers.join_all()).await {
        all.extend(records);
    }
    all
}

async fn work(options: Options, next: Rc<AtomicU64>) -> Records {
    let built = timeout(GOLDEN_LIMIT, Goldens::build()).await;
    let mut goldens = built.unwrap_or_else(|_late| panic!("no cluster within {GOLDEN_LIMIT:?}"));
    let mut records = Records::default();
    for number in 0..goldens.len() {
        let plan = Plan::undamaged(number);
        note(&mut records, round::run(&mut goldens, &plan, None).await);
    }
    loop {
        let number = next.fetch_add(1, Ordering::SeqCst);
        if number >= options.count {
            return records;
        }
        let plan = Plan::draw(&goldens, options.first_seed + number);
        let keep = options.keep.as_deref();
        note(&mut records, round::run(&mut goldens, &plan, keep).await);
    }
}

fn note(records: &mut Records, record: Record) {
    println!("{record}");
    records.push(record);
}
