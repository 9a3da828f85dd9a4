//! Until when a client waits: its `grpc-timeout`, within bounds.

use std::time::{Duration, Instant};

use tonic::metadata::MetadataMap;

/// For a client that sends none.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
/// The longest that a request is served; every layer further in has a higher limit.
const TIMEOUT_MAX: Duration = Duration::from_secs(30);
/// A reply is sent this much before the client gives up, so that the client gets the reason.
const ANSWER_MARGIN_MAX: Duration = Duration::from_millis(50);

/// The moment by which the request that came with `metadata` must be answered.
pub(crate) fn of(metadata: &MetadataMap, now: Instant) -> Instant {
    let timeout = requested_timeout(metadata)
        .unwrap_or(TIMEOUT_DEFAULT)
        .min(TIMEOUT_MAX);
    now + timeout - ANSWER_MARGIN_MAX.min(timeout / 4)
}

/// For how long the client wants a reply, or a whole stream; `None` if it does not send that.
pub(crate) fn requested_timeout(metadata: &MetadataMap) -> Option<Duration> {
    let value = metadata.get("grpc-timeout")?;
    parse(value.to_str().ok()?)
}

/// At most eight digits and a unit, as gRPC writes it.
fn parse(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tonic::metadata::MetadataMap;

    fn check(timeout: Option<&str>, expected: Duration) {
        let mut metadata = MetadataMap::new();
        if let Some(timeout) = timeout {
            metadata.insert("grpc-timeout", timeout.parse().unwrap());
        }
        let now = Instant::now();
        assert_eq!(super::of(&metadata, now) - now, expected, "{timeout:?}");
    }

    #[test]
    fn fuzz_grpc_timeout() {
        chat_fuzz::fuzz("grpc_timeout", |bytes| {
            let longest = Duration::from_secs(99_999_999 * 3_600);
            let timeout = super::parse(&String::from_utf8_lossy(bytes));
            assert!(timeout.is_none_or(|timeout| timeout <= longest));
        });
    }

    #[test]
    fn deadline_is_bounded() {
        check(None, Duration::from_millis(4_950));
        check(Some("100m"), Duration::from_millis(75));
        check(Some("2S"), Duration::from_millis(1_950));
        check(Some("2000000u"), Duration::from_millis(1_950));
        check(Some("0n"), Duration::ZERO);
        check(Some("99999999H"), Duration::from_millis(29_950));
    }

    #[test]
    fn unparsable_timeout_is_ignored() {
        for wrong in ["", "S", "1", "-1S", "1s", "123456789S", "1.5S", "é"] {
            assert_eq!(super::parse(wrong), None, "{wrong}");
        }
    }
}
