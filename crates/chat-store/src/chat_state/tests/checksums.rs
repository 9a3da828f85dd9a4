//! No damage to one file of the tables is served: a start finds it, or it is harmless. And what a kill
//! leaves, at whatever moment, is no damage.

use std::collections::BTreeMap;
use std::fs;

use fastrand::Rng;

use super::*;
use crate::chat_state::checkpoints::Mode;
use crate::chat_state::opening;
use crate::directory::wal_of;

/// Copies what may be copied, and notes it; returns whether that is everything.
async fn copy(state: &mut ChatState) -> Result<bool, StateError> {
    let applied = state.applied_index();
    let ChatState {
        checkpoints,
        database,
        ..
    } = state;
    checkpoints.copy(database, Mode::Passive, applied).await
}

/// Copies everything, and empties the write-ahead log.
async fn truncate(state: &mut ChatState) {
    let applied = state.applied_index();
    let ChatState {
        checkpoints,
        database,
        ..
    } = state;
    checkpoints.truncate_wal(database, applied).await.unwrap();
}

/// What a process that was killed leaves.
struct Image {
    directory: TempDir,
    applied: LogIndex,
    what: &'static str,
}

/// Tables that are used at random, and all that they contained.
struct History {
    chat: Chat,
    rng: Rng,
    next_id: u32,
    /// All rows at each position.
    rows: BTreeMap<LogIndex, String>,
    images: Vec<Image>,
}

impl History {
    fn run(seed: u64, steps: u32) -> Self {
        let mut history = Self {
            chat: Chat::with_ann_and_bob(),
            rng: Rng::with_seed(seed),
            next_id: 0,
            rows: BTreeMap::new(),
            images: Vec::new(),
        };
        history.rows.insert(LogIndex::ZERO, String::new());
        for _ in 0..steps {
            history.apply_and_commit();
            let what = history.step();
            history.keep(what);
        }
        history
    }

    fn file(&self) -> PathBuf {
        self.chat.state.path()
    }

    fn apply_and_commit(&mut self) {
        for _ in 0..self.rng.u32(1..3) {
            let first = self.next_id;
            self.next_id += self.rng.u32(1..8);
            let body = "text ".repeat(self.rng.usize(0..600));
            let sends: Vec<_> = (first..self.next_id)
                .map(|id| ann_sends(&format!("id {id}"), "bob", &body))
                .collect();
            self.chat.apply(&sends);
            let gone = format!("id {}", self.rng.u32(0..self.next_id));
            self.chat.apply(&[bob_deletes(&[&gone])]);
            block_on(self.chat.state.commit()).unwrap();
            let rows = all_rows(&self.file());
            self.rows.insert(self.chat.state.applied_index(), rows);
        }
    }

    /// Something that changes the main file or the write-ahead log; returns what.
    fn step(&mut self) -> &'static str {
        match self.rng.u32(0..9) {
            0 | 1 => {
                block_on(copy(&mut self.chat.state)).unwrap();
                "copied and noted"
            }
            2 | 3 => {
                // Killed in between.
                let copied = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)");
                block_on(self.chat.state.database.fetch_optional(copied)).unwrap();
                self.keep("copied and not noted");
                block_on(copy(&mut self.chat.state)).unwrap();
                "noted later"
            }
            4 => {
                block_on(truncate(&mut self.chat.state));
                "emptied"
            }
            5 => {
                self.chat.reopen();
                "closed and opened"
            }
            6 => {
                self.end_without_closing();
                "ended and opened"
            }
            7 => {
                let folder = tempfile::tempdir().unwrap();
                let writer = block_on(self.chat.state.snapshot()).unwrap();
                writer
                    .write(&folder.path().join("copy"), &mut |_bytes| Ok(()))
                    .unwrap();
                "snapshot taken"
            }
            _ => "committed",
        }
    }

    /// As after a panic: no connection copies anything.
    fn end_without_closing(&mut self) {
        let placeholder = tempfile::tempdir().unwrap();
        let (state, reader) = ChatState::open(placeholder.path()).unwrap();
        self.chat.reader = reader;
        drop(std::mem::replace(&mut self.chat.state, state));
        (self.chat.state, self.chat.reader) = ChatState::open(self.chat.directory.path()).unwrap();
        assert_eq!(self.chat.state.lost(), None);
    }

    fn keep(&mut self, what: &'static str) {
        let directory = tempfile::tempdir().unwrap();
        copy_all(self.chat.directory.path(), directory.path());
        let applied = self.chat.state.applied_index();
        self.images.push(Image {
            directory,
            applied,
            what,
        });
    }

    /// Opens a copy of the image, which `damage` has changed. Returns whether that was found; otherwise the rows must be
    /// those of that position.
    fn open(&self, image: &Image, damage: impl FnOnce(&Path)) -> Result<bool, String> {
        let copy = tempfile::tempdir().unwrap();
        copy_all(image.directory.path(), copy.path());
        let file = database(copy.path());
        damage(&file);
        let (mut state, _reader) =
            ChatState::open(copy.path()).map_err(|error| opening::sentence(&error))?;
        if state.lost().is_some() {
            return Ok(true);
        }
        let applied = state.applied_index();
        if applied > image.applied {
            return Err(format!("at {applied}, which was later"));
        }
        let rows = all_rows(&state.path());
        if applied > LogIndex::ZERO && self.rows.get(&applied) != Some(&rows) {
            return Err(format!("other rows at {applied}"));
        }
        // It goes on, and is found again.
        block_on(state.apply(&[entry(applied.0 + 1, &ann_sends("last", "bob", "text"))])).unwrap();
        block_on(state.commit()).unwrap();
        drop(state);
        let (state, _reader) =
            ChatState::open(copy.path()).map_err(|error| opening::sentence(&error))?;
        match state.lost() {
            Some(reason) => Err(format!("lost at the second start: {reason}")),
            None if state.applied_index() != applied.next() => Err("something is lost".to_owned()),
            None => Ok(false),
        }
    }
}

/// Changes one of the files; returns how, or `None` if that changes nothing.
fn damage(rng: &mut Rng, file: &Path, others: &[PathBuf]) -> Option<String> {
    let name = ["state.db", "state.db-wal", "state.db-shm", "state.sums"][rng.usize(0..4)];
    let path = file.with_file_name(name);
    let before = fs::read(&path).ok()?;
    let mut bytes = before.clone();
    let at = if bytes.is_empty() {
        0
    } else {
        rng.usize(0..bytes.len())
    };
    let how = match rng.u32(0..6) {
        0 => {
            *bytes.get_mut(at)? ^= 1 << rng.u32(0..8);
            "flip"
        }
        1 => {
            let length = [512, 4096, 65536][rng.usize(0..3)];
            let begin = at / length * length;
            let end = (begin + length).min(bytes.len());
            bytes[begin..end].fill(0);
            "zero"
        }
        2 => {
            bytes.truncate(at);
            "truncate"
        }
        3 => {
            fs::remove_file(&path).unwrap();
            return Some(format!("{name} removed"));
        }
        _ => {
            let other = others[rng.usize(0..others.len())].with_file_name(name);
            bytes = fs::read(other).ok()?;
            "another one"
        }
    };
    fs::write(&path, &bytes).unwrap();
    (bytes != before).then(|| format!("{name}: {how} at {at} of {}", before.len()))
}

#[test]
fn no_damage_to_one_file_is_served_and_no_kill_is_taken_for_damage() {
    let (mut found, mut harmless, mut failed) = (0, 0, Vec::new());
    for seed in 0..4 {
        let history = History::run(seed, 24);
        let foreign = History::run(seed + 1000, 8);
        let mut rng = Rng::with_seed(seed);
        let files = |history: &History| -> Vec<PathBuf> {
            let images = history.images.iter();
            images
                .map(|image| database(image.directory.path()))
                .collect()
        };
        let (own, foreign) = (files(&history), files(&foreign));
        for (number, image) in history.images.iter().enumerate() {
            let what = image.what;
            match history.open(image, |_file| {}) {
                Ok(false) => {}
                Ok(true) => failed.push(format!("{seed}.{number} {what}: a kill is called damage")),
                Err(why) => failed.push(format!("{seed}.{number} {what}: {why}")),
            }
            let others = [&own[..=number], &foreign].concat();
            for _ in 0..4 {
                let mut how = None;
                let opened = history.open(image, |file| how = damage(&mut rng, file, &others));
                match (how, opened) {
                    (_, Ok(true)) => found += 1,
                    (_, Ok(false)) => harmless += 1,
                    (how, Err(why)) => {
                        failed.push(format!("{seed}.{number} {what}, {how:?}: {why}"));
                    }
                }
            }
        }
    }
    assert!(
        failed.is_empty(),
        "{}:\n{}",
        failed.len(),
        failed.join("\n")
    );
    assert!(found > 100 && harmless > 30, "{found} {harmless}");
}

/// Another program that opens the file changes it.
#[test]
fn checkpoint_of_another_program_is_taken_for_damage() {
    let mut chat = Chat::with_ann_and_bob();
    block_on(chat.state.commit()).unwrap();
    let image = tempfile::tempdir().unwrap();
    copy_all(chat.directory.path(), image.path());
    let file = database(image.path());
    tamper_file(&file, "CREATE TABLE mine (x)");
    assert!(!wal_of(&file).exists(), "it has copied everything");
    let (state, _reader) = ChatState::open(image.path()).unwrap();
    assert!(state.lost().unwrap().contains("written last"));
}

/// Beside the work, and although a reader kept a checkpoint from copying everything.
#[tokio::test]
async fn damage_is_found_while_the_tables_are_used() {
    let mut chat = Chat::committed(|chat| {
        let sends: Vec<_> = (0..300)
            .map(|number| ann_sends(&format!("id {number}"), "bob", &"text ".repeat(90)))
            .collect();
        chat.apply(&sends);
    })
    .await;
    let file = chat.state.path();
    let pages = async |chat: &Chat| {
        let (mut after, mut parts) = (0, 0);
        loop {
            parts += 1;
            match chat.reader.verify_pages(after, 7).await? {
                Some(last) => after = last,
                None => return Ok::<_, StateError>(parts),
            }
        }
    };
    assert!(copy(&mut chat.state).await.unwrap());
    assert!(pages(&chat).await.unwrap() > 5);
    let reading = chat.reader.begin().await.unwrap();
    chat.apply_later(&[bob_reads(&["id 1", "id 200"])]).await;
    chat.state.commit().await.unwrap();
    // The first one goes as far as the reader, the second one finds it there still.
    copy(&mut chat.state).await.unwrap();
    chat.apply_later(&[bob_reads(&["id 2", "id 201"])]).await;
    chat.state.commit().await.unwrap();
    assert!(!copy(&mut chat.state).await.unwrap());
    assert!(pages(&chat).await.unwrap() > 5);
    drop(reading);
    // Otherwise the damaged page may be one that the write-ahead log replaces.
    truncate(&mut chat.state).await;
    let length = fs::metadata(&file).unwrap().len();
    let writing = fs::File::options().write(true).open(&file).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&writing, b"\xfe", length - 300).unwrap();
    let found = pages(&chat).await.unwrap_err();
    assert!(matches!(found, StateError::Lost { .. }), "{found}");
    assert!(chat.reader.damage().unwrap().contains("written last"));
    chat.drop_on_own_thread().await;
}
