//! Where variables are alive: lists of ranges of positions in the code, and many of them that grow together.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// Half-open ranges of positions, ascending and disjoint. Most variables have one or two.
pub(super) type Segments = SmallVec<[(u32, u32); 2]>;

/// Adds a range that starts no earlier than the last of the list.
pub(super) fn push_segment(segments: &mut Segments, (start, end): (u32, u32)) {
    match segments.last_mut() {
        Some((_, last)) if start <= *last => *last = end.max(*last),
        _ => segments.push((start, end)),
    }
}

/// The union of two lists.
fn merge(a: &[(u32, u32)], b: &[(u32, u32)]) -> Segments {
    let mut merged = Segments::with_capacity(a.len() + b.len());
    let (mut left, mut right) = (0, 0);
    loop {
        let (start, end) = match (a.get(left), b.get(right)) {
            (Some(&segment), other) if other.is_none_or(|&other| segment <= other) => {
                left += 1;
                segment
            }
            (_, Some(&segment)) => {
                right += 1;
                segment
            }
            (_, None) => return merged,
        };
        push_segment(&mut merged, (start, end));
    }
}

/// Adds one range to a list.
fn insert_segment(segments: &mut Segments, (mut start, mut end): (u32, u32)) {
    let first = segments.partition_point(|&(_, other_end)| other_end < start);
    let last = first + segments[first..].partition_point(|&(other_start, _)| other_start <= end);
    if first == last {
        segments.insert(first, (start, end));
        return;
    }
    start = start.min(segments[first].0);
    end = end.max(segments[last - 1].1);
    segments[first] = (start, end);
    segments.drain(first + 1..last);
}

/// Whether two lists of segments have a position in common.
fn overlap(a: &Segments, b: &Segments) -> bool {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    if short.is_empty() {
        return false;
    }
    if long.len() / 16 > short.len() {
        return short.iter().any(|&(start, end)| {
            let at = long.partition_point(|&(_, other_end)| other_end <= start);
            long.get(at).is_some_and(|&(other_start, _)| other_start < end)
        });
    }
    let (mut left, mut right) = (0, 0);
    while let (Some(&(a_start, a_end)), Some(&(b_start, b_end))) = (short.get(left), long.get(right)) {
        if a_start < b_end && b_start < a_end {
            return true;
        }
        if a_end <= b_end {
            left += 1;
        } else {
            right += 1;
        }
    }
    false
}

/// A list for each class of variables; classes are united until one may hold most of a function.
pub(super) struct Lists {
    settled: Vec<Segments>,
    /// For long lists, what came since they were settled: inserting into a long list moves half of it.
    recent: FxHashMap<u32, Segments>,
}

impl Lists {
    /// From how many ranges on a list is long.
    const LONG: usize = 1024;

    pub(super) fn new(lists: Vec<Segments>) -> Self {
        Self { settled: lists, recent: FxHashMap::default() }
    }

    /// Whether two classes are alive at one position.
    pub(super) fn overlap(&self, a: u32, b: u32) -> bool {
        let of = |class: u32| [self.settled.get(class as usize), self.recent.get(&class)].into_iter().flatten();
        of(a).any(|a| of(b).any(|b| overlap(a, b)))
    }

    /// Moves the ranges of the shorter of two lists to the other. Returns the class that has them, and the one that has none any more.
    pub(super) fn unite(&mut self, a: u32, b: u32) -> (u32, u32) {
        let length = |class: u32| self.settled[class as usize].len();
        let (keep, gone) = if length(a) >= length(b) { (a, b) } else { (b, a) };
        self.settle(gone);
        let moved = std::mem::take(&mut self.settled[gone as usize]);
        if moved.len() < 8 {
            moved.into_iter().for_each(|segment| self.insert(keep, segment));
        } else {
            self.settled[keep as usize] = merge(&self.settled[keep as usize], &moved);
        }
        (keep, gone)
    }

    /// Adds a range to a list.
    pub(super) fn insert(&mut self, class: u32, segment: (u32, u32)) {
        let length = self.settled[class as usize].len();
        if length < Self::LONG {
            insert_segment(&mut self.settled[class as usize], segment);
            return;
        }
        let recent = self.recent.entry(class).or_default();
        insert_segment(recent, segment);
        if recent.len() * recent.len() > length {
            self.settle(class);
        }
    }

    fn settle(&mut self, class: u32) {
        if let Some(recent) = self.recent.remove(&class) {
            self.settled[class as usize] = merge(&self.settled[class as usize], &recent);
        }
    }

    /// All lists, by class.
    pub(super) fn into_lists(mut self) -> Vec<Segments> {
        let classes: Vec<u32> = self.recent.keys().copied().collect();
        classes.into_iter().for_each(|class| self.settle(class));
        self.settled
    }
}

/// When each of several locals is taken. Free ones are asked for in the order in which they are needed, so what lies before is never looked at again.
#[derive(Default)]
pub(super) struct Calendars {
    /// For each local the range in which it is taken next, or `(u32::MAX, u32::MAX)`: none before it ends after the last question's start.
    next: Vec<(u32, u32)>,
    taken: Vec<Taken>,
}

struct Taken {
    segments: Segments,
    /// The number of the next range.
    next: usize,
}

impl Taken {
    fn next(&self) -> (u32, u32) {
        self.segments.get(self.next).copied().unwrap_or((u32::MAX, u32::MAX))
    }
}

impl Calendars {
    /// Adds a local that is taken in these ranges.
    pub(super) fn push(&mut self, segments: Segments) {
        let taken = Taken { segments, next: 0 };
        self.next.push(taken.next());
        self.taken.push(taken);
    }

    /// The first local from number `first` on that is free in all of these ranges. The first of them must start no earlier than in any question before.
    pub(super) fn first_free(&mut self, first: usize, segments: &Segments) -> Option<usize> {
        let Some((&(start, end), others)) = segments.split_first() else {
            return (first < self.next.len()).then_some(first);
        };
        (first..self.next.len()).find(|&number| {
            if self.next[number].1 <= start {
                let taken = &mut self.taken[number];
                while taken.next().1 <= start {
                    taken.next += 1;
                }
                self.next[number] = taken.next();
            }
            if self.next[number].0 < end {
                return false;
            }
            let taken = &self.taken[number];
            let later = &taken.segments[taken.next..];
            others.iter().all(|&(start, end)| {
                let at = later.partition_point(|&(_, taken_end)| taken_end <= start);
                later.get(at).is_none_or(|&(taken_start, _)| taken_start >= end)
            })
        })
    }

    /// Takes a local in ranges in which it is free.
    pub(super) fn occupy(&mut self, number: usize, segments: &Segments) {
        let taken = &mut self.taken[number];
        match (taken.segments.last(), segments.first()) {
            (Some(&(_, last_end)), Some(&(start, _))) if last_end > start => {
                let later = merge(&taken.segments[taken.next..], segments);
                taken.segments.truncate(taken.next);
                taken.segments.extend(later);
            }
            _ => {
                // The last range may grow, and is ahead then.
                taken.next = taken.next.min(taken.segments.len().saturating_sub(1));
                segments.iter().for_each(|&segment| push_segment(&mut taken.segments, segment));
            }
        }
        self.next[number] = taken.next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smallvec::smallvec;

    fn normalize(segments: &mut Segments) {
        segments.sort_unstable();
        let mut kept = Segments::new();
        segments.drain(..).for_each(|segment| push_segment(&mut kept, segment));
        *segments = kept;
    }

    #[test]
    fn merged_lists_are_those_of_all_segments() {
        let lists: [&[(u32, u32)]; 5] = [&[], &[(0, 3), (5, 6), (9, 12)], &[(3, 4), (6, 9)], &[(1, 20)], &[(30, 31)]];
        for a in lists {
            for b in lists {
                let mut expected: Segments = [a, b].concat().into();
                normalize(&mut expected);
                assert_eq!(merge(a, b), expected, "{a:?} and {b:?}");
            }
        }
    }

    #[test]
    fn ranges_that_come_to_long_lists_one_by_one_are_where_those_of_short_lists_are() {
        let long: Segments = (0..3000).map(|number| (10 * number, 10 * number + 2)).collect();
        let mut lists = Lists::new(vec![long.clone(), smallvec![(5, 6), (10_007, 10_008)], smallvec![(3, 4)]]);
        assert_eq!(lists.unite(1, 0), (0, 1));
        let mut expected: Segments = long.into_iter().chain([(5, 6), (10_007, 10_008)]).collect();
        for number in 0..500 {
            let segment = ((number * 7919) % 30_000, (number * 7919) % 30_000 + 3);
            lists.insert(0, segment);
            expected.push(segment);
            assert!(lists.overlap(0, 0));
        }
        assert_eq!(lists.overlap(0, 2), expected.iter().any(|&(start, end)| start < 4 && end > 3));
        normalize(&mut expected);
        let lists = lists.into_lists();
        assert_eq!(lists, [expected, smallvec![], smallvec![(3, 4)]]);
    }

    #[test]
    fn a_local_is_free_where_nobody_took_it() {
        let mut state = 1u32;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        let mut calendars = Calendars::default();
        let mut expected: Vec<Segments> = Vec::new();
        let mut start = 0;
        let mut shared = 0;
        for _ in 0..2000 {
            start += random(3);
            let mut segments = Segments::new();
            let mut from = start;
            for _ in 0..=random(4) {
                let end = from + 1 + random(9);
                push_segment(&mut segments, (from, end));
                from = end + random(20);
            }
            let first = expected.len().saturating_sub(8);
            let free = (first..expected.len()).find(|&number| !overlap(&expected[number], &segments));
            assert_eq!(calendars.first_free(first, &segments), free, "{segments:?} in {expected:?}");
            match free {
                Some(number) => {
                    shared += 1;
                    calendars.occupy(number, &segments);
                    expected[number].extend(segments);
                    normalize(&mut expected[number]);
                }
                None => {
                    calendars.push(segments.clone());
                    expected.push(segments);
                }
            }
        }
        assert!(shared > 500 && expected.len() > 8, "{shared} of 2000 shared {} locals", expected.len());
    }
}
