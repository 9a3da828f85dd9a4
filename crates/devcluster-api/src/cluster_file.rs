//! The file in which a cluster on this machine describes itself, `.cluster/cluster.json`: the search
//! for it in a folder and those above, and the check that it can be trusted. A client sends what a
//! person types, and their session, to the addresses in this file, so the person who wrote it must be
//! this user or root.
//!
//! Deliberately absent: the fields of the file, which are those of [`ClusterState`].

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use crate::cluster_state::ClusterState;

/// The folder of a cluster of this machine.
const CLUSTER_FOLDER: &str = ".cluster";
/// The file in it that describes the cluster.
const CLUSTER_FILE: &str = "cluster.json";
/// Far more than the description of seven nodes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// A description that is open for reading.
#[derive(Debug)]
pub struct ClusterFile {
    path: PathBuf,
    file: File,
}

/// A description that another user may have written. It must not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {why}", path.display())]
pub struct UntrustedClusterFile {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: TrustProblem,
}

/// Why a file is not trusted. Its text continues a sentence that begins with the file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustProblem {
    /// Another user owns the file or its folder, or the file cannot be read.
    #[error("belongs to another user")]
    OtherOwner,
    /// Other users can write to the file or its folder.
    #[error("can be written by other users")]
    WritableByOthers,
    /// Its folder is in a folder that belongs to another user, or in which every user can create
    /// folders.
    #[error("is in a folder of other users")]
    InFolderOfOthers,
    /// The file was removed during the check.
    #[error("was removed")]
    Removed,
}

impl ClusterFile {
    /// The file in the nearest `.cluster`, in this folder or above; `None` if there is none. Only
    /// this user or root can have written it, by the owners and modes of the file, of its folder
    /// and of the folder around that.
    ///
    /// ```no_run
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// if let Some(found) = devcluster_api::ClusterFile::nearest(&std::env::current_dir()?)? {
    ///     println!("{:?}", found.state());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the nearest one is not trusted. The search does not go on above it: the person would
    /// connect to another cluster than the one in front of them.
    pub fn nearest(here: &Path) -> Result<Option<Self>, UntrustedClusterFile> {
        for above in here.ancestors() {
            let folder = above.join(CLUSTER_FOLDER);
            let path = folder.join(CLUSTER_FILE);
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    let why = TrustProblem::OtherOwner;
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

    /// The file beside one that a person named, without a check of its owner; `None` if there is
    /// none.
    pub fn beside(named: &Path) -> Option<Self> {
        let path = named.with_file_name(CLUSTER_FILE);
        let file = File::open(&path).ok()?;
        Some(Self { path, file })
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its content. `None` if it cannot be read or decoded: the file may be of another version, and
    /// then there is no cluster that the caller could use.
    pub fn state(self) -> Option<ClusterState> {
        let mut text = String::new();
        let mut limited = self.file.take(FILE_BYTES_MAX);
        limited.read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }
}

/// Whether only this user or root can have written the file, and moved it to its place.
fn check(above: &Path, folder: &Path, file: &File) -> Result<(), TrustProblem> {
    let metadata = |path: &Path| fs::metadata(path).map_err(|_removed| TrustProblem::Removed);
    // A user who may rename `.cluster` cannot create one that belongs to this user. So for the folder
    // around it, only the owner matters, and that it is not writable for all users.
    let above = metadata(above)?;
    let is_shared = above.mode() & 0o002 != 0 && above.mode() & 0o1000 == 0;
    if !is_own(&above) || is_shared {
        return Err(TrustProblem::InFolderOfOthers);
    }
    // The metadata of the file that was opened; another file may have its name by now.
    let opened_as = file.metadata().map_err(|_removed| TrustProblem::Removed)?;
    for metadata in [metadata(folder)?, opened_as] {
        if !is_own(&metadata) {
            return Err(TrustProblem::OtherOwner);
        }
        if metadata.mode() & 0o022 != 0 {
            return Err(TrustProblem::WritableByOthers);
        }
    }
    Ok(())
}

fn is_own(metadata: &Metadata) -> bool {
    [0, Uid::effective().as_raw()].contains(&metadata.uid())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::{ClusterFile, TrustProblem};

    /// S-C2: in a folder where other users can write, any of them may have put a file.
    #[test]
    fn file_that_other_users_may_have_written_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let (folder, below) = (home.path().join(".cluster"), home.path().join("a/b"));
        let file = folder.join("cluster.json");
        fs::create_dir_all(&below).unwrap();
        let nearest = || ClusterFile::nearest(&below);
        assert!(nearest().unwrap().is_none());
        fs::create_dir(&folder).unwrap();
        fs::write(&file, "content").unwrap();
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
            assert_eq!(found.state(), None, "the text is not a state");
        }
        for (above, folder, file, why) in [
            (0o777, 0o700, 0o600, TrustProblem::InFolderOfOthers),
            (0o700, 0o770, 0o600, TrustProblem::WritableByOthers),
            (0o700, 0o702, 0o600, TrustProblem::WritableByOthers),
            (0o700, 0o700, 0o620, TrustProblem::WritableByOthers),
            (0o700, 0o700, 0o602, TrustProblem::WritableByOthers),
        ] {
            modes(above, folder, file);
            let refused = nearest().unwrap_err();
            assert_eq!(refused.why, why, "{above:o} {folder:o} {file:o}");
        }
        // Only root can change the owner of a file or a folder.
        if nix::unistd::Uid::effective().is_root() {
            modes(0o700, 0o700, 0o600);
            for changed in [&file, &folder] {
                std::os::unix::fs::chown(changed, Some(65_534), None).unwrap();
                let refused = nearest().unwrap_err();
                assert_eq!(refused.why, TrustProblem::OtherOwner);
                assert_eq!(
                    refused.to_string(),
                    format!("{} belongs to another user", file.display())
                );
                std::os::unix::fs::chown(changed, Some(0), None).unwrap();
            }
        }
    }

    #[test]
    fn file_beside_a_named_file_is_not_checked() {
        let folder = tempfile::tempdir().unwrap();
        let named = folder.path().join("cluster.toml");
        assert!(ClusterFile::beside(&named).is_none());
        let file = folder.path().join("cluster.json");
        fs::write(&file, "content").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
        let found = ClusterFile::beside(&named).expect("it is there");
        assert_eq!(found.path(), file);
    }
}
