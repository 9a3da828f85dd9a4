//! Limits that contradict each other, or that the wire cannot keep, are refused before a replica
//! starts.

use crate::replica::Limits;
use crate::runner::start_error::StartError;
use crate::runner::transport::MESSAGE_BYTES_MAX;

/// What an entry takes on the wire beside its payload, in bytes: about 14, and more for large numbers.
const ENTRY_OVERHEAD_BYTES: usize = 64;
/// What a message takes beside its entries, in bytes.
const MESSAGE_OVERHEAD_BYTES: usize = 1_024;
/// Room is counted in 32 bits.
const WAITING_BYTES_LIMIT: usize = u32::MAX as usize;

/// Names the first field that cannot be kept.
pub(super) fn check(limits: &Limits) -> Result<(), StartError> {
    let all = [
        ("waiting_proposals_max", limits.waiting_proposals_max),
        ("waiting_bytes_max", limits.waiting_bytes_max),
        ("waiting_requests_max", limits.waiting_requests_max),
        ("command_bytes_max", limits.command_bytes_max),
        ("batch_entries_max", limits.batch_entries_max),
        ("batch_bytes_max", limits.batch_bytes_max),
        ("cache_entries_max", limits.cache_entries_max),
        ("cache_bytes_max", limits.cache_bytes_max),
    ];
    for (field, value) in all {
        at_least(field, value, 1)?;
    }
    let log_bytes = usize::try_from(limits.snapshot_log_bytes).unwrap_or(usize::MAX);
    at_least("snapshot_log_bytes", log_bytes, 1)?;
    let entries = MESSAGE_BYTES_MAX - MESSAGE_OVERHEAD_BYTES;
    at_most(
        "batch_entries_max",
        limits.batch_entries_max,
        entries / 2 / ENTRY_OVERHEAD_BYTES,
    )?;
    // An answer to a fetch holds a batch, or one command that is larger.
    let payload = entries - limits.batch_entries_max * ENTRY_OVERHEAD_BYTES;
    at_most("batch_bytes_max", limits.batch_bytes_max, payload)?;
    at_most("command_bytes_max", limits.command_bytes_max, payload)?;
    at_most(
        "waiting_bytes_max",
        limits.waiting_bytes_max,
        WAITING_BYTES_LIMIT,
    )?;
    at_least(
        "waiting_bytes_max",
        limits.waiting_bytes_max,
        limits.command_bytes_max,
    )
}

fn at_least(field: &'static str, value: usize, least: usize) -> Result<(), StartError> {
    if value >= least {
        return Ok(());
    }
    Err(StartError::LimitTooSmall {
        field,
        value,
        least,
    })
}

fn at_most(field: &'static str, value: usize, most: usize) -> Result<(), StartError> {
    if value <= most {
        return Ok(());
    }
    Err(StartError::LimitTooLarge { field, value, most })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut Limits)) -> String {
        let mut limits = Limits::default();
        change(&mut limits);
        check(&limits).map_or_else(|error| error.to_string(), |()| "good".to_owned())
    }

    /// E-4, E-6: what cannot be kept would end in a panic, or in a command that never travels.
    #[test]
    fn limits_that_cannot_be_kept_are_named() {
        assert_eq!(refusal(|_| {}), "good");
        assert_eq!(
            refusal(|limits| limits.batch_entries_max = 0),
            "limits.batch_entries_max is 0 and must be at least 1"
        );
        assert_eq!(
            refusal(|limits| limits.command_bytes_max = 32 << 20),
            "limits.command_bytes_max is 33554432 and must be at most 8256512"
        );
        assert_eq!(
            refusal(|limits| limits.command_bytes_max = 8_256_512),
            "good"
        );
        assert_eq!(
            refusal(|limits| limits.batch_bytes_max = 9 << 20),
            "limits.batch_bytes_max is 9437184 and must be at most 8256512"
        );
        assert_eq!(
            refusal(|limits| limits.batch_entries_max = 1 << 20),
            "limits.batch_entries_max is 1048576 and must be at most 65528"
        );
        assert_eq!(
            refusal(|limits| limits.waiting_bytes_max = 1_000),
            "limits.waiting_bytes_max is 1000 and must be at least 1048576"
        );
    }
}
