//! A transport without a network: replicas of one process, for tests and examples.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use chat_consensus::Envelope;

use crate::peer_message::{PeerReply, PeerRequest};
use crate::runner::group_name::GroupName;
use crate::runner::peer_receiver::PeerReceiver;
use crate::runner::state_machine::BoxError;
use crate::runner::transport::{PeerLink, Transport};

type Receivers = Arc<RwLock<BTreeMap<(String, GroupName), PeerReceiver>>>;

/// A network within this process; its clones are the same network. An address is any text.
#[derive(Clone, Debug, Default)]
pub struct InProcessNetwork {
    receivers: Receivers,
}

/// The way to one address of an [`InProcessNetwork`].
#[derive(Clone, Debug)]
pub struct InProcessLink {
    receivers: Receivers,
    target: (String, GroupName),
}

/// No replica of the group is at the address, or it has stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no replica of group {group:?} is at {address:?}")]
pub struct NotServed {
    address: String,
    group: String,
}

impl InProcessNetwork {
    /// An empty network.
    pub fn new() -> Self {
        Self::default()
    }

    /// Delivers to `receiver` what is sent to `address` and its group from now on.
    pub fn serve(&self, address: impl Into<String>, receiver: PeerReceiver) {
        let target = (address.into(), receiver.group().clone());
        let mut receivers = self
            .receivers
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        receivers.insert(target, receiver);
    }
}

impl Transport for InProcessNetwork {
    type Link = InProcessLink;

    fn connect(&self, address: &str, group: &GroupName) -> Result<InProcessLink, BoxError> {
        Ok(InProcessLink {
            receivers: Arc::clone(&self.receivers),
            target: (address.to_owned(), group.clone()),
        })
    }
}

impl InProcessLink {
    /// The replica that runs at the other end, if one does.
    fn receiver(&self) -> Option<PeerReceiver> {
        let receivers = self
            .receivers
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let receiver = receivers.get(&self.target).cloned();
        receiver.filter(|receiver| !receiver.is_stopped())
    }
}

impl PeerLink for InProcessLink {
    async fn call(&self, request: Envelope<PeerRequest>) -> Result<Envelope<PeerReply>, BoxError> {
        let receiver = self.receiver().ok_or_else(|| NotServed {
            address: self.target.0.clone(),
            group: self.target.1.to_string(),
        })?;
        Ok(receiver.receive(request).await?)
    }

    async fn is_refused(&self) -> bool {
        self.receiver().is_none()
    }
}
