//! Who belongs to a cluster: voters, learners, where they are reached, and which ids are used up (R12, R19).

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::types::{ClusterId, NodeId, StorageId, Voter};

/// Members that a cluster has at most: what one entry and each beginning of a log must hold.
pub const MEMBERS_MAX: usize = 256;

/// How far the id of a new node may be above all earlier ones: a mistake must not use up all ids.
const ID_STEP_MAX: u64 = 1_000;

/// Bytes of one address at most.
const ADDRESS_BYTES_MAX: usize = 255;

/// The id of the cluster and its members: who counts, and who will (R12, R19).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Membership {
    /// The cluster's id.
    pub cluster: ClusterId,
    /// Those who count in quorums, in ascending order of node; at least one, one per node.
    pub voters: Vec<Voter>,
    /// The nodes that become voters as soon as their disk qualifies (R20), in ascending order; none of
    /// them is a voter's.
    pub learners: Vec<NodeId>,
    /// Where some of these nodes are reached; the others have addresses in the configuration only.
    pub addresses: BTreeMap<NodeId, NodeAddresses>,
    /// The highest id that a member of this cluster ever had: a node joins with a higher one, so that the
    /// id of a node that was removed is never used again.
    pub highest: NodeId,
}

/// Where a node is reached. No rule reads it; a driver and its application do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeAddresses {
    /// Where other nodes call it: 1 to 255 bytes.
    pub peer: Box<str>,
    /// Where the application's clients call it: 255 bytes at most, empty if the application has none.
    pub client: Box<str>,
}

/// What is to change about the members, whatever they are (R19).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MembershipEdit {
    /// A new node: a learner, which becomes a voter by itself (R20).
    Add(NodeId, NodeAddresses),
    /// The node leaves for ever.
    Remove(NodeId),
    /// The node is reached elsewhere: so far at the first addresses, if its members have some, and from now on
    /// at the second ones. A request that is repeated late does not undo another one.
    Update(NodeId, Option<NodeAddresses>, NodeAddresses),
    /// The voter becomes a learner, which becomes a voter again by itself (R20).
    Demote(NodeId),
}

/// Why members cannot be changed like that, whenever it is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum EditError {
    /// The node to be added is a member, with other addresses.
    #[error("node {0} is a member already; its addresses are changed by an update")]
    IsMember(NodeId),
    /// The node to be added has an id that was used before, or is lower than one that was.
    #[error("a new node needs an id above {0}: ids are not used again")]
    IdUsed(NodeId),
    /// The node to be added has an id far above those that were used.
    #[error("a new node has an id at most {ID_STEP_MAX} above {0}")]
    IdTooHigh(NodeId),
    /// The node has other addresses than those that were to be replaced.
    #[error("node {0} has other addresses by now")]
    OtherAddresses(NodeId),
    /// The node to be changed does not belong to the cluster, and never did.
    #[error("node {0} is not a member")]
    NotMember(NodeId),
    /// A cluster has a voter.
    #[error("node {0} is the only voter")]
    OnlyVoter(NodeId),
    /// There are 256 members.
    #[error("a cluster has at most {MEMBERS_MAX} members")]
    TooMany,
    /// An address is too long, or there is none for peers.
    #[error("an address has at most {ADDRESS_BYTES_MAX} bytes, and that for peers at least one")]
    BadAddress,
}

impl NodeAddresses {
    fn is_valid(&self) -> bool {
        !self.peer.is_empty()
            && self.peer.len() <= ADDRESS_BYTES_MAX
            && self.client.len() <= ADDRESS_BYTES_MAX
    }
}

impl MembershipEdit {
    /// The node that it is about.
    pub fn node(&self) -> NodeId {
        match self {
            Self::Add(node, _)
            | Self::Remove(node)
            | Self::Update(node, ..)
            | Self::Demote(node) => *node,
        }
    }
}

impl Membership {
    /// The members of a cluster that is bootstrapped: all of them vote.
    pub fn of_voters(cluster: ClusterId, voters: Vec<Voter>) -> Self {
        Self::of(cluster, voters, Vec::new())
    }

    /// Members with the lowest possible [`highest`](Self::highest) and without addresses.
    pub fn of(cluster: ClusterId, voters: Vec<Voter>, learners: Vec<NodeId>) -> Self {
        let highest = highest_of(&voters, &learners);
        Self {
            cluster,
            voters,
            learners,
            addresses: BTreeMap::new(),
            highest,
        }
    }

    /// The disk with which `node` is a voter, if it is one.
    pub fn voter(&self, node: NodeId) -> Option<Voter> {
        self.voters.iter().copied().find(|voter| voter.node == node)
    }

    /// Whether `node` on the disk `storage` counts in quorums.
    pub fn admits(&self, node: NodeId, storage: StorageId) -> bool {
        self.voters.contains(&Voter { node, storage })
    }

    /// All members, voters first.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        let voters = self.voters.iter().map(|voter| voter.node);
        voters.chain(self.learners.iter().copied())
    }

    /// Whether `node` is a voter or a learner.
    pub fn names(&self, node: NodeId) -> bool {
        self.nodes().any(|member| member == node)
    }

    /// Whether `node` is no member, and never will be (R19).
    pub fn has_removed(&self, node: NodeId) -> bool {
        node <= self.highest && !self.names(node)
    }

    /// The voters that `other` does not have; another disk of a node is another voter.
    pub fn voters_missing_in<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = Voter> + 'a {
        let voters = self.voters.iter().copied();
        voters.filter(|voter| !other.voters.contains(voter))
    }

    /// How many of the voters make a majority.
    pub fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// The members after `edit`; `None` if they are so already.
    ///
    /// # Errors
    ///
    /// No members would be valid.
    pub fn edited(&self, edit: &MembershipEdit) -> Result<Option<Self>, EditError> {
        let node = edit.node();
        let mut next = self.clone();
        match edit {
            MembershipEdit::Add(_, addresses) if !self.names(node) => {
                if node <= self.highest {
                    return Err(EditError::IdUsed(self.highest));
                }
                if node.0 - self.highest.0 > ID_STEP_MAX {
                    return Err(EditError::IdTooHigh(self.highest));
                }
                next.learners.push(node);
                next.learners.sort_unstable();
                next.highest = node;
                next.set_addresses(node, addresses)?;
            }
            MembershipEdit::Add(_, addresses) => {
                // Repeated by a person or program that does not know the outcome.
                let known = self.addresses.get(&node);
                return match known == Some(addresses) {
                    true => Ok(None),
                    false => Err(EditError::IsMember(node)),
                };
            }
            MembershipEdit::Remove(_) if self.has_removed(node) => return Ok(None),
            MembershipEdit::Remove(_) => {
                next.leave_voters(node)?;
                next.learners.retain(|learner| *learner != node);
                next.addresses.remove(&node);
            }
            MembershipEdit::Update(_, before, addresses) => {
                let known = self.addresses.get(&node);
                if !self.names(node) {
                    return Err(EditError::NotMember(node));
                }
                if known != before.as_ref() && known != Some(addresses) {
                    return Err(EditError::OtherAddresses(node));
                }
                next.set_addresses(node, addresses)?;
            }
            MembershipEdit::Demote(_) if self.learners.contains(&node) => return Ok(None),
            MembershipEdit::Demote(_) => {
                next.leave_voters(node)?;
                next.learners.push(node);
                next.learners.sort_unstable();
            }
        }
        if next.voters.len() + next.learners.len() > MEMBERS_MAX {
            return Err(EditError::TooMany);
        }
        Ok((next != *self).then_some(next))
    }

    fn set_addresses(&mut self, node: NodeId, addresses: &NodeAddresses) -> Result<(), EditError> {
        if !addresses.is_valid() {
            return Err(EditError::BadAddress);
        }
        self.addresses.insert(node, addresses.clone());
        Ok(())
    }

    /// Removes a member from the voters, if it is one.
    fn leave_voters(&mut self, node: NodeId) -> Result<(), EditError> {
        if !self.names(node) {
            return Err(EditError::NotMember(node));
        }
        self.voters.retain(|voter| voter.node != node);
        if self.voters.is_empty() {
            return Err(EditError::OnlyVoter(node));
        }
        Ok(())
    }

    /// Whether it keeps what its fields promise; a peer or a disk may have sent anything.
    pub fn is_valid(&self) -> bool {
        let mut addresses = self.addresses.iter();
        !self.voters.is_empty()
            && self.voters.len() + self.learners.len() <= MEMBERS_MAX
            && self
                .voters
                .windows(2)
                .all(|pair| pair[0].node < pair[1].node)
            && self.learners.windows(2).all(|pair| pair[0] < pair[1])
            && self.learners.iter().all(|node| self.voter(*node).is_none())
            && addresses.all(|(node, addresses)| self.names(*node) && addresses.is_valid())
            && self.highest >= highest_of(&self.voters, &self.learners)
    }

    /// As bytes, big-endian: the cluster (16), the number of voters (4), of each its node (8) and its disk
    /// (16), the number of learners (4), of each its node (8). Only if there are addresses, or the highest id
    /// is not that of a member, there follow the highest id (8), the number of addresses (4), and of each its
    /// node (8) and two texts, each with its length before it (2).
    ///
    /// So members without addresses have the bytes that they always had, and the chain value of an old entry
    /// is what it was.
    pub fn encode(&self) -> Vec<u8> {
        let count = |length: usize| {
            u32::try_from(length)
                .expect("members are few")
                .to_be_bytes()
        };
        let mut bytes = self.cluster.0.to_be_bytes().to_vec();
        bytes.extend(count(self.voters.len()));
        for voter in &self.voters {
            bytes.extend(voter.node.0.to_be_bytes());
            bytes.extend(voter.storage.0.to_be_bytes());
        }
        bytes.extend(count(self.learners.len()));
        for learner in &self.learners {
            bytes.extend(learner.0.to_be_bytes());
        }
        if self.addresses.is_empty() && self.highest == highest_of(&self.voters, &self.learners) {
            return bytes;
        }
        bytes.extend(self.highest.0.to_be_bytes());
        bytes.extend(count(self.addresses.len()));
        for (node, addresses) in &self.addresses {
            bytes.extend(node.0.to_be_bytes());
            for text in [&addresses.peer, &addresses.client] {
                let length = u16::try_from(text.len()).expect("addresses are short");
                bytes.extend(length.to_be_bytes());
                bytes.extend(text.as_bytes());
            }
        }
        bytes
    }

    /// What [`Self::encode`] made; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let mut membership = fields.members()?;
        if !fields.0.is_empty() {
            membership.highest = fields.node()?;
            membership.addresses = fields.addresses()?;
        }
        // One form only: members are compared by their bytes.
        let valid = fields.0.is_empty() && membership.is_valid() && membership.encode() == bytes;
        valid.then_some(membership)
    }

    /// Members without addresses, as formats of before have them, from the beginning of `bytes`, which are
    /// what follows then.
    pub fn take_plain(bytes: &mut &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let membership = fields.members()?;
        *bytes = fields.0;
        membership.is_valid().then_some(membership)
    }
}

/// The highest id of these nodes; 0 if there are none.
fn highest_of(voters: &[Voter], learners: &[NodeId]) -> NodeId {
    let voters = voters.iter().map(|voter| voter.node);
    let nodes = voters.chain(learners.iter().copied());
    nodes.max().unwrap_or(NodeId(0))
}

/// Takes fields from the beginning of bytes; `None` if there are too few.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn node(&mut self) -> Option<NodeId> {
        self.take().map(u64::from_be_bytes).map(NodeId)
    }

    fn text(&mut self) -> Option<Box<str>> {
        let length = u16::from_be_bytes(self.take()?);
        let (text, rest) = self.0.split_at_checked(usize::from(length))?;
        self.0 = rest;
        core::str::from_utf8(text).ok().map(Box::from)
    }

    fn members(&mut self) -> Option<Membership> {
        let cluster = ClusterId(u128::from_be_bytes(self.take()?));
        let count = u32::from_be_bytes(self.take()?);
        let mut voters = Vec::new();
        for _ in 0..count {
            voters.push(Voter {
                node: self.node()?,
                storage: StorageId(u128::from_be_bytes(self.take()?)),
            });
        }
        let count = u32::from_be_bytes(self.take()?);
        let mut learners = Vec::new();
        for _ in 0..count {
            learners.push(self.node()?);
        }
        Some(Membership::of(cluster, voters, learners))
    }

    fn addresses(&mut self) -> Option<BTreeMap<NodeId, NodeAddresses>> {
        let count = u32::from_be_bytes(self.take()?);
        let mut addresses = BTreeMap::new();
        for _ in 0..count {
            let node = self.node()?;
            let peer = self.text()?;
            let client = self.text()?;
            addresses.insert(node, NodeAddresses { peer, client });
        }
        Some(addresses)
    }
}

#[cfg(test)]
mod tests;
