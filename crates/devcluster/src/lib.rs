//! A cluster of real servers on one machine, to use, to break and to repair.
//!
//! [`up::bring_up`] writes the files of a cluster into one folder and starts a supervisor in the
//! background: the program `devcluster` of this crate. The supervisor starts the nodes and carries
//! the links between them; [`resize`] adds and removes nodes while it runs. Everything else is a
//! request on its control socket ([`control_client`]) or a look into its `cluster.json` ([`state`]).
//! The types of both are in the crate `devcluster-api`, which clients use without this one.
//!
//! Deliberately absent: a command line (`cargo xtask cluster` is one), building the programs, and
//! the gRPC interface of the nodes. The dependencies are few and light, because `cargo xtask` must
//! start at once.

mod control_socket;
mod event;
mod file_removal;
mod link_proxy;
mod link_set;
mod lock;
mod ports;

pub mod control_client;
pub mod down;
pub mod layout;
pub mod link_shape;
pub mod logs;
pub mod node_config;
pub mod node_process;
pub mod private_files;
pub mod process_identity;
pub mod resize;
pub mod socket_folder;
pub mod state;
pub mod status;
pub mod supervised_node;
pub mod supervisor;
pub mod up;
