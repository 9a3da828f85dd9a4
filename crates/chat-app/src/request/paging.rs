//! Pages: how long one may be, and the token with which the next one begins.

use chat_store::LogIndex;

use super::invalid_request::InvalidRequest;

/// The most messages or names of one page, and how many a page has when the request gives no limit.
const PAGE_LIMIT_MAX: u64 = 500;
const PAGE_LIMIT_DEFAULT: u64 = 100;

pub(super) fn page_limit(limit: Option<u64>) -> Result<usize, InvalidRequest> {
    let limit = limit.unwrap_or(PAGE_LIMIT_DEFAULT);
    if !(1..=PAGE_LIMIT_MAX).contains(&limit) {
        let problem = format!("must be 1 to {PAGE_LIMIT_MAX}");
        return Err(InvalidRequest::new("limit", problem));
    }
    Ok(usize::try_from(limit).expect("a page's limit fits every machine"))
}

pub(super) fn invalid_page_token() -> InvalidRequest {
    InvalidRequest::new("after", "must be the `next` of an earlier reply")
}

/// The text of `next` in a reply: opaque to clients, an index of the log here.
pub fn encode_page_token(index: LogIndex) -> String {
    index.0.to_string()
}

pub(super) fn decode_page_token(text: &str) -> Result<LogIndex, InvalidRequest> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // SQLite's integers end there.
    let index = text
        .parse()
        .ok()
        .filter(|index| *index <= i64::MAX.cast_unsigned());
    match index {
        Some(index) if digits => Ok(LogIndex(index)),
        _ => Err(invalid_page_token()),
    }
}
