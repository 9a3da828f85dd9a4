//! The session's token on this device: a file of its own that only its owner may read, replaced as
//! a whole. Where the desktop has a better place for secrets, this does not look for it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

const FILE: &str = "session.json";
/// Far more than a token has; whatever else is in the file need not be read.
const BYTES_MAX: u64 = 65_536;

/// What the next start of the window takes up.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptSession {
    /// Whose session it is.
    pub username: String,
    /// What proves it.
    pub token: String,
    /// The cluster that it was opened on.
    pub cluster_id: String,
}

impl std::fmt::Debug for KeptSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptSession")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// Where the token of a window is.
#[derive(Clone, Debug)]
pub struct TokenFile(PathBuf);

impl TokenFile {
    /// In a window's folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self(folder.join(FILE))
    }

    /// The session that was kept. What cannot be read or understood is none: signing in again
    /// helps.
    pub fn read(&self) -> Option<KeptSession> {
        if fs::metadata(&self.0).ok()?.len() > BYTES_MAX {
            return None;
        }
        serde_json::from_slice(&fs::read(&self.0).ok()?).ok()
    }

    /// Keeps a session, instead of another.
    ///
    /// # Errors
    ///
    /// When the disk does not take it; the one before is kept then.
    pub fn write(&self, session: &KeptSession) -> io::Result<()> {
        let text = serde_json::to_vec(session).map_err(io::Error::other)?;
        private_file::replace(&self.0, &text)
    }

    /// Forgets the session.
    ///
    /// # Errors
    ///
    /// When the disk does not let it go.
    pub fn clear(&self) -> io::Result<()> {
        remove(&self.0)?;
        self.sync_folder()
    }

    fn sync_folder(&self) -> io::Result<()> {
        match self.0.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::{KeptSession, TokenFile};

    #[test]
    fn token_file_is_readable_by_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::in_folder(folder.path());
        assert_eq!(file.read(), None);
        let session = KeptSession {
            username: "alice".to_owned(),
            token: "secret".to_owned(),
            cluster_id: "c1".to_owned(),
        };
        fs::write(&file.0, "left behind").unwrap();
        fs::set_permissions(&file.0, Permissions::from_mode(0o644)).unwrap();
        file.write(&session).unwrap();
        file.write(&session).unwrap();
        assert_eq!(file.read(), Some(session.clone()));
        let mode = fs::metadata(&file.0).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{session:?}").contains("secret"));
        file.clear().unwrap();
        file.clear().unwrap();
        assert_eq!(file.read(), None);
        fs::write(&file.0, "{").unwrap();
        assert_eq!(file.read(), None, "half a file is no session");
    }
}
