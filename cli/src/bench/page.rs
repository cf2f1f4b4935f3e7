//! The report as one page, and its main figure as a picture.

use std::fmt::Write;

use anyhow::{Result, bail};

use super::format;
use super::goals;
use super::plots;
use super::report::{Baseline, EngineVersion, Record, Report, Status};

const STYLE: &str = include_str!("page.css");

/// Programs that are measured against a parameter: name, what the parameter is, and what the figure shows.
const SERIES: [(&str, &str, &str); 3] = [
    ("depth", "frames below the handler", "Cost of a suspension against the depth of the stack (C, fibers)"),
    ("deep_suspend", "frames below the handler", "Cost of a suspension against the depth of the stack (text)"),
    ("forward", "handlers in between", "Cost of a suspension through handlers for other tags"),
];

/// The whole page.
pub(super) fn render(report: &Report) -> Result<String> {
    let mut body = String::new();
    writeln!(
        body,
        "<header><h1>wasmfx-bench</h1><p>{}</p><p class=\"command\"><code>{}</code></p></header>",
        escape(&format!(
            "{} · {} · {}",
            report.machine,
            report.engines.iter().map(|engine| engine.version.as_str()).collect::<Vec<_>>().join(" · "),
            report.method()
        )),
        escape(&report.command)
    )?;
    goals_table(&mut body, report)?;
    for engine in &report.engines {
        writeln!(body, "<section><h2>{}</h2>", escape(&engine.version))?;
        means(&mut body, report, engine)?;
        let times = plots::relative_times(report, &[(engine.name, None)])?;
        figure(&mut body, "Time relative to native (where native fails: *, relative to Asyncify)", times)?;
        let sizes = plots::size_against_speed(report, engine.name, Baseline::Asyncify)?;
        figure(&mut body, "Size against speed, relative to Asyncify", sizes)?;
        for (program, parameter, title) in SERIES {
            figure(&mut body, title, plots::over_parameter(report, program, parameter, engine.name)?)?;
        }
        table(&mut body, report, engine)?;
        body += "</section>\n";
    }
    let theme = plots::theme();
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>wasmfx-bench</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\n\
         <style>\n{STYLE}{theme}</style></head>\n<body><main>\n{body}</main></body></html>\n"
    ))
}

/// The bars of all engines, with the themes inside.
pub(super) fn render_figure(report: &Report) -> Result<String> {
    let engines: Vec<(&str, Option<&str>)> =
        report.engines.iter().map(|engine| (engine.name, Some(engine.version.as_str()))).collect();
    let Some(svg) = plots::relative_times(report, &engines)? else {
        bail!("there is nothing to draw: no program ran in a variant and in its baseline");
    };
    let Some(start) = svg.find('>') else { bail!("a figure is not well-formed") };
    Ok(format!("{}><style>{}</style>{}", &svg[..start], plots::theme(), &svg[start + 1..]))
}

fn means(body: &mut String, report: &Report, engine: &EngineVersion) -> Result<()> {
    *body += "<div class=\"means\">\n";
    for variant in report.variants() {
        for baseline in Baseline::of(variant) {
            if let Some((mean, count)) = report.mean_time_ratio(variant, engine.name, *baseline) {
                writeln!(
                    body,
                    "<div><strong>{}</strong><span>{variant} / {}</span><small>time, mean of {count}</small></div>",
                    format::ratio(mean),
                    baseline.variant()
                )?;
            }
        }
    }
    *body += "</div>\n";
    Ok(())
}

/// Nothing where there is nothing to draw.
fn figure(body: &mut String, title: &str, svg: Option<String>) -> Result<()> {
    if let Some(svg) = svg {
        writeln!(body, "<figure><figcaption>{}</figcaption>\n{svg}</figure>", escape(title))?;
    }
    Ok(())
}

fn table(body: &mut String, report: &Report, engine: &EngineVersion) -> Result<()> {
    *body += "<details open><summary>All figures</summary><div class=\"scroll\"><table>\n<thead><tr><th>program</th><th>variant</th>\
              <th>time</th><th>spread</th><th>/ native</th><th>/ asyncify</th><th>memory</th><th>size</th><th>compile</th></tr></thead>\n";
    let mut previous = "";
    for record in report.runs.iter().filter(|record| record.engine == engine.name) {
        let first = record.program != previous;
        previous = &record.program;
        let class = if first { " class=\"first\"" } else { "" };
        let program = if first { format!("<code>{}</code>", escape(&record.program)) } else { String::new() };
        write!(body, "<tr{class}><td>{program}</td><td>{}</td>{}", record.variant, time_cell(record))?;
        let cells = [
            record.spread().map(|spread| format!("{:.0} %", spread * 100.0)),
            report.time_ratio(record, Baseline::Native).map(format::ratio),
            report.time_ratio(record, Baseline::Asyncify).map(format::ratio),
            record.peak_rss_bytes.map(format::memory),
            record.module_bytes.map(format::size),
            record.compile_s.map(format::time),
        ];
        for cell in cells {
            write!(body, "<td>{}</td>", cell.unwrap_or_else(|| "–".to_string()))?;
        }
        *body += "</tr>\n";
    }
    *body += "</table></div></details>\n";
    Ok(())
}

/// Goals, limits, and what the variants reached.
fn goals_table(body: &mut String, report: &Report) -> Result<()> {
    let Some(first) = report.goals.first() else { return Ok(()) };
    write!(
        body,
        "<section><h2>Goals of the lowering</h2><p>{}</p><div class=\"scroll\"><table class=\"goals\">\n\
         <thead><tr><th>goal</th><th>engine</th><th>at most</th>",
        goals::summary(&report.goals)
    )?;
    for reached in &first.reached {
        write!(body, "<th>{}</th>", reached.variant)?;
    }
    *body += "</tr></thead>\n";
    let mut previous = "";
    for row in &report.goals {
        let class = if row.goal == previous { "" } else { " class=\"first\"" };
        let goal = if row.goal == previous { "" } else { row.goal };
        previous = row.goal;
        write!(body, "<tr{class}><td>{}</td><td>{}</td><td>{}</td>", escape(goal), row.engine, row.limit)?;
        for reached in &row.reached {
            let class = match reached.met {
                Some(true) => "good",
                Some(false) => "bad",
                None => "absent",
            };
            write!(body, "<td class=\"{class}\">{}</td>", escape(&reached.text()))?;
        }
        *body += "</tr>\n";
    }
    *body += "</table></div>\n";
    for tool in &report.tools {
        writeln!(
            body,
            "<p><small>{} on {}: {}</small></p>",
            escape(&tool.tool),
            tool.program,
            format::time(tool.median_s)
        )?;
    }
    *body += "</section>\n";
    Ok(())
}

fn time_cell(record: &Record) -> String {
    let reason = record.reason.as_deref().map(|reason| format!(" title=\"{}\"", escape(reason))).unwrap_or_default();
    match (record.status, record.median_s) {
        (Status::Ok, Some(median)) if record.output_ok => format!("<td>{}</td>", format::time(median)),
        (Status::Ok, _) => format!("<td class=\"bad\"{reason}>wrong result</td>"),
        (Status::Failed, _) => format!("<td class=\"bad\"{reason}>failed</td>"),
        (Status::Missing, _) => format!("<td class=\"absent\"{reason}>missing</td>"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::report::tests::{record, report as report_of};

    fn report() -> Report {
        report_of(vec![
            record("itersum", "native", Some(0.5)),
            record("itersum", "asyncify", Some(1.0)),
            record("c10m", "native", None),
            record("c10m", "asyncify", Some(1.0)),
            record("depth/10", "native", Some(0.1)),
            record("depth/10", "asyncify", Some(0.3)),
        ])
    }

    #[test]
    fn the_page_has_figures_and_says_why_something_failed() {
        let page = render(&report()).unwrap();
        assert!(page.contains("title=\"a &lt;reason&gt; &amp; &quot;more&quot;\">failed"), "{page}");
        assert!(page.contains("Cost of a suspension against the depth of the stack (C, fibers)"));
        assert!(page.matches("<svg").count() >= 3);
    }

    #[test]
    fn times_below_the_clocks_resolution_are_not_drawn() {
        let mut report = report();
        for record in report.runs.iter_mut().filter(|record| record.median_s.is_some()) {
            record.median_s = Some(0.0);
        }
        let page = render(&report).unwrap();
        assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
    }

    #[test]
    fn the_picture_is_themed_by_itself() {
        let picture = render_figure(&report()).unwrap();
        assert!(picture.starts_with("<svg") && picture.contains("prefers-color-scheme"), "{picture}");
        // Every colour that it uses has one in the dark theme.
        let style_end = picture.find("</style>").unwrap();
        let (style, drawing) = picture.split_at(style_end);
        for colour in drawing.split("fill=\"#").skip(1).filter_map(|rest| rest.get(..6)) {
            assert!(style.contains(&format!("fill=\"#{colour}\"")), "{colour} has no dark counterpart");
        }
    }

    #[test]
    fn nothing_to_compare_is_explained() {
        let mut report = report();
        report.runs.truncate(1);
        assert!(render_figure(&report).unwrap_err().to_string().contains("nothing to draw"));
    }
}
