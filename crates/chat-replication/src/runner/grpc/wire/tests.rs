//! What is not decoded: numbers that no honest peer sends (R4).

use chat_consensus::{BLOCK_NUMBER_MAX, BOOT_COUNT_MAX, LOG_INDEX_MAX, RunId, TERM_MAX};

use super::fields::header_from;
use super::*;

fn header(term: u64, run: u64) -> Option<wire::Header> {
    Some(wire::Header {
        term,
        from: 1,
        to: 2,
        storage_id: Bytes::from_static(&[7; 16]),
        request_start: run,
        request_number: u64::MAX,
        ..wire::Header::default()
    })
}

fn fetch(index: u64, term: u64, repair_through: u64) -> wire::GetCommitsRequest {
    wire::GetCommitsRequest {
        header: header(1, 1 << 32),
        synced: Some(wire::Position { index, term }),
        repair_through,
        ..wire::GetCommitsRequest::default()
    }
}

/// R4: what is counted on from here on must never come near the end of the numbers.
#[test]
fn numbers_near_their_end_are_not_decoded() {
    let run_max = RunId::new(BOOT_COUNT_MAX, u32::MAX).0;
    assert!(header_from(header(TERM_MAX.0, run_max)).is_ok());
    for (term, run) in [
        (TERM_MAX.0 + 1, 0),
        (u64::MAX, 0),
        (0, run_max + 1),
        (0, u64::MAX),
    ] {
        let refused = header_from(header(term, run));
        assert!(refused.is_err(), "term {term}, run {run}: {refused:?}");
    }
    assert!(
        fetch(LOG_INDEX_MAX.0, TERM_MAX.0, LOG_INDEX_MAX.0)
            .read()
            .is_ok()
    );
    for (index, term, repair) in [
        (LOG_INDEX_MAX.0 + 1, 0, 0),
        (u64::MAX, 0, 0),
        (0, TERM_MAX.0 + 1, 0),
        (0, 0, u64::MAX),
    ] {
        let refused = fetch(index, term, repair).read();
        assert!(refused.is_err(), "{index}@{term}, {repair}: {refused:?}");
    }
    let heartbeat = wire::HeartbeatRequest {
        header: header(1, 0),
        commit_index: u64::MAX,
        round: u64::MAX,
        ..wire::HeartbeatRequest::default()
    };
    assert!(heartbeat.read().is_err());
    let heartbeat = wire::HeartbeatRequest {
        header: header(1, 0),
        commit_index: 1,
        round: 1,
        uncounted: vec![1; 65],
        ..wire::HeartbeatRequest::default()
    };
    assert!(heartbeat.read().is_err());
    for (length, fits) in [(0, true), (255, true), (256, false)] {
        let heartbeat = wire::HeartbeatRequest {
            header: header(1, 0),
            leader_address: "x".repeat(length),
            ..wire::HeartbeatRequest::default()
        };
        let read = heartbeat.clone().read();
        assert_eq!(read.is_ok(), fits, "{length}");
        if let Ok(read) = read {
            assert_eq!(read.message.leader_address.is_some(), length > 0);
            assert_eq!(wire::HeartbeatRequest::write(read), heartbeat);
        }
    }
    let read_index = wire::ReadIndexResponse {
        header: header(1, 0),
        index: u64::MAX,
    };
    assert!(read_index.read().is_err());
}

/// R18: a program from before block numbers neither sends one nor is sent `amnesiac`.
#[test]
fn absent_block_number_is_unknown() {
    let read = fetch(7, 1, 0).read().unwrap();
    assert_eq!(read.message.synced_block, BlockNumber::UNKNOWN);
    let request = wire::ElectionRequest {
        header: header(1, 1 << 32),
        kind: wire::ElectionKind::Vote.into(),
        last: Some(wire::Position { index: 7, term: 1 }),
        ..wire::ElectionRequest::default()
    };
    let Election::Vote(candidacy) = request.read().unwrap().message else {
        panic!("another kind");
    };
    assert_eq!(candidacy.synced_block, BlockNumber::UNKNOWN);
    let reply = wire::ElectionResponse {
        header: header(1, 1 << 32),
        kind: wire::ElectionKind::Vote.into(),
        ..wire::ElectionResponse::default()
    };
    let reply = reply.read().unwrap().message;
    assert_eq!(reply.remembered_block, BlockNumber::UNKNOWN);
}

/// R18: block numbers travel both ways, and none near the end of the numbers is decoded.
#[test]
fn block_number_is_decoded_up_to_its_limit() {
    use wire::get_commits_response::Outcome;
    for (block, fits) in [(1, true), (BLOCK_NUMBER_MAX.0, true), (u64::MAX, false)] {
        let request = wire::GetCommitsRequest {
            synced_block: block,
            ..fetch(7, 1, 0)
        };
        let read = request.clone().read();
        assert_eq!(read.is_ok(), fits, "{block}");
        let response = wire::GetCommitsResponse {
            header: header(1, 1 << 32),
            outcome: Some(Outcome::Amnesiac(block)),
        };
        let answer = response.clone().read();
        assert_eq!(answer.is_ok(), fits, "{block}");
        if let (Ok(read), Ok(answer)) = (read, answer) {
            assert_eq!(wire::GetCommitsRequest::write(read), request);
            assert_eq!(wire::GetCommitsResponse::write(answer), response);
        }
    }
}
