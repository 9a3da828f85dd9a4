//! The accounts and connections of a measurement.

use chat_client::{ChatClient, InboxQuery, OutgoingMessage, Session};
use uuid::Uuid;

use super::load::Load;
use crate::context::Context;
use crate::failure::Failure;

/// Messages in each inbox before reads are measured, and in each page.
const PAGE: u32 = 20;

/// What all clients of a measurement share.
pub(super) struct BenchSetup {
    pub(super) connections: Vec<ChatClient>,
    pub(super) sessions: Vec<Session>,
}

impl BenchSetup {
    /// Creates accounts with random names. They are not deleted afterwards.
    pub(super) async fn create(
        context: &Context,
        connections: usize,
        accounts: usize,
    ) -> Result<Self, Failure> {
        let connections: Vec<ChatClient> = (0..connections)
            .map(|_| context.named_client())
            .collect::<Result<_, _>>()?;
        let run = Uuid::new_v4().simple().to_string();
        let mut sessions = Vec::new();
        for number in 0..accounts {
            let name = format!("bench-{}-{number}", &run[..8]);
            sessions.push(connections[0].sign_up(&name, &run).await?);
        }
        Ok(Self {
            connections,
            sessions,
        })
    }

    pub(super) fn sends(self, body: u64) -> Load {
        let body = "x".repeat(usize::try_from(body).expect("bodies are small"));
        Load::Send {
            connections: self.connections,
            sessions: self.sessions,
            body,
        }
    }

    pub(super) async fn reads(self) -> Result<Load, Failure> {
        for session in &self.sessions {
            for _ in 0..PAGE {
                let message = OutgoingMessage::new(session.username(), "x".repeat(100));
                self.connections[0].send_message(session, &message).await?;
            }
        }
        Ok(Load::Read {
            connections: self.connections,
            sessions: self.sessions,
            query: InboxQuery {
                limit: Some(PAGE),
                ..InboxQuery::default()
            },
        })
    }
}
