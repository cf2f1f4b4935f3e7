//! Facts about bodies and modules, computed on demand. None is stored in what it is about, but for a body's control-flow graph, which is kept together
//! with all edges that it was computed from, and compared with those that the body has whenever somebody asks for it.
//!
//! Nothing here recurses over the program: nesting depth and graph size are the user's to choose.

mod components;
mod control_flow;
mod depth_first;
mod disjoint_sets;
mod dominators;
mod lists;
mod liveness;
mod loops;
mod needed;
#[cfg(test)]
mod test_graphs;
mod uses;

pub use components::strongly_connected_components;
pub use control_flow::ControlFlowGraph;
pub(crate) use depth_first::DepthFirstTree;
pub(crate) use disjoint_sets::DisjointSets;
pub use dominators::DominatorTree;
pub(crate) use lists::{EntityLists, ListLengths};
pub use liveness::{DefinitionBlocks, Liveness, uses_elsewhere};
pub use loops::{Loop, LoopForest};
pub use needed::{Incoming, Needed};
pub use uses::{UseCounts, User, Users};
