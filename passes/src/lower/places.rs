//! Where values that live across suspensions are kept, for points that save and load together: see [`groups`](super::groups).

use super::split::Point;
use rustc_hash::FxHashMap;
use wasmfx_ir::entity::{Entity, SecondaryMap};
use wasmfx_ir::func::{Func, SourceLocal, Value};
use wasmfx_ir::wasmparser::ValType;

/// The number of a place.
pub(super) type PlaceId = u32;

/// The places of all values that are saved where points share.
pub(super) struct Places {
    /// Of all values in a place.
    types: Vec<ValType>,
    of_value: FxHashMap<Value, PlaceId>,
}

impl Places {
    /// Values that emission would keep in one local have one place, so that neither saving nor loading moves them. Emission is not trusted with more:
    /// no two values of one point have the same.
    pub(super) fn new(
        func: &Func,
        points: &[Point],
        shared: &[usize],
        locals: &SecondaryMap<Value, Option<u32>>,
    ) -> Self {
        let mut this = Self { types: Vec::new(), of_value: FxHashMap::default() };
        let mut of_local: FxHashMap<u32, PlaceId> = FxHashMap::default();
        // The last point that saves a value there.
        let mut last: Vec<Option<usize>> = Vec::new();
        for &index in shared {
            for &value in &points[index].saved {
                let ty = func.value_type(value);
                let known = this.of_value.get(&value).copied();
                let place = known.or_else(|| {
                    of_local.get(&locals[value]?).copied().filter(|&place| this.types[place as usize] == ty)
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
    pub(super) fn of(&self, values: &[Value]) -> Vec<PlaceId> {
        let mut places: Vec<PlaceId> = values.iter().map(|&value| self.of_value(value)).collect();
        places.sort_unstable();
        places
    }

    pub(super) fn of_value(&self, value: Value) -> PlaceId {
        self.of_value[&value]
    }

    pub(super) fn ty(&self, place: PlaceId) -> ValType {
        self.types[place as usize]
    }

    pub(super) fn is_reference(&self, place: PlaceId) -> bool {
        matches!(self.ty(place), ValType::Ref(_))
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
