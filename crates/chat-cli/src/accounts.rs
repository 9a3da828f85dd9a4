//! The sessions on this machine: one file for each account, which only its owner can read, and the
//! name of the account of the last login.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chat_client::Session;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

const HOME: &str = "CHAT_HOME";
const LAST: &str = "last-account";

/// The folder with the sessions.
#[derive(Debug)]
pub(crate) struct Accounts {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    username: String,
    token: String,
    /// The cluster that receives the token. Missing in files of earlier versions, until their first
    /// use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cluster_id: Option<String>,
}

impl Accounts {
    /// In `CHAT_HOME`, or in the folder for configuration of this platform.
    pub(crate) fn open() -> Result<Self, Failure> {
        let folder = match std::env::var_os(HOME) {
            Some(folder) if !folder.is_empty() => PathBuf::from(folder),
            _ => configuration_folder()?.join("chat"),
        };
        Ok(Self { folder })
    }

    /// Keeps a session, and makes its account the default account.
    pub(crate) fn keep(&self, session: &Session) -> Result<(), Failure> {
        self.update(session)?;
        self.write(LAST, session.username())
    }

    /// Keeps a newer session of an account that is logged in.
    pub(crate) fn update(&self, session: &Session) -> Result<(), Failure> {
        let stored = Stored {
            username: session.username().to_owned(),
            token: session.token().to_owned(),
            cluster_id: session.cluster_id().map(str::to_owned),
        };
        let text = serde_json::to_string(&stored).expect("a session is text");
        self.write(&file_name(session.username()), &text)
    }

    /// The session of `username`, or of the account of the last login.
    pub(crate) fn session(&self, username: Option<&str>) -> Result<Session, Failure> {
        let username = match username {
            Some(username) => username.to_owned(),
            None => self.read(LAST)?.ok_or_else(|| {
                Failure::Usage("no account is logged in; use `chat login NAME`".to_owned())
            })?,
        };
        let text = self.read(&file_name(&username))?.ok_or_else(|| {
            Failure::Usage(format!(
                "{username} is not logged in; use `chat login {username}`"
            ))
        })?;
        let stored: Stored = serde_json::from_str(&text).map_err(|_damaged| {
            Failure::Usage(format!(
                "the session of {username} is damaged; log in again"
            ))
        })?;
        let session = Session::new(&stored.username, &stored.token)?;
        Ok(match stored.cluster_id {
            Some(cluster_id) => session.of_cluster(&cluster_id),
            None => session,
        })
    }

    /// Removes a session that has ended.
    pub(crate) fn forget(&self, username: &str) -> Result<(), Failure> {
        if self.read(LAST)?.as_deref() == Some(username) {
            self.remove(LAST)?;
        }
        self.remove(&file_name(username))
    }

    fn remove(&self, name: &str) -> Result<(), Failure> {
        let path = self.folder.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&path, &error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn read(&self, name: &str) -> Result<Option<String>, Failure> {
        let path = self.folder.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path, &error)),
        }
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.folder.join(name);
        private_file::create_folder(&self.folder)
            .and_then(|()| private_file::replace(&path, text.as_bytes()))
            .map_err(|error| failed(&path, &error))
    }
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::Usage(format!("cannot use {}: {error}", path.display()))
}

/// A file name for any account name: characters with a meaning for the file system are written in
/// hexadecimal.
fn file_name(username: &str) -> String {
    let mut name = String::from("session-");
    for byte in username.bytes() {
        if byte.is_ascii_lowercase() || byte.is_ascii_digit() {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    name + ".json"
}

fn configuration_folder() -> Result<PathBuf, Failure> {
    if let Some(folder) = std::env::var_os("XDG_CONFIG_HOME").filter(|folder| !folder.is_empty()) {
        return Ok(PathBuf::from(folder));
    }
    let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
    let home = home.ok_or_else(|| {
        Failure::Usage(format!(
            "there is no home folder for the sessions; set {HOME}"
        ))
    })?;
    Ok(if cfg!(target_os = "macos") {
        home.join("Library").join("Application Support")
    } else {
        home.join(".config")
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use chat_client::Session;

    use super::Accounts;

    #[test]
    fn sessions_are_readable_by_their_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = Accounts {
            folder: folder.path().join("chat"),
        };
        assert!(accounts.session(None).is_err());
        accounts
            .keep(&Session::new("alice", "t1").unwrap())
            .unwrap();
        accounts
            .keep(&Session::new("Bob/../x", "t2").unwrap())
            .unwrap();
        assert_eq!(accounts.session(None).unwrap().username(), "Bob/../x");
        assert_eq!(accounts.session(Some("alice")).unwrap().token(), "t1");
        assert!(accounts.session(Some("carol")).is_err());
        let bound = Session::new("alice", "t3").unwrap().of_cluster("c1");
        accounts.keep(&bound).unwrap();
        let kept = accounts.session(None).unwrap();
        assert_eq!((kept.token(), kept.cluster_id()), ("t3", Some("c1")));

        let mode =
            |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&accounts.folder), 0o700);
        let files: Vec<_> = fs::read_dir(&accounts.folder)
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        assert_eq!(files.len(), 3, "{files:?}");
        for file in files {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }

        accounts.forget("Bob/../x").unwrap();
        assert_eq!(accounts.session(None).unwrap().username(), "alice");
        accounts.forget("alice").unwrap();
        accounts.forget("alice").unwrap();
        assert!(accounts.session(None).is_err());
        assert!(accounts.session(Some("alice")).is_err());
    }
}
