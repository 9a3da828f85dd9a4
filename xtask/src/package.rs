//! `cargo xtask package`: packages the crates that other services depend on, in one call, and builds
//! them from their packages, outside the workspace.
//!
//! Publishing is off, and cargo lets a package depend on another that is only packaged if it may be
//! published. So a copy is packaged in which it may be.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// In the order of their dependencies.
const PACKAGES: [&str; 5] = [
    "private-file",
    "chat-consensus",
    "chat-replication-proto",
    "chat-log",
    "chat-replication",
];

/// What else their manifests name; it is not packaged.
const ALSO_NEEDED: &str = "fuzz";

/// Packages and builds; what comes of it is in `target/package`.
pub(crate) fn run(root: &Path) -> Result<()> {
    let target = workspace::target_directory(root);
    let copy = target.join("package-sources");
    if copy.exists() {
        fs::remove_dir_all(&copy).with_context(|| format!("removing {}", copy.display()))?;
    }
    for (name, path) in workspace::source_files(root)? {
        let content = match name.as_str() {
            "Cargo.toml" => root_manifest(&fs::read_to_string(&path)?)?.into_bytes(),
            "Cargo.lock" => fs::read(&path)?,
            _ if belongs_to_a_package(&name) => fs::read(&path)?,
            _ => continue,
        };
        let copied = copy.join(&name);
        let folder = copied.parent().expect("it is in the copy");
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        fs::write(&copied, content).with_context(|| format!("writing {}", copied.display()))?;
    }
    // Without `--locked`, because most packages of the lock file are not in the copy; the versions of
    // the others stay, because no network is asked for newer ones.
    let mut command =
        std::process::Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    command.current_dir(&copy);
    command.args(["package", "--quiet", "--offline", "--allow-dirty"]);
    command.arg("--target-dir").arg(&target);
    for package in PACKAGES {
        command.args(["--package", package]);
    }
    workspace::run(&mut command)
}

fn belongs_to_a_package(name: &str) -> bool {
    let mut folders = name.split('/');
    match folders.next() {
        Some("crates") => folders
            .next()
            .is_some_and(|folder| PACKAGES.contains(&folder)),
        folder => folder == Some(ALSO_NEEDED),
    }
}

/// The root manifest with the copied members only, which may be published.
fn root_manifest(text: &str) -> Result<String> {
    let is_wanted = |line: &&str| {
        let member = line.trim().trim_end_matches(',');
        let member = member
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        member.is_none_or(|folder| belongs_to_a_package(&format!("{folder}/Cargo.toml")))
    };
    let text: Vec<&str> = text.lines().filter(is_wanted).collect();
    let text = text.join("\n");
    if !text.contains("\npublish = false\n") {
        bail!("the root manifest does not turn publishing off");
    }
    Ok(text.replace("\npublish = false\n", "\npublish = true\n"))
}

#[cfg(test)]
mod tests {
    use super::root_manifest;

    #[test]
    fn copied_manifest_has_the_packages_and_may_be_published() {
        let text = "members = [\n    \"crates/chat-store\",\n    \"crates/chat-log\",\n    \
                    \"fuzz\",\n    \"tests\",\n]\npublish = false\n[x]";
        let expected = "members = [\n    \"crates/chat-log\",\n    \"fuzz\",\n]\n\
                        publish = true\n[x]";
        assert_eq!(root_manifest(text).unwrap(), expected);
        assert!(root_manifest("members = []").is_err());
    }
}
