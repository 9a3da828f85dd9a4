//! How much processor time processes have used, as Linux counts it.

use std::fs;
use std::time::Duration;

/// Linux reports the time that a process has used in hundredths of a second, on every machine.
const TICKS_PER_SECOND: u64 = 100;

/// Processor time of some processes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CpuTime(Duration);

impl CpuTime {
    /// Of all these processes; `None` when the list is empty, or one of them cannot be read.
    pub(super) fn of(pids: &[u32]) -> Option<Self> {
        if pids.is_empty() {
            return None;
        }
        let used = pids.iter().map(|pid| used(&format!("/proc/{pid}/stat")));
        used.sum::<Option<Duration>>().map(Self)
    }

    pub(super) fn own() -> Option<Self> {
        used("/proc/self/stat").map(Self)
    }

    /// The time used in between; `None` when a process was replaced by another one.
    pub(super) fn between(before: Option<Self>, after: Option<Self>) -> Option<Duration> {
        after?.0.checked_sub(before?.0)
    }
}

fn used(path: &str) -> Option<Duration> {
    parse(&fs::read_to_string(path).ok()?)
}

/// The 14th and 15th field: user and system time. The second is a name in parentheses, which may
/// contain anything.
fn parse(stat: &str) -> Option<Duration> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let ticks = ticks()? + ticks()?;
    Some(Duration::from_millis(ticks * (1000 / TICKS_PER_SECOND)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{CpuTime, parse};

    #[test]
    fn user_and_system_time_are_added() {
        let stat = "7 (chat) ser) S 1 2 3 4 5 6 7 8 9 10 120 30 0 0 20 0 5 0 99 1 2";
        assert_eq!(parse(stat), Some(Duration::from_millis(1500)));
        assert_eq!(parse("7 (x) S 1"), None);
    }

    #[test]
    fn ended_process_has_no_time() {
        assert_eq!(CpuTime::of(&[]), None);
        assert_eq!(CpuTime::of(&[u32::MAX]), None);
        assert_eq!(CpuTime::between(None, CpuTime::own()), None);
    }
}
