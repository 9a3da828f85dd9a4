//! Edits of the members, and their bytes (R19).

use alloc::vec;
use std::format;

use super::{EditError, ID_STEP_MAX, Membership, MembershipEdit, NodeAddresses};
use crate::types::{ClusterId, NodeId, StorageId, Voter};

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);
const C: NodeId = NodeId(3);
const D: NodeId = NodeId(4);

fn voter(node: NodeId) -> Voter {
    let storage = StorageId(u128::from(node.0));
    Voter { node, storage }
}

fn three() -> Membership {
    Membership::of_voters(ClusterId(7), vec![voter(A), voter(B), voter(C)])
}

fn at(peer: &str) -> NodeAddresses {
    NodeAddresses {
        peer: peer.into(),
        client: format!("{peer}:clients").into(),
    }
}

fn edited(members: &Membership, edit: MembershipEdit) -> Membership {
    let next = members.edited(&edit).unwrap().expect("something changes");
    assert!(next.is_valid());
    assert_eq!(Membership::decode(&next.encode()), Some(next.clone()));
    next
}

#[test]
fn node_is_added_as_a_learner_once() {
    let add = MembershipEdit::Add(D, at("d"));
    let four = edited(&three(), add.clone());
    assert_eq!((four.learners.as_slice(), four.highest), (&[D][..], D));
    assert_eq!(four.voters, three().voters);
    assert_eq!(four.edited(&add), Ok(None), "repeated");
    let elsewhere = MembershipEdit::Add(D, at("x"));
    assert_eq!(four.edited(&elsewhere), Err(EditError::IsMember(D)));
    let voter = MembershipEdit::Add(A, at("a"));
    assert_eq!(four.edited(&voter), Err(EditError::IsMember(A)));
}

#[test]
fn id_of_a_removed_node_is_never_used_again() {
    let four = edited(&three(), MembershipEdit::Add(D, at("d")));
    let again = edited(&four, MembershipEdit::Remove(D));
    assert_eq!((again.highest, again.addresses.len()), (D, 0));
    assert!(again.has_removed(D) && !again.has_removed(C) && !again.has_removed(NodeId(5)));
    assert_eq!(
        again.edited(&MembershipEdit::Remove(D)),
        Ok(None),
        "repeated"
    );
    let used = MembershipEdit::Add(D, at("d"));
    assert_eq!(again.edited(&used), Err(EditError::IdUsed(D)));
    let two = edited(&again, MembershipEdit::Remove(C));
    let used = MembershipEdit::Add(C, at("c"));
    assert_eq!(two.edited(&used), Err(EditError::IdUsed(D)));
    edited(&two, MembershipEdit::Add(NodeId(5), at("e")));
}

#[test]
fn edits_that_are_never_possible_say_why() {
    let three = three();
    let unknown = NodeId(9);
    let refused = |edit: MembershipEdit| three.edited(&edit).unwrap_err();
    let not_member = EditError::NotMember(unknown);
    assert_eq!(refused(MembershipEdit::Remove(unknown)), not_member);
    assert_eq!(refused(MembershipEdit::Demote(unknown)), not_member);
    let update = MembershipEdit::Update(unknown, None, at("x"));
    assert_eq!(refused(update), not_member);
    let far = NodeId(C.0 + ID_STEP_MAX + 1);
    assert_eq!(
        refused(MembershipEdit::Add(far, at("x"))),
        EditError::IdTooHigh(C)
    );
    edited(
        &three,
        MembershipEdit::Add(NodeId(C.0 + ID_STEP_MAX), at("x")),
    );
    for bad in [at(""), at(&"x".repeat(256))] {
        assert_eq!(refused(MembershipEdit::Add(D, bad)), EditError::BadAddress);
    }
    let one = Membership::of_voters(ClusterId(7), vec![voter(A)]);
    for edit in [MembershipEdit::Remove(A), MembershipEdit::Demote(A)] {
        assert_eq!(one.edited(&edit), Err(EditError::OnlyVoter(A)));
    }
    let nodes = (1..=256).map(NodeId);
    let full = Membership::of_voters(ClusterId(7), nodes.map(voter).collect());
    let add = MembershipEdit::Add(NodeId(257), at("x"));
    assert_eq!(full.edited(&add), Err(EditError::TooMany));
}

#[test]
fn late_repeated_update_does_not_undo_another_one() {
    let first = MembershipEdit::Update(B, None, at("x"));
    let at_x = edited(&three(), first.clone());
    assert_eq!(at_x.edited(&first), Ok(None), "repeated at once");
    let at_y = edited(&at_x, MembershipEdit::Update(B, Some(at("x")), at("y")));
    assert_eq!(at_y.edited(&first), Err(EditError::OtherAddresses(B)));
    assert_eq!(at_y.addresses[&B], at("y"));
}

#[test]
fn demoted_voter_is_a_learner() {
    let two = edited(&three(), MembershipEdit::Demote(C));
    assert_eq!(two.voters, [voter(A), voter(B)]);
    assert_eq!((two.learners.as_slice(), two.highest), (&[C][..], C));
    assert_eq!(two.edited(&MembershipEdit::Demote(C)), Ok(None));
}

/// The chain values of old entries must stay what they were.
#[test]
fn members_without_addresses_have_the_bytes_that_they_always_had() {
    let members = Membership::of(ClusterId(7), vec![voter(A), voter(B)], vec![C]);
    let bytes = members.encode();
    assert_eq!(bytes.len(), 16 + 4 + 2 * 24 + 4 + 8);
    let mut rest: &[u8] = &bytes;
    assert_eq!(Membership::take_plain(&mut rest), Some(members));
    assert!(rest.is_empty());
}

#[test]
fn bytes_that_are_no_members_are_refused() {
    let four = edited(&three(), MembershipEdit::Add(D, at("d")));
    let bytes = four.encode();
    for end in 0..bytes.len() {
        // Without what comes after the learners these are members of before.
        let plain = end == 16 + 4 + 3 * 24 + 4 + 8;
        assert_eq!(Membership::decode(&bytes[..end]).is_some(), plain, "{end}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(Membership::decode(&longer), None);
    // The highest id, which is below a member's.
    let mut lower = bytes.clone();
    let place = 16 + 4 + 3 * 24 + 4 + 8 + 7;
    assert_eq!(lower[place], 4);
    lower[place] = 3;
    assert_eq!(Membership::decode(&lower), None);
    // What is implied anyway is not written.
    let mut wordy = three().encode();
    wordy.extend(3_u64.to_be_bytes());
    wordy.extend(0_u32.to_be_bytes());
    assert_eq!(Membership::decode(&wordy), None);
}
