//! What an input changes. The only writer of the model.

use crate::backend::command::Command;
use crate::backend::event::BackendEvent;
use crate::intention::UserAction;
use crate::model::Model;
use crate::model::names::IdSource;
use crate::model::time::{Moment, Now, Zone};

/// What the reducer remembers and nobody is shown.
#[derive(Debug, Default)]
pub(super) struct Memory {}

impl Model {
    /// An empty window. The backend's first event says what comes next.
    pub fn new(now: Now, zone: Zone, ids: IdSource) -> Self {
        Self {
            screen: crate::intention::Screen::default(),
            dialog: None,
            servers: crate::model::sign_in::Servers::default(),
            sign_in: crate::model::sign_in::SignIn::default(),
            account: None,
            session_number: 0,
            conversations: std::collections::BTreeMap::default(),
            order: Vec::new(),
            open: None,
            scroll: crate::model::ScrollRequest::default(),
            selection: std::collections::BTreeSet::default(),
            unread: 0,
            more_to_load: false,
            loading: false,
            deletions: std::collections::VecDeque::default(),
            outbox: std::collections::VecDeque::default(),
            message_search: None,
            people: crate::model::search::PeopleSearch::default(),
            notices: std::collections::VecDeque::default(),
            connection: crate::model::connection::Connection::Idle,
            recovery: None,
            cluster: crate::model::cluster::Cluster::default(),
            ledger: crate::model::ledger::Ledger::default(),
            preferences: crate::model::preferences::Preferences::default(),
            focused: true,
            attention: 0,
            closing: false,
            zone,
            now,
            ids,
            memory: Memory::default(),
        }
    }

    /// Carries out what a person wants.
    pub fn act(&mut self, _action: UserAction, now: Now) -> Vec<Command> {
        self.now = now;
        Vec::new()
    }

    /// Takes in what happened outside.
    pub fn receive(&mut self, _event: BackendEvent, now: Now) -> Vec<Command> {
        self.now = now;
        Vec::new()
    }

    /// Does what time alone brings about: notices fade, deletions become due. To be called when
    /// [`Model::next_deadline`] has passed; more often does no harm.
    pub fn pass_time(&mut self, now: Now) -> Vec<Command> {
        self.now = now;
        Vec::new()
    }

    /// When [`Model::pass_time`] has something to do, or a text that counts time changes.
    pub fn next_deadline(&self) -> Option<Moment> {
        None
    }
}
