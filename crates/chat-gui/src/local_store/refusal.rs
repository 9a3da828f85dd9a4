//! Reasons for which a message was rejected, as they are written in the file. Knows only reasons
//! that are permanent.

use serde_json::{Value, json};

use crate::model::failure::Failure;

/// What is written.
pub(super) fn write(why: &Failure) -> String {
    let value = match why {
        Failure::RecipientMissing => json!({"reason": "recipient_missing"}),
        Failure::BodyTooLong => json!({"reason": "body_too_long"}),
        Failure::TooOld => json!({"reason": "too_old"}),
        Failure::Refused(text) => json!({"reason": "refused", "text": text}),
        other => json!({"reason": "refused", "text": other.sentence()}),
    };
    value.to_string()
}

/// Reads a reason; one that cannot be parsed becomes a rejection without a known reason.
pub(super) fn read(text: &str) -> Failure {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    match value["reason"].as_str() {
        Some("recipient_missing") => Failure::RecipientMissing,
        Some("body_too_long") => Failure::BodyTooLong,
        Some("too_old") => Failure::TooOld,
        _ => Failure::Refused(value["text"].as_str().unwrap_or_default().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{read, write};
    use crate::model::failure::Failure;

    #[test]
    fn reasons_of_a_rejection_survive_the_file() {
        for why in [
            Failure::RecipientMissing,
            Failure::BodyTooLong,
            Failure::TooOld,
            Failure::Refused("no".to_owned()),
        ] {
            assert_eq!(read(&write(&why)), why);
        }
        assert_eq!(read("{"), Failure::Refused(String::new()));
    }
}
