//! Answering followers: from memory if they are close, from the log on disk if not.

use chat_consensus::{Entry, Envelope, GetCommitsReply, Message};

use crate::event::Effect;
use crate::peer_message::{PeerBody, PeerMessage};
use crate::replica::Replica;
use crate::replica::entry_cache::first_batch;

impl Replica {
    /// Puts the entries into an answer that the node has decided on: as many as the asker wants, and
    /// as this replica sends at once (R8).
    pub(super) fn serve(&mut self, envelope: Envelope, bytes_max: usize) {
        if !self.node.leads(envelope.header.term) {
            return self.refuse_to_serve(envelope);
        }
        let Message::GetCommitsReply(GetCommitsReply::Entries { after, .. }) = &envelope.message
        else {
            unreachable!("only answers to fetches are filled");
        };
        let after = *after;
        let bytes_max = bytes_max.min(self.limits.batch_bytes_max);
        let Some(held) = self.entry_cache.after(after) else {
            let last = self.node.synced_position().index;
            return self.read_log_for_follower(envelope, bytes_max, after, last);
        };
        // What no batch has taken yet goes out too: the followers' disks work beside ours.
        let gathered = self.node.unbatched_entries();
        let gathered = gathered.iter().filter(|entry| entry.position.index > after);
        let entries_max = self.limits.batch_entries_max;
        let entries = first_batch(held.chain(gathered), entries_max, bytes_max);
        self.send_entries(envelope, entries);
    }

    pub(super) fn serve_read_entries(&mut self, envelope: Envelope, entries: Vec<Entry>) {
        // A leader never cuts its log; a former leader may have, and must not send it.
        if self.node.leads(envelope.header.term) {
            self.send_entries(envelope, entries);
        } else {
            self.refuse_to_serve(envelope);
        }
    }

    fn send_entries(&mut self, mut envelope: Envelope, filled: Vec<Entry>) {
        if let Message::GetCommitsReply(GetCommitsReply::Entries { entries, .. }) =
            &mut envelope.message
        {
            *entries = filled;
        }
        self.effects.push(Effect::Send(PeerMessage {
            header: envelope.header,
            body: PeerBody::Consensus(envelope.message),
        }));
    }

    fn refuse_to_serve(&mut self, mut envelope: Envelope) {
        envelope.message = Message::GetCommitsReply(GetCommitsReply::NotLeading { leader: None });
        self.effects.push(Effect::Send(PeerMessage {
            header: envelope.header,
            body: PeerBody::Consensus(envelope.message),
        }));
    }
}
