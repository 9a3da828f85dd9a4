//! The file in which a cluster on this machine describes itself, `.cluster/cluster.json`: looked for
//! in a folder and those above it, and whether it may be believed. Whoever may have put it there
//! would be sent what a person types, and their session.
//!
//! Deliberately absent: what the file says.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

/// The folder of a cluster of this machine.
const CLUSTER_FOLDER: &str = ".cluster";
/// What describes it, in there.
const CLUSTER_FILE: &str = "cluster.json";
/// Far more than a description of seven nodes has.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// A description that is open for reading.
#[derive(Debug)]
pub struct ClusterFile {
    path: PathBuf,
    file: File,
}

/// A description that is there and may be somebody else's: it is not to be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {why}", path.display())]
pub struct UntrustedClusterFile {
    /// Where it is.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: Distrust,
}

/// Why a file is not trusted; each goes on where the file's name ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Distrust {
    /// It or its folder does, or it cannot be read.
    #[error("belongs to another user")]
    OthersOwn,
    /// It or its folder can.
    #[error("can be written by other users")]
    OthersWrite,
    /// Its folder stands where another user or everybody may put folders.
    #[error("is in a folder of others")]
    AmongOthers,
    /// It was there a moment ago.
    #[error("is gone")]
    Gone,
}

impl ClusterFile {
    /// The one in the nearest `.cluster`, in this folder or above; `None` if there is none. Only
    /// this user or root can have written it, by the owners and modes of the file, of its folder
    /// and of the folder around that.
    ///
    /// ```no_run
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// if let Some(found) = chat_client::ClusterFile::nearest(&std::env::current_dir()?)? {
    ///     println!("{}", found.read()?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the nearest one is not trusted. Those above it are not looked for then: the person
    /// would talk to another cluster than the one that they see in front of them.
    pub fn nearest(here: &Path) -> Result<Option<Self>, UntrustedClusterFile> {
        for above in here.ancestors() {
            let folder = above.join(CLUSTER_FOLDER);
            let path = folder.join(CLUSTER_FILE);
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    let why = Distrust::OthersOwn;
                    return Err(UntrustedClusterFile { path, why });
                }
                Err(_absent) => continue,
            };
            return match check(above, &folder, &file) {
                Ok(()) => Ok(Some(Self { path, file })),
                Err(why) => Err(UntrustedClusterFile { path, why }),
            };
        }
        Ok(None)
    }

    /// The one beside a file that a person has named, whoever has written it; `None` if there is
    /// none.
    pub fn beside(named: &Path) -> Option<Self> {
        let path = named.with_file_name(CLUSTER_FILE);
        let file = File::open(&path).ok()?;
        Some(Self { path, file })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of it, but no more than a description can have.
    ///
    /// # Errors
    ///
    /// When the disk does not give it, or it is no text.
    pub fn read(self) -> io::Result<String> {
        let mut text = String::new();
        self.file.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
        Ok(text)
    }
}

/// Whether only this user or root can have put the file where it is.
fn check(above: &Path, folder: &Path, file: &File) -> Result<(), Distrust> {
    let metadata = |path: &Path| fs::metadata(path).map_err(|_gone| Distrust::Gone);
    // Whoever may rename `.cluster` cannot make one that is ours; so above it only the owner counts,
    // and that not everybody writes there.
    let above = metadata(above)?;
    let is_shared = above.mode() & 0o002 != 0 && above.mode() & 0o1000 == 0;
    if !is_from_own_cluster(&above) || is_shared {
        return Err(Distrust::AmongOthers);
    }
    // Of the file that was opened, whatever has its name by now.
    let opened_as = file.metadata().map_err(|_gone| Distrust::Gone)?;
    for metadata in [metadata(folder)?, opened_as] {
        if !is_from_own_cluster(&metadata) {
            return Err(Distrust::OthersOwn);
        }
        if metadata.mode() & 0o022 != 0 {
            return Err(Distrust::OthersWrite);
        }
    }
    Ok(())
}

fn is_from_own_cluster(metadata: &Metadata) -> bool {
    [0, Uid::effective().as_raw()].contains(&metadata.uid())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::{ClusterFile, Distrust};

    /// S-C2: in a folder where others write anybody may have put a file.
    #[test]
    fn a_file_that_others_may_have_planted_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let (folder, below) = (home.path().join(".cluster"), home.path().join("a/b"));
        let file = folder.join("cluster.json");
        fs::create_dir_all(&below).unwrap();
        let nearest = || ClusterFile::nearest(&below);
        assert!(nearest().unwrap().is_none());
        fs::create_dir(&folder).unwrap();
        fs::write(&file, "what it says").unwrap();
        let modes = |of_above, of_folder, of_file| {
            for (path, mode) in [
                (home.path(), of_above),
                (&folder, of_folder),
                (&file, of_file),
            ] {
                fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
            }
        };
        for (above, folder, file) in [
            (0o700, 0o700, 0o600),
            (0o755, 0o755, 0o644),
            (0o775, 0o700, 0o600),
            (0o1777, 0o700, 0o600),
        ] {
            modes(above, folder, file);
            let found = nearest().unwrap().expect("it is there");
            assert!(found.path().starts_with(home.path()));
            assert_eq!(found.read().unwrap(), "what it says");
        }
        for (above, folder, file, why) in [
            (0o777, 0o700, 0o600, Distrust::AmongOthers),
            (0o700, 0o770, 0o600, Distrust::OthersWrite),
            (0o700, 0o702, 0o600, Distrust::OthersWrite),
            (0o700, 0o700, 0o620, Distrust::OthersWrite),
            (0o700, 0o700, 0o602, Distrust::OthersWrite),
        ] {
            modes(above, folder, file);
            let refused = nearest().unwrap_err();
            assert_eq!(refused.why, why, "{above:o} {folder:o} {file:o}");
        }
        // Only root can give a file or a folder away.
        if nix::unistd::Uid::effective().is_root() {
            modes(0o700, 0o700, 0o600);
            for given_away in [&file, &folder] {
                std::os::unix::fs::chown(given_away, Some(65_534), None).unwrap();
                let refused = nearest().unwrap_err();
                assert_eq!(refused.why, Distrust::OthersOwn);
                assert_eq!(
                    refused.to_string(),
                    format!("{} belongs to another user", file.display())
                );
                std::os::unix::fs::chown(given_away, Some(0), None).unwrap();
            }
        }
    }

    #[test]
    fn the_file_beside_one_that_was_named_is_taken_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let named = folder.path().join("cluster.toml");
        assert!(ClusterFile::beside(&named).is_none());
        let file = folder.path().join("cluster.json");
        fs::write(&file, "what it says").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
        let found = ClusterFile::beside(&named).expect("it is there");
        assert_eq!(found.read().unwrap(), "what it says");
    }
}
