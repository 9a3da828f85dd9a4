//! Reads as much of a `Cargo.toml` as the rules need: sections, keys and values by line.
//!
//! It does not understand TOML: a value that spans lines is its first line and the rest are
//! entries without a key. The manifests here are written like that, and cargo checks the rest.

/// One line of a manifest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    /// Counted from 1.
    pub(super) line: usize,
    /// The section's name without brackets, such as `dependencies`.
    pub(super) section: &'a str,
    /// Empty for a line without `=`.
    pub(super) key: &'a str,
    pub(super) value: &'a str,
}

impl<'a> Entry<'a> {
    /// Whether the line states a dependency, of whichever kind and target.
    pub(super) fn is_dependency(self) -> bool {
        self.section.ends_with("dependencies") && !self.key.is_empty()
    }

    /// Whether the line states a dependency that is not only for tests or builds.
    pub(super) fn is_normal_dependency(self) -> bool {
        let kind = self.section.rsplit('.').next().unwrap_or_default();
        kind == "dependencies" && self.section != "workspace.dependencies" && !self.key.is_empty()
    }

    /// The package that a dependency line names: `a` of `a.workspace = true`.
    pub(super) fn dependency(self) -> &'a str {
        self.key.split('.').next().unwrap_or_default()
    }
}

/// The lines of a manifest that are neither empty nor comments.
pub(super) fn entries(text: &str) -> Vec<Entry<'_>> {
    let mut section = "";
    let mut entries = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with('[') && line.ends_with(']') && !line.contains('=') {
            section = line.trim_matches(['[', ']']);
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or(("", line));
        entries.push(Entry {
            line: number + 1,
            section,
            key: key.trim(),
            value: value.trim(),
        });
    }
    entries
}

/// The package's name.
pub(super) fn package_name(text: &str) -> Option<&str> {
    entries(text)
        .into_iter()
        .find(|entry| entry.section == "package" && entry.key == "name")
        .map(|entry| entry.value.trim_matches('"'))
}
