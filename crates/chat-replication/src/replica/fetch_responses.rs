//! Answering followers: from memory if they are close, from the log on disk if not.

use chat_consensus::{EntriesReply, Entry};

use crate::event::{Effect, MakeReply};
use crate::peer_message::consensus_reply;
use crate::replica::Replica;
use crate::replica::entry_cache::first_batch;

impl<F: MakeReply> Replica<F> {
    /// Puts the entries into an answer that the node has decided on: as many as the follower wants,
    /// and as this replica sends at once (R8).
    pub(super) fn serve(&mut self, reply: EntriesReply, bytes_max: usize) {
        if !self.node.leads(reply.header().term) {
            return self.refuse_to_serve(reply);
        }
        let after = reply.after();
        let bytes_max = bytes_max.min(self.limits.batch_bytes_max);
        let Some(cached) = self.entry_cache.after(after) else {
            let last = self.node.synced_position().index;
            return self.read_log_for_follower(reply, bytes_max, after, last);
        };
        // What no batch has taken yet is sent too: the followers' disks work beside this one.
        let unbatched = self.node.unbatched_entries();
        let unbatched = unbatched
            .iter()
            .filter(|entry| entry.position.index > after);
        let entries_max = self.limits.batch_entries_max;
        let entries = first_batch(cached.chain(unbatched), entries_max, bytes_max);
        self.send_entries(reply, entries);
    }

    pub(super) fn serve_read_entries(&mut self, reply: EntriesReply, entries: Vec<Entry>) {
        // A leader never truncates its log; a former leader may have, and must not send it.
        if self.node.leads(reply.header().term) {
            self.send_entries(reply, entries);
        } else {
            self.refuse_to_serve(reply);
        }
    }

    fn send_entries(&mut self, reply: EntriesReply, entries: Vec<Entry>) {
        let reply = consensus_reply(reply.with_entries(entries));
        self.effects.push(Effect::Reply(reply));
    }

    fn refuse_to_serve(&mut self, reply: EntriesReply) {
        let reply = consensus_reply(reply.not_leading());
        self.effects.push(Effect::Reply(reply));
    }
}
