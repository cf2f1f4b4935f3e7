//! Aliases: values that are another name of a value.

use super::{Func, Value, ValueDefinition};

impl Func {
    /// Makes `value` another name of `target`: every use of the one is a use of the other from now on. The definition of `value` must be
    /// removed from its block (or parameter list) by the caller.
    ///
    /// # Panics
    /// If this would make a cycle.
    pub fn make_alias(&mut self, value: Value, target: Value) {
        let target = self.resolve(target);
        assert_ne!(value, target, "{value} cannot be an alias of itself");
        self.values[value].definition = ValueDefinition::Alias(target).pack();
        self.has_unresolved_aliases = true;
    }

    /// The value that this one is another name of, or itself.
    #[inline]
    pub fn resolve(&self, mut value: Value) -> Value {
        while let ValueDefinition::Alias(target) = self.definition(value) {
            value = target;
        }
        value
    }

    /// Like [`Self::resolve`], but leaves the chain of aliases half as long: for resolving while aliases are still being made.
    #[inline]
    pub fn resolve_halving(&mut self, mut value: Value) -> Value {
        while let ValueDefinition::Alias(target) = self.definition(value) {
            if let ValueDefinition::Alias(beyond) = self.definition(target) {
                self.values[value].definition = ValueDefinition::Alias(beyond).pack();
            }
            value = target;
        }
        value
    }

    /// Makes each alias one of a value that is none, in time linear in the number of values however long chains of aliases are.
    fn compress_aliases(&mut self) {
        for value in self.values.keys() {
            let target = self.resolve(value);
            // All of the chain at once: a chain that is followed anew from each of its aliases takes the square of its length.
            let mut next = value;
            while let ValueDefinition::Alias(beyond) = self.definition(next) {
                self.values[next].definition = ValueDefinition::Alias(target).pack();
                next = beyond;
            }
        }
    }

    /// Rewrites every use of an alias, in instructions and terminators of all blocks, to the value that it stands for. Costs nothing where no
    /// alias was made since the last time: whoever adds uses must not use aliases that were resolved before.
    pub fn resolve_aliases(&mut self) {
        if !self.has_unresolved_aliases {
            #[cfg(debug_assertions)]
            self.assert_no_alias_is_used();
            return;
        }
        self.has_unresolved_aliases = false;
        self.compress_aliases();
        let values = &self.values;
        let resolve = |value: &mut Value| {
            if let ValueDefinition::Alias(target) = ValueDefinition::unpack(values[*value].definition) {
                *value = target;
            }
        };
        self.operands.iter_mut().for_each(resolve);
        for block in self.blocks.values_mut() {
            block.terminator.for_each_value_mut(resolve);
        }
    }

    /// Whether [`Self::resolve_aliases`] has something to do.
    pub(crate) fn has_unresolved_aliases(&self) -> bool {
        self.has_unresolved_aliases
    }

    #[cfg(debug_assertions)]
    fn assert_no_alias_is_used(&self) {
        let check = |value: Value| {
            debug_assert!(
                !matches!(self.definition(value), ValueDefinition::Alias(_)),
                "{value} was resolved before this use"
            );
        };
        for block in self.blocks.values() {
            block.insts.iter().for_each(|&inst| self.operands(inst).iter().copied().for_each(check));
            block.terminator.for_each_value(check);
        }
    }
}
