//! What a conversation looks like from top to bottom: day lines, the unread line, and messages in
//! series. Knows no sizes and no fonts.

use jiff::civil::Date;

/// One line of a conversation, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimelineItem {
    /// What follows happened on this day.
    Day(Date),
    /// What follows was unread when the conversation was opened.
    Unread,
    /// A message.
    Message {
        /// Its place in `Conversation::messages`.
        index: usize,
        /// Where it stands among its neighbours.
        series: Series,
    },
}

/// Where a message stands in a run of messages of one person, of one day, within a few minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Series {
    /// Alone.
    Single,
    /// Others follow.
    First,
    /// Others before and behind.
    Middle,
    /// The last of several.
    Last,
}
