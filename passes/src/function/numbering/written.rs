//! When places were last written.

use wasmfx_ir::effects::LocationSet;

/// How many distinct sets of places are told apart before a write counts as one of everything.
const MAX_PLACES: usize = 24;

/// When places were last written. Time advances with each write, and is not turned back when the walk leaves a subtree: what was entered
/// there is gone from the table, so nothing compares with those times.
#[derive(Default)]
pub(super) struct Written {
    clock: u32,
    /// When everything was last written.
    everything: u32,
    /// The writes of single places since: at most one entry a set.
    places: Vec<(LocationSet, u32)>,
    /// What [`Self::save`] put aside.
    saved: Vec<Saved>,
    /// The places of all that was put aside, in the order of `saved`.
    saved_places: Vec<(LocationSet, u32)>,
}

struct Saved {
    everything: u32,
    places: usize,
}

impl Written {
    /// The time now.
    pub(super) fn now(&self) -> u32 {
        self.clock
    }

    /// Whether one of these places may have been written since.
    pub(super) fn since(&self, reads: LocationSet, time: u32) -> bool {
        !reads.is_empty()
            && (self.everything > time
                || self.places.iter().any(|&(places, written)| written > time && places.intersects(reads)))
    }

    /// These places are written now.
    pub(super) fn write(&mut self, places: LocationSet) {
        self.clock += 1;
        let clock = self.clock;
        if places == LocationSet::ALL || self.places.len() >= MAX_PLACES {
            self.everything = clock;
            self.places.clear();
        } else if let Some(entry) = self.places.iter_mut().find(|(set, _)| *set == places) {
            entry.1 = clock;
        } else {
            self.places.push((places, clock));
        }
    }

    /// Puts aside what is known, until [`Self::restore_to`].
    pub(super) fn save(&mut self) {
        self.saved.push(Saved { everything: self.everything, places: self.places.len() });
        self.saved_places.extend_from_slice(&self.places);
    }

    /// How many times something was put aside.
    pub(super) fn mark(&self) -> usize {
        self.saved.len()
    }

    /// What was known at the first [`Self::save`] after the mark is what is known again.
    pub(super) fn restore_to(&mut self, mark: usize) {
        while self.saved.len() > mark {
            let Saved { everything, places } = self.saved.pop().expect("there are more than at the mark");
            let start = self.saved_places.len() - places;
            self.everything = everything;
            self.places.clear();
            self.places.extend(self.saved_places.drain(start..));
        }
    }
}
