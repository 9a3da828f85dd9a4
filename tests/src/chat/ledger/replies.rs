//! Whether replies to clients agree with what was applied.

use chat_app::token::PresentedToken;
use chat_consensus::LogIndex;
use chat_proto::{forwarded::v1 as forwarded, storage::v1 as proto};
use forwarded::session_reply::Result as SessionResult;
use prost::Message as _;
use proto::ErrorCode;
use proto::outcome::Result as Outcome;

use super::{Held, Kept, Ledger};
use crate::checker::{Checked, ensure};

/// A message as its sender's request has it.
#[derive(Clone, Copy, Debug)]
pub(in crate::chat) struct SentMessage<'a> {
    pub(in crate::chat) id: &'a str,
    pub(in crate::chat) sender: &'a str,
    pub(in crate::chat) recipient: &'a str,
    pub(in crate::chat) body: &'a str,
    pub(in crate::chat) reply_to: Option<&'a str>,
}

/// What a client reads in the reply that its request is done.
#[derive(Clone, Copy, Debug)]
pub(in crate::chat) enum Done<'a> {
    SessionEnded,
    MessagesRead(&'a [String]),
    MessagesDeleted(&'a [String]),
}

impl Ledger {
    /// The leader replies `reply` to the request whose entry is at `index`: its outcome, or what its
    /// session needs.
    pub(in crate::chat) fn answered(&self, index: LogIndex, reply: &[u8]) -> Checked {
        let place = usize::try_from(index.0).expect("runs are short");
        let known = self.answers.get(place - 1);
        let is_right = known.is_some_and(|(outcome, _)| {
            outcome == reply || self.is_session_reply(index, outcome, reply)
        });
        ensure(is_right, "chat-outcome", || {
            format!("entry {index} is answered with {reply:?}, and its outcome is {known:?}")
        })
    }

    /// Whether `reply` has the token of the session that the entry has opened, or its error.
    fn is_session_reply(&self, index: LogIndex, outcome: &[u8], reply: &[u8]) -> bool {
        let outcome = proto::Outcome::decode(outcome).ok();
        let reply = forwarded::SessionReply::decode(reply).ok();
        let (Some(outcome), Some(reply)) = (
            outcome.and_then(|outcome| outcome.result),
            reply.and_then(|reply| reply.result),
        ) else {
            return false;
        };
        match (outcome, reply) {
            (Outcome::Error(outcome), SessionResult::Error(reply)) => {
                outcome.code() == reply.code()
                    || outcome.code() == ErrorCode::Unauthenticated
                        && reply.code() == ErrorCode::InvalidCredentials
            }
            (
                Outcome::Created(_) | Outcome::Done(_) | Outcome::SessionCreated(_),
                SessionResult::Opened(session),
            ) => {
                let text = format!("Bearer {}", session.token);
                let token = PresentedToken::from_authorization(&text);
                token.is_some_and(|token| {
                    let held = self.sessions.get(token.hash.0.as_slice());
                    token.opened == Some(index) && held.is_some_and(|held| held.opened == index.0)
                })
            }
            _ => false,
        }
    }

    /// The reply to a client says that its message is at `sent`.
    pub(in crate::chat) fn sent(
        &mut self,
        message: &SentMessage<'_>,
        sent: &proto::Sent,
    ) -> Checked {
        let commit = self.ids.get(message.id);
        let kept = commit.and_then(|commit| self.messages.get(commit));
        let is_right = kept.is_some_and(|kept| {
            kept.message.commit.index.0 == sent.commit_index
                && kept.message.sender == message.sender
                && kept.message.recipient == message.recipient
                // The text of a deleted message is not kept to be compared.
                && (kept.deleted.is_some()
                    || kept.message.body == message.body
                        && kept.message.reply_to.as_deref() == message.reply_to)
        });
        ensure(is_right, "chat-once", || {
            format!("{message:?} is replied to with {sent:?}, and stored is {kept:?}")
        })
    }

    /// The reply says that what was requested in the session of `token` is done. When the request began,
    /// `applied` entries were applied: messages that came later may have come after it.
    pub(in crate::chat) fn done(&self, token: &[u8], what: &Done<'_>, applied: u64) -> Checked {
        let held = self.sessions.get(token);
        let is_done = held.is_some_and(|held| match what {
            Done::SessionEnded => held.ended.is_some(),
            Done::MessagesRead(ids) => {
                let mut own = self.own(held, ids, applied);
                own.all(|kept| kept.read.is_some())
            }
            Done::MessagesDeleted(ids) => {
                let mut own = self.own(held, ids, applied);
                own.all(|kept| kept.deleted.is_some()) && !self.has_copy_of_any(held, ids, applied)
            }
        });
        ensure(is_done, "chat-reply", || {
            format!("{what:?} is reported as done in {held:?}")
        })
    }

    /// The messages with these ids, among the first `applied` entries, that are, or were, in the inbox of
    /// the session's account.
    fn own<'a>(
        &'a self,
        held: &'a Held,
        ids: &'a [String],
        applied: u64,
    ) -> impl Iterator<Item = &'a Kept> {
        let commits = ids.iter().filter_map(|id| self.ids.get(id));
        let after = held.credential.incarnation;
        let commits = commits.filter(move |commit| **commit > after && **commit <= applied);
        let kept = commits.filter_map(|commit| self.messages.get(commit));
        kept.filter(|kept| kept.message.recipient == held.username && kept.deleted.is_none())
    }

    /// Whether the session's account has a copy of one of these messages, of those among the first `applied`
    /// entries.
    fn has_copy_of_any(&self, held: &Held, ids: &[String], applied: u64) -> bool {
        let commits = ids.iter().filter_map(|id| self.ids.get(id));
        let mut commits = commits.filter(|commit| **commit <= applied);
        commits.any(|commit| {
            let kept = &self.messages[commit];
            let account = (held.username.as_str(), held.credential.incarnation);
            kept.has_copy_at(account, LogIndex(u64::MAX))
        })
    }

    /// How many entries some node has applied: a read that begins now must see them.
    pub(in crate::chat) fn applied_count(&self) -> u64 {
        self.answers.len() as u64
    }

    /// A request is rejected as not authorized, in the session that `token` opens. A request that has
    /// ended its own session is not, as long as nothing else has happened to the account (R15).
    pub(in crate::chat) fn unauthenticated(&self, token: &[u8], request: &[u8]) -> Checked {
        let Some(held) = self.sessions.get(token) else {
            return Ok(());
        };
        let ended_by_itself = held.ended_by.as_ref().is_some_and(|by| by == request);
        let account = self.accounts.get(&held.username);
        let unchanged = match account {
            // The account has ended: with this request, or later.
            None => self.ended_with(held.ended, &held.username),
            Some(account) => {
                account.credential == held.credential
                    || held.ended == Some(account.credential.version)
            }
        };
        ensure(!(ended_by_itself && unchanged), "chat-reply", || {
            format!("the retry of a request that has ended its session {held:?} is rejected")
        })
    }

    fn ended_with(&self, index: Option<u64>, username: &str) -> bool {
        let mut lives = self.lifetimes.iter().rev();
        let last = lives.find(|life| life.username == username);
        last.is_some_and(|life| life.ended == index)
    }

    /// A login that began when `applied` entries were applied is rejected because of its password. It
    /// must see an account that had this password then, and still has it (R14).
    pub(in crate::chat) fn invalid_credentials(
        &self,
        username: &str,
        password: &str,
        applied: u64,
    ) -> Checked {
        let account = self.accounts.get(username);
        let had_it = account.is_some_and(|account| {
            account.password == password && account.credential.version <= applied
        });
        ensure(!had_it, "chat-reply", || {
            format!("a login is rejected with the password of {account:?}, known at {applied}")
        })
    }
}
