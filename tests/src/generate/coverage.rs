//! What a run of a program exercised, as told by the calls of `host.cover` in an instrumented encoding.
//!
//! The host keeps the number of active prompts as a running depth. It is exact until an exception or a re-entered prompt that
//! was captured along with its continuation; both make it too low rather than too high at the next suspension, so that
//! "forwarded" is under-counted and never invented.

/// An event: the first argument of `host.cover`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i32)]
pub enum Event {
    /// Asks for the depth.
    Depth,
    Suspend,
    /// A prompt is entered. Gives the depth before it.
    Resume,
    /// A continuation finished under the prompt entered at the depth given.
    Finished,
    /// A suspension has arrived at the handler of a prompt entered at the depth given.
    Handled,
    Throw,
    /// An exception was caught by a `try_table` entered at the depth given.
    Caught,
    Switch,
    /// `switch` came back.
    SwitchedBack,
    BindFresh,
    BindSuspended,
    ResumeThrow,
    /// `resume_throw` or `resume_throw_ref` whose continuation caught the exception and then finished.
    ResumeThrowFinished,
    TailCall,
    IndirectCall,
    TableGet,
    TableSet,
    TableGrow,
    TableFill,
    TableCopy,
    TableInit,
    OutOfFuel,
}

impl Event {
    const ALL: [Event; 22] = [
        Event::Depth,
        Event::Suspend,
        Event::Resume,
        Event::Finished,
        Event::Handled,
        Event::Throw,
        Event::Caught,
        Event::Switch,
        Event::SwitchedBack,
        Event::BindFresh,
        Event::BindSuspended,
        Event::ResumeThrow,
        Event::ResumeThrowFinished,
        Event::TailCall,
        Event::IndirectCall,
        Event::TableGet,
        Event::TableSet,
        Event::TableGrow,
        Event::TableFill,
        Event::TableCopy,
        Event::TableInit,
        Event::OutOfFuel,
    ];

    /// The event of that number.
    pub fn from_number(number: i32) -> Option<Event> {
        Event::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

/// How often each thing happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    depth: i32,
    depth_at_suspend: i32,
    depth_at_throw: i32,
    /// Whether the exception in flight was raised by a `resume_throw`.
    thrown_by_resume: bool,
    pub suspended: u32,
    pub handled: u32,
    /// Handled by a prompt that was not the innermost.
    pub forwarded: u32,
    pub resumed: u32,
    pub finished: u32,
    /// A prompt was entered inside a continuation.
    pub nested: u32,
    pub switched: u32,
    pub switched_back: u32,
    pub bound_fresh: u32,
    pub bound_suspended: u32,
    pub resume_thrown: u32,
    pub resume_throw_finished: u32,
    pub thrown_inside: u32,
    pub caught_inside: u32,
    /// An exception left at least one continuation before it was caught.
    pub exception_crossed: u32,
    pub tail_called_inside: u32,
    pub called_indirectly_inside: u32,
    /// get, set, grow, fill, copy, init on tables of continuations.
    pub table_operations: [u32; 6],
    pub out_of_fuel: u32,
}

impl Coverage {
    /// Forgets the depth, as a trap or the end of an invocation does.
    pub fn start_invocation(&mut self) {
        self.depth = 0;
    }

    /// Takes one call of `host.cover` and gives its result.
    pub fn record(&mut self, event: Event, argument: i32) -> i32 {
        let inside = u32::from(self.depth > 0);
        match event {
            Event::Depth => {}
            Event::Suspend => {
                self.suspended += 1;
                self.depth_at_suspend = self.depth;
            }
            Event::Resume => {
                self.resumed += 1;
                self.nested += inside;
                self.depth += 1;
                return self.depth - 1;
            }
            Event::Finished => {
                self.finished += 1;
                self.depth = argument;
            }
            Event::Handled => {
                self.handled += 1;
                self.forwarded += u32::from(self.depth_at_suspend > argument + 1);
                self.depth = argument;
            }
            Event::Throw => {
                self.thrown_inside += inside;
                self.depth_at_throw = self.depth;
                self.thrown_by_resume = false;
            }
            Event::Caught => {
                self.caught_inside += inside;
                self.exception_crossed += u32::from(self.depth_at_throw > argument && !self.thrown_by_resume);
                self.depth = argument;
            }
            Event::Switch => self.switched += 1,
            Event::SwitchedBack => self.switched_back += 1,
            Event::BindFresh => self.bound_fresh += 1,
            Event::BindSuspended => self.bound_suspended += 1,
            Event::ResumeThrow => {
                self.resume_thrown += 1;
                self.nested += inside;
                self.depth += 1;
                self.depth_at_throw = self.depth;
                self.thrown_by_resume = true;
                return self.depth - 1;
            }
            Event::ResumeThrowFinished => {
                self.resume_throw_finished += 1;
                self.depth = argument;
            }
            Event::TailCall => self.tail_called_inside += inside,
            Event::IndirectCall => self.called_indirectly_inside += inside,
            Event::TableGet => self.table_operations[0] += 1,
            Event::TableSet => self.table_operations[1] += 1,
            Event::TableGrow => self.table_operations[2] += 1,
            Event::TableFill => self.table_operations[3] += 1,
            Event::TableCopy => self.table_operations[4] += 1,
            Event::TableInit => self.table_operations[5] += 1,
            Event::OutOfFuel => self.out_of_fuel += 1,
        }
        self.depth
    }
}
