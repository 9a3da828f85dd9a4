//! Messages: sent, read, deleted and counted.

use super::*;

impl Oracle {
    pub(super) fn send_in_session(
        &mut self,
        mut send: proto::SendWithOptions,
        request: &Bytes,
    ) -> (String, Option<Change>) {
        let message = send.message.take().unwrap();
        let session = proto::Session {
            token_hash: message.token_hash.clone(),
            username: message.sender.clone(),
            credential: message.credential,
        };
        match self.check_session(Some(session), request) {
            Ok(since) => self.send(message, &send, since),
            Err(_) => (error(ErrorCode::Unauthenticated), None),
        }
    }

    fn send(
        &mut self,
        message: proto::SendMessage,
        options: &proto::SendWithOptions,
        since: u64,
    ) -> (String, Option<Change>) {
        let reply_to = Some(options.reply_to.clone()).filter(|id| !id.is_empty());
        let sent = |message: &Message| {
            let (commit, timestamp) = (message.commit, message.timestamp);
            format!("sent {} at {timestamp} as {}@1", message.id, commit.index.0)
        };
        let mut stored = self.messages.values();
        if let Some(first) = stored.find(|first| first.message.id == message.message_id) {
            let is_same = since < first.message.commit.index.0
                && first.message.sender == message.sender
                && first.message.recipient == message.recipient
                && (first.deleted.is_some()
                    || (first.message.body == message.body && first.message.reply_to == reply_to));
            return if is_same {
                (sent(&first.message), None)
            } else {
                (error(ErrorCode::DuplicateMessage), None)
            };
        }
        let Some(recipient) = self.users.get(&message.recipient) else {
            return (error(ErrorCode::RecipientNotFound), None);
        };
        let recipient_since = recipient.credential.incarnation;
        let message = Message {
            id: message.message_id,
            sender: message.sender,
            sender_since: LogIndex(since),
            recipient: message.recipient,
            direction: Direction::Received,
            body: message.body,
            reply_to,
            written_at: Some(options.written_at).filter(|time| *time != 0.0),
            timestamp: self.time,
            read: false,
            commit: Position::new(self.index, 1),
        };
        let stored = Stored {
            message: message.clone(),
            deleted: None,
            kept: false,
        };
        self.messages.insert(self.index, stored);
        let reply = sent(&message);
        if !options.keep_copy || message.sender == message.recipient {
            return (reply, Some(Change::MessageStored(message)));
        }
        let copy = Copied {
            owner: message.sender.clone(),
            recipient_since,
            body: message.body.clone(),
            reply_to: message.reply_to.clone(),
        };
        self.copies.insert(self.index, copy);
        let change = Change::MessageCopied {
            message,
            recipient_since: LogIndex(recipient_since),
        };
        (reply, Some(change))
    }

    /// Deletes the copies of these messages, and returns the ids.
    pub(super) fn delete_copies(&mut self, owner: &str, since: u64, ids: &[String]) -> Vec<String> {
        let is_named = |commit: &u64| ids.contains(&self.messages[commit].message.id);
        let own = self.copies.range(since..);
        let own = own.filter(|(commit, copy)| copy.owner == owner && is_named(commit));
        let own: Vec<u64> = own.map(|(commit, _)| *commit).collect();
        let deleted = (self.index, self.now());
        for commit in &own {
            self.kept_and_renewed.1 += u32::from(self.messages[commit].deleted.is_some());
            self.delete_copy(*commit, deleted);
        }
        let id = |commit: &u64| self.messages[commit].message.id.clone();
        own.iter().map(id).collect()
    }

    fn delete_copy(&mut self, commit: u64, deleted: (u64, i64)) {
        self.copies.remove(&commit);
        let stored = self.messages.get_mut(&commit).unwrap();
        if stored.kept || stored.deleted.is_some_and(|(index, _)| index < deleted.0) {
            stored.deleted = Some(deleted);
            stored.kept = false;
        }
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
            stored.delete(deleted);
            erased += 1;
        }
        let copies = self.copies.range(..deleted.0);
        let copies = copies.filter(|(_, copy)| copy.owner == username);
        let copies: Vec<u64> = copies.map(|(commit, _)| *commit).collect();
        for commit in copies.into_iter().take((limit - erased) as usize) {
            self.delete_copy(commit, deleted);
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
