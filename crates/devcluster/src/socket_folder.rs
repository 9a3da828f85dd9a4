//! The folder of the sockets over which the nodes reach each other: no other user can enter it.
//!
//! A peer that reaches a node's peer listener is trusted, and a port of the loopback address is open to
//! every user of the machine. The folder is not in the cluster's own one, because the path of a
//! socket has to be short; and it is not in `$XDG_RUNTIME_DIR`, which is removed with the
//! person's last session while the cluster continues to run.

use std::env;
use std::fmt::Display;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::iter;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::layout::Link;
use anyhow::{Context, Result, bail};
use devcluster_api::{NODE_ID_MAX, NodeId};
use nix::unistd::Uid;

/// The system takes 108 bytes for a socket's path, and the last of them ends it.
const PATH_BYTES_MAX: usize = 107;

/// What the node that dials replaces by its own number, in the address of another one.
const DIALLING_NODE: &str = "{from}";

/// The longest of our names, with the slash before it: as configurations have it.
const NAME_BYTES_MAX: usize = "/link-{from}-64.sock".len();

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

    /// The earlier folder if it is ours alone, made again if it is not there; else a new one.
    ///
    /// A folder keeps its name because the log of the cluster may have the addresses of nodes.
    ///
    /// # Errors
    ///
    /// When no folder is fit, or none can be made.
    pub fn prepare(earlier: Option<Self>) -> Result<Self> {
        if let Some(earlier) = earlier
            && earlier.is_there_or_made_again()
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

    fn is_there_or_made_again(&self) -> bool {
        if self.path.parent().is_none_or(|base| !is_fit(base)) {
            return false;
        }
        // Whether it was made or was there before: the check decides.
        private_file::create_new_folder(&self.path).is_ok() && self.check().is_ok()
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
        self.link_from(link.from, link.to)
    }

    /// Where the nodes dial in order to reach this one: with `{from}` in place of the node that dials.
    pub fn links_to(&self, node: NodeId) -> PathBuf {
        self.link_from(DIALLING_NODE, node)
    }

    fn link_from(&self, from: impl Display, to: NodeId) -> PathBuf {
        self.path.join(format!("link-{from}-{to}.sock"))
    }

    /// Removes the sockets of one node and those of its links.
    ///
    /// # Errors
    ///
    /// When a socket cannot be removed.
    pub fn remove_node(&self, node: NodeId) -> Result<()> {
        // A folder that fails the check is not the one that was made, and is left alone.
        if self.check().is_err() {
            return Ok(());
        }
        let links = Link::all(NodeId::all(NODE_ID_MAX)).filter(|link| link.touches(node));
        let sockets = links.map(|link| self.link(link));
        remove_sockets(iter::once(self.node(node)).chain(sockets))
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
        let nodes = NodeId::all(NODE_ID_MAX).map(|node| self.node(node));
        let links = Link::all(NodeId::all(NODE_ID_MAX)).map(|link| self.link(link));
        remove_sockets(nodes.chain(links))?;
        fs::remove_dir(&self.path).ok();
        Ok(())
    }
}

/// Removes those of the sockets that are there, and the locks of their listeners.
fn remove_sockets(sockets: impl Iterator<Item = PathBuf>) -> Result<()> {
    for socket in sockets {
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
    Ok(())
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
    use std::collections::BTreeSet;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use devcluster_api::NodeId;

    use super::{NAME_BYTES_MAX, NODE_ID_MAX, PATH_BYTES_MAX, SocketFolder};
    use crate::layout::Link;

    fn id(number: &str) -> NodeId {
        number.parse().unwrap()
    }

    #[test]
    fn new_folder_is_private_and_reused() {
        let folder = SocketFolder::prepare(None).unwrap();
        let mode = fs::metadata(&folder.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert_eq!(SocketFolder::prepare(Some(folder.clone())).unwrap(), folder);
        let other = SocketFolder::prepare(None).unwrap();
        assert_ne!(other, folder);
        for path in [folder.node(id("1")), folder.path.join("mine")] {
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
        let ids = NodeId::all(NODE_ID_MAX);
        let nodes = ids.clone().map(|node| folder.node(node));
        let links = Link::all(ids.clone()).map(|link| folder.link(link));
        let configured = ids.map(|node| folder.links_to(node));
        let paths: BTreeSet<_> = nodes.chain(links).chain(configured).collect();
        assert_eq!(paths.len(), 64 + 64 * 63 + 64);
        let folder_bytes = folder.path.as_os_str().len();
        for path in paths {
            let bytes = path.as_os_str().len();
            assert!(bytes <= PATH_BYTES_MAX, "{path:?}");
            assert!(bytes - folder_bytes <= NAME_BYTES_MAX, "{path:?}");
        }
        folder.remove().unwrap();
    }

    #[test]
    fn dialled_name_becomes_the_name_of_a_link() {
        let folder = SocketFolder::at("/run/x");
        let configured = folder.links_to(id("12"));
        let dialled = configured.to_string_lossy().replace("{from}", "3");
        let link = Link {
            from: id("3"),
            to: id("12"),
        };
        assert_eq!(folder.link(link).to_string_lossy(), dialled);
    }

    #[test]
    fn removed_folder_is_made_again_with_its_name() {
        let folder = SocketFolder::prepare(None).unwrap();
        folder.remove().unwrap();
        assert!(!folder.path.exists());
        assert_eq!(SocketFolder::prepare(Some(folder.clone())).unwrap(), folder);
        folder.check().unwrap();
        folder.remove().unwrap();
    }

    #[test]
    fn sockets_of_one_node_are_removed() {
        let folder = SocketFolder::prepare(None).unwrap();
        let links = Link::all(["1", "2", "10"].map(id).into_iter());
        let sockets = links.map(|link| folder.link(link));
        let lock = folder.path.join("node-10.sock.lock");
        let nodes = ["1", "10"].map(|node| folder.node(id(node)));
        for path in sockets.chain(nodes).chain([lock]) {
            fs::write(path, "").unwrap();
        }
        folder.remove_node(id("10")).unwrap();
        let left: BTreeSet<_> = fs::read_dir(&folder.path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let expected = ["link-1-2.sock", "link-2-1.sock", "node-1.sock"];
        assert_eq!(left, expected.map(str::to_owned).into());
        folder.remove().unwrap();
    }
}
