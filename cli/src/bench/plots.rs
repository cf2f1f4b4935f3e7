//! The figures, as SVG. Colours are those of the light theme; the page gives the dark theme's by attribute selectors, see [`THEME`].

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axes::{Axis, tick_label};
use super::format;
use super::report::{Baseline, Record, Report};
use super::variants::{ASYNCIFY, NATIVE, PLAIN};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

/// Colours in the light and in the dark theme: text, secondary text, lines of the grid, bands.
const TEXT: (RGBColor, &str) = (RGBColor(31, 41, 55), "#e5e7eb");
const FAINT: (RGBColor, &str) = (RGBColor(107, 114, 128), "#9ca3af");
const GRID: (RGBColor, &str) = (RGBColor(229, 231, 235), "#30363f");
const BAND: (RGBColor, &str) = (RGBColor(246, 247, 249), "#1c2129");

/// One colour for each variant, told apart by colour-blind readers too. Variants beyond these share the last.
const VARIANT_COLOURS: [(&str, RGBColor, &str); 5] = [
    (NATIVE, RGBColor(100, 116, 139), "#94a3b8"),
    ("lowered-memory", RGBColor(37, 99, 235), "#60a5fa"),
    ("lowered-gc", RGBColor(147, 51, 234), "#c084fc"),
    (ASYNCIFY, RGBColor(234, 88, 12), "#fb923c"),
    (PLAIN, RGBColor(13, 148, 136), "#2dd4bf"),
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

/// The bars of one engine.
struct Panel<'r> {
    title: Option<&'r str>,
    groups: Vec<Group<'r>>,
    axis: Axis,
}

/// Heights of a panel's title, of what stands above its bars, and of its axis below them.
const TITLE_HEIGHT: i32 = 30;
const DIRECTIONS_HEIGHT: i32 = 20;
const AXIS_HEIGHT: i32 = 36;
/// Where bars begin and end.
const BARS: (i32, i32) = (160, WIDTH as i32 - 20);

impl<'r> Panel<'r> {
    /// Nothing where no program ran in a variant and in its baseline.
    fn new(report: &'r Report, engine: &str, title: Option<&'r str>) -> Option<Panel<'r>> {
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
            return None;
        }
        let ratios = groups.iter().flat_map(|group| group.bars.iter().map(|(_, ratio)| *ratio));
        let (low, high) = ratios.fold((0.5f64, 2.0f64), |(low, high), ratio| (low.min(ratio), high.max(ratio)));
        // Room for the values beside the bars.
        Some(Panel { title, groups, axis: Axis::logarithmic(low / 1.6, high * 1.6) })
    }

    fn height(&self) -> i32 {
        let title = if self.title.is_some() { TITLE_HEIGHT } else { 0 };
        title + DIRECTIONS_HEIGHT + self.groups.iter().map(Group::height).sum::<i32>() + AXIS_HEIGHT
    }

    fn draw(&self, area: &Area, mut top: i32) -> Result<()> {
        if let Some(title) = self.title {
            let y = top + TITLE_HEIGHT / 2;
            area.draw_text(title, &label(15, TEXT.0, HPos::Left), (0, y)).map_err(drawing)?;
            top += TITLE_HEIGHT;
        }
        let x_of = |ratio: f64| self.axis.map(&ratio, BARS);
        let y = top + DIRECTIONS_HEIGHT / 2 - 2;
        area.draw_text("← faster", &label(12, FAINT.0, HPos::Right), (x_of(1.0) - 8, y)).map_err(drawing)?;
        area.draw_text("slower →", &label(12, FAINT.0, HPos::Left), (x_of(1.0) + 8, y)).map_err(drawing)?;
        top += DIRECTIONS_HEIGHT;
        let mut bottom = top;
        for (index, group) in self.groups.iter().enumerate() {
            if index % 2 == 0 {
                let band = Rectangle::new([(0, bottom), (WIDTH as i32, bottom + group.height())], BAND.0.filled());
                area.draw(&band).map_err(drawing)?;
            }
            bottom += group.height();
        }
        for tick in self.axis.ticks() {
            let x = x_of(tick);
            let (colour, text) = if tick == 1.0 {
                (FAINT.0, "native".to_string())
            } else {
                (GRID.0, format!("{} ×", tick_label(tick)))
            };
            area.draw(&PathElement::new([(x, top), (x, bottom)], colour.stroke_width(1))).map_err(drawing)?;
            area.draw_text(&text, &label(12, FAINT.0, HPos::Center), (x, bottom + 14)).map_err(drawing)?;
        }
        let mut y = top;
        for group in &self.groups {
            group.draw(area, y, x_of)?;
            y += group.height();
        }
        Ok(())
    }
}

impl Group<'_> {
    fn height(&self) -> i32 {
        self.bars.len() as i32 * BAR + GROUP_GAP
    }

    fn draw(&self, area: &Area, top: i32, x_of: impl Fn(f64) -> i32) -> Result<()> {
        let name = match self.baseline {
            Baseline::Native => self.program.to_string(),
            Baseline::Asyncify => format!("{} *", self.program),
        };
        let middle = (BARS.0 - 12, top + self.height() / 2);
        area.draw_text(&name, &label(13, TEXT.0, HPos::Right), middle).map_err(drawing)?;
        let mut y = top + GROUP_GAP / 2;
        for (record, ratio) in &self.bars {
            let (from, to) = (x_of(1.0).min(x_of(*ratio)), x_of(1.0).max(x_of(*ratio)));
            let shape = [(from, y + 1), (to.max(from + 1), y + BAR - 1)];
            area.draw(&Rectangle::new(shape, variant_colour(record.variant).filled())).map_err(drawing)?;
            let (x, side) = if *ratio < 1.0 { (from - 4, HPos::Right) } else { (to + 4, HPos::Left) };
            area.draw_text(&format::ratio(*ratio), &label(11, FAINT.0, side), (x, y + BAR / 2)).map_err(drawing)?;
            y += BAR;
        }
        Ok(())
    }
}

/// Bars of all programs: time relative to native, faster to the left; where native fails, relative to Asyncify. One panel for each engine, with
/// its title if it has one.
pub(super) fn relative_times(report: &Report, engines: &[(&str, Option<&str>)]) -> Result<Option<String>> {
    let panels: Vec<Panel<'_>> =
        engines.iter().filter_map(|(engine, title)| Panel::new(report, engine, *title)).collect();
    if panels.is_empty() {
        return Ok(None);
    }
    let legend_height = 28;
    let height = legend_height + panels.iter().map(Panel::height).sum::<i32>();
    let drawn = |variant: &&str| {
        panels.iter().any(|panel| {
            panel.groups.iter().any(|group| group.bars.iter().any(|(record, _)| record.variant == *variant))
        })
    };
    let variants: Vec<&str> = report.variants().into_iter().filter(drawn).collect();
    picture(height as u32, |area| {
        legend(area, &variants, BARS.0, 14)?;
        let mut top = legend_height;
        for panel in &panels {
            panel.draw(area, top)?;
            top += panel.height();
        }
        Ok(())
    })
    .map(Some)
}

/// A legend, and below it a chart with named axes, drawn by `draw`.
fn chart(
    height: u32,
    variants: &[&str],
    (x, x_name): (Axis, &str),
    (y, y_name): (Axis, &str),
    draw: impl FnOnce(&mut Chart) -> Result<()>,
) -> Result<String> {
    picture(height, |area| {
        legend(area, variants, 60, 14)?;
        let (_, plot) = area.split_vertically(30);
        let mut chart = ChartBuilder::on(&plot)
            .margin_right(20)
            .margin_top(6)
            .x_label_area_size(44)
            .y_label_area_size(60)
            .build_cartesian_2d(x, y)
            .map_err(drawing)?;
        chart
            .configure_mesh()
            .x_desc(x_name)
            .y_desc(y_name)
            .x_label_formatter(&|value| tick_label(*value))
            .y_label_formatter(&|value| tick_label(*value))
            .label_style((FONT, 12).into_font().color(&FAINT.0))
            .axis_desc_style((FONT, 12).into_font().color(&TEXT.0))
            .axis_style(GRID.0)
            .bold_line_style(GRID.0)
            .light_line_style(TRANSPARENT)
            .draw()
            .map_err(drawing)?;
        draw(&mut chart)
    })
}

/// The least and the greatest, `start` included.
fn extent(values: impl Iterator<Item = f64>, start: f64) -> (f64, f64) {
    values.fold((start, start), |(low, high), value| (low.min(value), high.max(value)))
}

/// Lines over a program's parameter: nanoseconds for each suspension. Both axes are logarithmic, but for a parameter that can be 0.
pub(super) fn over_parameter(report: &Report, program: &str, parameter: &str, engine: &str) -> Result<Option<String>> {
    let records: Vec<&Record> = report
        .runs
        .iter()
        .filter(|record| record.program_name() == program && record.engine == engine && record.median_s.is_some())
        .collect();
    let mut lines: Vec<(&str, Vec<(f64, f64)>)> = Vec::new();
    for variant in report.variants() {
        let points: Vec<(f64, f64)> = records
            .iter()
            .filter(|record| record.variant == variant)
            .filter_map(|record| Some((f64::from(record.parameter()?), record.nanoseconds_per_suspension()?)))
            .collect();
        if !points.is_empty() {
            lines.push((variant, points));
        }
    }
    let all = || lines.iter().flat_map(|(_, points)| points.iter().copied());
    let Some((first_x, first_y)) = all().next() else { return Ok(None) };
    let (x_low, x_high) = extent(all().map(|(x, _)| x), first_x);
    let (y_low, y_high) = extent(all().map(|(_, y)| y), first_y);
    let x = if x_low > 0.0 {
        Axis::logarithmic(x_low / 1.3, x_high * 1.3)
    } else {
        let margin = x_high.max(1.0) * 0.03;
        Axis::linear(x_low - margin, x_high + margin)
    };
    let y = Axis::logarithmic(y_low / 1.5, y_high * 1.5);
    let variants: Vec<&str> = lines.iter().map(|(variant, _)| *variant).collect();
    chart(340, &variants, (x, parameter), (y, "ns per suspension"), |chart| {
        for (variant, points) in &lines {
            let colour = variant_colour(variant);
            chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2))).map_err(drawing)?;
            chart.draw_series(points.iter().map(|point| Circle::new(*point, 4, colour.filled()))).map_err(drawing)?;
        }
        Ok(())
    })
    .map(Some)
}

/// Each program's size and time relative to the baseline's.
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
    let (size_low, size_high) = extent(points.iter().map(|point| point.1), 1.0);
    let (time_low, time_high) = extent(points.iter().map(|point| point.2), 1.0);
    // Room on the right for the names.
    let (left, right) = (size_low - 0.1, size_high + 0.15);
    let (bottom, top) = (time_low / 1.4, time_high * 1.4);
    let variants: Vec<&str> = report
        .variants()
        .into_iter()
        .filter(|variant| points.iter().any(|(record, ..)| record.variant == *variant))
        .collect();
    let name = baseline.variant();
    let x = (Axis::linear(left, right), format!("code size / {name}"));
    let y = (Axis::logarithmic(bottom, top), format!("time / {name}"));
    chart(420, &variants, (x.0, &x.1), (y.0, &y.1), |chart| {
        let cross = [
            PathElement::new([(1.0, bottom), (1.0, top)], FAINT.0.stroke_width(1)),
            PathElement::new([(left, 1.0), (right, 1.0)], FAINT.0.stroke_width(1)),
        ];
        chart.draw_series(cross).map_err(drawing)?;
        let marks = points
            .iter()
            .map(|(record, size, time)| Circle::new((*size, *time), 5, variant_colour(record.variant).filled()));
        chart.draw_series(marks).map_err(drawing)?;
        let spots: Vec<(&str, (i32, i32))> = points
            .iter()
            .map(|(record, size, time)| (record.program.as_str(), chart.backend_coord(&(*size, *time))))
            .collect();
        name_spots(chart.plotting_area(), &spots)
    })
    .map(Some)
}

/// Writes names beside spots, where they cover neither spots nor each other; a name for which there is no such place is left out.
fn name_spots(area: &DrawingArea<SVGBackend<'_>, Cartesian2d<Axis, Axis>>, spots: &[(&str, (i32, i32))]) -> Result<()> {
    const SIZE: i32 = 11;
    const RADIUS: i32 = 6;
    let mut taken: Vec<Bounds> =
        spots.iter().map(|(_, (x, y))| Bounds { x: (x - RADIUS, x + RADIUS), y: (y - RADIUS, y + RADIUS) }).collect();
    let pixels = area.strip_coord_spec();
    let (base_x, base_y) = area.get_base_pixel();
    for (name, (x, y)) in spots {
        let width = (name.len() as f64 * f64::from(SIZE) * CHARACTER) as i32;
        let places = [
            (HPos::Left, x + 8, *y, x + 8),
            (HPos::Right, x - 8, *y, x - 8 - width),
            (HPos::Center, *x, y - 12, x - width / 2),
            (HPos::Center, *x, y + 12, x - width / 2),
        ];
        for (side, at, middle, left) in places {
            let wanted = Bounds { x: (left, left + width), y: (middle - SIZE / 2, middle + SIZE / 2) };
            if wanted.x.1 < WIDTH as i32 && !taken.iter().any(|other| other.overlaps(&wanted)) {
                let place = (at - base_x, middle - base_y);
                pixels.draw_text(name, &label(SIZE, FAINT.0, side), place).map_err(drawing)?;
                taken.push(wanted);
                break;
            }
        }
    }
    Ok(())
}

/// A rectangle of the picture, in pixels.
struct Bounds {
    x: (i32, i32),
    y: (i32, i32),
}

impl Bounds {
    fn overlaps(&self, other: &Bounds) -> bool {
        self.x.0 < other.x.1 && other.x.0 < self.x.1 && self.y.0 < other.y.1 && other.y.0 < self.y.1
    }
}
