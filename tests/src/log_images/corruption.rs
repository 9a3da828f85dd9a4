//! Rot: one thing on the medium is not what was written.

use crate::faulty_disk::{DiskImage, FaultyDirectory, Rot, SECTOR, Tearing};

use super::Report;
use super::expected::{Candidates, Expected, Found};
use super::machine::{Machine, describe};
use super::verdict::{Outcome, judge};

const STEPS: usize = 40;
const IMAGES_PER_STEP: usize = 8;

/// The file with term and vote.
const NODE: &str = "node";

/// The disk as it was, and what was expected then.
type Earlier = (DiskImage, Expected);

/// What rots, drawn for a disk.
#[derive(Debug)]
struct Damage {
    name: String,
    /// `None` is an old copy of the file.
    rot: Option<Rot>,
    class: &'static str,
}

impl Damage {
    fn draw(directory: &FaultyDirectory, random: &mut fastrand::Rng) -> Option<Self> {
        let files = directory.files_on_medium();
        let segments: Vec<&String> = files
            .iter()
            .map(|(name, _)| name)
            .filter(|name| *name != NODE)
            .collect();
        let name = if segments.is_empty() || random.u32(0..4) == 0 {
            NODE.to_owned()
        } else if random.u32(0..3) == 0 {
            // The newest one is where most of the logic is.
            (*segments.iter().max()?).clone()
        } else {
            segments[random.usize(0..segments.len())].clone()
        };
        let used = directory.used_sectors(&name);
        if used.is_empty() {
            return None;
        }
        let sector = used[random.usize(0..used.len())];
        let first_bit = (sector * SECTOR * 8) as u64;
        let (rot, whole) = match random.u32(0..10) {
            0..4 => {
                let bit = first_bit + random.u64(0..SECTOR as u64 * 8);
                (Some(Rot::Flip { bit }), false)
            }
            4..6 => (Some(Rot::Zero { sector }), false),
            6 => {
                let right = used[random.usize(0..used.len())];
                (
                    Some(Rot::Swap {
                        left: sector,
                        right,
                    }),
                    false,
                )
            }
            7 => {
                let length = (sector * SECTOR + random.usize(0..SECTOR)) as u64;
                (Some(Rot::Truncate { length }), true)
            }
            8 => (Some(Rot::Remove), true),
            _ => (None, true),
        };
        let class = match (name == NODE, whole, sector) {
            (true, false, _) => "slot",
            (true, true, _) => "node",
            (false, true, _) => "segment",
            (false, false, 0) => "header",
            (false, false, _) => "body",
        };
        Some(Self { name, rot, class })
    }

    fn kind(&self) -> &'static str {
        match self.rot {
            Some(Rot::Flip { .. }) => "flip",
            Some(Rot::Zero { .. }) => "zero",
            Some(Rot::Swap { .. }) => "swap",
            Some(Rot::Truncate { .. }) => "truncate",
            Some(Rot::Remove) => "remove",
            None => "old copy",
        }
    }
}

/// One disk rots, is opened, perhaps crashes while it is, and is judged.
fn rot(
    machine: &Machine,
    earlier: &[Earlier],
    random: &mut fastrand::Rng,
    counts: &mut Report,
) -> Result<(), String> {
    let mut image = machine.fork(random.u64(..));
    if random.bool() {
        image.reopen(&Candidates::only(&machine.expected))?;
        image.close().map_err(|error| describe(&error))?;
    } else {
        (image.directory, _) = image.directory.lose_flushes(0);
    }
    let Some(damage) = Damage::draw(&image.directory, random) else {
        return Ok(());
    };
    let mut pending = Vec::new();
    let (directory, changed) = match damage.rot {
        Some(rot) => image.directory.rot(&damage.name, rot),
        None => {
            let (disk, expected) = &earlier[random.usize(0..earlier.len())];
            if damage.name == NODE {
                // Nothing else remembers term and vote.
                pending.push(image.expected.with_node_of(expected));
            }
            image.directory.restore(&damage.name, disk)
        }
    };
    image.directory = directory;
    if !changed {
        return Ok(());
    }
    let mut crashed = String::new();
    if random.u32(0..3) == 0 {
        image.directory.record();
        // Its outcome is judged below, after the crash.
        let first = image.open();
        let first = first.map_or_else(|error| describe(&error), |found| found.describe());
        let points = image.directory.take_recorded();
        if !points.is_empty() {
            let point = &points[random.usize(0..points.len())];
            let dead = point.crash(random.u64(..));
            image = image.on(dead.lose_power(random, Tearing::Never), random.u64(..));
            crashed = format!(", with a crash in {point:?} of a start that found {first}");
        }
    }
    let context = |why| format!("{damage:?}{crashed}: {why}");
    let found = image.open();
    let verdict = judge(&found, &image.since_witness, &pending, &image.written).map_err(context)?;
    let old_node = !pending.is_empty() && verdict == Outcome::Whole;
    let verdict_text = if old_node {
        "Forgotten".to_owned()
    } else {
        format!("{verdict:?}")
    };
    counts.add(format!(
        "{} of {}: {verdict_text}",
        damage.kind(),
        damage.class
    ));
    if !crashed.is_empty() {
        counts.add("crashed during recovery");
    }
    if let Ok(found) = found {
        check_stable(image, &found, random).map_err(context)?;
    }
    Ok(())
}

/// What a start decided stays decided.
fn check_stable(
    mut image: Machine,
    first: &Found,
    random: &mut fastrand::Rng,
) -> Result<(), String> {
    image.end();
    image.directory = image.directory.lose_power(random, Tearing::Never);
    let second = image
        .open()
        .map_err(|error| format!("a second start fails: {}", describe(&error)))?;
    let same = first.opened.stored == second.opened.stored
        && first.opened.chain == second.opened.chain
        && first.opened.amnesia == second.opened.amnesia
        && first.opened.hole == second.opened.hole;
    if same {
        Ok(())
    } else {
        Err(format!(
            "two starts disagree:\n    {:?}\n    {:?}",
            first.opened, second.opened
        ))
    }
}

fn run(seed: u64, counts: &mut Report) {
    let mut random = fastrand::Rng::with_seed(seed ^ 0x0707);
    let mut machine = Machine::new(seed + 2_000_000);
    let mut earlier = vec![(machine.directory.image(), machine.expected.clone())];
    for number in 0..STEPS {
        let step = machine.draw();
        let context = format!("seed {seed}, step {number}, after {step:?}");
        let taken = machine.step(&step);
        if taken.is_err() {
            return counts.check(&context, taken);
        }
        for _ in 0..IMAGES_PER_STEP {
            let checked = rot(&machine, &earlier, &mut random, counts);
            counts.check(&context, checked);
        }
        earlier.push((machine.directory.image(), machine.expected.clone()));
    }
}

/// R18: a log that is damaged in one place has everything, or says what is damaged, or is another disk.
pub fn corruptions(seeds: u64) -> Report {
    let mut counts = Report::default();
    for seed in 0..seeds {
        run(seed, &mut counts);
    }
    counts
}
