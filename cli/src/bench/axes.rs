//! Axes with ticks at round numbers, linear or logarithmic.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

/// One axis of a chart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl Axis {
    /// From `low` to `high`.
    pub(super) fn linear(low: f64, high: f64) -> Axis {
        Axis { low, high, logarithmic: false }
    }

    /// From `low` to `high`.
    ///
    /// # Panics
    /// If they are not positive and finite: an axis from 0 would have ticks without end.
    pub(super) fn logarithmic(low: f64, high: f64) -> Axis {
        assert!(low > 0.0 && high.is_finite(), "a logarithmic axis goes from {low} to {high}");
        Axis { low, high, logarithmic: true }
    }

    /// Where a value lies: 0 at the low end, 1 at the high one.
    pub(super) fn position(&self, value: f64) -> f64 {
        if self.logarithmic {
            (value / self.low).log10() / (self.high / self.low).log10()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }

    /// Round numbers within the axis, few enough to be read.
    pub(super) fn ticks(&self) -> Vec<f64> {
        if self.logarithmic { self.logarithmic_ticks() } else { self.linear_ticks() }
    }

    /// 0.1, 0.2, 0.5, 1, …; only powers of ten where that is much.
    fn logarithmic_ticks(&self) -> Vec<f64> {
        let (from, to) = (self.low.log10(), self.high.log10());
        let mantissas: &[f64] = if to - from > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let mut ticks = Vec::new();
        for exponent in from.floor() as i32..=to.ceil() as i32 {
            for mantissa in mantissas {
                // Dividing keeps 0.1 from being 0.10000000000000001.
                let tick =
                    if exponent < 0 { mantissa / 10f64.powi(-exponent) } else { mantissa * 10f64.powi(exponent) };
                if self.low <= tick && tick <= self.high {
                    ticks.push(tick);
                }
            }
        }
        ticks
    }

    /// Multiples of 1, 2 or 5 times a power of ten: between four and ten of them.
    fn linear_ticks(&self) -> Vec<f64> {
        let power = 10f64.powi(((self.high - self.low) / 4.0).log10().floor() as i32);
        let step = [5.0, 2.0].into_iter().map(|factor| factor * power).find(|step| step * 4.0 <= self.high - self.low);
        let step = step.unwrap_or(power);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last).map(|multiple| multiple as f64 * step).collect()
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        limit.0 + (self.position(*value) * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // Plotters asks again for the lines in between, of which there are none.
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks() }
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        tick_label(*value)
    }
}

/// Without the digits that come from computing in binary.
pub(super) fn tick_label(tick: f64) -> String {
    format!("{}", (tick * 1e6).round() / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_of_a_logarithmic_axis_are_1_2_5_or_powers_of_ten() {
        assert_eq!(Axis::logarithmic(0.04, 3.0).ticks(), [0.05, 0.1, 0.2, 0.5, 1.0, 2.0]);
        assert_eq!(Axis::logarithmic(0.01, 10.0).ticks(), [0.01, 0.1, 1.0, 10.0]);
    }

    #[test]
    fn ticks_of_a_linear_axis_are_round_and_few() {
        assert_eq!(Axis::linear(0.0, 16.5).ticks(), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0]);
        let labels: Vec<String> = Axis::linear(0.75, 1.6).ticks().into_iter().map(tick_label).collect();
        assert_eq!(labels, ["0.8", "1", "1.2", "1.4", "1.6"]);
    }

    #[test]
    fn a_logarithmic_axis_is_even_in_ratios() {
        let axis = Axis::logarithmic(0.1, 10.0);
        assert_eq!([0.1, 1.0, 10.0].map(|value| axis.position(value)), [0.0, 0.5, 1.0]);
    }
}
