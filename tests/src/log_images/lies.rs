//! Disks that confirm what they lose.

use crate::faulty_disk::{Tearing, Trouble};

use super::Report;
use super::expected::{Candidates, Expected};
use super::machine::Machine;
use super::step::Step;
use super::verdict::judge;

const STEPS: usize = 40;

/// One sync does nothing, or one of its sectors goes elsewhere; the log goes on for a while, and the
/// machine loses power.
fn lie(
    machine: &Machine,
    trouble: Trouble,
    random: &mut fastrand::Rng,
    counts: &mut Report,
) -> Result<(), String> {
    let mut image = machine.fork(random.u64(..));
    let during_start = random.u32(0..4) == 0;
    if during_start {
        image
            .directory
            .plan(random.u64(0..6), trouble, random.u64(..));
    }
    let started = image.reopen(&Candidates::only(&machine.expected));
    if !during_start {
        started.clone()?;
        let operation = image.directory.operations() + random.u64(0..6);
        image.directory.plan(operation, trouble, random.u64(..));
    }
    let mut pending: Vec<Expected> = Vec::new();
    let mut steps = String::new();
    let further = if started.is_ok() { random.u32(1..5) } else { 0 };
    for _ in 0..further {
        let step = image.draw();
        if matches!(step, Step::Reopen) {
            // The start after the power loss is the one that is judged.
            break;
        }
        steps = format!("{steps}\n    {step:?}");
        let candidates = image.expected.candidates(&step);
        let result = image.try_step(&step);
        if result.is_err() {
            // It noticed: nothing more is acknowledged.
            pending = candidates.into_states();
            break;
        }
    }
    if image.directory.occurred().is_none() {
        return Ok(());
    }
    image.end();
    image.directory = image.directory.lose_power(random, Tearing::Never);
    let found = image.open();
    let verdict = judge(&found, &image.since_witness, &pending, &image.written)
        .map_err(|why| format!("{trouble:?} before the end of{steps}\n{why}"))?;
    counts.add(format!("{trouble:?}: {verdict:?}"));
    Ok(())
}

/// The newest flushes are lost: the disk is as it was, and nothing on it remembers more.
fn lose_flushes(
    machine: &Machine,
    history: &[(u64, Candidates)],
    random: &mut fastrand::Rng,
    counts: &mut Report,
) -> Result<(), String> {
    let mut image = machine.fork(random.u64(..));
    let flushes = image.directory.flushes();
    let lost;
    (image.directory, lost) = image.directory.lose_flushes(random.usize(1..60));
    let left = flushes - lost as u64;
    let (first, _) = history[0];
    if left < first {
        // The disk is in the middle of its first start, which has promised nothing.
        return Ok(());
    }
    // The step within which the last flush was made that is left.
    let place = history.iter().position(|(after, _)| *after >= left);
    let place = place.expect("the newest step made the newest flush");
    let (_, candidates) = &history[place];
    image
        .reopen(candidates)
        .map_err(|why| format!("{lost} of {flushes} flushes lost: {why}"))?;
    let forgotten = image.expected.last() != machine.expected.last()
        || image.expected.hard_state != machine.expected.hard_state;
    let what = if forgotten { "Forgotten" } else { "Whole" };
    counts.add(format!("flushes lost: {what}"));
    Ok(())
}

fn run(seed: u64, counts: &mut Report) {
    let mut random = fastrand::Rng::with_seed(seed ^ 0x11E5);
    let mut machine = Machine::new(seed + 1_000_000);
    let empty = Candidates::only(&machine.expected);
    let mut history = vec![(machine.directory.flushes(), empty)];
    for number in 0..STEPS {
        let step = machine.draw();
        let context = format!("seed {seed}, step {number}, after {step:?}");
        let candidates = machine.expected.candidates(&step);
        let taken = machine.step(&step);
        if taken.is_err() {
            return counts.check(&context, taken);
        }
        history.push((machine.directory.flushes(), candidates));
        for trouble in [Trouble::SyncLies, Trouble::Misdirected] {
            let checked = lie(&machine, trouble, &mut random, counts);
            counts.check(&context, checked);
        }
        let checked = lose_flushes(&machine, &history, &mut random, counts);
        counts.check(&context, checked);
    }
}

/// R18: a log on a disk that lied has everything, or says what is missing, or is another disk.
pub fn lies(seeds: u64) -> Report {
    let mut counts = Report::default();
    for seed in 0..seeds {
        run(seed, &mut counts);
    }
    counts
}
