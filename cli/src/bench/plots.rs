//! The figures, as SVG. Colours are those of the light theme; the page gives the dark theme's by attribute selectors, see [`THEME`].

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::format;
use super::report::{Baseline, Record, Report};
use super::variants::{ASYNCIFY, NATIVE};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Colours in the light and in the dark theme: text, secondary text, lines of the grid, bands.
const TEXT: (RGBColor, &str) = (RGBColor(31, 41, 55), "#e5e7eb");
const FAINT: (RGBColor, &str) = (RGBColor(107, 114, 128), "#9ca3af");
const GRID: (RGBColor, &str) = (RGBColor(229, 231, 235), "#30363f");
const BAND: (RGBColor, &str) = (RGBColor(246, 247, 249), "#1c2129");

/// One colour for each variant, told apart by colour-blind readers too. Variants beyond these share the last.
const VARIANT_COLOURS: [(&str, RGBColor, &str); 4] = [
    (NATIVE, RGBColor(100, 116, 139), "#94a3b8"),
    ("lowered-memory", RGBColor(37, 99, 235), "#60a5fa"),
    ("lowered-gc", RGBColor(147, 51, 234), "#c084fc"),
    (ASYNCIFY, RGBColor(234, 88, 12), "#fb923c"),
];

const WIDTH: u32 = 960;
const FONT: &str = "sans-serif";
const BAR: i32 = 11;
const GROUP_GAP: i32 = 11;
/// Average width of a character of the labels, relative to the font's size.
const CHARACTER: f64 = 0.56;

/// The dark theme's colours, as a style sheet for the page or for a picture by itself.
pub(super) fn theme() -> String {
    let plain = [TEXT, FAINT, GRID, BAND];
    let variants = VARIANT_COLOURS.iter().map(|(_, light, dark)| (*light, *dark));
    let mut style = String::from("@media (prefers-color-scheme: dark) {\n");
    for (light, dark) in plain.into_iter().chain(variants) {
        let light = css(light);
        style +=
            &format!("  svg [fill=\"{light}\"] {{ fill: {dark} }} svg [stroke=\"{light}\"] {{ stroke: {dark} }}\n");
    }
    style + "}\n"
}

/// As plotters writes it.
fn css(colour: RGBColor) -> String {
    format!("#{:02X}{:02X}{:02X}", colour.0, colour.1, colour.2)
}

fn variant_colour(variant: &str) -> RGBColor {
    let found = VARIANT_COLOURS.iter().find(|(name, ..)| *name == variant);
    found.map_or(VARIANT_COLOURS[VARIANT_COLOURS.len() - 1].1, |(_, colour, _)| *colour)
}

fn label(size: i32, colour: RGBColor, horizontal: HPos) -> TextStyle<'static> {
    (FONT, size).into_font().color(&colour).pos(Pos::new(horizontal, VPos::Center))
}

fn drawing(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw a figure: {error}")
}

/// Draws into a picture of its own.
fn picture(height: u32, draw: impl FnOnce(&Area) -> Result<()>) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        draw(&area)?;
        area.present().map_err(drawing)?;
    }
    // The page scales figures by their view box.
    Ok(svg.replacen(&format!("width=\"{WIDTH}\" height=\"{height}\" "), "", 1))
}

fn legend(area: &Area, variants: &[&str], left: i32, y: i32) -> Result<()> {
    let mut x = left;
    for variant in variants {
        let colour = variant_colour(variant);
        area.draw(&Rectangle::new([(x, y - 5), (x + 10, y + 5)], colour.filled())).map_err(drawing)?;
        area.draw_text(variant, &label(13, TEXT.0, HPos::Left), (x + 16, y)).map_err(drawing)?;
        x += 16 + (variant.len() as f64 * 13.0 * CHARACTER) as i32 + 22;
    }
    Ok(())
}

/// A program's variants relative to its baseline.
struct Group<'r> {
    program: &'r str,
    baseline: Baseline,
    bars: Vec<(&'r Record, f64)>,
}

/// Bars of all programs on an engine: time relative to native, faster to the left; where native fails, relative to Asyncify.
pub(super) fn relative_times(report: &Report, engine: &str) -> Result<Option<String>> {
    let mut groups = Vec::new();
    for program in report.programs() {
        let records: Vec<&Record> =
            report.runs.iter().filter(|record| record.program == program && record.engine == engine).collect();
        // Programs with a parameter have figures of their own.
        if records.iter().any(|record| record.parameter().is_some()) {
            continue;
        }
        for baseline in [Baseline::Native, Baseline::Asyncify] {
            let bars: Vec<(&Record, f64)> = records
                .iter()
                .filter(|record| record.variant != baseline.variant())
                .filter_map(|record| Some((*record, report.time_ratio(record, baseline)?)))
                .collect();
            if !bars.is_empty() {
                groups.push(Group { program, baseline, bars });
                break;
            }
        }
    }
    if groups.is_empty() {
        return Ok(None);
    }
    let ratios = groups.iter().flat_map(|group| group.bars.iter().map(|(_, ratio)| *ratio));
    let (low, high) = ratios.fold((0.5f64, 2.0f64), |(low, high), ratio| (low.min(ratio), high.max(ratio)));
    // Room for the values beside the bars.
    let range = (low / 1.6).log10()..(high * 1.6).log10();
    let left = 160;
    let right = WIDTH as i32 - 20;
    let top = 48;
    let x_of = |ratio: f64| {
        let position = (ratio.log10() - range.start) / (range.end - range.start);
        left + (position * f64::from(right - left)).round() as i32
    };
    let height = groups.iter().map(|group| group.bars.len() as i32 * BAR + GROUP_GAP).sum::<i32>() + top + 40;
    let variants: Vec<&str> = report.variants().into_iter().filter(|variant| *variant != NATIVE).collect();
    picture(height as u32, |area| {
        legend(area, &variants, left, 14)?;
        area.draw_text("← faster", &label(12, FAINT.0, HPos::Right), (x_of(1.0) - 8, 36)).map_err(drawing)?;
        area.draw_text("slower →", &label(12, FAINT.0, HPos::Left), (x_of(1.0) + 8, 36)).map_err(drawing)?;
        let bottom = height - 36;
        let mut y = top;
        for (index, group) in groups.iter().enumerate() {
            let group_height = group.bars.len() as i32 * BAR + GROUP_GAP;
            if index % 2 == 0 {
                area.draw(&Rectangle::new([(0, y), (WIDTH as i32, y + group_height)], BAND.0.filled()))
                    .map_err(drawing)?;
            }
            y += group_height;
        }
        for tick in ticks(range.start, range.end) {
            let x = x_of(tick);
            let colour = if tick == 1.0 { FAINT.0 } else { GRID.0 };
            area.draw(&PathElement::new([(x, top), (x, bottom)], colour.stroke_width(1))).map_err(drawing)?;
            let text = if tick == 1.0 { "native".to_string() } else { format!("{tick} ×") };
            area.draw_text(&text, &label(12, FAINT.0, HPos::Center), (x, bottom + 14)).map_err(drawing)?;
        }
        let mut y = top;
        for group in &groups {
            let group_height = group.bars.len() as i32 * BAR + GROUP_GAP;
            let name = match group.baseline {
                Baseline::Native => group.program.to_string(),
                Baseline::Asyncify => format!("{} *", group.program),
            };
            area.draw_text(&name, &label(13, TEXT.0, HPos::Right), (left - 12, y + group_height / 2))
                .map_err(drawing)?;
            let mut bar_top = y + GROUP_GAP / 2;
            for (record, ratio) in &group.bars {
                let (from, to) = (x_of(1.0).min(x_of(*ratio)), x_of(1.0).max(x_of(*ratio)));
                let shape = [(from, bar_top + 1), (to.max(from + 1), bar_top + BAR - 1)];
                area.draw(&Rectangle::new(shape, variant_colour(record.variant).filled())).map_err(drawing)?;
                let (x, side) = if *ratio < 1.0 { (from - 4, HPos::Right) } else { (to + 4, HPos::Left) };
                area.draw_text(&format::ratio(*ratio), &label(11, FAINT.0, side), (x, bar_top + BAR / 2))
                    .map_err(drawing)?;
                bar_top += BAR;
            }
            y += group_height;
        }
        Ok(())
    })
    .map(Some)
}

/// 0.1, 0.2, 0.5, 1, … within a range of logarithms; only powers of ten where that is much.
fn ticks(from: f64, to: f64) -> Vec<f64> {
    let mantissas: &[f64] = if to - from > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let mut ticks = Vec::new();
    for exponent in from.floor() as i32..=to.ceil() as i32 {
        for mantissa in mantissas {
            let tick = if exponent < 0 { mantissa / 10f64.powi(-exponent) } else { mantissa * 10f64.powi(exponent) };
            if tick.log10() >= from && tick.log10() <= to {
                ticks.push(tick);
            }
        }
    }
    ticks
}

/// Lines over a program's parameter: nanoseconds for each suspension. Both axes are logarithmic, but for a parameter that can be 0.
pub(super) fn over_parameter(report: &Report, program: &str, parameter: &str, engine: &str) -> Result<Option<String>> {
    let records: Vec<&Record> = report
        .runs
        .iter()
        .filter(|record| record.program_name() == program && record.engine == engine && record.median_s.is_some())
        .collect();
    let logarithmic = records.iter().all(|record| record.parameter() != Some(0));
    let position = |value: f64| if logarithmic { value.log10() } else { value };
    let mut lines: Vec<(&str, Vec<(f64, f64)>)> = Vec::new();
    for variant in report.variants() {
        let points: Vec<(f64, f64)> = records
            .iter()
            .filter(|record| record.variant == variant)
            .filter_map(|record| {
                Some((position(f64::from(record.parameter()?)), record.nanoseconds_per_suspension()?.log10()))
            })
            .collect();
        if !points.is_empty() {
            lines.push((variant, points));
        }
    }
    let all = || lines.iter().flat_map(|(_, points)| points.iter().copied());
    let Some((first_x, first_y)) = all().next() else { return Ok(None) };
    let (x_low, x_high) = all().fold((first_x, first_x), |(low, high), (x, _)| (low.min(x), high.max(x)));
    let (y_low, y_high) = all().fold((first_y, first_y), |(low, high), (_, y)| (low.min(y), high.max(y)));
    let x_margin = (x_high - x_low).max(1.0) * 0.03;
    let variants: Vec<&str> = lines.iter().map(|(variant, _)| *variant).collect();
    picture(340, |area| {
        legend(area, &variants, 60, 14)?;
        let (_, plot) = area.split_vertically(30);
        let mut chart = ChartBuilder::on(&plot)
            .margin_right(20)
            .margin_top(6)
            .x_label_area_size(44)
            .y_label_area_size(60)
            .build_cartesian_2d(x_low - x_margin..x_high + x_margin, y_low.floor()..y_high.ceil())
            .map_err(drawing)?;
        chart
            .configure_mesh()
            .x_desc(parameter)
            .y_desc("ns per suspension")
            .x_labels(6)
            .y_labels((y_high.ceil() - y_low.floor()) as usize + 1)
            .x_label_formatter(&|value| tick_label(*value, logarithmic))
            .y_label_formatter(&|value| tick_label(*value, true))
            .label_style((FONT, 12).into_font().color(&FAINT.0))
            .axis_desc_style((FONT, 12).into_font().color(&TEXT.0))
            .axis_style(GRID.0)
            .bold_line_style(GRID.0)
            .light_line_style(TRANSPARENT)
            .draw()
            .map_err(drawing)?;
        for (variant, points) in &lines {
            let colour = variant_colour(variant);
            chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2))).map_err(drawing)?;
            chart.draw_series(points.iter().map(|point| Circle::new(*point, 4, colour.filled()))).map_err(drawing)?;
        }
        Ok(())
    })
    .map(Some)
}

/// The value at a tick of an axis; nothing at the fractions that a logarithmic one may have.
fn tick_label(tick: f64, logarithmic: bool) -> String {
    if (tick - tick.round()).abs() > 1e-6 {
        return String::new();
    }
    let value = if logarithmic { 10f64.powf(tick.round()) } else { tick.round() };
    format!("{value}")
}

/// Each program's size and time relative to Asyncify's, or to native where `baseline` says so.
pub(super) fn size_against_speed(report: &Report, engine: &str, baseline: Baseline) -> Result<Option<String>> {
    let mut points = Vec::new();
    for record in report.runs.iter().filter(|record| record.engine == engine && record.parameter().is_none()) {
        if record.variant == baseline.variant() {
            continue;
        }
        if let (Some(size), Some(time)) = (report.size_ratio(record, baseline), report.time_ratio(record, baseline)) {
            points.push((record, size, time));
        }
    }
    if points.is_empty() {
        return Ok(None);
    }
    let extent = |values: &dyn Fn(&(&Record, f64, f64)) -> f64| {
        points.iter().map(values).fold((1.0f64, 1.0f64), |(low, high), value| (low.min(value), high.max(value)))
    };
    let (size_low, size_high) = extent(&|point| point.1);
    let (time_low, time_high) = extent(&|point| point.2);
    let variants: Vec<&str> = report
        .variants()
        .into_iter()
        .filter(|variant| points.iter().any(|(record, ..)| record.variant == *variant))
        .collect();
    picture(420, |area| {
        legend(area, &variants, 60, 14)?;
        let (_, plot) = area.split_vertically(30);
        let mut chart = ChartBuilder::on(&plot)
            .margin_right(20)
            .margin_top(6)
            .x_label_area_size(44)
            .y_label_area_size(60)
            .build_cartesian_2d(size_low - 0.1..size_high + 0.15, (time_low / 1.4..time_high * 1.4).log_scale())
            .map_err(drawing)?;
        let name = baseline.variant();
        chart
            .configure_mesh()
            .x_desc(format!("code size / {name}"))
            .y_desc(format!("time / {name}"))
            .x_label_formatter(&|value| format!("{value:.1}"))
            .y_label_formatter(&|value| format!("{value}"))
            .label_style((FONT, 12).into_font().color(&FAINT.0))
            .axis_desc_style((FONT, 12).into_font().color(&TEXT.0))
            .axis_style(GRID.0)
            .bold_line_style(GRID.0)
            .light_line_style(TRANSPARENT)
            .draw()
            .map_err(drawing)?;
        let cross = [
            PathElement::new([(1.0, time_low / 1.4), (1.0, time_high * 1.4)], FAINT.0.stroke_width(1)),
            PathElement::new([(size_low - 0.1, 1.0), (size_high + 0.15, 1.0)], FAINT.0.stroke_width(1)),
        ];
        chart.draw_series(cross).map_err(drawing)?;
        for (record, size, time) in &points {
            let colour = variant_colour(record.variant);
            let style = label(11, FAINT.0, HPos::Left);
            let mark = EmptyElement::at((*size, *time))
                + Circle::new((0, 0), 5, colour.filled())
                + Text::new(record.program.clone(), (8, 0), style);
            chart.draw_series([mark]).map_err(drawing)?;
        }
        Ok(())
    })
    .map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_of_a_logarithmic_axis_are_powers_of_ten() {
        assert_eq!(tick_label(3.0, true), "1000");
        assert_eq!(tick_label(0.5, true), "");
        assert_eq!(tick_label(4.0, false), "4");
    }

    #[test]
    fn ticks_are_round_numbers_within_the_range() {
        assert_eq!(ticks(0.04f64.log10(), 3f64.log10()), [0.05, 0.1, 0.2, 0.5, 1.0, 2.0]);
        assert_eq!(ticks(-2.0, 1.0), [0.01, 0.1, 1.0, 10.0]);
    }
}
