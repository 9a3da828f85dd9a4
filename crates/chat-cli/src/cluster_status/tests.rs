//! What is shown of a cluster in every condition.

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
fn a_healthy_cluster() {
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
fn json_has_a_stable_form() {
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
              "uptime_ms": 252000,
              "version": "0.1.0",
              "voter": true,
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
              "uptime_ms": 252000,
              "version": "0.1.0",
              "voter": true,
              "error": null
            }
          ]
        }"#]].assert_eq(&serde_json::to_string_pretty(&view).unwrap());
}

#[test]
fn one_node_down() {
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
fn no_quorum() {
    let view = view([None, Some(node(2, "pre-candidate", 7)), None]);
    assert_eq!(view.leader, None);
    check(
        &view,
        Health::NoQuorum,
        expect![[r#"
        NODE  ADDRESS         ROLE   HEALTH  TERM  LAST   COMMIT  APPLIED  TRAILS  SEEN  RTT     DB      UP     VERSION  ERROR
        n1    127.0.0.1:7401  -      down    -     -      -       -        -       -     -       -       -      -        Connection refused
        n2    127.0.0.1:7402  trial  ok      7     1,204  1,204   1,204    -       -     0.4 ms  1.2 MB  4m12s  0.1.0
        n3    127.0.0.1:7403  -      down    -     -      -       -        -       -     -       -       -      -        Connection refused
        cluster unavailable: 1 of 3 nodes up, no quorum"#]],
    );
}

#[test]
fn nobody_answers() {
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
fn a_wiped_node_learns() {
    let followers = [follower(2, true, 1204, 38), follower(3, false, 1204, 38)];
    let wiped = node(3, "learner", 7);
    let view = view([
        Some(leader(7, &followers)),
        Some(node(2, "follower", 7)),
        Some(wiped),
    ]);
    check(
        &view,
        Health::Degraded,
        expect![[r#"
            NODE  ADDRESS         ROLE      HEALTH   TERM  LAST   COMMIT  APPLIED  TRAILS  SEEN   RTT     DB      UP     VERSION  ERROR
            n1    127.0.0.1:7401  leader    ok       7     1,204  1,204   1,204    0       -      0.4 ms  1.2 MB  4m12s  0.1.0
            n2    127.0.0.1:7402  follower  ok       7     1,204  1,204   1,204    0       38 ms  0.4 ms  1.2 MB  4m12s  0.1.0
            n3    127.0.0.1:7403  learner   no vote  7     1,204  1,204   1,204    0       38 ms  0.4 ms  1.2 MB  4m12s  0.1.0
            cluster degraded: 3 of 3 nodes up, quorum holds, tolerates 0 more failures · leader n1 (term 7) · n3 does not vote"#]],
    );
}

#[test]
fn of_two_leaders_the_older_is_stale() {
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
            n3    127.0.0.1:7403  leader    stale   6     1,204  1,204   1,204    0       900 ms  0.4 ms  1.2 MB  4m12s  0.1.0    stale: claims to lead term 6, and term 7 is led
            cluster degraded: 3 of 3 nodes up, quorum holds, tolerates 1 more failure · leader n1 (term 7) · n3 is stale"#]],
    );
}

#[test]
fn a_cluster_before_its_birth() {
    let empty = |id| NodeStatus {
        voter_ids: Vec::new(),
        quorum: None,
        ..node(id, "empty", 0)
    };
    let first = NodeStatus {
        bootstrap_awaits: vec![3],
        ..empty(1)
    };
    let waiting = view([Some(first), Some(empty(2)), None]);
    assert_eq!(waiting.health, Health::NoQuorum);
    expect!["cluster unavailable: 2 of 3 nodes up, the cluster is not formed and waits for n3"]
        .assert_eq(&waiting.summary);
    let unknown = view([None, Some(empty(2)), Some(empty(3))]);
    expect!["cluster unavailable: 2 of 3 nodes up, the cluster is not formed"]
        .assert_eq(&unknown.summary);
}

#[test]
fn a_follower_far_behind_is_no_health() {
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
fn a_silent_node_has_the_id_that_is_left() {
    let view = view([None, Some(node(1, "follower", 7)), None]);
    let ids: Vec<u64> = view.nodes.iter().map(|node| node.id).collect();
    assert_eq!(ids, [2, 1, 3]);
}
