//! The position in the log from which a watch continues, as the text that clients carry from node to
//! node.

use chat_store::LogIndex;

use chat_app::request::InvalidRequest;

/// The first digits of the cluster's id, which every node has from the log. A cursor of another
/// cluster has other ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClusterMark(u32);

/// The client has received everything up to this entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) cluster: ClusterMark,
    pub(crate) index: LogIndex,
}

impl ClusterMark {
    pub(crate) const fn of(cluster_id: u128) -> Self {
        let [a, b, c, d, ..] = cluster_id.to_be_bytes();
        Self(u32::from_be_bytes([a, b, c, d]))
    }
}

impl Cursor {
    /// Parses a client's cursor; with `None` the watch begins now.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, InvalidRequest> {
        if text.is_empty() {
            return Ok(None);
        }
        let (cluster, index) = text.split_once('.').ok_or_else(invalid)?;
        let cursor = Self {
            cluster: ClusterMark(
                u32::from_str_radix(cluster, 16).map_err(|_not_a_number| invalid())?,
            ),
            index: LogIndex(index.parse().map_err(|_not_a_number| invalid())?),
        };
        // Only what `text` writes: no signs, no other number of digits.
        if cursor.text() == text {
            Ok(Some(cursor))
        } else {
            Err(invalid())
        }
    }

    pub(crate) fn text(self) -> String {
        format!("{:08x}.{}", self.cluster.0, self.index.0)
    }
}

fn invalid() -> InvalidRequest {
    InvalidRequest {
        field: "cursor".to_owned(),
        problem: "must be the `cursor` of an event, or empty".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use chat_store::LogIndex;

    use super::{ClusterMark, Cursor};

    #[test]
    fn fuzz_watch_cursor() {
        chat_fuzz::fuzz("watch_cursor", |bytes| {
            let text = String::from_utf8_lossy(bytes);
            if let Ok(Some(cursor)) = Cursor::parse(&text) {
                assert_eq!(cursor.text(), text);
            }
        });
    }

    #[test]
    fn cursor_reads_back_from_its_text() {
        let cursor = Cursor {
            cluster: ClusterMark::of(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
            index: LogIndex(1204),
        };
        assert_eq!(cursor.text(), "01234567.1204");
        assert_eq!(Cursor::parse(&cursor.text()), Ok(Some(cursor)));
        assert_eq!(Cursor::parse(""), Ok(None));
        for wrong in [
            "1204",
            "01234567.",
            ".1",
            "1234567.1",
            "01234567.+1",
            "01234567.01",
            "x.y",
        ] {
            assert!(Cursor::parse(wrong).is_err(), "{wrong}");
        }
    }
}
