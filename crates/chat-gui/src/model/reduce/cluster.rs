//! From the status reports of the nodes to cards, timeline, feed and fail-overs. Everything here is
//! noticed no finer than the interval of the polls; what is reported is never earlier than it
//! happened.

use std::time::Duration;

use crate::model::Model;
use crate::model::cluster::{FAILOVERS_MAX, FEED_MAX, NodeCard, NodeHealth, NodeRole, NodeStatus};
use crate::model::event::NodeReport;
use crate::model::failover::Failover;
use crate::model::feed::{FeedEntry, FeedEvent};
use crate::model::names::{NodeId, Term};
use crate::model::term_timeline::{
    TERM_TIMELINE_LENGTH, TERM_TIMELINE_MARKS_MAX, TermBand, Tick, TickKind,
};
use crate::model::time::Moment;

/// Longer than it takes until a leader that was hurt is found lost.
const FAULT_TO_LOSS_MAX: Duration = Duration::from_secs(5);

impl Model {
    /// All nodes were polled.
    pub(super) fn observe(&mut self, reports: Vec<NodeReport>, since_previous: Option<Duration>) {
        let now = self.now.moment;
        let previously = since_previous.map_or(now, |ago| {
            let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
            Moment(now.0.saturating_sub(ago))
        });
        let longest = reports.iter().map(|report| report.round_trip).max();
        let begun = longest.map(|longest| {
            let longest = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
            Moment(now.0.saturating_sub(longest))
        });
        let known = |card: &NodeCard| reports.iter().any(|report| report.address == card.address);
        self.cluster.nodes.retain(known);
        // What has not changed is not reported, so these answered at the previous poll, too.
        for card in self.cluster.nodes.iter_mut().filter(|card| card.is_up()) {
            card.seen_at = card.seen_at.max(Some(previously));
        }
        let changes = reports
            .into_iter()
            .flat_map(|report| self.take_report(report));
        let changes: Vec<_> = changes.collect();
        self.identify_nodes();
        for (event, tick) in changes {
            // A node that left is stopped, which is no fault.
            let is_expected =
                matches!(event, FeedEvent::NodeLost(node) if self.cluster.has_left(node));
            if !is_expected {
                self.add_to_feed(event, tick);
            }
        }
        self.cluster.polled_at = Some(now);
        // What was acknowledged before this poll began is older than what it shows.
        self.cluster.acknowledged = self
            .cluster
            .acknowledged
            .filter(|(_, at)| begun.is_some_and(|begun| *at >= begun));
        self.measure_lag();
        self.follow_leadership(previously);
        self.extend_term_timeline();
    }

    /// Returns what has happened to the node.
    fn take_report(&mut self, report: NodeReport) -> Vec<(FeedEvent, Option<TickKind>)> {
        let now = self.now.moment;
        let cards = &mut self.cluster.nodes;
        let place = cards.iter().position(|card| card.address == report.address);
        let place = place.unwrap_or_else(|| {
            cards.push(NodeCard {
                id: report.id,
                address: report.address,
                health: NodeHealth::Unknown,
                report: None,
                seen_at: None,
                round_trip: None,
                behind: None,
            });
            cards.len() - 1
        });
        let card = &mut cards[place];
        let before = std::mem::replace(&mut card.health, NodeHealth::Unknown);
        let mut changes = Vec::new();
        match report.status {
            Ok(status) => {
                let id = status.id;
                card.health = match status.storage.as_str() {
                    "ok" => NodeHealth::Up,
                    trouble => NodeHealth::Degraded(trouble.to_owned()),
                };
                if matches!(before, NodeHealth::Down(_)) {
                    changes.push((FeedEvent::NodeBack(id), Some(TickKind::NodeBack)));
                }
                let ran = card.report.as_ref().map(|last| last.uptime);
                if ran.is_some_and(|ran| status.uptime < ran) {
                    changes.push((FeedEvent::NodeRestarted(id), None));
                }
                if let NodeHealth::Degraded(what) = &card.health
                    && before != card.health
                {
                    changes.push((FeedEvent::StorageTrouble(id, what.clone()), None));
                }
                card.id = Some(id);
                card.report = Some(status);
                card.seen_at = Some(now);
                card.round_trip = Some(report.round_trip);
            }
            Err(why) => {
                card.health = NodeHealth::Down(why);
                let was_up = matches!(before, NodeHealth::Up | NodeHealth::Degraded(_));
                if let (true, Some(id)) = (was_up, card.id) {
                    changes.push((FeedEvent::NodeLost(id), Some(TickKind::NodeLost)));
                }
            }
        }
        changes
    }

    /// How far each node is behind the leader's log.
    fn measure_lag(&mut self) {
        let leader = self.cluster.leader().map(|(leader, _)| leader);
        let cards = self.cluster.nodes.iter();
        let mut reports = cards.filter_map(|card| card.report.as_ref());
        let leading = reports.find(|report| Some(report.id) == leader).cloned();
        for card in &mut self.cluster.nodes {
            card.behind = leading.as_ref().and_then(|leading| {
                let id = card.id?;
                let own = card.report.as_ref().map(|report| report.last_index);
                let held = match leading.followers.get(&id) {
                    _ if id == leading.id => leading.last_index,
                    // A new leader does not know every follower yet: then the node's last status
                    // counts.
                    Some(matched) if matched.0 > 0 => *matched,
                    _ => own?,
                };
                Some(leading.last_index.0.saturating_sub(held.0))
            });
        }
    }

    fn follow_leadership(&mut self, previously: Moment) {
        let leader = self.cluster.leader();
        let before = self.memory.observation.leader;
        let silent_since = self.notice_silence(previously);
        if let Some((old, old_term)) = before
            && leader != before
            && self.failover_begun_at().is_none()
        {
            self.add_to_feed(FeedEvent::LeaderLost(old, old_term), None);
            self.cluster.failovers.push_front(Failover {
                old_leader: Some(old),
                old_term,
                lost_at: self
                    .fault_caused_at(old)
                    .or(silent_since)
                    .unwrap_or(previously)
                    .min(previously),
                candidate_at: None,
                elected_at: None,
                new_leader: None,
                first_commit_at: None,
                online_at: None,
            });
            self.cluster.failovers.truncate(FAILOVERS_MAX);
            self.memory.observation.log_end = None;
            self.memory.observation.last_fault = None;
        }
        self.notice_candidates();
        if let Some((node, term)) = leader
            && leader != before
        {
            self.memory.observation.leader = leader;
            self.memory.observation.silent_since = None;
            self.add_to_feed(FeedEvent::Elected(node, term), Some(TickKind::Elected));
        }
        if let Some(leader) = leader {
            self.follow_new_leader(leader);
        }
        // No account is signed in: there is nothing to wait for but the servers.
        if self.account.is_none() && leader.is_some() {
            self.failover_is_over(None);
        }
    }

    /// Since when the leader of the last poll has not answered. The others name it for a while, until
    /// they miss it.
    fn notice_silence(&mut self, previously: Moment) -> Option<Moment> {
        let leader = self.memory.observation.leader.map(|(leader, _)| leader);
        let mut cards = self.cluster.nodes.iter();
        let card = cards.find(|card| leader.is_some() && card.id == leader);
        let is_silent = card.is_some_and(|card| !card.is_up());
        let silent_since = &mut self.memory.observation.silent_since;
        if is_silent {
            silent_since.get_or_insert(previously);
        } else {
            *silent_since = None;
        }
        *silent_since
    }

    /// When this window hurt `leader`, if that may be why it is lost now: an isolated leader
    /// reports for a while that it still leads.
    fn fault_caused_at(&self, leader: NodeId) -> Option<Moment> {
        let (node, at) = self.memory.observation.last_fault?;
        (node == leader && self.now.moment.since(at) <= FAULT_TO_LOSS_MAX).then_some(at)
    }

    fn follow_new_leader(&mut self, leader: (NodeId, Term)) {
        let now = self.now.moment;
        let own = self.reports().find(|report| report.id == leader.0);
        // A leader that does not answer here is judged by a follower.
        let of_term = || self.reports().find(|report| report.term == leader.1);
        let ends = own
            .or_else(of_term)
            .map(|report| (report.last_index, report.commit_index));
        let log_end = self.memory.observation.log_end;
        let Some(failover) = self.current_failover() else {
            return;
        };
        failover.candidate_at.get_or_insert(now);
        failover.elected_at.get_or_insert(now);
        let is_same = failover.new_leader.replace(leader) == Some(leader);
        if let Some((last_index, commit_index)) = ends {
            let log_end = log_end.filter(|_| is_same).unwrap_or(last_index);
            if commit_index >= log_end {
                failover.first_commit_at.get_or_insert(now);
            }
            self.memory.observation.log_end = Some(log_end);
        }
    }

    fn notice_candidates(&mut self) {
        let reported = self.memory.observation.reported_candidate;
        let candidate = self
            .reports()
            .filter(|report| report.role == NodeRole::Candidate && report.term > reported)
            .map(|report| (report.id, report.term))
            .max_by_key(|(_, term)| *term);
        if let Some((node, term)) = candidate {
            self.memory.observation.reported_candidate = term;
            self.add_to_feed(FeedEvent::Candidate(node, term), Some(TickKind::Election));
        }
        let highest = self.highest_term();
        let now = self.now.moment;
        if let Some(failover) = self.current_failover()
            && (candidate.is_some() || highest > failover.old_term)
        {
            failover.candidate_at.get_or_insert(now);
        }
    }

    fn extend_term_timeline(&mut self) {
        let now = self.now.moment;
        let leader = self.cluster.leader().map(|(leader, _)| leader);
        let term = self.highest_term();
        let timeline = &mut self.cluster.term_timeline;
        let is_same = |band: &TermBand| band.term == term && band.leader == leader;
        if !timeline.bands.back().is_some_and(is_same) {
            timeline.bands.push_back(TermBand {
                from: now,
                term,
                leader,
            });
        }
        // A band ends where the next one begins.
        while timeline.bands.len() > TERM_TIMELINE_MARKS_MAX
            || timeline
                .bands
                .get(1)
                .is_some_and(|next| now.since(next.from) > TERM_TIMELINE_LENGTH)
        {
            timeline.bands.pop_front();
        }
        while timeline.ticks.len() > TERM_TIMELINE_MARKS_MAX
            || timeline
                .ticks
                .front()
                .is_some_and(|tick| now.since(tick.at) > TERM_TIMELINE_LENGTH)
        {
            timeline.ticks.pop_front();
        }
    }

    /// Adds a line to the feed, and a tick to the timeline if it is worth one.
    pub(super) fn add_to_feed(&mut self, event: FeedEvent, tick: Option<TickKind>) {
        self.memory.feed += 1;
        let number = self.memory.feed;
        self.cluster.feed.push_front(FeedEntry {
            number,
            at: self.now,
            event,
        });
        self.cluster.feed.truncate(FEED_MAX);
        if let Some(kind) = tick {
            self.cluster.term_timeline.ticks.push_back(Tick {
                at: self.now.moment,
                kind,
                feed: number,
            });
        }
    }

    /// When the fail-over began that is not over.
    pub(super) fn failover_begun_at(&self) -> Option<Moment> {
        let newest = self.cluster.failovers.front()?;
        (!newest.is_over()).then_some(newest.lost_at)
    }

    fn current_failover(&mut self) -> Option<&mut Failover> {
        let newest = self.cluster.failovers.front_mut()?;
        (!newest.is_over()).then_some(newest)
    }

    /// This window can send again: the leader of `term` acknowledged a message, or the reports of
    /// the nodes show it. Returns when the fail-over began, if it is over now and was not reported
    /// so yet.
    pub(super) fn failover_is_over(&mut self, term: Option<Term>) -> Option<Moment> {
        let now = self.now.moment;
        let acknowledged = self.memory.account.link.acknowledged;
        let recovery = self.recovery;
        let failover = self.current_failover()?;
        // The next poll may come only after a message was acknowledged already.
        let proof = acknowledged
            .filter(|(term, at)| *term > failover.old_term && *at >= failover.lost_at)
            .map(|(_, at)| at);
        let is_over = match term {
            // What the old leader had acknowledged may come late.
            Some(term) => term > failover.old_term || failover.elected_at.is_some(),
            None => failover.first_commit_at.is_some() || failover.same_leader(),
        };
        if !is_over && proof.is_none() {
            return None;
        }
        let (lost_at, online_at) = (failover.lost_at, proof.unwrap_or(now));
        match recovery.filter(|recovery| recovery.at >= lost_at) {
            // It was reported before the polls showed what it was.
            Some(recovery) => {
                failover.end(recovery.began(), recovery.at);
                None
            }
            None => {
                failover.end(lost_at, online_at);
                Some(lost_at)
            }
        }
    }

    fn reports(&self) -> impl Iterator<Item = &NodeStatus> {
        let up = self.cluster.nodes.iter().filter(|card| card.is_up());
        up.filter_map(|card| card.report.as_ref())
    }

    fn highest_term(&self) -> Term {
        let terms = self.reports().map(|report| report.term);
        terms.max().unwrap_or_default()
    }
}

impl Failover {
    /// The old leader came back in its old term, as after a pause: nothing has to be committed.
    fn same_leader(&self) -> bool {
        let old: Option<NodeId> = self.old_leader;
        old.is_some_and(|old| self.new_leader == Some((old, self.old_term)))
    }
}
