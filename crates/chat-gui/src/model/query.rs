//! What views read from the model: lists and sentences that are derived from it and stored nowhere.

use crate::model::Model;
use crate::model::availability::Availability;
use crate::model::cluster::{
    Cluster, Health, HealthLevel, NodeCard, NodeHealth, NodeRole, NodeStatus,
};
use crate::model::connection::{BANNER_DELAY, Connection};
use crate::model::conversation::{Conversation, ConversationLine, Preview};
use crate::model::failure::Failure;
use crate::model::holder::Holder;
use crate::model::membership::failures_survived_by;
use crate::model::message::{Message, MessageState};
use crate::model::names::{MessageId, Name, Term};
use crate::model::time::seconds_words;

impl Model {
    /// The list of conversations, the latest first.
    pub fn conversation_lines(&self) -> impl Iterator<Item = ConversationLine<'_>> {
        self.order.iter().filter_map(|peer| {
            let conversation = self.conversations.get(peer)?;
            let last = conversation.messages.last();
            Some(ConversationLine {
                peer,
                conversation,
                preview: conversation.preview(),
                holder: last.map_or(Holder::Present, |last| conversation.holder(last)),
                last_at: last.map(|last| last.at),
            })
        })
    }

    /// The conversation that is shown, if there is one; a person to whom nothing was written yet
    /// has none.
    pub fn open_conversation(&self) -> Option<&Conversation> {
        self.conversations.get(self.open.as_ref()?)
    }

    /// A message of a conversation.
    pub fn message(&self, peer: &Name, id: MessageId) -> Option<&Message> {
        let messages = &self.conversations.get(peer)?.messages;
        messages.iter().rev().find(|message| message.id == id)
    }

    /// The message with this id that a message with `peer` may quote, if it is in the same conversation.
    pub fn quoted(&self, peer: &Name, id: MessageId) -> Option<&Message> {
        let (with, place) = self.memory.account.message_index.places.get(&id)?;
        let conversation = self.conversations.get(with).filter(|_| with == peer)?;
        conversation.at(*place, id)
    }

    /// Which account of the other one's name a message is from or for.
    pub fn holder(&self, message: &Message) -> Holder {
        let conversation = self.conversations.get(&message.peer);
        conversation.map_or(Holder::Present, |one| one.holder(message))
    }

    /// What is shown for an inbox of which nothing is known: it may be far from empty.
    pub fn unknown_inbox_words(&self) -> (&'static str, &'static str) {
        if self.connection.is_online() || matches!(self.connection, Connection::Connecting { .. }) {
            return ("Loading your messages…", "They are stored on the servers.");
        }
        (
            "Can't load your messages right now.",
            "They are stored on the servers.",
        )
    }

    /// The sentence of the banner; `None` when there is nothing to show.
    pub fn connection_sentence(&self) -> Option<String> {
        let now = self.now.moment;
        match &self.connection {
            Connection::Idle => None,
            Connection::Online { .. } => self.recovery_sentence(),
            Connection::Connecting { since } if now.since(*since) < BANNER_DELAY => None,
            Connection::Connecting { .. } => Some("Connecting…".to_owned()),
            Connection::Reconnecting { since, .. } if now.since(*since) < BANNER_DELAY => None,
            Connection::Reconnecting { why, .. } => Some(not_online("Connecting…", why)),
            Connection::Offline { why, .. } => Some(not_online("Offline.", why)),
        }
    }

    /// What is shown for a while after an interruption.
    fn recovery_sentence(&self) -> Option<String> {
        let recovery = self.recovery?;
        let lasted = seconds_words(recovery.lasted);
        let interruption = if recovery.without_leader {
            format!("{lasted} without a leader")
        } else {
            format!("sending paused for {lasted}")
        };
        let outcome = if !self.may_be_complete() {
            "Back online"
        } else if self.ledger.is_checked_since(recovery.at) {
            "Back online. Nothing was lost"
        } else if self.ledger.failure.is_some() {
            "Back online. What was sent could not be checked"
        } else {
            "Back online. Checking that nothing was lost"
        };
        let outcome = format!("{outcome} ({interruption}).");
        let waiting = self.outbox.iter().filter(|line| line.waiting).count();
        let waiting = match waiting {
            0 => String::new(),
            1 => " One message is going out now.".to_owned(),
            more => format!(" {more} messages are going out now."),
        };
        Some(outcome + &waiting)
    }

    /// Whether every message that the person sent is on the servers, as far as that was checked, or in
    /// the outbox on its way.
    fn may_be_complete(&self) -> bool {
        let was_rejected = self.outbox.iter().any(|line| !line.waiting);
        !was_rejected && !self.memory.account.storage_failed && self.ledger.lost == 0
    }

    /// The status line while all is well: which node, which term.
    pub fn online_sentence(&self) -> Option<String> {
        match self.connection {
            Connection::Online { node, term } => Some(match (node, term) {
                (Some(node), Some(term)) => format!("Online at {node}, term {term}"),
                (Some(node), None) => format!("Online at {node}"),
                (None, Some(term)) => format!("Online, term {term}"),
                (None, None) => "Online".to_owned(),
            }),
            _ => None,
        }
    }
}

/// The words for a connection that is interrupted: what is wrong, if it does not pass by itself.
fn not_online(state: &str, why: &Failure) -> String {
    match why {
        // The person has to know which server that is.
        Failure::OtherCluster { .. } => format!("{state} {}", why.sentence()),
        why if !why.may_pass() => format!("{state} {}", why.sentence()),
        _ => format!("{state} Messages are sent when you are back online."),
    }
}

impl Conversation {
    /// What is shown beneath the name in the list.
    pub fn preview(&self) -> Preview<'_> {
        if !self.draft.text.trim().is_empty() {
            return Preview::Draft(&self.draft.text);
        }
        let Some(last) = self.messages.last() else {
            return Preview::Empty;
        };
        let body = &*last.body;
        match last.state {
            MessageState::Received { .. } => Preview::Received(body),
            MessageState::Pending(_) => Preview::Pending(body),
            MessageState::Sent { .. } => Preview::Sent(body),
            MessageState::NotSent { .. } => Preview::NotSent(body),
        }
    }
}

impl Cluster {
    /// How the cluster is, in one sentence. Nodes that left do not count.
    pub fn health(&self) -> Health {
        let counted = self.nodes.iter().filter(|node| self.is_counted(node));
        let nodes: Vec<&NodeCard> = counted.collect();
        let all = nodes.len();
        let up = nodes.iter().filter(|node| node.is_up()).count();
        let (level, sentence) = match self.availability() {
            Availability::Unknown => (
                HealthLevel::Unknown,
                "The nodes have not reported yet.".to_owned(),
            ),
            Availability::Offline => (
                HealthLevel::Offline,
                format!("None of {all} nodes answers. Messages are queued."),
            ),
            Availability::NoLeader => (
                HealthLevel::NoLeader,
                format!("No leader: {up} of {all} nodes answer. Messages are queued."),
            ),
            Availability::Led { leader, term } => {
                let leader = leader.map_or("a node".to_owned(), |leader| leader.to_string());
                return self.health_while_led(&nodes, &leader, term);
            }
        };
        Health { level, sentence }
    }

    /// The same while a node leads in `term`.
    fn health_while_led(&self, nodes: &[&NodeCard], leader: &str, term: Term) -> Health {
        let all = nodes.len();
        let up = nodes.iter().filter(|node| node.is_up()).count();
        let following = nodes.iter().filter(|node| node.is_in(term)).count();
        let learners = nodes.iter().filter(|node| node.is_learner(term)).count();
        let quorum = self.quorum().unwrap_or(all / 2 + 1);
        let seen = following.saturating_sub(quorum);
        let spare = self
            .failures_tolerated()
            .map_or(seen, |reported| reported.min(seen));
        let may_fail = match spare {
            0 => "cannot lose another node".to_owned(),
            1 => "can lose 1 more node".to_owned(),
            more => format!("can lose {more} more nodes"),
        };
        let degraded = nodes
            .iter()
            .any(|node| matches!(node.health, NodeHealth::Degraded(_)));
        // A node that joins is no fault: without it, the cluster survives as much as before.
        let may_learn = spare > 0 && spare == failures_survived_by(following);
        let is_complete = following == all || (may_learn && following + learners == all);
        let level = match is_complete && !degraded {
            true => HealthLevel::Healthy,
            false => HealthLevel::Degraded,
        };
        let storage = match degraded {
            true => " A node has a storage problem.",
            false => "",
        };
        let apart = match (up.saturating_sub(following), learners) {
            (0, _) => "",
            (1, 1) => " and one of them does not vote yet",
            (1, _) => " and one of them does not follow",
            (all, learners) if all == learners => " and some of them do not vote yet",
            _ => " and some of them do not follow",
        };
        Health {
            level,
            sentence: format!(
                "{up} of {all} nodes answer, {leader} leads in term {term}{apart}. The cluster {may_fail}.{storage}"
            ),
        }
    }

    /// How many voters must agree: by the newest report that names members, or else that of the node in
    /// the newest term.
    fn quorum(&self) -> Option<usize> {
        let reports = self.nodes.iter().filter_map(|node| node.report.as_ref());
        let newest = self
            .members_report()
            .or_else(|| reports.max_by_key(|report| report.term))?;
        (newest.quorum > 0).then_some(newest.quorum)
    }
}

impl NodeCard {
    /// Whether it answers.
    pub fn is_up(&self) -> bool {
        matches!(self.health, NodeHealth::Up | NodeHealth::Degraded(_))
    }

    /// Whether it answers, and follows in `term` without a vote, because its disk is new: it votes by
    /// itself soon.
    fn is_learner(&self, term: Term) -> bool {
        let is_learner =
            |report: &NodeStatus| report.term == term && report.role == NodeRole::Learner;
        self.is_up() && self.report.as_ref().is_some_and(is_learner)
    }

    /// Whether it answers, and leads or follows in `term`: an isolated node does not, and one
    /// that was wiped does not yet.
    fn is_in(&self, term: Term) -> bool {
        let is_in = |report: &NodeStatus| {
            report.term == term && matches!(report.role, NodeRole::Leader | NodeRole::Follower)
        };
        self.is_up() && self.report.as_ref().is_some_and(is_in)
    }
}
