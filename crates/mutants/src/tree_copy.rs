//! A copy of the repository's files that can be changed and restored.
//!
//! Only files that differ are written, so that cargo builds again only what a mutant touched.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

#[derive(Debug)]
pub(crate) struct TreeCopy {
    pub(crate) folder: PathBuf,
    /// What the original held when the copy was made: a developer may be changing it meanwhile,
    /// and every mutant must be tried on the same sources.
    snapshot: BTreeMap<String, Vec<u8>>,
}

impl TreeCopy {
    /// Copies the repository as it is now.
    pub(crate) fn new(original: &Path, folder: PathBuf) -> Result<Self> {
        let mut snapshot = BTreeMap::new();
        for (name, path) in workspace::source_files(original)? {
            let content = fs::read(&path).with_context(|| format!("reading {name}"))?;
            snapshot.insert(name, content);
        }
        let copy = Self { folder, snapshot };
        copy.restore()?;
        Ok(copy)
    }

    /// Undoes every change in the copy.
    pub(crate) fn restore(&self) -> Result<()> {
        fs::create_dir_all(&self.folder)
            .with_context(|| format!("creating {}", self.folder.display()))?;
        for (name, content) in &self.snapshot {
            let copy = self.folder.join(name);
            if fs::read(&copy).ok().as_ref() != Some(content) {
                let parent = copy.parent().unwrap_or(&self.folder);
                fs::create_dir_all(parent)
                    .with_context(|| format!("creating {}", parent.display()))?;
                fs::write(&copy, content).with_context(|| format!("copying {name}"))?;
            }
        }
        for (name, path) in workspace::source_files(&self.folder)? {
            if !self.snapshot.contains_key(&name) {
                fs::remove_file(&path).with_context(|| format!("removing the copy of {name}"))?;
            }
        }
        Ok(())
    }

    /// Applies a patch to the copy.
    pub(crate) fn apply(&self, patch: &Path) -> Result<()> {
        let mut command = Command::new("git");
        command
            .args(["apply", "--whitespace=nowarn"])
            .arg(patch)
            .current_dir(&self.folder);
        // Inside a repository git would skip files that the repository ignores, and the copy is
        // such a place: let it find none.
        command.env(
            "GIT_CEILING_DIRECTORIES",
            self.folder.parent().unwrap_or(&self.folder),
        );
        workspace::run(&mut command)
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use super::TreeCopy;

    #[test]
    fn changed_copy_is_restored() {
        let home = env::temp_dir().join(format!("mutants-tree-copy-{}", process::id()));
        let original = home.join("original");
        fs::create_dir_all(original.join("src")).unwrap();
        fs::create_dir_all(original.join("target")).unwrap();
        fs::write(original.join(".gitignore"), "/target/\n").unwrap();
        fs::write(original.join("src/a.rs"), "one\ntwo\n").unwrap();
        fs::write(original.join("target/x"), "built").unwrap();

        let copy = TreeCopy::new(&original, home.join("target/copy")).unwrap();
        assert!(!copy.folder.join("target").exists());
        let written = fs::metadata(copy.folder.join("src/a.rs"))
            .unwrap()
            .modified()
            .unwrap();

        let patch = home.join("a.patch");
        let diff = "--- a/src/a.rs\n+++ b/src/a.rs\n@@ -1,2 +1,2 @@\n one\n-two\n+three\n";
        fs::write(&patch, format!("# rule: R1\n# what: a change\n{diff}")).unwrap();
        copy.apply(&patch).unwrap();
        assert_eq!(
            fs::read_to_string(copy.folder.join("src/a.rs")).unwrap(),
            "one\nthree\n"
        );
        assert!(copy.apply(&patch).is_err(), "a patch applies once");

        fs::write(copy.folder.join("src/stray.rs"), "").unwrap();
        fs::write(original.join("src/a.rs"), "a developer changes it").unwrap();
        copy.restore().unwrap();
        assert_eq!(
            fs::read_to_string(copy.folder.join("src/a.rs")).unwrap(),
            "one\ntwo\n"
        );
        assert!(!copy.folder.join("src/stray.rs").exists());

        let repaired = fs::metadata(copy.folder.join("src/a.rs"))
            .unwrap()
            .modified()
            .unwrap();
        copy.restore().unwrap();
        let untouched = fs::metadata(copy.folder.join("src/a.rs"))
            .unwrap()
            .modified()
            .unwrap();
        assert!(written <= repaired && repaired == untouched);
        fs::remove_dir_all(&home).unwrap();
    }
}
