//! What a window is started with: where its data is, and which servers it may use. Deliberately
//! absent: the command line, which `settings.rs` of the program reads.

use std::path::PathBuf;

/// What the backend is started with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where this window keeps its data; `None` keeps nothing.
    pub folder: Option<PathBuf>,
    /// The servers that were named when the program was started; otherwise those of the last time.
    pub addresses: Vec<String>,
    /// Where a local cluster is looked for.
    pub local_cluster: ClusterPlace,
}

/// Where a `cluster.json` of a local cluster may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClusterPlace {
    /// Nowhere.
    #[default]
    Nowhere,
    /// Beside this file, which was named when the program was started.
    Beside(PathBuf),
    /// In the nearest `.cluster`, in this folder or above; only if no other user can have put it
    /// there.
    Nearest(PathBuf),
}
