//! What happens to one file: which one and how is drawn from a seed, and is always a change.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fastrand::Rng;

use crate::damage::tree;

/// A sector, the smallest part of a disk that is lost as a whole.
const SECTOR_BYTES: u64 = 512;
/// Damages near the end of what was written are drawn more often: that is where a torn write is, and
/// where a loss of what was acknowledged would be.
const END_BYTES: u64 = 4096;
/// Files with so little in them, as locks have, are drawn less often.
const SMALL_BYTES: usize = 512;
const SMALL_ONE_IN: u32 = 4;
/// An attempt fails if the drawn damage would change nothing; the files are never all so.
const ATTEMPTS_MAX: u32 = 10_000;

/// One damage to one file of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDamage {
    /// The file, below the node's directory.
    pub file: PathBuf,
    /// What happens to it.
    pub change: Change,
}

/// What happens to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// One bit has the other value.
    Flip {
        /// The byte.
        at: u64,
        /// The bit, 0 to 7.
        bit: u32,
    },
    /// So many bytes are zero.
    Zero {
        /// The first of them.
        at: u64,
        /// How many.
        length: u64,
    },
    /// The file ends here.
    Truncate {
        /// Its new length.
        length: u64,
    },
    /// The file is gone.
    Delete,
    /// The file is as it was earlier.
    OldCopy {
        /// Its content then.
        from: PathBuf,
    },
    /// The file is that of another node.
    ForeignCopy {
        /// The other one.
        from: PathBuf,
    },
}

/// The directories that a damage is drawn from, and taken from.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The node's own.
    pub own: &'a Path,
    /// As it was earlier.
    pub old: &'a Path,
    /// Those of other nodes.
    pub foreign: &'a [PathBuf],
}

impl Change {
    /// Its name in the table.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Flip { .. } => "flip",
            Self::Zero { .. } => "zero",
            Self::Truncate { .. } => "truncate",
            Self::Delete => "delete",
            Self::OldCopy { .. } => "old copy",
            Self::ForeignCopy { .. } => "foreign copy",
        }
    }

    /// The content afterwards; `None` if the file is gone.
    fn after(&self, before: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = before.to_vec();
        match self {
            Self::Flip { at, bit } => bytes[place(*at)] ^= 1 << bit,
            Self::Zero { at, length } => bytes[place(*at)..place(at + length)].fill(0),
            Self::Truncate { length } => bytes.truncate(place(*length)),
            Self::Delete => return Ok(None),
            Self::OldCopy { from } | Self::ForeignCopy { from } => bytes = fs::read(from)?,
        }
        Ok(Some(bytes))
    }
}

impl fmt::Display for FileDamage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} of {}", self.change.name(), self.file.display())?;
        match &self.change {
            Change::Flip { at, bit } => write!(out, ", bit {bit} of byte {at}"),
            Change::Zero { at, length } => write!(out, ", {length} bytes from {at}"),
            Change::Truncate { length } => write!(out, ", to {length} bytes"),
            Change::Delete => Ok(()),
            Change::OldCopy { from } | Change::ForeignCopy { from } => {
                write!(out, ", from {}", from.display())
            }
        }
    }
}

impl FileDamage {
    /// Draws a damage that changes a file. Each kind of file is drawn equally often, but for small
    /// ones.
    ///
    /// # Errors
    ///
    /// The system's, and when no damage that changes anything is found.
    pub fn draw(rng: &mut Rng, sources: Sources<'_>) -> io::Result<Self> {
        let files = by_kind(sources.own)?;
        let kinds: Vec<&String> = files.keys().collect();
        for _ in 0..ATTEMPTS_MAX {
            let Some(kind) = rng.choice(&kinds) else {
                break;
            };
            let Some(file) = rng.choice(&files[*kind]) else {
                continue;
            };
            let before = fs::read(sources.own.join(file))?;
            if before.len() < SMALL_BYTES && rng.u32(0..SMALL_ONE_IN) != 0 {
                continue;
            }
            let Some(change) = draw_change(rng, sources, file, &before)? else {
                continue;
            };
            if change.after(&before)?.as_ref() != Some(&before) {
                let file = file.clone();
                return Ok(Self { file, change });
            }
        }
        Err(io::Error::other("no damage changes any file"))
    }

    /// Damages the file below `directory`.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn apply(&self, directory: &Path) -> io::Result<()> {
        let path = directory.join(&self.file);
        match self.change.after(&fs::read(&path)?)? {
            Some(bytes) => tree::write_file(&path, &bytes),
            None => fs::remove_file(&path),
        }
    }
}

/// The files of a directory by what they are.
pub(crate) fn by_kind(directory: &Path) -> io::Result<BTreeMap<String, Vec<PathBuf>>> {
    let mut kinds: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for file in tree::files(directory)? {
        kinds.entry(tree::kind(&file)).or_default().push(file);
    }
    Ok(kinds)
}

/// `None` if that damage cannot happen to this file.
fn draw_change(
    rng: &mut Rng,
    sources: Sources<'_>,
    file: &Path,
    before: &[u8],
) -> io::Result<Option<Change>> {
    Ok(match rng.u32(0..6) {
        0 => draw_place(rng, before).map(|at| Change::Flip {
            at,
            bit: rng.u32(0..8),
        }),
        1 => draw_place(rng, before).map(|at| {
            let at = at / SECTOR_BYTES * SECTOR_BYTES;
            let length = SECTOR_BYTES.min(before.len() as u64 - at);
            Change::Zero { at, length }
        }),
        2 => draw_place(rng, before).map(|length| Change::Truncate { length }),
        3 => Some(Change::Delete),
        4 => counterpart(rng, sources.old, file)?.map(|from| Change::OldCopy { from }),
        _ => match rng.choice(sources.foreign) {
            Some(other) => counterpart(rng, other, file)?.map(|from| Change::ForeignCopy { from }),
            None => None,
        },
    })
}

/// Mostly a place in what was written, which may be followed by many zeros. `None` for an empty file.
fn draw_place(rng: &mut Rng, bytes: &[u8]) -> Option<u64> {
    let length = bytes.len() as u64;
    let written = bytes.iter().rposition(|byte| *byte != 0);
    let written = written.map_or(length, |last| last as u64 + 1);
    let range = match rng.u32(0..8) {
        0 => 0..length,
        1..=3 => written.saturating_sub(END_BYTES)..written,
        _ => 0..written,
    };
    (!range.is_empty()).then(|| rng.u64(range))
}

/// The file of the same name in another directory, or else one of the same kind.
fn counterpart(rng: &mut Rng, directory: &Path, file: &Path) -> io::Result<Option<PathBuf>> {
    let same = directory.join(file);
    if same.exists() {
        return Ok(Some(same));
    }
    let kinds = by_kind(directory)?;
    let found = kinds.get(&tree::kind(file)).and_then(|all| rng.choice(all));
    Ok(found.map(|found| directory.join(found)))
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).expect("the file is in memory")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use fastrand::Rng;

    use super::{Change, FileDamage, Sources};
    use crate::damage::tree;

    fn directory(home: &Path, name: &str, files: &[(&str, &[u8])]) -> PathBuf {
        let directory = home.join(name);
        fs::create_dir_all(&directory).unwrap();
        for (name, bytes) in files {
            tree::write_file(&directory.join(name), bytes).unwrap();
        }
        directory
    }

    #[test]
    fn every_drawn_damage_changes_its_file_and_no_other() {
        let home = tempfile::tempdir().unwrap();
        let new = vec![3; 2_000];
        let own = directory(
            home.path(),
            "own",
            &[("a", &new), ("1.b", &[0; 700]), ("lock", b"")],
        );
        let old = directory(home.path(), "old", &[("a", &new), ("2.b", b"old")]);
        let foreign = [directory(home.path(), "foreign", &[("a", b"other")])];
        let copy = home.path().join("copy");
        let mut drawn = BTreeSet::new();
        for seed in 0..250 {
            let sources = Sources {
                own: &own,
                old: &old,
                foreign: &foreign,
            };
            let damage = FileDamage::draw(&mut Rng::with_seed(seed), sources).unwrap();
            tree::restore(&own, &copy).unwrap();
            damage.apply(&copy).unwrap();
            for file in tree::files(&own).unwrap() {
                let before = fs::read(own.join(&file)).ok();
                let after = fs::read(copy.join(&file)).ok();
                assert_eq!(before == after, file != damage.file, "{damage}");
            }
            drawn.insert((tree::kind(&damage.file), damage.change.name()));
        }
        let drawn: Vec<String> = drawn
            .iter()
            .map(|(file, name)| format!("{file} {name}"))
            .collect();
        let expected = "*.b delete, *.b flip, *.b old copy, *.b truncate, a delete, a flip, \
                        a foreign copy, a truncate, a zero, lock delete";
        assert_eq!(drawn.join(", "), expected);
    }

    #[test]
    fn change_of_a_sector_begins_at_its_multiple() {
        let home = tempfile::tempdir().unwrap();
        let own = directory(home.path(), "own", &[("a", &[9; 5_000])]);
        let sources = Sources {
            own: &own,
            old: &own,
            foreign: &[],
        };
        let mut seen = 0;
        for seed in 0..200 {
            let damage = FileDamage::draw(&mut Rng::with_seed(seed), sources).unwrap();
            if let Change::Zero { at, length } = damage.change {
                seen += 1;
                assert_eq!(at % 512, 0);
                assert_eq!(length, (5_000 - at).min(512));
            }
        }
        assert!(seen > 10, "{seen}");
    }
}
