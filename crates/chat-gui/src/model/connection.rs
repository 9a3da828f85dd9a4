//! The state of the connection between this window and the cluster, as the banner shows it: what
//! `availability` says of the servers, and whether the inbox arrives and messages go out.

use std::time::Duration;

use crate::model::availability::Availability;
use crate::model::event::Link;
use crate::model::failure::Failure;
use crate::model::names::{NodeId, Term};
use crate::model::time::Moment;

/// Interruptions that are shorter than this are not worth a banner that flickers.
pub const BANNER_DELAY: Duration = Duration::from_millis(300);

/// The state of the connection between this window and the cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum Connection {
    /// No account is signed in, so nothing is connected.
    Idle,
    /// The first connection since signing in.
    Connecting {
        /// Since when.
        since: Moment,
    },
    /// All is well.
    Online {
        /// The node that sends us changes, if it is known which it is.
        node: Option<NodeId>,
        /// The term of the leader.
        term: Option<Term>,
    },
    /// The connection broke, or there is no leader; another node is tried now.
    Reconnecting {
        /// Since when.
        since: Moment,
        /// What happened.
        why: Failure,
    },
    /// No node answers; the next attempt comes later.
    Offline {
        /// Since when.
        since: Moment,
        /// What happened.
        why: Failure,
        /// When it is tried again.
        next_try: Moment,
    },
}

/// An interruption that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// How long sending was not possible.
    pub lasted: Duration,
    /// Whether there was no leader; else only this window could not reach it, or not fast enough.
    pub without_leader: bool,
    /// When it was over.
    pub at: Moment,
}

impl Recovery {
    /// When the interruption began.
    pub fn began(&self) -> Moment {
        let lasted = u64::try_from(self.lasted.as_millis()).unwrap_or(u64::MAX);
        Moment(self.at.0.saturating_sub(lasted))
    }
}

/// What is known of the way to the servers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signs<'a> {
    /// What the servers can do.
    pub(super) availability: Availability,
    /// The addresses of the nodes.
    pub(super) addresses: &'a [String],
    /// The last report about the watch of the inbox.
    pub(super) link: Option<&'a Link>,
    /// The node that serves the watch, if it is known which it is.
    pub(super) watched: Option<NodeId>,
    /// Whether the watch was ever connected since signing in.
    pub(super) was_up: bool,
    /// Why the first queued message was delayed.
    pub(super) delayed: Option<&'a Failure>,
    /// Since when it is not as it should be.
    pub(super) since: Moment,
    /// When the next attempt is.
    pub(super) next_try: Moment,
}

impl Connection {
    /// The state that follows from what is known, for an account that is signed in.
    pub(super) fn from_signs(signs: &Signs<'_>) -> Self {
        let Signs {
            since, next_try, ..
        } = *signs;
        let reconnecting = |why: &Failure| Self::Reconnecting {
            since,
            why: consistent(why, signs.availability),
        };
        match (signs.availability, signs.link, signs.delayed) {
            (Availability::Offline, _, _) => Self::Offline {
                since,
                why: Failure::NoServer {
                    addresses: signs.addresses.to_vec(),
                },
                next_try,
            },
            (Availability::NoLeader, _, _) => Self::Reconnecting {
                since,
                why: Failure::NoMajority,
            },
            (_, None, _) => Self::Connecting { since },
            (Availability::Unknown, Some(Link::Waiting { why, .. }), _) => Self::Offline {
                since,
                why: why.clone(),
                next_try,
            },
            (_, Some(Link::Waiting { why, .. }), _) => reconnecting(why),
            (_, Some(Link::Broken(_)), _) if !signs.was_up => Self::Connecting { since },
            (_, Some(Link::Broken(why)), _) => reconnecting(why),
            (_, Some(Link::Up { .. }), Some(why)) => reconnecting(why),
            (availability, Some(Link::Up { .. }), None) => Self::Online {
                node: signs.watched,
                term: match availability {
                    Availability::Led { term, .. } => Some(term),
                    _ => None,
                },
            },
        }
    }

    /// Since when it is not as it should be.
    pub fn since(&self) -> Option<Moment> {
        match self {
            Self::Connecting { since }
            | Self::Reconnecting { since, .. }
            | Self::Offline { since, .. } => Some(*since),
            Self::Idle | Self::Online { .. } => None,
        }
    }

    /// Why the last attempt failed.
    pub fn why(&self) -> Option<&Failure> {
        match self {
            Self::Reconnecting { why, .. } | Self::Offline { why, .. } => Some(why),
            Self::Idle | Self::Connecting { .. } | Self::Online { .. } => None,
        }
    }

    /// Whether messages can be sent right now, as far as we know.
    pub fn is_online(&self) -> bool {
        matches!(self, Self::Online { .. })
    }
}

/// A reason that does not contradict what the nodes report: while one leads, a failure only shows
/// that the way to it was interrupted.
fn consistent(why: &Failure, availability: Availability) -> Failure {
    match (availability, why) {
        (Availability::Led { .. }, Failure::NoMajority | Failure::NoServer { .. }) => {
            Failure::Interrupted
        }
        _ => why.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Connection, Signs};
    use crate::model::availability::Availability;
    use crate::model::event::Link;
    use crate::model::failure::Failure;
    use crate::model::names::{NodeId, Term};
    use crate::model::time::Moment;

    const SINCE: Moment = Moment(1);
    const NEXT_TRY: Moment = Moment(9);

    /// What is shown, in a word or two, with all values of everything else.
    fn word(connection: &Connection) -> String {
        match connection {
            Connection::Idle => "idle".to_owned(),
            Connection::Connecting { .. } => "connecting".to_owned(),
            Connection::Online { .. } => "online".to_owned(),
            Connection::Reconnecting { why, .. } => format!("reconnecting {why:?}"),
            Connection::Offline { why, .. } => format!("offline {why:?}"),
        }
    }

    fn links() -> Vec<Option<Link>> {
        let no_server = || Failure::NoServer {
            addresses: vec!["a:1".to_owned()],
        };
        let mut links = vec![
            None,
            Some(Link::Up {
                address: "a:1".to_owned(),
            }),
        ];
        for why in [no_server(), Failure::NoMajority, Failure::Interrupted] {
            links.push(Some(Link::Broken(why.clone())));
            links.push(Some(Link::Waiting {
                why,
                next_try: Duration::from_secs(4),
            }));
        }
        links
    }

    /// All combinations of everything that is known.
    fn for_each(mut check: impl FnMut(&Signs<'_>, &Connection)) {
        let led = Availability::Led {
            leader: Some(NodeId(1)),
            term: Term(5),
        };
        let all = [
            Availability::Unknown,
            Availability::Offline,
            Availability::NoLeader,
            led,
        ];
        let addresses = ["a:1".to_owned()];
        let delays = [
            None,
            Some(Failure::NoMajority),
            Some(Failure::Refused("no".to_owned())),
        ];
        for availability in all {
            for link in &links() {
                for delayed in &delays {
                    for was_up in [false, true] {
                        let signs = Signs {
                            availability,
                            addresses: &addresses,
                            link: link.as_ref(),
                            watched: None,
                            was_up,
                            delayed: delayed.as_ref(),
                            since: SINCE,
                            next_try: NEXT_TRY,
                        };
                        check(&signs, &Connection::from_signs(&signs));
                    }
                }
            }
        }
    }

    #[test]
    fn banner_never_contradicts_the_reports_of_the_nodes() {
        for_each(|signs, connection| {
            let shown = word(connection);
            let case = format!("{signs:?}");
            match signs.availability {
                Availability::Offline => assert!(shown.starts_with("offline"), "{shown} {case}"),
                Availability::NoLeader => {
                    assert_eq!(shown, "reconnecting NoMajority", "{case}");
                }
                Availability::Led { .. } => {
                    assert!(!shown.contains("offline"), "{shown} {case}");
                    assert!(!shown.contains("NoMajority"), "{shown} {case}");
                    assert!(!shown.contains("NoServer"), "{shown} {case}");
                }
                Availability::Unknown => {}
            }
        });
    }

    #[test]
    fn online_needs_a_watch_and_no_delayed_message() {
        for_each(|signs, connection| {
            let is_up = matches!(signs.link, Some(Link::Up { .. }));
            let serves = matches!(
                signs.availability,
                Availability::Led { .. } | Availability::Unknown
            );
            let expected = is_up && serves && signs.delayed.is_none();
            assert_eq!(connection.is_online(), expected, "{signs:?}");
        });
    }
}
