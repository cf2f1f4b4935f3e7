//! The arguments of passes: numbers that a user may set with `--pass-arg NAME@VALUE`, one row each.

/// An argument of a pass.
#[derive(Debug)]
pub struct PassArgument {
    /// Its name on the command line.
    pub name: &'static str,
    /// The pass that reads it.
    pub pass: &'static str,
    /// Its value where none is given.
    pub default: usize,
    /// What it means, in a line.
    pub help: &'static str,
}

macro_rules! pass_arguments {
    ($($constant:ident = $name:literal of $pass:literal: $default:literal, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub static $constant: PassArgument =
                PassArgument { name: $name, pass: $pass, default: $default, help: $help };
        )*
        /// All arguments, in alphabetical order.
        pub static PASS_ARGUMENTS: &[&PassArgument] = &[$(&$constant),*];
    };
}

pass_arguments! {
    INLINING_ALWAYS_SIZE = "inlining-always-size" of "inlining": 2, "a body of at most this many instructions is inlined at every level: it is no larger than a call of it";
    INLINING_CALLER_SIZE = "inlining-caller-size" of "inlining": 10_000, "a caller that has grown to this many instructions gets no more of callees that are called once";
    INLINING_SPEED_SIZE = "inlining-speed-size" of "inlining": 20, "from -O3 on, a body of at most this many instructions without calls and loops is inlined";
}

/// The argument of this name.
pub fn find(name: &str) -> Option<&'static PassArgument> {
    PASS_ARGUMENTS.iter().copied().find(|argument| argument.name == name)
}

/// The values that a user gave.
#[derive(Clone, Debug, Default)]
pub struct PassArguments {
    values: Vec<(&'static str, usize)>,
}

impl PassArguments {
    /// Sets an argument. The last value counts.
    pub fn set(&mut self, argument: &'static PassArgument, value: usize) {
        self.values.retain(|(name, _)| *name != argument.name);
        self.values.push((argument.name, value));
    }

    /// The value of an argument: what was given, or its default.
    pub fn get(&self, argument: &'static PassArgument) -> usize {
        let given = self.values.iter().find(|(name, _)| *name == argument.name);
        given.map_or(argument.default, |(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pass_table;

    #[test]
    fn the_table_is_sorted_and_names_passes_that_exist() {
        assert!(PASS_ARGUMENTS.is_sorted_by(|a, b| a.name < b.name));
        assert!(PASS_ARGUMENTS.iter().all(|argument| pass_table::find(argument.pass).is_some()));
    }

    #[test]
    fn the_last_value_counts_and_the_default_else() {
        let mut arguments = PassArguments::default();
        assert_eq!(arguments.get(&INLINING_ALWAYS_SIZE), INLINING_ALWAYS_SIZE.default);
        arguments.set(&INLINING_ALWAYS_SIZE, 7);
        arguments.set(&INLINING_ALWAYS_SIZE, 8);
        assert_eq!(arguments.get(&INLINING_ALWAYS_SIZE), 8);
        assert_eq!(arguments.get(&INLINING_SPEED_SIZE), INLINING_SPEED_SIZE.default);
    }
}
