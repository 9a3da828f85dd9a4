//! The runner as an embedder uses it: three replicas in one process, over real sockets and disks.

mod cluster;
mod overload;
mod serving;
mod starting;
mod stopping;
