//! Points of a function of one copy that save and load together.
//!
//! Each value that lives across a point gets a *place*, as a register allocator would colour it: values that live across one point have different
//! ones, and values of one local of the source mostly share one, since they are never alive together. Points of a group save the same places in one
//! piece of code, and those of one loop load them in one. A place that holds nothing at a point is saved undefined there. So a point costs a branch,
//! the number by which it is entered again, and the entry.

use super::layout::slot_type;
use super::split::Point;
use super::suspension::SavedFrame;
use rustc_hash::{FxHashMap, FxHashSet};
use wasmfx_ir::analysis::{ControlFlowGraph, DominatorTree, LoopForest};
use wasmfx_ir::entity::{Entity, SecondaryMap};
use wasmfx_ir::func::{Func, SourceLocal, Value};
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

/// How many groups a point is compared with: the latest ones.
const MAX_COMPARED: usize = 200;

/// How many values all points together may save for places to be assigned at all.
const MAX_SAVED: usize = 1 << 24;

/// The number of a place.
type PlaceId = u32;

/// The places of all values that are saved where points share.
struct Places {
    types: Vec<ValType>,
    of_value: FxHashMap<Value, PlaceId>,
}

impl Places {
    /// Values that emission would keep in one local have one place, so that neither saving nor loading moves them. Emission is not trusted with more:
    /// no two values of one point have the same. A reference has a place of its own, for what it was is not left there.
    fn new(func: &Func, points: &[Point], shared: &[usize], locals: &SecondaryMap<Value, Option<u32>>) -> Self {
        let mut this = Self { types: Vec::new(), of_value: FxHashMap::default() };
        let mut of_local: FxHashMap<u32, PlaceId> = FxHashMap::default();
        // The last point that saves a value there.
        let mut last: Vec<Option<usize>> = Vec::new();
        for &index in shared {
            for &value in &points[index].saved {
                let ty = func.value_type(value);
                let known = this.of_value.get(&value).copied();
                let place = known.or_else(|| match ty {
                    ValType::Ref(_) => None,
                    _ => of_local.get(&locals[value]?).copied().filter(|&place| this.types[place as usize] == ty),
                });
                let is_taken = |place: &PlaceId| last[*place as usize] == Some(index);
                let place = match place.filter(|place| !is_taken(place)) {
                    Some(place) => place,
                    None => {
                        let place = PlaceId::try_from(this.types.len()).expect("fewer places than values");
                        this.types.push(ty);
                        last.push(None);
                        if let (None, Some(local)) = (known, locals[value]) {
                            of_local.entry(local).or_insert(place);
                        }
                        place
                    }
                };
                last[place as usize] = Some(index);
                this.of_value.insert(value, place);
            }
        }
        this
    }

    /// The places of these values, ascending.
    fn of(&self, values: &[Value]) -> Vec<PlaceId> {
        let mut places: Vec<PlaceId> = values.iter().map(|value| self.of_value[value]).collect();
        places.sort_unstable();
        places
    }
}

/// Says of values that emission would keep in one local that they come from one local of the source: then it does keep them in one, and what is
/// loaded again goes there too.
pub(super) fn name_locals(func: &mut Func, locals: &SecondaryMap<Value, Option<u32>>) {
    let first = func.source_local_count();
    for value in (0..func.value_count()).map(Value::from_index) {
        let Some(local) = locals[value] else { continue };
        let new = SourceLocal::from_u32(first + local);
        let old = func.source_locals[value].replace(new);
        let name = old.and_then(|old| func.local_names.get(old.index())?.clone());
        if let Some(name) = name {
            if func.local_names.len() <= new.index() {
                func.local_names.resize(new.index() + 1, None);
            }
            func.local_names[new.index()].get_or_insert(name);
        }
    }
}

/// Points that share.
struct Group {
    number: usize,
    /// Which frame of a suspension all of its points save in.
    frame: SavedFrame<()>,
    places: FxHashSet<PlaceId>,
    /// The places of references.
    references: Vec<PlaceId>,
    /// How many places each of the points may be made to save.
    most: usize,
}

/// What the points of a group save: the types of the slots, in order.
pub(super) type GroupSlots = FxHashMap<usize, Vec<ValType>>;

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
    shared.sort_by_key(|&index| std::cmp::Reverse(points[index].saved.len()));
    let mut groups: Vec<Group> = Vec::new();
    for &index in &shared {
        let point = &mut points[index];
        let frame = shared_frame(point).expect("only such points are here");
        let own = places.of(&point.saved);
        let is_reference = |place: &PlaceId| matches!(places.types[*place as usize], ValType::Ref(_));
        let references: Vec<PlaceId> = own.iter().copied().filter(is_reference).collect();
        let added = |group: &Group| own.iter().filter(|place| !group.places.contains(place)).count();
        let best = (0..groups.len())
            .rev()
            .take(MAX_COMPARED)
            .filter(|&at| groups[at].frame == frame && groups[at].references == references)
            .map(|at| (added(&groups[at]), at))
            .filter(|&(added, at)| groups[at].places.len() + added <= groups[at].most.min(most_for(own.len())))
            .min();
        match best {
            Some((_, at)) => {
                let group = &mut groups[at];
                group.places.extend(own.iter().copied());
                group.most = group.most.min(most_for(own.len()));
                point.group = group.number;
            }
            None => groups.push(Group {
                number: point.group,
                frame,
                references,
                most: most_for(own.len()),
                places: own.into_iter().collect(),
            }),
        }
    }
    let mut slots = GroupSlots::default();
    let mut slot_of: FxHashMap<usize, FxHashMap<PlaceId, usize>> = FxHashMap::default();
    for group in groups {
        let mut ordered: Vec<PlaceId> = group.places.into_iter().collect();
        // Those of one type together, so that many functions save alike.
        ordered.sort_unstable_by_key(|&place| (type_order(places.types[place as usize]), place));
        slots.insert(group.number, ordered.iter().map(|&place| slot_type(places.types[place as usize])).collect());
        slot_of.insert(group.number, (0..).zip(ordered).map(|(slot, place)| (place, slot)).collect());
    }
    for &index in &shared {
        let point = &mut points[index];
        let slot_of = &slot_of[&point.group];
        point.slots = point.saved.iter().map(|value| slot_of[&places.of_value[value]]).collect();
    }
    Some(slots)
}

/// How many places a point that needs `own` of them may be made to save: what is saved for nothing takes time.
fn most_for(own: usize) -> usize {
    own * 2 + 16
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
