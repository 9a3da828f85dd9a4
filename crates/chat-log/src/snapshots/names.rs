//! The names of the files in the directory of snapshots.

use chat_consensus::Snapshot;

/// A snapshot that is being taken.
pub(super) const TAKING: &str = "taking.part";
/// A snapshot that is being downloaded, as far as it is.
pub(super) const DOWNLOAD: &str = "download.part";
/// What is being downloaded, and how much of it is synced.
pub(super) const DOWNLOAD_SIDECAR: &str = "download.sidecar";

/// Ends the name of a state machine's file.
pub(super) const FILE_END: &str = ".snapshot";
/// Ends the name of a sidecar.
pub(super) const SIDECAR_END: &str = ".sidecar";
/// Ends the name of a file that is renamed when it is complete.
pub(super) const NEW_END: &str = ".new";

/// The name of a snapshot's file: index, term and the digest's beginning.
pub(super) fn file_name(snapshot: &Snapshot) -> String {
    format!("{}{FILE_END}", stem(snapshot))
}

/// The name of a snapshot's sidecar.
pub(super) fn sidecar_name(snapshot: &Snapshot) -> String {
    format!("{}{SIDECAR_END}", stem(snapshot))
}

/// Whether a name is of a kind that is written here; nothing else is ever removed.
pub(super) fn is_of_a_snapshot(name: &str) -> bool {
    [FILE_END, SIDECAR_END, NEW_END]
        .iter()
        .any(|end| name.ends_with(end))
        || [TAKING, DOWNLOAD].contains(&name)
}

fn stem(snapshot: &Snapshot) -> String {
    let position = snapshot.base.position;
    let digest: [u8; 8] = *snapshot
        .digest
        .0
        .first_chunk()
        .expect("a digest has 32 bytes");
    let digest = u64::from_be_bytes(digest);
    format!(
        "{:020}-{:020}-{digest:016x}",
        position.index.0, position.term.0
    )
}
