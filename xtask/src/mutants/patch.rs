//! One mutant: which rule it breaks, what it changes, and the patch that does it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A file of `tests/mutants`: `# rule: R3`, `# what: …`, then a diff.
#[derive(Debug)]
pub(super) struct Patch {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) rule: String,
    pub(super) what: String,
}

impl Patch {
    pub(super) fn read(path: &Path) -> Result<Self> {
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
    use super::heading;

    #[test]
    fn headings_stand_above_the_diff() {
        let text = "# rule: R3\n# what: counts itself\n--- a/x\n# rule: R4\n";
        assert_eq!(heading(text, "rule").as_deref(), Some("R3"));
        assert_eq!(heading(text, "what").as_deref(), Some("counts itself"));
        assert_eq!(heading("--- a/x\n# rule: R4\n", "rule"), None);
    }
}
