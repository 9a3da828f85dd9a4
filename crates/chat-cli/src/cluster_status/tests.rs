//! The view of a cluster in every condition.

use std::time::Duration;

use chat_client::{FollowerStatus, KnownNode, NodeReport, NodeStatus};
use expect_test::{Expect, expect};

use super::table;
use super::view::{Health, View};

fn node(id: u64, role: &str, term: u64) -> NodeStatus {
    NodeStatus {
        node_id: id,
        role: role.to_owned(),
        term,
        leader_id: Some(1),
        last_index: 1204,
        commit_index: 1204,
        applied_index: 1204,
        storage_state: "ok".to_owned(),
        version: "0.1.0".to_owned(),
        uptime: Duration::from_millis(252_000),
        storage_bytes: 1_234_567,
        voter_ids: vec![1, 2, 3],
        quorum: Some(2),
        bootstrap_awaits: Vec::new(),
        ..NodeStatus::default()
    }
}

fn leader(term: u64, followers: &[FollowerStatus]) -> NodeStatus {
    NodeStatus {
        followers: followers.to_vec(),
        ..node(1, "leader", term)
    }
}

fn follower(id: u64, is_voter: bool, match_index: u64, contact_ms: u64) -> FollowerStatus {
    FollowerStatus {
        node_id: id,
        is_voter,
        match_index,
        last_contact: Some(Duration::from_millis(contact_ms)),
    }
}

fn view(answers: impl IntoIterator<Item = Option<NodeStatus>>) -> View {
    let reports: Vec<NodeReport> = answers
        .into_iter()
        .enumerate()
        .map(|(place, answer)| NodeReport {
            address: format!("127.0.0.1:740{}", place + 1),
            node_id: None,
            status: answer.ok_or_else(|| "Connection refused".to_owned()),
            is_foreign: false,
            round_trip: Duration::from_micros(400),
        })
        .collect();
    let known = vec![KnownNode::default(); reports.len()];
    View::new(&known, &reports)
}

fn healthy() -> View {
    let followers = [follower(2, true, 1204, 38), follower(3, true, 1204, 40)];
    view([
        Some(leader(7, &followers)),
        Some(node(2, "follower", 7)),
        Some(node(3, "follower", 7)),
    ])
}

fn check(view: &View, health: Health, table: Expect) {
    assert_eq!(view.health, health, "{}", view.summary);
    table.assert_eq(&format!("{}\n{}", table::draw(view), view.summary));
}

#[test]
fn healthy_cluster_is_healthy() {
    check(
        &healthy(),
        Health::Healthy,
        expect![[r#"
            NODE  ADDRESS         ROLE      HEALTH  TERM  LAST   COMMIT  APPLIED  TRAILS  SEEN   RTT     DB      UP     VERSION  ERROR
            n1    127.0.0.1:7401  leader    ok      7     1,204  1,204   1,204    0       -      0.4 ms  1.2 MB  4m12s  0.1.0
            n2    127.0.0.1:7402  follower  ok      7     1,204  1,204   1,204    0       38 ms  0.4 ms  1.2 MB  4m12s  0.1.0
            n3    127.0.0.1:7403  follower  ok      7     1,204  1,204   1,204    0       40 ms  0.4 ms  1.2 MB  4m12s  0.1.0
            cluster healthy: 3 of 3 nodes up, tolerates 1 more failure · leader n1 (term 7)"#]],
    );
}

#[test]
fn json_fields_are_stable() {
    let mut view = healthy();
    view.nodes.truncate(2);
    expect![[r#"
        {
          "health": "healthy",
          "summary": "cluster healthy: 3 of 3 nodes up, tolerates 1 more failure · leader n1 (term 7)",
          "leader": 1,
          "term": 7,
          "nodes": [
            {
              "id": 1,
              "address": "127.0.0.1:7401",
              "reachable": true,
              "role": "leader",
              "term": 7,
              "last": 1204,
              "commit": 1204,
              "applied": 1204,
              "trails": 0,
              "seen_ms": null,
              "rtt_us": 400,
              "storage": "ok",
              "storage_bytes": 1234567,
              "log_begins": null,
              "snapshot": null,
              "uptime_ms": 252000,
              "version": "0.1.0",
              "voter": true,
              "member": null,
              "error": null
            },
            {
              "id": 2,
              "address": "127.0.0.1:7402",
              "reachable": true,
              "role": "follower",
              "term": 7,
              "last": 1204,
              "commit": 1204,
              "applied": 1204,
              "trails": 0,
              "seen_ms": 38,
              "rtt_us": 400,
              "storage": "ok",
              "storage_bytes": 1234567,
              "log_begins": null,
              "snapshot": null,
              "uptime_ms": 252000,
              "version": "0.1.0",
              "voter": true,
              "member": null,
              "error": null
            }
          ]
        }"#]].assert_eq(&serde_json::to_string_pretty(&view).unwrap());
}

#[test]
fn cluster_with_one_node_down_is_degraded() {
    let followers = [follower(2, true, 1204, 38), follower(3, true, 1180, 41_000)];
    let view = view([
        Some(leader(7, &followers)),
        Some(node(2, "follower", 7)),
        None,
    ]);
    check(
        &view,
        Health::Degraded,
        expect![[r#"
            NODE  ADDRESS         ROLE      HEALTH  TERM  LAST   COMMIT  APPLIED  TRAILS  SEEN   RTT     DB      UP     VERSION  ERROR
            n1    127.0.0.1:7401  leader    ok      7     1,204  1,204   1,204    0       -      0.4 ms  1.2 MB  4m12s  0.1.0
            n2    127.0.0.1:7402  follower  ok      7     1,204  1,204   1,204    0       38 ms  0.4 ms  1.2 MB  4m12s  0.1.0
            n3    127.0.0.1:7403  -         down    -     1,180  -       -        24      41 s   -       -       -      -        Connection refused
            cluster degraded: 2 of 3 nodes up, quorum holds, tolerates 0 more failures · leader n1 (term 7) · n3 is down"#]],
    );
}

#[test]
fn cluster_with_one_node_up_has_no_quorum() {
    let view = view([None, Some(node(2, "pre-candidate", 7)), None]);
    assert_eq!(view.leader, None);
    check(
        &view,
        Health::NoQuorum,
        expect![[r#"
            NODE  ADDRESS         ROLE           HEALTH  TERM  LAST   COMMIT  APPLIED  TRAILS  SEEN  RTT     DB      UP     VERSION  ERROR
            n1    127.0.0.1:7401  -              down    -     -      -       -        -       -     -       -       -      -        Connection refused
            n2    127.0.0.1:7402  pre-candidate  ok      7     1,204  1,204   1,204    -       -     0.4 ms  1.2 MB  4m12s  0.1.0
            n3    127.0.0.1:7403  -              down    -     -      -       -        -       -     -       -       -      -        Connection refused
            cluster unavailable: 1 of 3 nodes up, no quorum"#]],
    );
}

#[test]
fn unreachable_cluster_has_no_quorum() {
    check(
        &view([None, None, None]),
        Health::NoQuorum,
        expect![[r#"
            NODE  ADDRESS         ROLE  HEALTH  TERM  LAST  COMMIT  APPLIED  TRAILS  SEEN  RTT  DB  UP  VERSION  ERROR
            n1    127.0.0.1:7401  -     down    -     -     -       -        -       -     -    -   -   -        Connection refused
            n2    127.0.0.1:7402  -     down    -     -     -       -        -       -     -    -   -   -        Connection refused
            n3    127.0.0.1:7403  -     down    -     -     -       -        -       -     -    -   -   -        Connection refused
            cluster unavailable: 0 of 3 nodes up, no quorum"#]],
    );
}

#[test]
fn wiped_node_does_not_vote_yet() {
    let followers = [follower(2, true, 1204, 38), follower(3, false, 1204, 38)];
    let wiped = node(3, "learner", 7);
    let counted = |mut status: NodeStatus| {
        status.voter_ids = vec![1, 2];
        Some(status)
    };
    let nodes = [
        counted(leader(7, &followers)),
        counted(node(2, "follower", 7)),
        counted(wiped),
    ];
    check(
        &view(nodes),
        Health::Degraded,
        expect![[r#"
            NODE  ADDRESS         ROLE      HEALTH   TERM  LAST   COMMIT  APPLIED  TRAILS  SEEN   RTT     DB      UP     VERSION  ERROR
            n1    127.0.0.1:7401  leader    ok       7     1,204  1,204   1,204    0       -      0.4 ms  1.2 MB  4m12s  0.1.0
            n2    127.0.0.1:7402  follower  ok       7     1,204  1,204   1,204    0       38 ms  0.4 ms  1.2 MB  4m12s  0.1.0
            n3    127.0.0.1:7403  learner   no vote  7     1,204  1,204   1,204    0       38 ms  0.4 ms  1.2 MB  4m12s  0.1.0
            cluster degraded: 3 of 3 nodes up, quorum holds, tolerates 0 more failures · leader n1 (term 7) · n3 does not vote yet"#]],
    );
}

#[test]
fn leader_of_an_older_term_is_stale() {
    let followers = [follower(2, true, 1204, 38), follower(3, true, 1204, 900)];
    let stale = NodeStatus {
        term: 6,
        ..node(3, "leader", 6)
    };
    let view = view([
        Some(leader(7, &followers)),
        Some(node(2, "follower", 7)),
        Some(stale),
    ]);
    assert_eq!(view.leader, Some(1));
    check(
        &view,
        Health::Degraded,
        expect![[r#"
            NODE  ADDRESS         ROLE      HEALTH  TERM  LAST   COMMIT  APPLIED  TRAILS  SEEN    RTT     DB      UP     VERSION  ERROR
            n1    127.0.0.1:7401  leader    ok      7     1,204  1,204   1,204    0       -       0.4 ms  1.2 MB  4m12s  0.1.0
            n2    127.0.0.1:7402  follower  ok      7     1,204  1,204   1,204    0       38 ms   0.4 ms  1.2 MB  4m12s  0.1.0
            n3    127.0.0.1:7403  leader    stale   6     1,204  1,204   1,204    0       900 ms  0.4 ms  1.2 MB  4m12s  0.1.0    stale: claims to lead term 6, but the current term is 7
            cluster degraded: 3 of 3 nodes up, quorum holds, tolerates 1 more failure · leader n1 (term 7) · n3 is stale"#]],
    );
}

#[test]
fn cluster_before_its_bootstrap_has_no_quorum() {
    let uninitialized = |id| NodeStatus {
        voter_ids: Vec::new(),
        quorum: None,
        ..node(id, "uninitialized", 0)
    };
    let first = NodeStatus {
        bootstrap_awaits: vec![3],
        ..uninitialized(1)
    };
    let waiting = view([Some(first), Some(uninitialized(2)), None]);
    assert_eq!(waiting.health, Health::NoQuorum);
    expect![
        "cluster unavailable: 2 of 3 nodes up, the cluster is not bootstrapped and waits for n3"
    ]
    .assert_eq(&waiting.summary);
    let unknown = view([None, Some(uninitialized(2)), Some(uninitialized(3))]);
    expect!["cluster unavailable: 2 of 3 nodes up, the cluster is not bootstrapped"]
        .assert_eq(&unknown.summary);
}

#[test]
fn follower_far_behind_degrades_the_cluster() {
    let followers = [follower(2, true, 1204, 38), follower(3, true, 4, 38)];
    let mut answers = [
        Some(leader(7, &followers)),
        Some(node(2, "follower", 7)),
        Some(node(3, "follower", 7)),
    ];
    answers[0].as_mut().unwrap().last_index = 6_205;
    answers[1].as_mut().unwrap().last_index = 6_205;
    let view = view(answers);
    assert_eq!(view.health, Health::Degraded);
    expect!["cluster degraded: 3 of 3 nodes up, quorum holds, tolerates 1 more failure · leader n1 (term 7) · n3 trails"].assert_eq(&view.summary);
}

#[test]
fn silent_node_has_the_unused_id() {
    let view = view([None, Some(node(1, "follower", 7)), None]);
    let ids: Vec<u64> = view.nodes.iter().map(|node| node.id).collect();
    assert_eq!(ids, [2, 1, 3]);
}

/// The nodes that a person named may be others than those of the cluster.
#[test]
fn node_that_left_is_shown_and_is_no_problem() {
    let members = [1, 2, 4].map(|node_id| chat_client::MemberReport {
        node_id,
        is_voter: Some(true),
        client_address: String::new(),
        peer_address: String::new(),
    });
    let followers = [follower(2, true, 1204, 38), follower(4, true, 1204, 40)];
    let leading = NodeStatus {
        membership: members.to_vec(),
        ..leader(7, &followers)
    };
    let removed = NodeStatus {
        voter_ids: vec![1, 2, 4],
        ..node(3, "removed", 7)
    };
    let joined = NodeStatus {
        voter_ids: vec![1, 2, 4],
        ..node(4, "follower", 7)
    };
    let view = view([
        Some(leading),
        Some(node(2, "follower", 7)),
        Some(removed),
        Some(joined),
    ]);
    assert_eq!(view.health, Health::Healthy);
    let summary = "cluster healthy: 3 of 3 nodes up, tolerates 1 more failure · leader n1 (term 7)";
    assert_eq!(view.summary, summary);
    let members: Vec<_> = view.nodes.iter().map(|node| node.member).collect();
    assert_eq!(members, [true, true, false, true].map(Some));
    assert!(table::draw(&view).contains("removed   left"));
}
