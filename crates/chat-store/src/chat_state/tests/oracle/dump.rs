//! The contents of the oracle, to compare tables with and to draw requests from.

use super::*;

impl Oracle {
    /// The lines that the queries `DUMP` of `properties` return for the tables.
    pub(in super::super) fn dump(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, user) in &self.users {
            let proto::Credential {
                incarnation,
                version,
            } = user.credential;
            lines.push(format!("user {name} {incarnation} {version}"));
        }
        for name in self.users.keys() {
            let (messages, unread) = self.inbox(name);
            lines.push(format!("inbox {name} {messages} {unread}"));
        }
        for (token, held) in &self.sessions {
            let ended = held.ended_by_request.as_ref().map_or(0, |by| by[0]);
            let HeldSession {
                username,
                last_used,
                idle_expires_at,
                ..
            } = held;
            lines.push(format!(
                "session {} {username} {last_used} {idle_expires_at} {ended}",
                token[0]
            ));
        }
        for (commit, stored) in &self.messages {
            let Message {
                id,
                sender,
                sender_since,
                recipient,
                body,
                reply_to,
                read,
                ..
            } = &stored.message;
            let (deleted, at) = stored.deleted.unwrap_or_default();
            let kept = if stored.kept { "-" } else { "" };
            let (read, reply_to) = (u8::from(*read), reply_to.as_deref().unwrap_or("-"));
            lines.push(format!(
                "message {commit} {id} {sender} {sender_since} {recipient} [{body}] {reply_to} {read} \
                 {kept}{deleted} {at}"
            ));
        }
        for (commit, copy) in &self.copies {
            let Copied {
                owner,
                recipient_since,
                body,
                reply_to,
            } = copy;
            let reply_to = reply_to.as_deref().unwrap_or("-");
            lines.push(format!(
                "copy {commit} {owner} {recipient_since} [{body}] {reply_to}"
            ));
        }
        for (name, user) in &self.users {
            let theirs = self.copies.range(user.credential.incarnation..);
            let count = theirs.filter(|(_, copy)| copy.owner == *name).count();
            lines.push(format!("copies {name} {count}"));
        }
        let deleted_accounts = self.deleted_accounts.iter();
        lines.extend(
            deleted_accounts.map(|(name, _, index, at)| format!("former {index} {name} {at}")),
        );
        let pending_deletions = self.pending_deletions.iter();
        lines.extend(pending_deletions.map(|(index, _, name)| format!("erasure {index} {name}")));
        lines
    }

    /// A session that a client may have, usually a valid one.
    pub(in super::super) fn some_session(
        &self,
        random: &mut fastrand::Rng,
    ) -> Option<proto::Session> {
        let now = self.now();
        let any = random.u8(0..8) == 0;
        let held = self.sessions.iter().filter(|(_, held)| {
            let valid = held.ended_by_request.is_none()
                && now < held.idle_expires_at
                && self.credential(&held.username) == Some(held.credential);
            any || valid
        });
        let (token, held) = random.choice(held.collect::<Vec<_>>())?;
        Some(proto::Session {
            token_hash: token.clone(),
            username: held.username.clone(),
            credential: Some(held.credential),
        })
    }

    /// How many messages and tombstones there are.
    pub(in super::super) fn message_and_tombstone_counts(&self) -> (usize, usize) {
        let tombstones = self
            .messages
            .values()
            .filter(|stored| stored.deleted.is_some());
        let tombstones = tombstones.count();
        (self.messages.len() - tombstones, tombstones)
    }
}
