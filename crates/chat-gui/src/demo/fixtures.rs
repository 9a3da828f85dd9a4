//! The content of the demo: who its people are, what they wrote to one another, and when.
//!
//! Deliberately absent: anything real.

use crate::model::names::{LogIndex, Name};

/// When the demo plays: Sunday, 22 November 2026, ten to three in the afternoon.
pub(super) const START: f64 = 1_795_359_000.0;

/// With whom, whether Alice wrote it, how many minutes before the start, and what.
pub(super) type Line = (&'static str, bool, f64, &'static str);

/// The messages, in no order.
pub(super) const LINES: &[Line] = &[
    (
        "Benjamin",
        false,
        1_513.0,
        "Morning! Did the new cluster survive the night?",
    ),
    (
        "Benjamin",
        true,
        1_509.0,
        "It did. Node 3 lost power at four, and it went unnoticed.",
    ),
    (
        "Benjamin",
        true,
        1_508.0,
        "The log says that the other two continued after 380 ms.",
    ),
    ("Benjamin", false, 1_490.0, "So nothing was lost?"),
    (
        "Benjamin",
        true,
        1_486.0,
        "Nothing. I compared the ledger: 214 sent, 214 stored, 214 shown. Lost 0, doubled 0.",
    ),
    ("Benjamin", false, 1_484.0, "I am almost disappointed."),
    (
        "Benjamin",
        false,
        94.0,
        "Want to see something? I will switch the leader off while you write to me.",
    ),
    ("Benjamin", true, 91.0, "Please do."),
    ("Benjamin", false, 88.0, "Done. Write something!"),
    (
        "Benjamin",
        true,
        87.5,
        "I wrote this one while there was no leader. It was queued here with a little clock, and then sent by itself.",
    ),
    ("Benjamin", false, 86.0, "Arrived. Once, as promised."),
    (
        "Benjamin",
        false,
        12.0,
        "By the way, the talk is on Thursday. Could you bring the three small boards? Then we can unplug a cable on stage.",
    ),
    ("Benjamin", false, 11.0, "And the long power strip, please."),
    (
        "Charlotte",
        true,
        190.0,
        "Are the minutes of Monday's meeting anywhere?",
    ),
    (
        "Charlotte",
        false,
        171.0,
        "In the wiki, under decisions. I added the part about retention.",
    ),
    ("Charlotte", true, 170.0, "Found it, thank you!"),
    (
        "David",
        false,
        26.0,
        "Lunch tomorrow? There is a new place by the river.",
    ),
    ("David", false, 25.0, "They have dumplings."),
    (
        "David",
        false,
        3.0,
        "Let me know by six, then I book a table.",
    ),
    ("Eleanor", true, 2_960.0, "Happy birthday!!"),
    (
        "Eleanor",
        false,
        2_900.0,
        "Thank you, that is very kind. See you at the party on Saturday?",
    ),
    (
        "Friedrich",
        false,
        4_400.0,
        "Rent for December is transferred.",
    ),
    (
        "Grace",
        false,
        7_300.0,
        "The train was late, I am on my way now.",
    ),
    ("Grace", true, 7_290.0, "No hurry, the film starts at nine."),
    (
        "Henry",
        false,
        14_400.0,
        "I left the keys with the neighbours on the second floor.",
    ),
];

/// Who has an account.
const NAMES: &[&str] = &[
    "Albert",
    "Alfred",
    "Alice",
    "Benjamin",
    "Charlotte",
    "David",
    "Eleanor",
    "Friedrich",
    "Grace",
    "Henry",
    "Isabel",
    "Jakob",
    "Katharina",
    "Leonard",
    "Margarete",
    "Nikolaus",
];

/// Who matches a pattern of letters, stars and both cases of a letter; enough for a demo.
pub(super) fn people(pattern: &str) -> Vec<Name> {
    // Every other piece is a class, whose first letter means both.
    let pieces = pattern.split(['[', ']']).enumerate();
    let wanted: String = pieces
        .flat_map(|(place, piece)| {
            let letters = if place % 2 == 1 { 1 } else { piece.len() };
            piece.chars().take(letters)
        })
        .filter(|letter| *letter != '*')
        .collect();
    let wanted = wanted.to_lowercase();
    let from_start = !pattern.starts_with('*');
    NAMES
        .iter()
        .filter(|name| {
            let name = name.to_lowercase();
            if from_start {
                name.starts_with(&wanted)
            } else {
                name.contains(&wanted)
            }
        })
        .map(Name::new)
        .collect()
}

/// The log index of a message that was sent so many minutes before the start.
pub(super) fn index_at(minutes: f64) -> LogIndex {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "made-up, small and positive"
    )]
    let back = (minutes / 3.0) as u64;
    LogIndex(1_179_u64.saturating_sub(back.min(1_100)))
}
