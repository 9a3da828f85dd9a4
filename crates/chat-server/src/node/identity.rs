//! Which node and which cluster the data in a directory belongs to. Written with the first start and
//! compared at every later one, so that a node never uses the data of another one.
//!
//! Has the names that operators use. The random ids of disk and cluster, which quorums use, are in
//! the log.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Format as _, Toml};
use serde::Deserialize;

const FILE_NAME: &str = "identity.toml";

/// A node as its operator names it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    /// The name of the cluster.
    pub(crate) cluster: String,
    /// The node's id.
    pub(crate) node: u64,
}

/// Why this node cannot use a directory.
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
    #[error(
        "cannot determine which node the data in {directory} belongs to: {FILE_NAME}: {reason}"
    )]
    Malformed { directory: PathBuf, reason: String },
    #[error("{path} cannot be read: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} cannot be written: {source}")]
    Write { path: PathBuf, source: io::Error },
}

impl Identity {
    /// Compares, and changes nothing. A directory that is missing or has no identity is accepted.
    pub(crate) fn check(&self, directory: &Path) -> Result<(), IdentityError> {
        let found = read(directory)?;
        found.map_or(Ok(()), |found| self.compare(&found, directory))
    }

    /// As [`Self::check`], and writes the identity if there is none. The caller has the directory's
    /// lock.
    pub(crate) fn claim(&self, directory: &Path) -> Result<(), IdentityError> {
        let path = directory.join(FILE_NAME);
        match read(directory)? {
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

    fn write(&self, directory: &Path) -> io::Result<()> {
        let Self { cluster, node } = self;
        let cluster = toml_edit::Value::from(cluster.as_str());
        let text = format!(
            "# Whose data is in this directory. Written with the first start.\n\
             cluster = {cluster}\nnode = {node}\n"
        );
        private_file::replace(&directory.join(FILE_NAME), text.as_bytes())
    }
}

fn read(directory: &Path) -> Result<Option<Identity>, IdentityError> {
    let path = directory.join(FILE_NAME);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(IdentityError::Read { path, source });
        }
    };
    let identity = Figment::from(Toml::string(&text)).extract();
    identity
        .map(Some)
        .map_err(|error| IdentityError::Malformed {
            directory: directory.to_owned(),
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
    fn directory_is_claimed_once() {
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
    fn malformed_identity_is_rejected() {
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
            assert!(
                error.starts_with("cannot determine which node the data in "),
                "{error}"
            );
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
