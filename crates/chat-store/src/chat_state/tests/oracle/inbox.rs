//! Messages: sent, read, deleted and counted.

use super::*;

impl Oracle {
    pub(super) fn send(
        &mut self,
        message: proto::SendMessage,
        since: u64,
    ) -> (String, Option<Change>) {
        let sent = |message: &Message| {
            let (commit, timestamp) = (message.commit, message.timestamp);
            format!("sent {} at {timestamp} as {}@1", message.id, commit.index.0)
        };
        let mut stored = self.messages.values();
        if let Some(first) = stored.find(|first| first.message.id == message.message_id) {
            let is_same = since < first.message.commit.index.0
                && first.message.sender == message.sender
                && first.message.recipient == message.recipient
                && (first.deleted.is_some() || first.message.body == message.body);
            return if is_same {
                (sent(&first.message), None)
            } else {
                (error(ErrorCode::DuplicateMessage), None)
            };
        }
        if !self.users.contains_key(&message.recipient) {
            return (error(ErrorCode::RecipientNotFound), None);
        }
        let message = Message {
            id: message.message_id,
            sender: message.sender,
            sender_since: LogIndex(since),
            recipient: message.recipient,
            body: message.body,
            timestamp: self.time,
            read: false,
            commit: Position::new(self.index, 1),
        };
        let stored = Stored {
            message: message.clone(),
            deleted: None,
        };
        self.messages.insert(self.index, stored);
        (sent(&message), Some(Change::MessageStored(message)))
    }

    /// Calls `work` with the messages of these ids that are in the inbox. Returns the ids of those
    /// that it changed.
    pub(super) fn each_own(
        &mut self,
        owner: &str,
        since: u64,
        ids: &[String],
        work: impl Fn(&mut Stored) -> bool,
    ) -> Option<Vec<String>> {
        let own = self.messages.range_mut(since..).filter(|(_, stored)| {
            stored.message.recipient == owner
                && stored.deleted.is_none()
                && ids.contains(&stored.message.id)
        });
        let changed: Vec<String> = own
            .filter_map(|(_, stored)| work(stored).then(|| stored.message.id.clone()))
            .collect();
        (!changed.is_empty()).then_some(changed)
    }

    pub(super) fn delete_oldest(&mut self, username: &str, deleted: (u64, i64), limit: u32) -> u32 {
        let theirs = self
            .messages
            .range_mut(..deleted.0)
            .filter(|(_, stored)| stored.message.recipient == username && stored.deleted.is_none());
        let mut erased = 0;
        for (_, stored) in theirs.take(limit as usize) {
            stored.message.body.clear();
            stored.deleted = Some(deleted);
            erased += 1;
        }
        erased
    }

    /// How many messages the account has, and how many of them are unread. Counts them each time.
    pub(super) fn inbox(&self, username: &str) -> (usize, usize) {
        let since = self.users[username].credential.incarnation;
        let inbox = self
            .messages
            .range(since..)
            .filter(|(_, stored)| stored.message.recipient == username && stored.deleted.is_none());
        let unread = inbox.clone().filter(|(_, stored)| !stored.message.read);
        (inbox.count(), unread.count())
    }
}
