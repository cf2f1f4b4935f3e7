//! How long a call takes: by the wall clock, and on the processor, where other programs' load does not count.

use std::fs;
use std::time::{Duration, Instant};

/// What a call took.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallTime {
    /// From its beginning to its end.
    pub wall: Duration,
    /// Of that, what the calling thread spent running, where the system tells.
    pub processor: Option<Duration>,
}

/// Makes a call, and says what it took.
pub fn timed<T>(call: impl FnOnce() -> T) -> (T, CallTime) {
    let before = processor_time();
    let start = Instant::now();
    let result = call();
    let wall = start.elapsed();
    let processor = before.zip(processor_time()).map(|(before, after)| after.saturating_sub(before));
    (result, CallTime { wall, processor })
}

/// What this thread has spent running so far. Linux keeps it up to date when the thread gives way.
fn processor_time() -> Option<Duration> {
    std::thread::yield_now();
    let statistics = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(statistics.split_whitespace().next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeping_takes_time_on_the_wall_only() {
        let ((), time) = timed(|| std::thread::sleep(Duration::from_millis(50)));
        assert!(time.wall >= Duration::from_millis(50));
        assert!(time.processor.is_none_or(|processor| processor < Duration::from_millis(25)), "{time:?}");
    }
}
