//! Crashes on disks that keep their promises: at every operation, by the end of the process or of the
//! machine, also during recovery, and after writes and syncs that failed.

use crate::faulty_disk::{CrashPoint, FaultyDirectory, Tearing, Trouble};

use super::Report;
use super::expected::{Candidates, Expected};
use super::machine::{Machine, describe};

/// How a process ends.
#[derive(Clone, Copy, Debug)]
enum Death {
    Kill,
    PowerLoss,
    PowerLossThatTears,
}

const DEATHS: [Death; 3] = [Death::Kill, Death::PowerLoss, Death::PowerLossThatTears];

const STEPS: usize = 40;

impl Death {
    fn befalls(self, directory: &FaultyDirectory, random: &mut fastrand::Rng) -> FaultyDirectory {
        match self {
            Self::Kill => directory.kill(),
            Self::PowerLoss => directory.lose_power(random, Tearing::Never),
            Self::PowerLossThatTears => directory.lose_power(random, Tearing::AtAnyByte),
        }
    }
}

/// A machine as it is found after a death within `point`.
fn image(
    machine: &Machine,
    point: &CrashPoint,
    death: Death,
    random: &mut fastrand::Rng,
) -> Machine {
    let dead = point.crash(random.u64(..));
    machine.on(death.befalls(&dead, random), random.u64(..))
}

/// Recovery, with or without a crash in its middle, leads to one of the candidates; what it returned
/// stays, and the log can be used.
fn check(
    mut image: Machine,
    candidates: &Candidates,
    random: &mut fastrand::Rng,
    counts: &mut Report,
) -> Result<(), String> {
    if random.u32(0..3) == 0 {
        image.directory.record();
        image.open().map_err(|error| describe(&error))?;
        let points = image.directory.take_recorded();
        if points.is_empty() {
            return Err("a start changes nothing".to_owned());
        }
        let point = &points[random.usize(0..points.len())];
        let death = DEATHS[random.usize(0..DEATHS.len())];
        image = self::image(&image, point, death, random);
        counts.add("crashed again during recovery");
        image
            .reopen(candidates)
            .map_err(|why| format!("{death:?} again, in {point:?} of the recovery: {why}"))?;
    } else {
        image.reopen(candidates)?;
    }
    let found = Candidates::only(&image.expected);
    image.end();
    image.directory = image.directory.lose_power(random, Tearing::Never);
    image
        .reopen(&found)
        .map_err(|why| format!("what a start returned is not durable: {why}"))?;
    if random.u32(0..3) == 0 {
        let step = image.draw();
        image.step(&step)?;
        let after = Candidates::only(&image.expected);
        image.end();
        (image.directory, _) = image.directory.lose_flushes(0);
        image
            .reopen(&after)
            .map_err(|why| format!("after {step:?}: {why}"))?;
    }
    Ok(())
}

/// A write, a sync or a new file fails; the log refuses to go on, and the next start is one after a
/// crash, with a page cache that may have more than the medium.
fn fail_in_a_step(
    machine: &Machine,
    trouble: Trouble,
    random: &mut fastrand::Rng,
    counts: &mut Report,
) -> Result<(), String> {
    let mut image = machine.fork(random.u64(..));
    image.reopen(&Candidates::only(&machine.expected))?;
    let operation = image.directory.operations() + random.u64(0..6);
    image.directory.plan(operation, trouble, random.u64(..));
    let step = image.draw();
    let candidates = image.expected.candidates(&step);
    let result = image.try_step(&step);
    if image.directory.occurred().is_none() {
        return Ok(());
    }
    if result.is_ok() {
        return Err(format!("{trouble:?} in {step:?} is not reported"));
    }
    if image.still_writes() {
        return Err(format!("the log goes on after {trouble:?} in {step:?}"));
    }
    counts.add(format!("{trouble:?}"));
    image.end();
    if random.u32(0..3) == 0 {
        image.directory = image.directory.lose_power(random, Tearing::AtAnyByte);
    }
    check(image, &candidates, random, counts)
        .map_err(|why| format!("{trouble:?} in {step:?}: {why}"))
}

fn run(seed: u64, counts: &mut Report) {
    let mut random = fastrand::Rng::with_seed(seed ^ 0xC0FFEE);
    let mut machine = Machine::new(seed);
    for number in 0..STEPS {
        let step = machine.draw();
        let context = format!("seed {seed}, step {number}, {step:?}");
        let candidates = machine.expected.candidates(&step);
        machine.directory.record();
        let taken = machine.step(&step);
        if taken.is_err() {
            return counts.check(&context, taken);
        }
        for (place, point) in machine.directory.take_recorded().iter().enumerate() {
            let death = DEATHS[random.usize(0..DEATHS.len())];
            counts.add(format!("{death:?}"));
            let image = image(&machine, point, death, &mut random);
            let checked = check(image, &candidates, &mut random, counts);
            counts.check(
                &format!("{context}: {death:?} at {place}, {point:?}"),
                checked,
            );
        }
        let trouble = [Trouble::SyncFails, Trouble::NoSpace][random.usize(0..2)];
        let checked = fail_in_a_step(&machine, trouble, &mut random, counts);
        counts.check(&context, checked);
    }
}

/// R1: what a log acknowledged is there after any crash, and a batch is there whole or not at all.
pub fn crashes(seeds: u64) -> Report {
    let mut counts = Report::default();
    for seed in 0..seeds {
        run(seed, &mut counts);
    }
    counts
}

/// The first start of an empty disk can die anywhere; the next one has an empty log again, whose
/// storage id is durable.
pub fn first_starts(seeds: u64) -> Report {
    let mut counts = Report::default();
    let mut random = fastrand::Rng::with_seed(1);
    for seed in 0..seeds {
        let (machine, points) = Machine::recorded(seed);
        for point in &points {
            for death in DEATHS {
                counts.add(format!("{death:?}"));
                let image = image(&machine, point, death, &mut random);
                let checked = check_first_start(image, &mut random);
                counts.check(&format!("seed {seed}, {death:?} at {point:?}"), checked);
            }
        }
    }
    counts
}

fn check_first_start(mut image: Machine, random: &mut fastrand::Rng) -> Result<(), String> {
    let found = image.open().map_err(|error| describe(&error))?;
    let storage = found.opened.stored.storage;
    let empty = Candidates::only(&Expected::empty(storage));
    empty.find(&found)?;
    image.end();
    image.directory = image.directory.lose_power(random, Tearing::AtAnyByte);
    image.reopen(&empty)
}
