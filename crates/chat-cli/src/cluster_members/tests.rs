//! What the members look like, and what is said of a node that joins.

use std::time::Duration;

use chat_client::{FollowerStatus, MemberReport, NodeStatus};
use expect_test::expect;

use super::{describe, learner_progress, view};

fn status() -> NodeStatus {
    let member = |node_id: u64, is_voter: bool| MemberReport {
        node_id,
        is_voter: Some(is_voter),
        client_address: format!("10.0.0.{node_id}:7401"),
        peer_address: format!("10.0.0.{node_id}:7501"),
    };
    let follower = |node_id, match_index, seconds: Option<u64>| FollowerStatus {
        node_id,
        is_voter: node_id < 4,
        match_index,
        last_contact: seconds.map(Duration::from_secs),
    };
    NodeStatus {
        node_id: 2,
        last_index: 12_345,
        membership: vec![
            member(1, true),
            member(2, true),
            member(3, true),
            member(4, false),
        ],
        followers: vec![
            follower(1, 12_345, Some(0)),
            follower(3, 0, None),
            follower(4, 345, Some(2)),
        ],
        failures_tolerated: Some(0),
        quorum: Some(2),
        highest_member_id: 6,
        ..NodeStatus::default()
    }
}

#[test]
fn members_are_shown_with_how_far_they_are() {
    expect![[r#"
        NODE  KIND          TRAILS  SEEN  CLIENTS        PEERS
        n1    voter         0       0 ms  10.0.0.1:7401  10.0.0.1:7501
        n2    voter, leads  0       -     10.0.0.2:7401  10.0.0.2:7501
        n3    voter         -       -     10.0.0.3:7401  10.0.0.3:7501
        n4    learner       12,000  2 s   10.0.0.4:7401  10.0.0.4:7501
        3 voters, 1 learner; no further failure is survived now. A new node needs an id above 6."#]]
    .assert_eq(&describe(&view(&status())));
}

#[test]
fn joining_node_is_described_by_its_entries() {
    let status = status();
    assert_eq!(learner_progress(&status, 4), "it has 345 of 12,345 entries");
    assert_eq!(
        learner_progress(&status, 3),
        "it has not called the leader yet"
    );
    assert_eq!(
        learner_progress(&status, 9),
        "it has not called the leader yet"
    );
}

#[test]
fn json_is_stable() {
    let json = serde_json::to_value(view(&status())).unwrap();
    assert_eq!(json["leader"], 2);
    assert_eq!(json["failures_tolerated"], 0);
    assert_eq!(json["highest_id"], 6);
    let learner = &json["members"][3];
    assert_eq!(learner["kind"], "learner");
    assert_eq!(learner["trails"], 12_000);
    assert_eq!(learner["seen_ms"], 2_000);
    assert_eq!(json["members"][2]["trails"], serde_json::Value::Null);
}
