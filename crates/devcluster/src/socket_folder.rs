//! The folder of the sockets over which the nodes reach each other: no other user can enter it.
//!
//! A peer that reaches a node's peer listener is trusted, and a port of the loopback address is open to
//! every user of the machine. The folder is not in the cluster's own one, because the path of a
//! socket has to be short; and it is not in `$XDG_RUNTIME_DIR`, which is removed with the
//! person's last session while the cluster continues to run.

use std::env;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::layout::Link;
use anyhow::{Context, Result, bail};
use devcluster_api::{NODES_MAX, NodeId};
use nix::unistd::Uid;

/// The system takes 108 bytes for a socket's path, and the last of them ends it.
const PATH_BYTES_MAX: usize = 107;

/// The longest of our names, with the slash before it.
const NAME_BYTES_MAX: usize = "/link-7-7.sock".len();

/// A name is drawn anew when it is taken; two of 2^64 hardly ever are.
const DRAWS_MAX: usize = 8;

/// Where folders for a while are made if the environment's is not fit.
const FALLBACK: &str = "/tmp";

/// A folder for sockets; none yet if its path is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketFolder {
    path: PathBuf,
}

impl SocketFolder {
    /// The folder at a path, which may not exist or not be ours; see [`Self::check`].
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Its path.
    pub fn into_path(self) -> PathBuf {
        self.path
    }

    /// The earlier folder if it is there and still ours alone, else a new one.
    ///
    /// # Errors
    ///
    /// When no folder is fit, or none can be made.
    pub fn prepare(earlier: Option<Self>) -> Result<Self> {
        if let Some(earlier) = earlier
            && earlier.check().is_ok()
        {
            return Ok(earlier);
        }
        let bases = [env::temp_dir(), FALLBACK.into()];
        let Some(base) = bases.iter().find(|base| is_fit(base)) else {
            bail!(
                "there is no folder for the sockets of the nodes: neither {} nor {FALLBACK} has a \
                 short path and is safe from other users",
                bases[0].display()
            );
        };
        for _ in 0..DRAWS_MAX {
            // Different for every call: the keys of the standard library's hashes come from the
            // system. No other user can predict it, and an existing folder is not taken.
            let number = RandomState::new().hash_one(std::process::id());
            let path = base.join(format!("chat-{number:016x}"));
            let created = private_file::create_new_folder(&path);
            if created.with_context(|| format!("creating {}", path.display()))? {
                let folder = Self { path };
                folder.check()?;
                return Ok(folder);
            }
        }
        bail!("every name for a folder of sockets is taken")
    }

    /// Checks that no other user can reach what is in it.
    ///
    /// # Errors
    ///
    /// When it is no folder, belongs to another user, or is open to other users.
    pub fn check(&self) -> Result<()> {
        let path = self.path.display();
        let metadata = fs::symlink_metadata(&self.path)
            .with_context(|| format!("looking at the folder of the sockets, {path}"))?;
        if !metadata.is_dir() {
            bail!("{path} is not a folder");
        }
        if metadata.uid() != Uid::effective().as_raw() {
            bail!("{path} belongs to another user");
        }
        if metadata.mode() & 0o777 != private_file::FOLDER_MODE {
            bail!("{path} is open to other users");
        }
        Ok(())
    }

    /// Where a node listens for the others.
    pub fn node(&self, node: NodeId) -> PathBuf {
        self.path.join(format!("node-{node}.sock"))
    }

    /// Where `from` dials in order to reach `to`.
    pub fn link(&self, link: Link) -> PathBuf {
        let Link { from, to } = link;
        self.path.join(format!("link-{from}-{to}.sock"))
    }

    /// Removes the sockets of a cluster, and the folder if nothing else is in it.
    ///
    /// # Errors
    ///
    /// When a socket cannot be removed.
    pub fn remove(&self) -> Result<()> {
        // A folder that fails the check is not the one that was made, and is left alone.
        if self.check().is_err() {
            return Ok(());
        }
        let nodes = NodeId::all(NODES_MAX).map(|node| self.node(node));
        let links = Link::all(NODES_MAX).map(|link| self.link(link));
        for socket in nodes.chain(links) {
            let mut lock = socket.clone().into_os_string();
            lock.push(".lock");
            for path in [socket, lock.into()] {
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        return Err(error).with_context(|| format!("removing {}", path.display()));
                    }
                    Ok(()) | Err(_) => {}
                }
            }
        }
        fs::remove_dir(&self.path).ok();
        Ok(())
    }
}

/// How a configuration names a socket.
pub fn address(socket: &Path) -> String {
    format!("unix:{}", socket.display())
}

/// Whether a folder made in `base` has a short path and no other user can put one in its place.
fn is_fit(base: &Path) -> bool {
    let Ok(metadata) = fs::metadata(base) else {
        return false;
    };
    let folder_bytes = "/chat-0123456789abcdef".len();
    let fits = base.as_os_str().len() + folder_bytes + NAME_BYTES_MAX <= PATH_BYTES_MAX;
    let is_owned = [0, Uid::effective().as_raw()].contains(&metadata.uid());
    let is_shared = metadata.mode() & 0o022 != 0;
    let is_sticky = metadata.mode() & 0o1000 != 0;
    base.is_absolute() && fits && is_owned && (!is_shared || is_sticky)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use devcluster_api::NodeId;

    use super::{NODES_MAX, PATH_BYTES_MAX, SocketFolder};
    use crate::layout::Link;

    #[test]
    fn new_folder_is_private_and_reused() {
        let folder = SocketFolder::prepare(None).unwrap();
        let mode = fs::metadata(&folder.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert_eq!(SocketFolder::prepare(Some(folder.clone())).unwrap(), folder);
        let other = SocketFolder::prepare(None).unwrap();
        assert_ne!(other, folder);
        for path in [folder.node("1".parse().unwrap()), folder.path.join("mine")] {
            fs::write(path, "").unwrap();
        }
        folder.remove().unwrap();
        assert!(folder.path.join("mine").exists(), "the rest is left alone");
        fs::remove_dir_all(&folder.path).unwrap();
        other.remove().unwrap();
        assert!(!other.path.exists());
    }

    #[test]
    fn folder_open_to_others_is_not_reused() {
        let folder = SocketFolder::prepare(None).unwrap();
        fs::set_permissions(&folder.path, Permissions::from_mode(0o755)).unwrap();
        assert!(folder.check().is_err());
        let link = SocketFolder {
            path: folder.path.with_extension("link"),
        };
        symlink(&folder.path, &link.path).unwrap();
        fs::set_permissions(&folder.path, Permissions::from_mode(0o700)).unwrap();
        assert!(link.check().is_err());
        let other = SocketFolder::prepare(Some(link.clone())).unwrap();
        assert_ne!(other, link);
        fs::remove_file(&link.path).unwrap();
        folder.remove().unwrap();
        other.remove().unwrap();
    }

    #[test]
    fn socket_paths_are_short_and_distinct() {
        let folder = SocketFolder::prepare(None).unwrap();
        let nodes = NodeId::all(NODES_MAX).map(|node| folder.node(node));
        let links = Link::all(NODES_MAX).map(|link| folder.link(link));
        let paths: std::collections::BTreeSet<_> = nodes.chain(links).collect();
        assert_eq!(paths.len(), 7 + 42);
        for path in paths {
            assert!(path.as_os_str().len() <= PATH_BYTES_MAX, "{path:?}");
        }
        folder.remove().unwrap();
    }
}
