//! The progress bar: on stderr, if that is a terminal, once the work takes long.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Once;
use std::time::{Duration, Instant};
use wasmfx_passes::progress::Progress;

/// Work that is done sooner shows no bar.
const PATIENCE: Duration = Duration::from_millis(500);
const REDRAWS_PER_SECOND: u8 = 10;

/// A bar that shows itself when the work has taken a while, and is gone when it is dropped.
pub struct Bar {
    bar: ProgressBar,
    started: Instant,
    shown: Once,
    may_show: bool,
}

impl Bar {
    /// A bar that nobody sees yet.
    pub fn new(is_wanted: bool) -> Bar {
        let style =
            ProgressStyle::with_template("{msg:20} {wide_bar} {pos}/{len}").expect("the template is well-formed");
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_style(style);
        let may_show = is_wanted && std::io::stderr().is_terminal();
        Bar { bar, started: Instant::now(), shown: Once::new(), may_show }
    }

    fn show_if_long(&self) {
        if self.may_show && self.started.elapsed() > PATIENCE {
            self.shown.call_once(|| {
                self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND));
            });
        }
    }
}

impl Progress for Bar {
    fn begin(&self, part: &str, items: usize) {
        self.bar.set_message(part.to_string());
        self.bar.set_length(items as u64);
        self.bar.set_position(0);
        self.show_if_long();
    }

    fn advance(&self) {
        self.bar.inc(1);
        self.show_if_long();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
