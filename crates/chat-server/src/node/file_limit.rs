//! The limit on open files of the process: raised at the start, and divided between connections and
//! everything else.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// More than any limit of connections that can be configured; a larger number only makes the
/// kernel's tables larger.
const FILES_WANTED: u64 = 65_536;
/// For everything but accepted connections: the two databases with their logs and readers (about 30),
/// connections to six peers, dials in progress, the runtime; twice over.
pub(crate) const FILES_KEPT: usize = 160;

/// Raises the soft limit of open files as far as the hard one allows, and returns the limit now.
pub(crate) fn raise() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        // What POSIX systems have always allowed.
        return 1_024;
    };
    let wanted = hard.min(FILES_WANTED);
    if wanted <= soft {
        return usize::try_from(soft).unwrap_or(usize::MAX);
    }
    let limit = match setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) {
        Ok(()) => wanted,
        Err(error) => {
            tracing::warn!(soft, wanted, %error, "the limit of open files cannot be raised");
            soft
        }
    };
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// How many of the `wanted` client connections fit, when the process may open `files` files and peers
/// may use `peers` of them. Never less than a few: a node without any is useless.
pub(crate) fn client_connections(files: usize, peers: usize, wanted: usize) -> usize {
    const AT_LEAST: usize = 16;
    files
        .saturating_sub(FILES_KEPT + peers)
        .clamp(AT_LEAST, wanted.max(AT_LEAST))
}

#[cfg(test)]
mod tests {
    use super::{client_connections, raise};

    #[test]
    fn connections_leave_files_for_everything_else() {
        assert_eq!(client_connections(1_024, 64, 1_000), 800);
        assert_eq!(client_connections(20_000, 64, 1_000), 1_000);
        assert_eq!(client_connections(100, 64, 1_000), 16);
        assert_eq!(client_connections(20_000, 64, 4), 16);
    }

    #[test]
    fn raised_limit_is_kept() {
        let raised = raise();
        assert!(raised >= 64, "{raised}");
        assert_eq!(raise(), raised);
    }
}
