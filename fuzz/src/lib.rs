//! Feeds a decoder with bytes that no program would send, made from a corpus by small changes.
//!
//! Seeded and without instrumentation, so that it runs with the pinned toolchain and as an ordinary
//! test: it does not know which branches it has reached, and finds what lies some changes away from
//! an entry of the corpus. A decoder fails by panicking; what it returns is not checked.
//!
//! `FUZZ_SECONDS` makes a test run for so long, with a random seed; `FUZZ_SEED` repeats one.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fastrand::Rng;

/// Inputs of a test that is given no time: a fraction of a second for most decoders…
const INPUTS: u64 = 5_000;
/// …and not longer than this for the others.
const TIME_MAX: Duration = Duration::from_secs(5);
/// The longest input; the longest request is 128 KiB, and what is longer is refused by its length.
const INPUT_BYTES_MAX: usize = 4_096;
/// Changes of one input.
const CHANGES_MAX: usize = 6;
/// Inputs between two looks at the clock.
const STRIDE: u64 = 64;

/// Numbers at which lengths, terms and indices change their meaning.
const NUMBERS: [u64; 12] = [
    0,
    1,
    127,
    128,
    255,
    1 << 16,
    1 << 31,
    u32::MAX as u64,
    1 << 48,
    1 << 62,
    i64::MAX as u64,
    u64::MAX,
];

/// Runs `decode` on the corpus of `target`, then on inputs made from it.
///
/// # Panics
///
/// When `decode` does, with the input in hexadecimal; and when there is no corpus.
pub fn fuzz(target: &str, decode: impl Fn(&[u8])) {
    let corpus = corpus(target);
    for (name, input) in &corpus {
        check(target, name, input, &decode);
    }
    let inputs: Vec<&[u8]> = corpus.iter().map(|(_, input)| input.as_slice()).collect();
    let seconds = variable("FUZZ_SECONDS");
    let seed = variable("FUZZ_SEED").unwrap_or(match seconds {
        Some(_) => fastrand::u64(..),
        None => 0,
    });
    let mut rng = Rng::with_seed(seed);
    let ends = Instant::now() + seconds.map_or(TIME_MAX, Duration::from_secs);
    let made = format!("seed {seed}");
    let mut count = 0;
    loop {
        for _ in 0..STRIDE {
            let input = make(&inputs, &mut rng);
            check(target, &made, &input, &decode);
        }
        count += STRIDE;
        if Instant::now() >= ends || (seconds.is_none() && count >= INPUTS) {
            break;
        }
    }
    println!(
        "{target}: {} of the corpus and {count} made ones, {made}",
        corpus.len()
    );
}

/// The entries of a corpus, in the order of their names.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let entries = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{} cannot be read: {error}", folder.display()));
    let mut corpus: Vec<(String, Vec<u8>)> = entries
        .map(|entry| {
            let entry = entry.expect("the folder was opened");
            let name = entry.file_name().to_string_lossy().into_owned();
            let bytes = fs::read(entry.path()).expect("a corpus is made of files");
            // Text ends with a line end in this repository, and protobuf is kept in hexadecimal.
            let bytes = match name.strip_suffix(".hex") {
                Some(_) => from_hexadecimal(&bytes),
                None => bytes
                    .strip_suffix(b"\n")
                    .map_or(bytes.clone(), <[u8]>::to_vec),
            };
            (name, bytes)
        })
        .collect();
    corpus.sort();
    assert!(!corpus.is_empty(), "{} is empty", folder.display());
    corpus
}

fn from_hexadecimal(text: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = text
        .iter()
        .filter_map(|digit| char::from(*digit).to_digit(16))
        .map(|digit| u8::try_from(digit).expect("a digit is small"))
        .collect();
    digits
        .chunks_exact(2)
        .map(|pair| pair[0] * 16 + pair[1])
        .collect()
}

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|error| panic!("{name} is {value:?}: {error}")),
    )
}

fn check(target: &str, origin: &str, input: &[u8], decode: &impl Fn(&[u8])) {
    if let Err(panicked) = catch_unwind(AssertUnwindSafe(|| decode(input))) {
        let hexadecimal: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        eprintln!("{target} ({origin}) panics; keep this as fuzz/corpus/{target}/NAME.hex:");
        eprintln!("{hexadecimal}");
        resume_unwind(panicked);
    }
}

/// An entry of the corpus with some changes.
fn make(corpus: &[&[u8]], rng: &mut Rng) -> Vec<u8> {
    let mut input = corpus[rng.usize(..corpus.len())].to_vec();
    for _ in 0..rng.usize(1..=CHANGES_MAX) {
        change(&mut input, corpus, rng);
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}

fn change(input: &mut Vec<u8>, corpus: &[&[u8]], rng: &mut Rng) {
    let at = rng.usize(..=input.len());
    match rng.u8(..9) {
        // A bit, or a byte.
        0 if at < input.len() => input[at] ^= 1 << rng.u8(..8),
        1 if at < input.len() => input[at] = rng.u8(..),
        // More.
        2 => input.insert(at, rng.u8(..)),
        3 => insert(input, at, &varint(NUMBERS[rng.usize(..NUMBERS.len())])),
        4 => {
            let number = NUMBERS[rng.usize(..NUMBERS.len())].to_be_bytes();
            insert(input, at, &number[rng.usize(..8)..]);
        }
        // A number instead of what is there.
        5 => {
            let number = varint(NUMBERS[rng.usize(..NUMBERS.len())]);
            let end = input.len().min(at + rng.usize(1..4));
            input.splice(at..end, number);
        }
        // Less.
        6 => input.truncate(at),
        7 => drop(input.drain(at..input.len().min(at + rng.usize(1..16)))),
        // A piece of another entry.
        _ => {
            let other = corpus[rng.usize(..corpus.len())];
            let from = rng.usize(..=other.len());
            let to = other.len().min(from + rng.usize(1..64));
            insert(input, at, &other[from..to]);
        }
    }
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    input.splice(at..at, bytes.iter().copied());
}

/// As protobuf writes numbers and lengths.
fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::{fuzz, varint};

    #[test]
    fn numbers_are_written_as_protobuf_does() {
        assert_eq!(varint(1), [1]);
        assert_eq!(varint(300), [0xac, 2]);
        assert_eq!(varint(u64::MAX).len(), 10);
    }

    /// A check that has never failed proves nothing.
    #[test]
    fn panic_some_changes_away_is_found() {
        let found = catch_unwind(|| {
            fuzz("self", |input| {
                let number = varint(u64::MAX);
                let found = input.windows(number.len()).any(|piece| piece == number);
                assert!(!found, "found");
            });
        });
        assert!(found.is_err());
        fuzz("self", |_| {});
    }
}
