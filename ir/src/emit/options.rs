//! Switches of emission's steps, which find bugs and show what a step is worth.

/// Which steps are on. The default is everything.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Options {
    /// Move definitions that have an effect to their use.
    pub move_effects: bool,
    /// Leave a value on the operand stack while other code runs.
    pub keep_on_stack: bool,
    /// Results of blocks and ifs instead of locals.
    pub block_results: bool,
    /// `local.tee` at the first of several uses.
    pub tee: bool,
    /// Move pure single-use definitions out of their block to the use.
    pub sink: bool,
    /// Store constants that several edges give before they part.
    pub defaults: bool,
    /// Unite branch arguments and parameters of one local of the source first.
    pub hints: bool,
    /// Unite branch arguments with parameters.
    pub coalesce: bool,
    /// Clauses of several invocations share a landing.
    pub landings: bool,
    /// Locals are shared by values that are not alive together.
    pub share_locals: bool,
    /// The most edges into the end of an `if` for which `if` is preferred to `br_if`.
    pub nesting_limit: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            move_effects: true,
            keep_on_stack: true,
            block_results: true,
            tee: true,
            sink: true,
            defaults: true,
            hints: true,
            coalesce: true,
            landings: true,
            share_locals: true,
            nesting_limit: 3,
        }
    }
}

impl Options {
    /// Switches a step off, by the name of its field.
    ///
    /// # Panics
    /// If there is no such step.
    pub fn switch_off(&mut self, step: &str) {
        let switch = match step {
            "move_effects" => &mut self.move_effects,
            "keep_on_stack" => &mut self.keep_on_stack,
            "block_results" => &mut self.block_results,
            "tee" => &mut self.tee,
            "sink" => &mut self.sink,
            "defaults" => &mut self.defaults,
            "hints" => &mut self.hints,
            "coalesce" => &mut self.coalesce,
            "landings" => &mut self.landings,
            "share_locals" => &mut self.share_locals,
            _ => panic!("emission has no step {step}"),
        };
        *switch = false;
    }
}
