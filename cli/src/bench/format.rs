//! Numbers for people.

/// Seconds, in the unit that needs least room.
pub(super) fn time(seconds: f64) -> String {
    match seconds {
        s if s >= 10.0 => format!("{s:.1} s"),
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 0.1 => format!("{:.0} ms", s * 1e3),
        s if s >= 1e-3 => format!("{:.1} ms", s * 1e3),
        s => format!("{:.0} µs", s * 1e6),
    }
}

/// A factor, to two digits that matter.
pub(super) fn ratio(ratio: f64) -> String {
    match ratio {
        r if r >= 10.0 => format!("{r:.0}"),
        r if r >= 1.0 => format!("{r:.1}"),
        r if r >= 0.1 => format!("{r:.2}"),
        r => format!("{r:.3}"),
    }
}

/// Bytes of memory.
pub(super) fn memory(bytes: u64) -> String {
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    if mebibytes >= 10.0 { format!("{mebibytes:.0} MiB") } else { format!("{mebibytes:.1} MiB") }
}

/// Bytes of code.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        b if b >= 1_000_000 => format!("{:.2} MB", b as f64 / 1e6),
        b if b >= 10_000 => format!("{:.0} kB", b as f64 / 1e3),
        b if b >= 1_000 => format!("{:.1} kB", b as f64 / 1e3),
        b => format!("{b} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_the_digits_that_matter() {
        assert_eq!(time(0.000_431), "431 µs");
        assert_eq!(time(0.4321), "432 ms");
        assert_eq!(time(12.34), "12.3 s");
        assert_eq!(ratio(0.0421), "0.042");
        assert_eq!(ratio(10.9), "11");
        assert_eq!(size(7_003), "7.0 kB");
        assert_eq!(memory(3 << 20), "3.0 MiB");
    }
}
