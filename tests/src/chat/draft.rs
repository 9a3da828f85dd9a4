//! The messages that clients send: some again, some with copies, some as replies.

use chat_app::request::{MessageBody, MessageId, RequestId, SendMessageRequest, Username};
use fastrand::Rng;

use crate::chat::ledger::SentMessage;

/// Few, so that accounts are deleted and created again under the same name.
pub(super) const NAMES: [&str; 4] = ["ann", "bob", "cem", "dot"];

/// One message in so many has an id that was used before.
const SENT_AGAIN_ONE_IN: u32 = 8;
/// One message in so many replies to another one.
const REPLY_ONE_IN: u32 = 4;

/// A message as its sender's client has it.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) sender: String,
    pub(super) id: String,
    pub(super) recipient: String,
    pub(super) body: String,
    pub(super) keep_copy: bool,
    pub(super) reply_to: Option<String>,
}

impl Draft {
    /// A message, now and then under an id that was used before, with the same text or another one, and with
    /// a copy or without.
    pub(super) fn new(all: &[Self], sender: &str, operation: u64, random: &mut Rng) -> Self {
        let of_theirs = random.u32(0..4) > 0;
        let may_be_again = |draft: &&Self| !of_theirs || draft.sender == sender;
        let sent: Vec<&Self> = all.iter().filter(may_be_again).collect();
        let again = random.u32(0..SENT_AGAIN_ONE_IN) == 0;
        let keep_copy = random.bool();
        if let Some(old) = random.choice(sent).filter(|_| again) {
            let changed = if random.u32(0..3) == 0 { ", or so" } else { "" };
            let other_reply = random.u32(0..6) == 0;
            return Self {
                sender: sender.to_owned(),
                body: format!("{}{changed}", old.body),
                keep_copy,
                reply_to: old.reply_to.clone().filter(|_| !other_reply),
                ..old.clone()
            };
        }
        let replies = random.u32(0..REPLY_ONE_IN) == 0;
        let reply_to = random.choice(all).filter(|_| replies);
        Self {
            sender: sender.to_owned(),
            id: format!("m{operation:x}"),
            recipient: (*random.choice(&NAMES).expect("not empty")).to_owned(),
            body: format!("text {operation:x}"),
            keep_copy,
            reply_to: reply_to.map(|draft| draft.id.clone()),
        }
    }

    /// As the ledger compares it.
    pub(super) fn as_sent(&self) -> SentMessage<'_> {
        SentMessage {
            id: &self.id,
            sender: &self.sender,
            recipient: &self.recipient,
            body: &self.body,
            reply_to: self.reply_to.as_deref(),
        }
    }

    pub(super) fn to_request(&self, id: RequestId) -> SendMessageRequest {
        SendMessageRequest {
            id,
            message_id: MessageId(self.id.clone()),
            sender: Username(self.sender.clone()),
            recipient: Username(self.recipient.clone()),
            body: MessageBody(self.body.clone()),
            keep_copy: self.keep_copy,
            reply_to: self.reply_to.clone().map(MessageId),
            written_at: None,
        }
    }
}
