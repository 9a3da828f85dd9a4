//! Rules about manifests and the toolchain file.

use super::manifest;
use super::repository::{Finding, Repository};

const ROOT: &str = "Cargo.toml";
const TOOLCHAIN: &str = "rust-toolchain.toml";
const CORE: &str = "crates/chat-consensus/Cargo.toml";

/// All that the core may depend on: no clock, file, socket, thread or async among them.
const CORE_DEPENDENCIES: [&str; 4] = ["bytes", "fastrand", "sha2", "thiserror"];

/// A package that is not a member is neither built nor tested.
pub(super) fn every_member_is_listed(repository: &Repository) -> Vec<Finding> {
    let fix = "list its folder in `members` of the root manifest";
    let root = match root_manifest(repository) {
        Ok(root) => root,
        Err(missing) => return vec![missing],
    };
    let listed: Vec<&str> = root
        .lines()
        .filter_map(|line| {
            line.trim()
                .trim_end_matches(',')
                .strip_prefix('"')?
                .strip_suffix('"')
        })
        .collect();
    let is_listed = |path: &str| {
        path.strip_suffix("/Cargo.toml")
            .is_some_and(|folder| listed.contains(&folder))
    };
    members(repository)
        .filter(|(path, _)| !is_listed(path))
        .map(|(path, _)| Finding::new(path, 1, "the package is not a member of the workspace", fix))
        .collect()
}

/// Every member has the workspace's lints.
pub(super) fn members_take_the_lint_table(repository: &Repository) -> Vec<Finding> {
    let fix = "add `[lints]` with `workspace = true`";
    members(repository)
        .filter(|(_, text)| {
            !manifest::entries(text).iter().any(|entry| {
                entry.section == "lints" && entry.key == "workspace" && entry.value == "true"
            })
        })
        .map(|(path, _)| {
            Finding::new(
                path,
                1,
                "the workspace's lint table does not apply here",
                fix,
            )
        })
        .collect()
}

/// Members name a dependency; its version and source are in the root manifest.
pub(super) fn versions_live_in_the_root_manifest(repository: &Repository) -> Vec<Finding> {
    let fix = "put version and path under `[workspace.dependencies]` of the root manifest and \
               write `workspace = true` here";
    let mut findings = Vec::new();
    for (path, text) in members(repository) {
        for entry in manifest::entries(text) {
            let inherits = (entry.key.ends_with(".workspace") && entry.value == "true")
                || entry.value.contains("workspace = true");
            if entry.is_dependency() && !inherits {
                let problem = format!("`{}` has a source of its own", entry.dependency());
                findings.push(Finding::new(path, entry.line, problem, fix));
            }
            if entry
                .section
                .rsplit_once('.')
                .is_some_and(|(kind, _)| kind.ends_with("dependencies"))
            {
                let problem = format!("`[{}]` is a table of its own", entry.section);
                findings.push(Finding::new(path, entry.line, problem, fix));
            }
        }
    }
    findings
}

/// Paths of the root manifest lead somewhere.
pub(super) fn named_paths_exist(repository: &Repository) -> Vec<Finding> {
    let root = match root_manifest(repository) {
        Ok(root) => root,
        Err(missing) => return vec![missing],
    };
    let mut findings = Vec::new();
    for (number, line) in root.lines().enumerate() {
        let named = line
            .split_once("path = \"")
            .and_then(|(_, rest)| rest.split('"').next());
        if let Some(path) = named
            && !repository.has(&format!("{path}/Cargo.toml"))
        {
            let problem = format!("there is no package in `{path}`");
            findings.push(Finding::new(ROOT, number + 1, problem, "correct the path"));
        }
    }
    findings
}

/// The pinned toolchain is the one that the manifest promises.
pub(super) fn toolchain_is_the_rust_version(repository: &Repository) -> Vec<Finding> {
    let fix = "pin one release, and let `rust-version` name it";
    let both =
        root_manifest(repository).and_then(|root| Ok((root, repository.required(TOOLCHAIN, fix)?)));
    let (root, toolchain) = match both {
        Ok(both) => both,
        Err(missing) => return vec![missing],
    };
    let promised = value(root, "workspace.package", "rust-version").unwrap_or_default();
    let pinned = value(toolchain, "toolchain", "channel").unwrap_or_default();
    let agree = !promised.is_empty()
        && (pinned == promised
            || pinned
                .strip_prefix(promised)
                .is_some_and(|patch| patch.starts_with('.')));
    if agree {
        return Vec::new();
    }
    let problem = format!("the toolchain is `{pinned}` but `rust-version` is `{promised}`");
    vec![Finding::new(TOOLCHAIN, 1, problem, fix)]
}

/// What keeps the core pure.
pub(super) fn core_depends_on_little(repository: &Repository) -> Vec<Finding> {
    let fix = "move what needs it out of the core, or argue for a longer list in `tidy`";
    let text = match repository.required(CORE, "the core is missing") {
        Ok(text) => text,
        Err(missing) => return vec![missing],
    };
    manifest::entries(text)
        .into_iter()
        .filter(|entry| entry.is_normal_dependency())
        .filter(|entry| !CORE_DEPENDENCIES.contains(&entry.dependency()))
        .map(|entry| {
            let problem = format!("the core depends on `{}`", entry.dependency());
            Finding::new(CORE, entry.line, problem, fix)
        })
        .collect()
}

fn members(repository: &Repository) -> impl Iterator<Item = (&str, &str)> {
    repository.with_extension("/Cargo.toml")
}

fn root_manifest(repository: &Repository) -> Result<&str, Finding> {
    repository.required(ROOT, "the root manifest lists the members")
}

fn value<'a>(text: &'a str, section: &str, key: &str) -> Option<&'a str> {
    manifest::entries(text)
        .into_iter()
        .find(|entry| entry.section == section && entry.key == key)
        .map(|entry| entry.value.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::super::repository::findings;

    #[test]
    fn unlisted_package_is_found() {
        let root = ("Cargo.toml", "members = [\n    \"crates/a\",\n]\n");
        let check = |path| findings(super::every_member_is_listed, &[root, (path, "")]);
        assert!(check("crates/a/Cargo.toml").is_empty());
        assert_eq!(
            check("crates/b/Cargo.toml"),
            ["crates/b/Cargo.toml:1: the package is not a member of the workspace"]
        );
    }

    #[test]
    fn member_without_the_lints_is_found() {
        let check = |text| {
            findings(
                super::members_take_the_lint_table,
                &[("a/Cargo.toml", text)],
            )
        };
        assert!(check("[lints]\nworkspace = true\n").is_empty());
        assert_eq!(check("[lints.rust]\nunsafe_code = \"forbid\"\n").len(), 1);
        assert_eq!(check("[dependencies]\n").len(), 1);
    }

    #[test]
    fn version_in_a_member_is_found() {
        let check = |text| {
            findings(
                super::versions_live_in_the_root_manifest,
                &[("a/Cargo.toml", text)],
            )
        };
        assert!(check("[package]\nversion.workspace = true\n").is_empty());
        assert!(check("[dependencies]\nb.workspace = true\n").is_empty());
        assert!(
            check("[dev-dependencies]\nb = { workspace = true, optional = true }\n").is_empty()
        );
        assert_eq!(
            check("[dependencies]\nb = \"1\"\n"),
            ["a/Cargo.toml:2: `b` has a source of its own"]
        );
        assert_eq!(
            check("[build-dependencies]\nb = { path = \"../b\" }\n").len(),
            1
        );
        assert_eq!(
            check("[target.'cfg(unix)'.dependencies]\nb = \"1\"\n").len(),
            1
        );
        assert_eq!(check("[dependencies.b]\nversion = \"1\"\n").len(), 1);
    }

    #[test]
    fn paths_of_the_root_manifest_lead_somewhere() {
        let root = (
            "Cargo.toml",
            "[workspace.dependencies]\na = { path = \"crates/a\" }\n",
        );
        let member = ("crates/a/Cargo.toml", "");
        assert!(findings(super::named_paths_exist, &[root, member]).is_empty());
        assert_eq!(
            findings(super::named_paths_exist, &[root]),
            ["Cargo.toml:2: there is no package in `crates/a`"]
        );
    }

    #[test]
    fn toolchain_of_another_release_is_found() {
        let check = |channel: &str| {
            let root = (
                "Cargo.toml",
                "[workspace.package]\nrust-version = \"1.95\"\n",
            );
            let toolchain = format!("[toolchain]\nchannel = \"{channel}\"\n");
            findings(
                super::toolchain_is_the_rust_version,
                &[root, (super::TOOLCHAIN, &toolchain)],
            )
        };
        assert!(check("1.95.0").is_empty());
        assert!(check("1.95").is_empty());
        assert_eq!(check("1.951.0").len(), 1);
        assert_eq!(check("stable").len(), 1);
    }

    #[test]
    fn unlisted_dependency_of_the_core_is_found() {
        let check = |text| findings(super::core_depends_on_little, &[(super::CORE, text)]);
        assert!(check("[dependencies]\nbytes.workspace = true\n").is_empty());
        assert!(check("[dev-dependencies]\nexpect-test.workspace = true\n").is_empty());
        assert_eq!(
            check("[dependencies]\ntokio.workspace = true\n"),
            ["crates/chat-consensus/Cargo.toml:2: the core depends on `tokio`"]
        );
    }
}
