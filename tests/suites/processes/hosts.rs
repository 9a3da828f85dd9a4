//! Three hosts with a network between them, each with a node and a person: they write to each
//! other, and continue when the leader's host is unplugged without a closed connection.

use std::time::Duration;

use chat_tests::processes::hosts::{Ended, Hosts};
use chat_tests::processes::namespaces::{Network, report_skipped};
use chat_tests::processes::waiting::within;

const LIMIT: Duration = Duration::from_secs(90);
const PASSWORD: &str = "open sesame\n";
/// The person at each host; the first host is number 1.
const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];
const ALL: [u8; 3] = [1, 2, 3];
/// Exit codes of `chat`: no node could serve, and the outcome is unknown.
const NOT_SERVED: [Option<i32>; 2] = [Some(3), Some(4)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_at_three_hosts_write_to_each_other() {
    let network = match Network::make(3) {
        Ok(network) => network,
        Err(reason) => return report_skipped("people_at_three_hosts_write_to_each_other", &reason),
    };
    within(LIMIT, async {
        let mut hosts = Hosts::start(network, 3);
        let leader = hosts.leader_among(&ALL).await;
        for host in ALL {
            let sign_up = ["sign-up", person(host), "--password-stdin"];
            done(hosts.chat(host, &[next(host)], &sign_up, PASSWORD));
        }
        for host in ALL {
            // Through a node on another host than either of them.
            let called = next(next(host));
            send(&hosts, host, &[called], person(next(host)), "hello");
        }
        for host in ALL {
            let expected = [format!("{}: hello", person(next(next(host))))];
            assert_eq!(inbox(&hosts, host, host), expected);
        }
        check_unplugged(&mut hosts, leader).await;
        hosts.check_healthy();
    })
    .await;
}

/// The unplugged person's request fails, and the others continue; the unplugged node has everything
/// afterwards.
async fn check_unplugged(hosts: &mut Hosts, unplugged: u8) {
    let left = [next(unplugged), next(next(unplugged))];
    hosts.network().unplug(unplugged);
    let alone = ["--timeout=2", "send", person(left[0]), "into the void"];
    let alone = hosts.chat(unplugged, &[unplugged], &alone, "");
    assert!(NOT_SERVED.contains(&alone.code), "{alone:?}");
    let successor = hosts.leader_among(&left).await;
    assert_ne!(successor, unplugged);
    // Those who are left know all three addresses, and find their way past the unreachable one.
    send(hosts, left[0], &ALL, person(unplugged), "are you there?");
    send(hosts, left[1], &ALL, person(left[0]), "the cable is out");

    hosts.network().plug_in(unplugged);
    hosts.leader_among(&ALL).await;
    let expected = ["hello".to_owned(), "are you there?".to_owned()];
    let senders = [person(left[1]), person(left[0])];
    let expected = [0, 1].map(|place| format!("{}: {}", senders[place], expected[place]));
    assert_eq!(inbox(hosts, unplugged, unplugged), expected);
    // The others find at that node what they have found at theirs. The message into the void is not
    // there, or came late: its sender got an unknown outcome, or that it was not sent.
    let own = inbox(hosts, left[0], left[0]);
    assert_eq!(inbox(hosts, left[0], unplugged), own);
    let void = format!("{}: into the void", person(unplugged));
    let certain: Vec<_> = own.iter().filter(|line| **line != void).collect();
    let expected = [
        format!("{}: hello", person(unplugged)),
        format!("{}: the cable is out", person(left[1])),
    ];
    assert_eq!(certain, expected.iter().collect::<Vec<_>>());
    assert!(own.len() <= expected.len() + 1, "{own:?}");
    if alone.code == NOT_SERVED[0] {
        assert!(!own.contains(&void), "{own:?} after {alone:?}");
    }
}

fn send(hosts: &Hosts, host: u8, called: &[u8], to: &str, text: &str) {
    done(hosts.chat(host, called, &["send", to, text], ""));
}

/// Sender and text of each message, oldest first.
fn inbox(hosts: &Hosts, host: u8, called: u8) -> Vec<String> {
    let ended = hosts.chat(host, &[called], &["inbox", "--oldest-first"], "");
    let page = done(ended);
    let messages = page["messages"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let line = |message: &serde_json::Value| {
        format!("{}: {}", text(&message["sender"]), text(&message["body"]))
    };
    messages.iter().map(line).collect()
}

fn done(ended: Ended) -> serde_json::Value {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.result
}

fn person(host: u8) -> &'static str {
    PEOPLE[usize::from(host) - 1]
}

/// The hosts form a ring.
fn next(host: u8) -> u8 {
    host % 3 + 1
}
