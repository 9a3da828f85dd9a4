//! Where the repository is, which files belong to it, and how its programs are run.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::{env, fs};

use anyhow::{Context, Result, bail};

/// The folder of the root manifest: the nearest one above the package that cargo runs, or that was
/// built, which has a `Cargo.lock`.
pub fn root() -> PathBuf {
    // Cargo sets the variable for `cargo run`; the compiled-in value serves a copied program.
    let package = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package
        .ancestors()
        .find(|folder| folder.join("Cargo.lock").exists())
        .unwrap_or(&package)
        .to_path_buf()
}

/// Where cargo puts what it builds.
pub fn target_directory(root: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |path| root.join(path))
}

/// A cargo command in the repository; the same cargo that runs this program. It builds the
/// versions in `Cargo.lock`, and fails if these do not fit the manifests.
pub fn cargo<Argument: AsRef<OsStr>>(
    root: &Path,
    arguments: impl IntoIterator<Item = Argument>,
) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root).arg("--locked").args(arguments);
    command
}

/// Builds packages and returns the folder that holds their programs.
///
/// # Errors
///
/// When they cannot be built.
pub fn build(root: &Path, packages: &[&str], release: bool) -> Result<PathBuf> {
    let mut command = cargo(root, ["build"]);
    for package in packages {
        command.args(["--package", package]);
    }
    if release {
        command.arg("--release");
    }
    run(&mut command)?;
    let profile = if release { "release" } else { "debug" };
    Ok(target_directory(root).join(profile))
}

/// Runs a command with our own input and output.
///
/// # Errors
///
/// When it cannot be started, or ends without success.
pub fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("`{}` ended with {status}", describe(command));
    }
    Ok(())
}

/// Runs a command with our own input and output and returns how it ended.
///
/// # Errors
///
/// When it cannot be started.
pub fn status(command: &mut Command) -> Result<ExitStatus> {
    command
        .status()
        .with_context(|| format!("starting `{}`", describe(command)))
}

/// The command as a person would type it, with the program's name only.
pub fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default();
    std::iter::once(program)
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The repository's files by their path from the root, without what the root's `.gitignore` names.
///
/// It reads the folder and not git's index, so that a file counts before it is added and a copy
/// without history can be checked. Only whole folders at the root (`/target/`) may be ignored.
///
/// # Errors
///
/// The system's.
pub fn source_files(root: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let ignored = ignored_folders(root)?;
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            let name = path
                .strip_prefix(root)
                .unwrap_or(&path)
                .to_string_lossy()
                .into_owned();
            if ignored.contains(&name) {
                continue;
            }
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                files.insert(name, path);
            }
        }
    }
    Ok(files)
}

fn ignored_folders(root: &Path) -> Result<Vec<String>> {
    let path = root.join(".gitignore");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut folders = vec![".git".to_owned()];
    folders.extend(text.lines().filter_map(|line| {
        line.trim()
            .strip_prefix('/')
            .map(|name| name.trim_end_matches('/').to_owned())
    }));
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{cargo, root};

    /// S-G1: a changed lock must not pass unseen.
    #[test]
    fn every_build_insists_on_the_lock_file() {
        let command = cargo(Path::new("/"), ["build"]);
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(arguments, ["--locked", "build"]);
        // The alias builds this program too, here and in CI.
        let config = std::fs::read_to_string(root().join(".cargo/config.toml")).unwrap();
        let alias = config.lines().find(|line| line.starts_with("xtask ="));
        assert!(
            alias.is_some_and(|alias| alias.contains("run --locked")),
            "{alias:?}"
        );
    }
}
