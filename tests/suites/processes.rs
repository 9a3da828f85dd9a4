//! Real servers on this machine: killed, paused, wiped and stopped, while clients use them.
//!
//! `cargo test` builds the servers; a test that is run without it reports what is missing.

mod crashes;
mod damage;
mod full_disks;
mod graceful_shutdown;
mod hostile;
mod hosts;
mod minority_failure;
mod original_exercise;
mod quorum_loss;
mod resizing;
mod secret_leaks;
mod tokens;
mod watchers;
mod wiped_disks;

use chat_client::Session;
use chat_tests::processes::cluster::Cluster;
use chat_tests::processes::history::{Inboxes, read_inbox};

/// Whole inboxes as each node shows them, which must be the same.
async fn inboxes_on_every_node(cluster: &Cluster, owners: &[Session]) -> Inboxes {
    let mut inboxes = Inboxes::new();
    for node in cluster.serving() {
        let client = cluster.client_of(node);
        for owner in owners {
            let inbox = read_inbox(&client, owner).await;
            let inbox = inbox.unwrap_or_else(|error| panic!("{node:?} cannot be read: {error}"));
            let name = owner.username().to_owned();
            let first = inboxes.entry(name).or_insert_with(|| inbox.clone());
            assert!(*first == inbox, "{node:?} shows another inbox than others");
        }
    }
    inboxes
}
