//! Properties of the list's geometry over random sequences of steps.

use super::{Geometry, Position, RowId, RowKey};

use proptest::prelude::*;

/// A row of the test: its height at a width is computed from its identity, as text's would be.
#[derive(Debug, Clone, Copy, PartialEq)]
struct TestRow {
    id: u128,
    shape: u32,
}

/// Something that happens to a list.
#[derive(Debug, Clone)]
enum Step {
    /// Older rows appear on top.
    LoadOlder(usize),
    /// Newer rows appear below.
    Arrive(usize),
    /// Some rows go: from a place, as a share of the list, so many.
    Delete(f64, usize),
    /// A row changes its height.
    Reshape(f64),
    /// The window becomes another size.
    Resize(f32, f32),
    /// The reader scrolls.
    Scroll(f64),
    /// The reader jumps to a row.
    Jump(f64),
    /// The reader jumps to the newest.
    Bottom,
}

/// A list with its reader.
struct Reader {
    geometry: Geometry,
    rows: Vec<TestRow>,
    older: u128,
    newer: u128,
    width: f32,
    height: f32,
}

fn true_height(row: TestRow, width: f32) -> f32 {
    let long = if row.id.is_multiple_of(41) {
        3000.0
    } else {
        0.0
    };
    let text = long + (row.id % 197) as f32 * 3.0 + row.shape as f32 * 11.0;
    24.0 + (text / (width / 8.0)).floor() * 18.0
}

fn guess(_: usize, _: f32) -> f32 {
    40.0
}

impl Reader {
    fn new(rows: usize) -> Self {
        let mut reader = Self {
            geometry: Geometry::default(),
            rows: Vec::new(),
            older: 1_000_000,
            newer: 1_000_000,
            width: 480.0,
            height: 600.0,
        };
        reader.arrive(rows);
        reader.frame();
        reader
    }

    fn arrive(&mut self, count: usize) {
        for _ in 0..count {
            self.rows.push(TestRow {
                id: self.newer,
                shape: 0,
            });
            self.newer += 1;
        }
    }

    fn load_older(&mut self, count: usize) {
        for _ in 0..count {
            self.older -= 1;
            self.rows.insert(
                0,
                TestRow {
                    id: self.older,
                    shape: 0,
                },
            );
        }
    }

    /// What the widget does each frame; the rows in sight.
    fn frame(&mut self) -> std::ops::Range<usize> {
        let rows = &self.rows;
        let key = |index: usize| RowKey {
            id: RowId(rows[index].id),
            shape: rows[index].shape,
        };
        self.geometry.sync(rows.len(), key, guess);
        self.geometry.set_window(self.width, self.height, guess);
        let seen = self
            .geometry
            .settle(|index, width| true_height(rows[index], width));
        self.geometry.notice_bottom();
        self.geometry
            .settle(|index, width| true_height(rows[index], width));
        assert_eq!(seen.is_empty(), rows.is_empty());
        self.geometry.visible()
    }

    /// Which rows are in sight and where on the screen.
    fn on_screen(&mut self) -> Vec<(u128, f64)> {
        let seen = self.geometry.visible();
        let offset = self.geometry.offset();
        seen.map(|row| (self.rows[row].id, self.geometry.top_of(row) - offset))
            .collect()
    }

    fn apply(&mut self, step: &Step) {
        let place = |share: f64, len: usize| ((share * len as f64) as usize).min(len);
        match *step {
            Step::LoadOlder(count) => self.load_older(count),
            Step::Arrive(count) => self.arrive(count),
            Step::Delete(share, count) => {
                let from = place(share, self.rows.len());
                let to = (from + count).min(self.rows.len());
                self.rows.drain(from..to);
            }
            Step::Reshape(share) => {
                let index = place(share, self.rows.len());
                if let Some(row) = self.rows.get_mut(index) {
                    row.shape += 1;
                }
            }
            Step::Resize(width, height) => {
                self.width = width;
                self.height = height;
            }
            Step::Scroll(delta) => self.geometry.scroll_by(delta),
            Step::Jump(share) => {
                let row = place(share, self.rows.len());
                self.geometry.scroll_to_row(row, 0.0);
            }
            Step::Bottom => self.geometry.scroll_to_bottom(),
        }
    }

    /// What holds after every frame.
    fn check(&mut self) {
        let seen = self.frame();
        let (offset, most) = (self.geometry.offset(), self.geometry.offset_max());
        assert!((0.0..=most).contains(&offset), "{offset} of {most}");
        let mut expected_top = self.geometry.top_of(seen.start);
        for row in seen.clone() {
            assert_eq!(self.geometry.id_of(row), Some(RowId(self.rows[row].id)));
            let top = self.geometry.top_of(row);
            assert!((top - expected_top).abs() < 1e-6, "a gap above row {row}");
            expected_top = top + f64::from(true_height(self.rows[row], self.width));
        }
        let end = (offset + f64::from(self.height)).min(self.geometry.total());
        assert!(expected_top >= end - 1e-6, "the window is not filled");
        assert!(
            seen.is_empty() || self.geometry.top_of(seen.start) <= offset + 1e-6,
            "the window's top is bare"
        );
        if self.geometry.is_at_bottom() {
            assert!((offset - most).abs() < 1e-6);
            assert_eq!(seen.end, self.rows.len());
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (1..60_usize).prop_map(Step::LoadOlder),
        (1..5_usize).prop_map(Step::Arrive),
        (0.0..1.0, 1..30_usize).prop_map(|(share, count)| Step::Delete(share, count)),
        (0.0..1.0).prop_map(Step::Reshape),
        (200.0_f32..900.0, 50.0_f32..900.0).prop_map(|(w, h)| Step::Resize(w, h)),
        (-2000.0..2000.0).prop_map(Step::Scroll),
        (0.0..1.0).prop_map(Step::Jump),
        Just(Step::Bottom),
    ];
    proptest::collection::vec(step, 1..40)
}

proptest! {
    #[test]
    fn viewport_is_filled_with_measured_heights_after_any_steps(rows in 0..300_usize, steps in steps()) {
        let mut reader = Reader::new(rows);
        for step in &steps {
            reader.apply(step);
            reader.check();
        }
    }

    #[test]
    fn rows_changed_out_of_sight_move_nothing(
        rows in 60..300_usize,
        to in 0.1..0.7_f64,
        older in 1..80_usize,
        newer in 1..80_usize,
    ) {
        let mut reader = Reader::new(rows);
        reader.apply(&Step::Jump(to));
        reader.frame();
        prop_assume!(!reader.geometry.is_at_bottom());
        let before = reader.on_screen();

        reader.load_older(older);
        reader.arrive(newer);
        reader.frame();
        assert_same_places(&before, &reader.on_screen());

        // Rows above and below those in sight go.
        let first = reader.rows.iter().position(|row| row.id == before[0].0).expect("it is there");
        reader.rows.drain(first.saturating_sub(older / 2)..first);
        reader.frame();
        assert_same_places(&before, &reader.on_screen());
    }

    #[test]
    fn list_at_the_bottom_stays_at_the_bottom(rows in 0..200_usize, steps in steps()) {
        let mut reader = Reader::new(rows);
        for step in &steps {
            if matches!(step, Step::Scroll(_) | Step::Jump(_)) {
                continue;
            }
            reader.apply(step);
            reader.check();
            prop_assert!(reader.geometry.is_at_bottom());
        }
    }

    #[test]
    fn removed_anchor_row_is_replaced_by_the_next_one(
        rows in 100..300_usize,
        to in 0.2..0.6_f64,
        gone in 1..4_usize,
    ) {
        let mut reader = Reader::new(rows);
        reader.apply(&Step::Jump(to));
        reader.frame();
        prop_assume!(!reader.geometry.is_at_bottom());
        let before = reader.on_screen();
        prop_assume!(before.len() > gone);

        let first = reader.rows.iter().position(|row| row.id == before[0].0).expect("it is there");
        reader.rows.drain(first..first + gone);
        reader.frame();
        let after = reader.on_screen();
        let expected = before[gone];
        let found = after.iter().find(|(id, _)| *id == expected.0);
        prop_assert!(found.is_some_and(|(_, top)| (top - expected.1).abs() < 1e-6), "{found:?}");
    }
}

fn assert_same_places(before: &[(u128, f64)], after: &[(u128, f64)]) {
    for (id, top) in before {
        let found = after.iter().find(|(other, _)| other == id);
        assert!(
            found.is_some_and(|(_, now)| (now - top).abs() < 1e-6),
            "row {id} was at {top}, is at {found:?}"
        );
    }
}

#[test]
fn changed_width_keeps_the_top_row() {
    let mut reader = Reader::new(200);
    reader.geometry.scroll_to_row(80, 0.0);
    reader.frame();
    reader.apply(&Step::Resize(300.0, 600.0));
    reader.check();
    let Position::Held { row, below_top } = reader.geometry.position() else {
        panic!("the reader was not at the bottom");
    };
    assert_eq!((row, below_top), (80, 0.0));
}

#[test]
fn reveal_scrolls_no_more_than_needed() {
    let mut reader = Reader::new(200);
    reader.geometry.scroll_to_row(80, 0.0);
    let seen = reader.frame();
    let offset = reader.geometry.offset();
    reader.geometry.reveal(seen.start + 1);
    assert!((reader.geometry.offset() - offset).abs() < 1e-6);
    reader.geometry.reveal(seen.start - 1);
    reader.frame();
    assert_eq!(reader.geometry.visible().start, seen.start - 1);
}

#[test]
fn only_visible_rows_of_a_long_list_are_measured() {
    let mut geometry = Geometry::default();
    let key = |index: usize| RowKey {
        id: RowId(index as u128),
        shape: 0,
    };
    geometry.sync(100_000, key, guess);
    geometry.set_window(600.0, 800.0, guess);
    let mut measured = 0;
    geometry.settle(|_, _| {
        measured += 1;
        40.0
    });
    assert!(measured < 30, "{measured} rows were measured");
    assert!((geometry.total() - 4_000_000.0).abs() < 1.0);
}
