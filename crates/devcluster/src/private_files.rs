//! A cluster's folder is closed to other users of the machine: it holds data, logs, what the
//! processes are, and the socket that stops and wipes them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::sys::stat::{Mode, umask};

use crate::layout::Files;

/// Everything that this process and its children make is private from its first moment.
pub fn from_now_on() {
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
}

/// Replaces a file by one that no other user can read.
///
/// # Errors
///
/// The system's.
pub fn write(path: &Path, text: &[u8]) -> Result<()> {
    private_file::replace(path, text).with_context(|| format!("writing {}", path.display()))
}

/// Makes the cluster's folder, or closes one that an earlier version left open; refuses one that is
/// open and holds other files, because then other users may be meant to enter it.
///
/// # Errors
///
/// When it is refused, or cannot be made.
pub fn prepare_folder(files: &Files) -> Result<()> {
    let folder = files.folder();
    let path = folder.display();
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
    }
    let created = private_file::create_new_folder(folder);
    if created.with_context(|| format!("creating {path}"))? {
        return Ok(());
    }
    let metadata = fs::metadata(folder).with_context(|| format!("looking at {path}"))?;
    if metadata.mode() & 0o077 == 0 {
        return Ok(());
    }
    let is_empty = fs::read_dir(folder)
        .with_context(|| format!("looking into {path}"))?
        .next()
        .is_none();
    if !is_empty && !files.state().exists() {
        bail!(
            "other users can enter {path}, and it holds files that no cluster made; \
             name another folder, or close it with `chmod 700`"
        );
    }
    private_file::create_folder(folder)
        .with_context(|| format!("closing {path} to other users"))?;
    println!("{path} was open to other users of this machine and is closed now");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::{prepare_folder, write};
    use crate::layout::Files;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn folder_of_a_cluster_is_closed_to_others() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("cluster");
        let files = Files::new(folder.clone());
        prepare_folder(&files).unwrap();
        assert_eq!(mode(&folder), 0o700);
        write(&files.state(), b"{}").unwrap();
        assert_eq!(mode(&files.state()), 0o600);

        // As an earlier version made both.
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(files.state(), Permissions::from_mode(0o644)).unwrap();
        prepare_folder(&files).unwrap();
        write(&files.state(), b"{}").unwrap();
        assert_eq!((mode(&folder), mode(&files.state())), (0o700, 0o600));

        // A folder with other things may be shared for a reason.
        fs::rename(files.state(), folder.join("diary.txt")).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        let refused = prepare_folder(&files).unwrap_err().to_string();
        assert!(refused.contains("chmod 700"), "{refused}");
        assert_eq!(mode(&folder), 0o755);
    }
}
