//! The events of a watch, compared with what was sent, read and deleted: everything once, in order.

use std::collections::BTreeMap;

use chat_client::WatchEvent;
use uuid::Uuid;

/// Something that happened to one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It arrived.
    Arrived(Uuid),
    /// It was read.
    Read(Uuid),
    /// It was deleted.
    Deleted(Uuid),
}

/// The changes that an event reports; none for events about the watch itself.
///
/// # Errors
///
/// The watch has lost its place.
pub fn changes(event: WatchEvent) -> Result<Vec<Change>, String> {
    match event {
        WatchEvent::Message(message) => Ok(vec![Change::Arrived(message.id)]),
        WatchEvent::Read(ids) => Ok(ids.into_iter().map(Change::Read).collect()),
        WatchEvent::Deleted(ids) => Ok(ids.into_iter().map(Change::Deleted).collect()),
        WatchEvent::CaughtUp => Ok(Vec::new()),
        other => Err(format!("{other:?}")),
    }
}

/// The changes that a watch must report, as the clients that made them know them.
#[derive(Debug, Default)]
pub struct Done {
    /// Messages by the commits in which they arrived.
    pub arrived: BTreeMap<u64, Uuid>,
    /// Messages that one person read and deleted, one after the other, in this order.
    pub read_and_deleted: Vec<Uuid>,
}

impl Done {
    /// Compares the changes that a watch has reported with this.
    ///
    /// # Errors
    ///
    /// The first difference.
    pub fn check(&self, reported: &[Change]) -> Result<(), String> {
        let arrived = self.arrived.values().copied().map(Change::Arrived);
        let is_arrival = |change: &&Change| matches!(change, Change::Arrived(_));
        let reported_arrivals = reported.iter().filter(is_arrival);
        compare(reported_arrivals, &arrived.collect::<Vec<_>>())?;

        let ended = self.read_and_deleted.iter();
        let ended = ended.flat_map(|id| [Change::Read(*id), Change::Deleted(*id)]);
        let reported_rest = reported.iter().filter(|change| !is_arrival(change));
        compare(reported_rest, &ended.collect::<Vec<_>>())?;

        // Both are in order; what is left is that nothing is read before it has arrived.
        for id in &self.read_and_deleted {
            let place = |wanted| reported.iter().position(|change| *change == wanted);
            if place(Change::Read(*id)) < place(Change::Arrived(*id)) {
                return Err(format!("{id} was read before it arrived"));
            }
        }
        Ok(())
    }
}

fn compare<'a>(
    reported: impl Iterator<Item = &'a Change>,
    expected: &[Change],
) -> Result<(), String> {
    let reported: Vec<Change> = reported.copied().collect();
    let both = reported.iter().zip(expected);
    if let Some(place) = both
        .clone()
        .position(|(reported, expected)| reported != expected)
    {
        let (reported, expected) = (reported[place], expected[place]);
        return Err(format!(
            "change {place}: {reported:?} instead of {expected:?}"
        ));
    }
    if reported.len() != expected.len() {
        let (reported, expected) = (reported.len(), expected.len());
        return Err(format!("{reported} changes instead of {expected}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{Change, Done};

    /// Messages 1 to 3 arrived; 1 and 2 were read and deleted. `reported` is `+` for an arrival, `r` and
    /// `d` with the message's number.
    fn check(reported: &str, expected: Result<(), &str>) {
        let id = Uuid::from_u128;
        let done = Done {
            arrived: (1..=3).map(|number| (number, id(number.into()))).collect(),
            read_and_deleted: vec![id(1), id(2)],
        };
        let change = |text: &str| {
            let id = id(text[1..].parse().unwrap());
            match &text[..1] {
                "+" => Change::Arrived(id),
                "r" => Change::Read(id),
                _ => Change::Deleted(id),
            }
        };
        let reported: Vec<Change> = reported.split(' ').map(change).collect();
        match (done.check(&reported), expected) {
            (Ok(()), Ok(())) => {}
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn all_changes_once_and_in_order_pass() {
        check("+1 +2 +3 r1 d1 r2 d2", Ok(()));
        check("+1 r1 +2 d1 r2 +3 d2", Ok(()));
    }

    #[test]
    fn missing_change_is_found() {
        check("+1 +3 r1 d1 r2 d2", Err("change 1"));
        check("+1 +2 r1 d1 r2 d2", Err("2 changes instead of 3"));
        check("+1 +2 +3 r1 d1 d2", Err("change 2"));
        check("+1 +2 +3 r1 d1 r2", Err("3 changes instead of 4"));
    }

    #[test]
    fn repeated_change_is_found() {
        check("+1 +1 +2 +3 r1 d1 r2 d2", Err("change 1"));
        check("+1 +2 +3 r1 d1 r2 d2 d2", Err("5 changes instead of 4"));
    }

    #[test]
    fn change_out_of_order_is_found() {
        check("+2 +1 +3 r1 d1 r2 d2", Err("change 0"));
        check("+1 +2 +3 d1 r1 r2 d2", Err("change 0"));
        check("+1 r1 d1 r2 d2 +2 +3", Err("read before"));
    }
}
