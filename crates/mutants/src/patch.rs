//! One mutant: which rule it breaks, what it changes, and the patch that does it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Where the mutants are.
pub(crate) const FOLDER: &str = "tests/mutants";

/// A file of `tests/mutants`: `# rule: R3`, `# what: …`, then a diff.
#[derive(Debug)]
pub(crate) struct Patch {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) rule: String,
    pub(crate) what: String,
}

impl Patch {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("reading the mutant {}", path.display()))?;
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let header = |key: &str| {
            heading(&text, key)
                .with_context(|| format!("the mutant {name} does not begin with `# {key}: …`"))
        };
        Ok(Self {
            rule: header("rule")?,
            what: header("what")?,
            path: path.to_owned(),
            name,
        })
    }
}

/// The named mutants, or all of them, in the order of their names.
pub(crate) fn select(root: &Path, names: &[String]) -> Result<Vec<Patch>> {
    let mut patches = Vec::new();
    let folder = root.join(FOLDER);
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {FOLDER}"))? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "patch")
        {
            patches.push(Patch::read(&path)?);
        }
    }
    patches.sort_by(|left, right| left.name.cmp(&right.name));
    for name in names {
        if !patches.iter().any(|patch| patch.name == *name) {
            let known: Vec<&str> = patches.iter().map(|patch| patch.name.as_str()).collect();
            bail!(
                "there is no mutant `{name}` in {FOLDER}; there are {}",
                known.join(", ")
            );
        }
    }
    if !names.is_empty() {
        patches.retain(|patch| names.contains(&patch.name));
    }
    if patches.is_empty() {
        bail!("there is no mutant in {FOLDER}");
    }
    Ok(patches)
}

/// The value of a `# key: value` line above the diff.
fn heading(text: &str, key: &str) -> Option<String> {
    text.lines()
        .take_while(|line| line.starts_with('#'))
        .find_map(|line| {
            line.trim_start_matches('#')
                .trim()
                .strip_prefix(key)?
                .strip_prefix(':')
        })
        .map(|value| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{heading, select};

    /// One that does not would only be found when it is tried.
    #[test]
    fn every_mutant_applies_to_the_sources() {
        let root = workspace::root();
        let applies = |patch: &super::Patch| {
            let mut git = Command::new("git");
            // The checkout may belong to another user; it is only read.
            git.args(["-c", "safe.directory=*", "apply", "--check"]);
            git.arg("--whitespace=nowarn");
            git.arg(&patch.path).current_dir(&root).status().unwrap()
        };
        let patches = select(&root, &[]).unwrap();
        let failed = patches.iter().filter(|patch| !applies(patch).success());
        let failed: Vec<&str> = failed.map(|patch| patch.name.as_str()).collect();
        assert_eq!(failed, Vec::<&str>::new());
    }

    #[test]
    fn headings_are_read_above_the_diff() {
        let text = "# rule: R3\n# what: counts itself\n--- a/x\n# rule: R4\n";
        assert_eq!(heading(text, "rule").as_deref(), Some("R3"));
        assert_eq!(heading(text, "what").as_deref(), Some("counts itself"));
        assert_eq!(heading("--- a/x\n# rule: R4\n", "rule"), None);
    }
}
