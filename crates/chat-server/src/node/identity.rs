//! Whose data a directory holds: which node's, and of which cluster. Written with the first start
//! and compared with every other, so that nobody's data is taken for somebody else's.
//!
//! Names what operators say. What quorums count, the random ids of disk and cluster, is in `log.db`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Format as _, Toml};
use serde::Deserialize;

const FILE_NAME: &str = "identity.toml";
/// The file while it is written; a crash may leave it, and then it is written again.
const NEW_FILE_NAME: &str = "identity.toml.new";

/// A node as its operator names it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    /// The name of the cluster.
    pub(crate) cluster: String,
    /// The node's id.
    pub(crate) node: u64,
}

/// Why a directory cannot be this node's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    #[error("{directory} belongs to node {found}, and this is node {expected}")]
    OtherNode {
        directory: PathBuf,
        found: u64,
        expected: u64,
    },
    #[error("{directory} belongs to cluster {found:?}, and this node to cluster {expected:?}")]
    OtherCluster {
        directory: PathBuf,
        found: String,
        expected: String,
    },
    #[error("{path} does not say whose data is beside it: {reason}")]
    NotUnderstood { path: PathBuf, reason: String },
    #[error("{path} cannot be read: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} cannot be written: {source}")]
    Write { path: PathBuf, source: io::Error },
}

impl Identity {
    /// Changes nothing. A directory that is missing, or that does not say whose it is, will do.
    pub(crate) fn check(&self, directory: &Path) -> Result<(), IdentityError> {
        let found = read(&directory.join(FILE_NAME))?;
        found.map_or(Ok(()), |found| self.compare(&found, directory))
    }

    /// As [`Self::check`], and writes down whose it is if that is not said yet. For whoever has the
    /// directory's lock.
    pub(crate) fn claim(&self, directory: &Path) -> Result<(), IdentityError> {
        let path = directory.join(FILE_NAME);
        match read(&path)? {
            Some(found) => self.compare(&found, directory),
            None => self
                .write(directory)
                .map_err(|source| IdentityError::Write { path, source }),
        }
    }

    fn compare(&self, found: &Self, directory: &Path) -> Result<(), IdentityError> {
        let directory = directory.to_owned();
        if found.cluster != self.cluster {
            return Err(IdentityError::OtherCluster {
                directory,
                found: found.cluster.clone(),
                expected: self.cluster.clone(),
            });
        }
        if found.node != self.node {
            return Err(IdentityError::OtherNode {
                directory,
                found: found.node,
                expected: self.node,
            });
        }
        Ok(())
    }

    /// The name appears only when the content is on the disk.
    fn write(&self, directory: &Path) -> io::Result<()> {
        let new = directory.join(NEW_FILE_NAME);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        let Self { cluster, node } = self;
        let cluster = toml_edit::Value::from(cluster.as_str());
        write!(
            file,
            "# Whose data is in this directory. Written with the first start.\n\
             cluster = {cluster}\nnode = {node}\n"
        )?;
        file.sync_all()?;
        fs::rename(&new, directory.join(FILE_NAME))?;
        File::open(directory)?.sync_all()
    }
}

fn read(path: &Path) -> Result<Option<Identity>, IdentityError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(IdentityError::Read {
                path: path.to_owned(),
                source,
            });
        }
    };
    let identity = Figment::from(Toml::string(&text)).extract();
    identity
        .map(Some)
        .map_err(|error| IdentityError::NotUnderstood {
            path: path.to_owned(),
            reason: error
                .kind
                .to_string()
                .lines()
                .collect::<Vec<_>>()
                .join(": "),
        })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Identity;

    fn identity(cluster: &str, node: u64) -> Identity {
        Identity {
            cluster: cluster.to_owned(),
            node,
        }
    }

    #[test]
    fn a_directory_is_claimed_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let file = path.join("identity.toml");
        identity("chat", 1).check(path).unwrap();
        assert!(!file.exists());
        identity("chat", 1).claim(path).unwrap();
        let written = fs::read_to_string(&file).unwrap();
        identity("chat", 1).claim(path).unwrap();
        for other in [identity("chat", 2), identity("other", 1)] {
            other.check(path).unwrap_err();
            other.claim(path).unwrap_err();
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), written);
        assert_eq!(fs::read_dir(path).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_understood_is_nobodys() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("identity.toml");
        for text in [
            "",
            "node = 1",
            "cluster = \"chat\"\nnode = \"1\"",
            "cluster =",
        ] {
            fs::write(&file, text).unwrap();
            let error = identity("chat", 1).check(directory.path()).unwrap_err();
            let error = error.to_string();
            assert!(error.contains("does not say whose data"), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
