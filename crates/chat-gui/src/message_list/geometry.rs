//! Which rows of a long list are on the screen, and where: heights, sums of heights, position.
//!
//! Deliberately absent: egui, text, and what a row is. Heights come from the caller, exact for the
//! rows on the screen and estimated for all others, so that a list of 100,000 rows opens at once;
//! and the position is a row and a distance, not a sum, so that nothing moves under the reader's
//! eyes when an estimate elsewhere turns out wrong or rows come and go above.

use std::ops::Range;

/// The identity of a row, which stays when others come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(pub u128);

/// What a row is and what its height depends on, besides the width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowKey {
    /// Which row.
    pub id: RowId,
    /// A number that changes when the row may have another height than before.
    pub shape: u32,
}

/// Where the reader is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Position {
    /// At the newest row, and there when newer ones arrive.
    AtBottom,
    /// At a row, wherever it goes.
    Held {
        /// The row, in or next to the window.
        row: usize,
        /// How far the window's top is below the row's top, in points; negative if above it.
        below_top: f64,
    },
}

/// How close to the end counts as being there, in points: less than a person can see.
const AT_BOTTOM_WITHIN: f64 = 1.0;

/// How often [`Geometry::settle`] measures again before it accepts what it has. Each round measures
/// all rows in sight, and a row is measured once, so two or three rounds are what it takes; the
/// limit is against a caller whose heights are never above zero.
const SETTLE_ROUNDS_MAX: usize = 64;

#[derive(Debug, Clone, Copy)]
struct Row {
    key: RowKey,
    height: f32,
    measured: bool,
}

/// The heights of all rows and the window onto them.
#[derive(Debug, Clone)]
pub struct Geometry {
    rows: Vec<Row>,
    /// `tops[i]` is the sum of the heights before row `i`; one more than there are rows.
    tops: Vec<f64>,
    /// How many of `tops` are right; those after are computed on demand.
    tops_valid: usize,
    width: f32,
    window_height: f64,
    position: Position,
    /// The share of the held row above the window's top, kept over a change of width.
    held_share: Option<f64>,
}

impl Default for Geometry {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            tops: vec![0.0],
            tops_valid: 1,
            width: 0.0,
            window_height: 0.0,
            position: Position::AtBottom,
            held_share: None,
        }
    }
}

impl Geometry {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The identity of a row.
    pub fn id_of(&self, row: usize) -> Option<RowId> {
        self.rows.get(row).map(|row| row.key.id)
    }

    /// Where a row is, from its identity. Looks through all.
    pub fn find(&self, id: RowId) -> Option<usize> {
        self.rows.iter().position(|row| row.key.id == id)
    }

    /// Where the reader is.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Whether the newest row is in sight and will stay so.
    pub fn is_at_bottom(&self) -> bool {
        self.position == Position::AtBottom
    }

    /// How high the window onto the list is, in points.
    pub fn window_height(&self) -> f64 {
        self.window_height
    }

    /// Takes the size of the window onto the list.
    ///
    /// Another width makes every height an estimate again; the reader keeps the row at the top.
    pub fn set_window(&mut self, width: f32, height: f32, estimate: impl Fn(usize, f32) -> f32) {
        if width.to_bits() != self.width.to_bits() {
            self.width = width;
            self.forget_heights(estimate);
        }
        self.window_height = f64::from(height.max(0.0));
    }

    /// Makes every height an estimate again, because what they depend on has changed; the reader
    /// keeps the row at the top.
    pub fn forget_heights(&mut self, estimate: impl Fn(usize, f32) -> f32) {
        if let Position::Held { row, below_top } = self.position
            && let Some(held) = self.rows.get(row)
            && held.height > 0.0
        {
            self.held_share = Some(below_top / f64::from(held.height));
        }
        for (index, row) in self.rows.iter_mut().enumerate() {
            row.height = estimate(index, self.width).max(0.0);
            row.measured = false;
        }
        self.tops_valid = 1;
    }

    /// Takes the rows as they are now: `key_at` for each of `len`, and a guess at its height.
    ///
    /// What stays keeps its measured height, and the reader keeps the place: rows that come or go
    /// elsewhere do not move what is in sight, and when the held row itself goes, its next
    /// neighbour that stays takes over where it was.
    pub fn sync(
        &mut self,
        len: usize,
        key_at: impl Fn(usize) -> RowKey,
        estimate: impl Fn(usize, f32) -> f32,
    ) {
        let old = self.rows.len();
        let shorter = old.min(len);
        let same_head = (0..shorter)
            .take_while(|&index| self.rows[index].key == key_at(index))
            .count();
        let same_tail = (0..shorter - same_head)
            .take_while(|&back| self.rows[old - 1 - back].key == key_at(len - 1 - back))
            .count();
        if same_head == old && old == len {
            return;
        }
        let gone = same_head..old - same_tail;
        let come = same_head..len - same_tail;

        let moved_to = self.place_after(&gone, &come, &key_at);
        let width = self.width;
        let known: std::collections::HashMap<RowId, Row> = self.rows[gone.clone()]
            .iter()
            .map(|row| (row.key.id, *row))
            .collect();
        let fresh = come.clone().map(|index| {
            let key = key_at(index);
            match known.get(&key.id) {
                Some(row) if row.key == key => *row,
                Some(row) => Row {
                    key,
                    height: row.height,
                    measured: false,
                },
                None => Row {
                    key,
                    height: estimate(index, width).max(0.0),
                    measured: false,
                },
            }
        });
        let fresh: Vec<Row> = fresh.collect();
        self.rows.splice(gone, fresh);
        self.tops_valid = self.tops_valid.min(same_head + 1);
        self.tops.resize(len + 1, 0.0);
        if let Some(position) = moved_to {
            self.position = position;
            self.held_share = None;
        }
        if self.rows.is_empty() {
            self.position = Position::AtBottom;
        }
    }

    /// Where the reader is once the rows of `gone` are those of `come`; `None` if at the bottom.
    fn place_after(
        &mut self,
        gone: &Range<usize>,
        come: &Range<usize>,
        key_at: &impl Fn(usize) -> RowKey,
    ) -> Option<Position> {
        let Position::Held { row, below_top } = self.position else {
            return None;
        };
        if row < gone.start {
            return Some(self.position);
        }
        if row >= gone.end {
            let row = row - gone.end + come.end;
            return Some(Position::Held { row, below_top });
        }
        // The held row is among those that changed: the nearest that is still there, looking
        // down first, keeps its place on the screen.
        let window_top = self.top_of(row) + below_top;
        let stays: std::collections::HashMap<RowId, usize> = come
            .clone()
            .map(|index| (key_at(index).id, index))
            .collect();
        let down = (row..gone.end).find(|&index| stays.contains_key(&self.rows[index].key.id));
        let up = || {
            (gone.start..row)
                .rev()
                .find(|&index| stays.contains_key(&self.rows[index].key.id))
        };
        let (kept, place) = if let Some(index) = down {
            (index, stays[&self.rows[index].key.id])
        } else if gone.end < self.rows.len() {
            (gone.end, come.end)
        } else if let Some(index) = up() {
            (index, stays[&self.rows[index].key.id])
        } else if gone.start > 0 {
            (gone.start - 1, gone.start - 1)
        } else {
            return Some(Position::AtBottom);
        };
        let below_top = window_top - self.top_of(kept);
        Some(Position::Held {
            row: place,
            below_top,
        })
    }

    /// Measures the rows in sight until all have their true heights, and returns which they are.
    ///
    /// `measure` is called at most once for a row as long as neither shape nor width changes.
    pub fn settle(&mut self, mut measure: impl FnMut(usize, f32) -> f32) -> Range<usize> {
        let width = self.width;
        for _ in 0..SETTLE_ROUNDS_MAX {
            self.measure_held(&mut measure);
            let seen = self.visible();
            let mut changed = false;
            for index in seen.clone() {
                changed |= self.measure_row(index, width, &mut measure);
            }
            if !changed {
                return seen;
            }
        }
        self.visible()
    }

    /// Gives the held row its true height first, because the window hangs on it.
    fn measure_held(&mut self, measure: &mut impl FnMut(usize, f32) -> f32) {
        let Position::Held { row, .. } = self.position else {
            return;
        };
        let width = self.width;
        self.measure_row(row, width, measure);
        if let Some(share) = self.held_share.take()
            && let Position::Held { below_top, .. } = &mut self.position
            && let Some(held) = self.rows.get(row)
        {
            *below_top = share * f64::from(held.height);
        }
    }

    fn measure_row(
        &mut self,
        index: usize,
        width: f32,
        measure: &mut impl FnMut(usize, f32) -> f32,
    ) -> bool {
        let Some(row) = self.rows.get_mut(index) else {
            return false;
        };
        if row.measured {
            return false;
        }
        row.measured = true;
        let height = measure(index, width).max(0.0);
        let changed = height.to_bits() != row.height.to_bits();
        row.height = height;
        if changed {
            self.tops_valid = self.tops_valid.min(index + 1);
        }
        changed
    }

    /// The rows that are at least partly in the window; after [`Geometry::settle`] all are
    /// measured.
    pub fn visible(&mut self) -> Range<usize> {
        let offset = self.offset();
        let first = self.row_at(offset);
        let end = offset + self.window_height;
        let after = (first..self.rows.len())
            .find(|&row| self.tops[row] >= end && row > first)
            .unwrap_or(self.rows.len());
        first..after
    }

    /// The row that `depth` points below the first row's top falls into.
    fn row_at(&mut self, depth: f64) -> usize {
        self.bring_tops_up_to_date();
        let inner = &self.tops[..self.rows.len()];
        inner.partition_point(|&top| top <= depth).saturating_sub(1)
    }

    /// Where a row begins, in points below the first one's top.
    pub fn top_of(&mut self, row: usize) -> f64 {
        self.bring_tops_up_to_date();
        self.tops[row.min(self.rows.len())]
    }

    /// The sum of all heights, in points.
    pub fn total(&mut self) -> f64 {
        self.top_of(self.rows.len())
    }

    /// How far the window can be from the first row's top, in points.
    pub fn offset_max(&mut self) -> f64 {
        (self.total() - self.window_height).max(0.0)
    }

    /// How far the window's top is below the first row's top, in points.
    pub fn offset(&mut self) -> f64 {
        let most = self.offset_max();
        match self.position {
            Position::AtBottom => most,
            Position::Held { row, below_top } => (self.top_of(row) + below_top).clamp(0.0, most),
        }
    }

    /// Moves the window by `delta` points, towards newer rows if positive.
    pub fn scroll_by(&mut self, delta: f64) {
        let offset = self.offset() + delta;
        self.scroll_to_offset(offset);
    }

    /// Moves the window's top to `offset` points below the first row's top.
    pub fn scroll_to_offset(&mut self, offset: f64) {
        self.held_share = None;
        let most = self.offset_max();
        if self.rows.is_empty() || offset >= most - AT_BOTTOM_WITHIN {
            self.position = Position::AtBottom;
            return;
        }
        let offset = offset.max(0.0);
        let row = self.row_at(offset);
        let below_top = offset - self.top_of(row);
        self.position = Position::Held { row, below_top };
    }

    /// Moves the window to the newest row.
    pub fn scroll_to_bottom(&mut self) {
        self.held_share = None;
        self.position = Position::AtBottom;
    }

    /// Moves the window so that `row` begins `depth` points below the window's top.
    ///
    /// If that shows the end of the list, the reader is at the bottom.
    pub fn scroll_to_row(&mut self, row: usize, depth: f64) {
        let row = row.min(self.rows.len().saturating_sub(1));
        self.held_share = None;
        self.position = Position::Held {
            row,
            below_top: -depth,
        };
    }

    /// Turns a held place that shows the end of the list into being at the bottom; to be called
    /// after [`Geometry::settle`], when heights in sight are true.
    pub fn notice_bottom(&mut self) {
        let Position::Held { row, below_top } = self.position else {
            return;
        };
        let wanted = self.top_of(row) + below_top;
        let most = self.offset_max();
        if wanted >= most - AT_BOTTOM_WITHIN {
            self.position = Position::AtBottom;
        } else if wanted < 0.0 {
            self.scroll_to_offset(0.0);
        }
    }

    /// Moves the window as little as needed to show all of `row`, or its beginning.
    pub fn reveal(&mut self, row: usize) {
        let (top, end) = (self.top_of(row), self.top_of(row + 1));
        let offset = self.offset();
        if top < offset {
            self.scroll_to_row(row, 0.0);
        } else if end > offset + self.window_height {
            let target = (end - self.window_height).min(top);
            self.scroll_to_offset(target);
        }
    }

    fn bring_tops_up_to_date(&mut self) {
        for index in self.tops_valid..=self.rows.len() {
            self.tops[index] = self.tops[index - 1] + f64::from(self.rows[index - 1].height);
        }
        self.tops_valid = self.rows.len() + 1;
    }
}

#[cfg(test)]
mod tests;
