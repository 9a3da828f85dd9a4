//! A listener in the file system: only the user of this process can connect to it.
//!
//! Every process that reaches the listener for peers is trusted, and a port of the loopback address is
//! open to every user of the machine.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixSocket};

/// Read and write for the owner, and connecting is writing.
const PRIVATE: u32 = 0o600;

/// The mode bits with which others than its owner may write to a folder.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// A socket that refuses connections yet, and is removed from the file system when this is dropped.
#[derive(Debug)]
pub(crate) struct BoundPeerSocket {
    socket: UnixSocket,
    name: SocketName,
}

/// A socket that is removed from the file system when this is dropped.
#[derive(Debug)]
pub(crate) struct PeerSocket {
    pub(crate) listener: UnixListener,
    pub(crate) name: SocketName,
}

/// The socket's path, which belongs to this process as long as it holds the lock.
#[derive(Debug)]
pub(crate) struct SocketName {
    path: PathBuf,
    /// The system releases the lock however this process ends. A process that was killed leaves a
    /// socket that refuses connections, and the next process replaces it.
    lock: File,
}

impl BoundPeerSocket {
    /// Takes `path`. [`io::ErrorKind::AddrInUse`] when another process has it.
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        let folder = path
            .parent()
            .ok_or_else(|| io::Error::other("the path has no folder"))?;
        let lock = lock(path)?;
        check_folder(folder, &lock)?;
        remove_stale(path)?;
        let socket = UnixSocket::new_stream()?;
        // Before it has a path, so that other users can never connect to it.
        File::from(socket.as_fd().try_clone_to_owned()?)
            .set_permissions(Permissions::from_mode(PRIVATE))?;
        socket.bind(path)?;
        let name = SocketName {
            path: path.to_owned(),
            lock,
        };
        Ok(Self { socket, name })
    }

    /// Accepts connections from now on; `backlog` of them wait to be accepted.
    pub(crate) fn listen(self, backlog: u32) -> io::Result<PeerSocket> {
        let Self { socket, name } = self;
        let listener = socket.listen(backlog)?;
        Ok(PeerSocket { listener, name })
    }
}

impl Drop for SocketName {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            let path = self.path.display();
            tracing::debug!(%path, %error, "the socket cannot be removed");
        }
        // Otherwise a process that this one is just starting would keep the lock with its copy of the
        // file.
        self.lock.unlock().ok();
    }
}

/// Without the lock, two processes that start together would each take the other's socket for one that
/// was left behind.
fn lock(path: &Path) -> io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(PRIVATE)
        .open(PathBuf::from(name))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::AddrInUse.into()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// A user who can write to the folder could replace the socket.
fn check_folder(folder: &Path, lock: &File) -> io::Result<()> {
    let (metadata, own) = (fs::metadata(folder)?, lock.metadata()?.uid());
    let folder = folder.display();
    if metadata.uid() != own && metadata.uid() != 0 {
        return Err(io::Error::other(format!(
            "the folder {folder} belongs to another user"
        )));
    }
    if metadata.mode() & WRITABLE_BY_OTHERS != 0 {
        return Err(io::Error::other(format!(
            "other users can write to the folder {folder}"
        )));
    }
    Ok(())
}

/// Removes the socket of a process that was killed.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(left) if left.file_type().is_socket() => fs::remove_file(path),
        Ok(_other) => Err(io::Error::other("there is a file that is not a socket")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::io::ErrorKind;
    use std::os::unix::fs::PermissionsExt;

    use tokio::net::UnixStream;

    use super::BoundPeerSocket;

    #[tokio::test]
    async fn socket_is_private_and_removed_with_its_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peer.sock");
        let socket = BoundPeerSocket::bind(&path).unwrap();
        assert!(UnixStream::connect(&path).await.is_err(), "not yet");
        let socket = socket.listen(8).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let (connected, accepted) =
            tokio::join!(UnixStream::connect(&path), socket.listener.accept());
        assert!(connected.is_ok() && accepted.is_ok());
        let taken = BoundPeerSocket::bind(&path).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        assert!(
            UnixStream::connect(&path).await.is_ok(),
            "it is still there"
        );
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn stale_socket_is_replaced_and_another_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peer.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(BoundPeerSocket::bind(&path).unwrap());
        fs::write(&path, "mine").unwrap();
        assert!(BoundPeerSocket::bind(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }

    #[tokio::test]
    async fn folder_that_others_can_write_to_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peer.sock");
        for mode in [0o770, 0o707, 0o1777] {
            fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            let error = BoundPeerSocket::bind(&path).unwrap_err().to_string();
            assert!(error.contains("other users can write to"), "{error}");
        }
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        assert!(BoundPeerSocket::bind(&path).is_ok());
    }
}
