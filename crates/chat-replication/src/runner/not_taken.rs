//! The reply to a forwarded proposal that a replica never took, because it has been shut down.

use chat_consensus::{Envelope, Header};

use crate::peer_message::{PeerReply, ProposeOutcome, Refusal};

/// Not appended: the node that forwarded it tries it elsewhere. The replica's own term and disk play
/// no part in this reply, so the header is the request's, turned round.
pub(super) fn not_taken(request: &Header) -> Envelope<PeerReply> {
    let refusal = Refusal::NotLeading { leader: None };
    Envelope {
        header: Header {
            from: request.to,
            to: request.from,
            to_storage: None,
            ..*request
        },
        message: PeerReply::Propose(ProposeOutcome::NotAppended(refusal)),
    }
}
