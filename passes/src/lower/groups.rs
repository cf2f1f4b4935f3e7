//! Points of a function of one copy that save and load together.
//!
//! Each value that lives across a point gets a *place*, as a register allocator would colour it: values that live across one point have different
//! ones, and values of one local of the source mostly share one, since they are never alive together. Points of a group save the same places in one
//! piece of code, and those of one loop load them in one. A place that holds nothing at a point is saved undefined there; a reference is null, or
//! one to something that is always there, since what the place held before must not stay alive. So a point costs a branch, the number by which it is
//! entered again, and the entry.

use super::places::{PlaceId, Places};
use super::split::Point;
use super::suspension::SavedFrame;
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::{Ordering, Reverse};
use wasmfx_ir::analysis::{ControlFlowGraph, DominatorTree, LoopForest};
use wasmfx_ir::entity::SecondaryMap;
use wasmfx_ir::func::{Func, Value};
use wasmfx_ir::wasmparser::{Operator, ValType};

/// Whether points may share.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// Each point saves and loads for itself.
    Never,
    /// If two copies would be enormous.
    IfEnormous,
    /// If for themselves points would save very much, and no loop is crowded; or if two copies would be enormous.
    IfMuchIsSaved,
    /// Unless a loop is crowded: then sharing, and having one copy, would cost more than it brings, but where two copies would be enormous.
    UnlessCrowded,
    /// Even then.
    Always,
}

/// From how many values on, counted for each point that saves them, two copies cost more than they bring.
const MUCH_SAVED: usize = 400;

/// Two copies are enormous from so many values on, counted for each point that loads them and for each of the loops that it is in, which they are led
/// through. Bodies have a limit, and engines take long for what comes near it.
const ENORMOUS: usize = 20_000;

/// From how many points on a loop is crowded. It is an interpreter's then: with one copy, each of its ways round would have to keep its variables where
/// the code behind each point expects them.
const CROWD: usize = 100;

/// How many values may be loaded for each instruction of a function with a crowded loop: with more, next to nothing of its copies would be the function.
const MAX_LOADED: usize = 4;

/// How many groups a point, or a group, is compared with at most: the latest ones.
const MAX_COMPARED: usize = 200;

/// How many places all comparisons of points with groups look at, roughly.
const MAX_LOOKED_AT: usize = 1 << 30;

/// About how many bytes it takes to save a value and to load it again.
const SAVING_BYTES: usize = 8;

/// About how many bytes it takes a point to save something else where it has no reference.
const STAND_IN_BYTES: usize = 4;

/// How many values all points together may save for places to be assigned at all.
const MAX_SAVED: usize = 1 << 24;

/// Points that share.
struct Group {
    /// The points, by position.
    members: Vec<usize>,
    /// Which frame of a suspension all of its points save in.
    frame: SavedFrame<()>,
    /// The places of all points, ascending.
    places: Vec<PlaceId>,
    /// The places of references that all of the points have.
    common_references: FxHashSet<PlaceId>,
    /// How many places each of the points may be made to save.
    most: Count,
}

/// How many places.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Count {
    all: usize,
    /// Those that hold references.
    references: usize,
}

impl Count {
    fn of(these: &[PlaceId], places: &Places) -> Self {
        let references = these.iter().filter(|&&place| places.is_reference(place)).count();
        Self { all: these.len(), references }
    }

    /// How many a point that needs these may be made to save: what is saved for nothing takes time, and references more than numbers.
    fn most(self) -> Self {
        Self { all: self.all * 2 + 16, references: self.references * 2 + 4 }
    }

    fn min(self, other: Self) -> Self {
        Self { all: self.all.min(other.all), references: self.references.min(other.references) }
    }

    fn is_within(self, most: Self) -> bool {
        self.all <= most.all && self.references <= most.references
    }
}

/// What the points of a group save in one slot.
#[derive(Copy, Clone, Debug)]
pub(super) struct SharedSlot {
    /// The type of the values.
    pub(super) ty: ValType,
    /// Whether it is a reference that all of the points have.
    pub(super) is_common: bool,
}

/// What the points of each group save, in order.
pub(super) type GroupSlots = FxHashMap<usize, Vec<SharedSlot>>;

/// Finds the innermost loop of each point. Returns how many values all points load, where one in a loop counts once for each loop around it, and
/// whether one of the loops is crowded.
fn find_homes(func: &Func, cfg: &ControlFlowGraph, points: &mut [Point]) -> (usize, bool) {
    let dominators = DominatorTree::new(func, cfg);
    let loops = LoopForest::new(func, cfg, &dominators);
    let mut crowd: FxHashMap<usize, usize> = FxHashMap::default();
    let mut loaded = 0;
    for point in points {
        point.home = loops.innermost(point.block);
        point.home.into_iter().for_each(|home| *crowd.entry(home).or_default() += 1);
        loaded += point.saved.len() * loops.depth(point.block).max(1) as usize;
    }
    let instructions: usize = cfg.reverse_postorder().iter().map(|&block| func.blocks[block].insts.len()).sum();
    (loaded, loaded < MAX_LOADED * instructions && crowd.values().any(|&points| points >= CROWD))
}

/// Puts points into groups, and says in which of its group's slots each has which value. [`None`] if points do not share.
pub(super) fn group_points(
    func: &Func,
    cfg: &ControlFlowGraph,
    points: &mut [Point],
    sharing: Sharing,
    locals: &SecondaryMap<Value, Option<u32>>,
) -> Option<GroupSlots> {
    let saved: usize = points.iter().map(|point| point.saved.len()).sum();
    if sharing == Sharing::Never || saved > MAX_SAVED {
        return None;
    }
    let (loaded, is_crowded) = find_homes(func, cfg, points);
    let is_wanted = match sharing {
        Sharing::Never | Sharing::IfEnormous => false,
        Sharing::IfMuchIsSaved => saved >= MUCH_SAVED && !is_crowded,
        Sharing::UnlessCrowded => !is_crowded,
        Sharing::Always => true,
    };
    if !is_wanted && loaded < ENORMOUS {
        return None;
    }
    let mut shared: Vec<usize> = (0..points.len()).filter(|&index| shared_frame(&points[index]).is_some()).collect();
    let places = Places::new(func, points, &shared, locals);
    shared.sort_by_key(|&index| Reverse(points[index].saved.len()));
    let compared = MAX_COMPARED.min(MAX_LOOKED_AT / saved.max(1));
    let groups = merge_groups(with_equal_references(points, &shared, &places, compared), &places, compared);
    Some(groups.iter().map(|group| assign_slots(group, points, &places)).collect())
}

/// Puts points with the same references into groups. `shared` are the points that may share, those first that save most.
fn with_equal_references(points: &[Point], shared: &[usize], places: &Places, compared: usize) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for &index in shared {
        let frame = shared_frame(&points[index]).expect("only such points are here");
        let own = places.of(&points[index].saved);
        let references: FxHashSet<PlaceId> = own.iter().copied().filter(|&place| places.is_reference(place)).collect();
        let alone = Group {
            members: vec![index],
            frame,
            most: Count::of(&own, places).most(),
            places: own,
            common_references: references,
        };
        let best = (0..groups.len())
            .rev()
            .take(compared)
            .filter(|&at| groups[at].common_references == alone.common_references)
            .filter_map(|at| Some((alone.union_with(&groups[at], places)?.all - groups[at].places.len(), at)))
            .min();
        match best {
            Some((_, at)) => groups[at].absorb(alone),
            None => groups.push(alone),
        }
    }
    groups
}

/// Makes one of groups with different references where that is smaller.
fn merge_groups(groups: Vec<Group>, places: &Places, compared: usize) -> Vec<Group> {
    let mut merged: Vec<Group> = Vec::new();
    for group in groups {
        let best = (0..merged.len())
            .rev()
            .take(compared)
            .filter_map(|at| Some((group.gain_of_merging(&merged[at], places)?, Reverse(at))))
            .max();
        match best {
            Some((_, Reverse(at))) => merged[at].absorb(group),
            None => merged.push(group),
        }
    }
    merged
}

impl Group {
    /// How many places both groups have together, if their points may be made to save so many, and save in one frame.
    fn union_with(&self, other: &Self, places: &Places) -> Option<Count> {
        let mut size = Count { all: 0, references: 0 };
        for_each_of_union(&self.places, &other.places, |place, _| {
            size.all += 1;
            size.references += usize::from(places.is_reference(place));
        });
        (self.frame == other.frame && size.is_within(self.most.min(other.most))).then_some(size)
    }

    /// How many bytes smaller the two groups are as one, if they are.
    fn gain_of_merging(&self, other: &Self, places: &Places) -> Option<usize> {
        self.union_with(other, places)?;
        let (mut gain, mut cost) = (0, 0);
        for_each_of_union(&self.places, &other.places, |place, which| match which {
            Which::Both => gain += SAVING_BYTES,
            Which::First if places.is_reference(place) => cost += other.members.len() * STAND_IN_BYTES,
            Which::Second if places.is_reference(place) => cost += self.members.len() * STAND_IN_BYTES,
            Which::First | Which::Second => {}
        });
        usize::checked_sub(gain, cost).filter(|&gain| gain > 0)
    }

    fn absorb(&mut self, other: Self) {
        let mut union = Vec::with_capacity(self.places.len());
        for_each_of_union(&self.places, &other.places, |place, _| union.push(place));
        self.places = union;
        self.members.extend(other.members);
        self.common_references.retain(|place| other.common_references.contains(place));
        self.most = self.most.min(other.most);
    }
}

/// Which of two lists has a place.
enum Which {
    First,
    Second,
    Both,
}

/// Visits the places of two ascending lists in ascending order.
fn for_each_of_union(mut first: &[PlaceId], mut second: &[PlaceId], mut visit: impl FnMut(PlaceId, Which)) {
    loop {
        let ordering = match (first.first(), second.first()) {
            (Some(one), Some(other)) => one.cmp(other),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return,
        };
        match ordering {
            Ordering::Less => visit(first[0], Which::First),
            Ordering::Greater => visit(second[0], Which::Second),
            Ordering::Equal => visit(first[0], Which::Both),
        }
        first = &first[usize::from(ordering.is_le())..];
        second = &second[usize::from(ordering.is_ge())..];
    }
}

/// Tells the points of a group which of its slots have their values. Returns its number and the slots.
fn assign_slots(group: &Group, points: &mut [Point], places: &Places) -> (usize, Vec<SharedSlot>) {
    let number = group.members[0];
    let mut ordered = group.places.clone();
    // Those of one type together, so that many functions save alike.
    ordered.sort_unstable_by_key(|&place| (type_order(places.ty(place)), place));
    let slot_of: FxHashMap<PlaceId, usize> = (0..).zip(&ordered).map(|(slot, &place)| (place, slot)).collect();
    for &index in &group.members {
        let point = &mut points[index];
        point.group = number;
        point.slots = point.saved.iter().map(|&value| slot_of[&places.of_value(value)]).collect();
    }
    let slot = |place| SharedSlot { ty: places.ty(place), is_common: group.common_references.contains(&place) };
    (number, ordered.into_iter().map(slot).collect())
}

fn type_order(ty: ValType) -> u32 {
    match ty {
        ValType::I32 => 0,
        ValType::F32 => 1,
        ValType::I64 => 2,
        ValType::F64 => 3,
        ValType::V128 => 4,
        ValType::Ref(_) => 5,
    }
}

/// In which frame of a suspension a point saves, if nothing but values.
pub(super) fn shared_frame(point: &Point) -> Option<SavedFrame<()>> {
    let frame = match point.operator {
        Operator::Call { .. } | Operator::CallIndirect { .. } | Operator::CallRef { .. } => SavedFrame::Next,
        Operator::Suspend { .. } => SavedFrame::First,
        _ => return None,
    };
    point.needs_frame().then_some(frame)
}
