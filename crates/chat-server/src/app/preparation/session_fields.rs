//! The fields of a session without which a command cannot be applied.

use chat_proto::storage::v1 as storage;

use crate::app::preparation::error::PreparationError;

/// The parts of a session that applying needs; it checks them again, since the session may have ended
/// meanwhile.
pub(super) fn validate_session(
    session: Option<&storage::Session>,
) -> Option<(&storage::Session, storage::Credential)> {
    let session = session.filter(|session| session.token_hash.len() == 32)?;
    Some((session, session.credential?))
}

pub(super) fn require_session(session: Option<&storage::Session>) -> Result<(), PreparationError> {
    match validate_session(session) {
        Some(_) => Ok(()),
        None => Err(PreparationError::Malformed),
    }
}
