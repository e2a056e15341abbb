//! The dashboard: its panels, whether each has data, and a drawing of them from what Prometheus answers. Grafana draws
//! them more finely; the numbers are the same.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::prometheus::Prometheus;
use crate::repository_root;

/// Pixels of a column and of a row of Grafana's grid.
const COLUMN: f64 = 50.0;
const ROW: f64 = 30.0;
/// Colours of lines, one after the other.
const COLORS: [&str; 6] = ["#2f7ed8", "#e07b39", "#4d9e4d", "#b04a5a", "#7a5ea8", "#7d7d7d"];
/// How wide a letter is, at most.
const LETTER: f64 = 6.6;
/// Lines of a table.
const MAX_LINES: usize = 7;

/// Returns the panels: title, type, and queries.
pub fn panels() -> anyhow::Result<Vec<Value>> {
    let file = repository_root().join("manifests/chart/monitoring/dashboard.json");
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(file)?)?;
    Ok(dashboard["panels"].as_array().context("no panels")?.clone())
}

/// Returns a text of an object; none is empty.
pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// Returns the queries of a panel.
pub fn queries(panel: &Value) -> impl Iterator<Item = &str> {
    panel["targets"].as_array().into_iter().flatten().map(|target| text(target, "expr"))
}

/// Fails if a panel has no data, unless it is one of these.
pub async fn have_data(prometheus: &Prometheus, panels: &[Value], but: &[&str]) -> anyhow::Result<()> {
    for panel in panels {
        let title = text(panel, "title");
        for query in queries(panel) {
            let result = prometheus.query(query).await.with_context(|| format!("{title}: {query}"))?;
            // What is divided by nothing is no number.
            let has_data = result.iter().any(|found| point(&found["value"]).is_some());
            ensure!(has_data || but.contains(&title), "{title} is empty: {query}");
        }
    }
    Ok(())
}

/// Where the picture is.
pub fn path() -> PathBuf {
    repository_root().join("docs/pictures/dashboard.svg")
}

/// Returns a text as SVG has it.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A line of a panel: what it is called, and its values with their times.
struct Series {
    name: String,
    points: Vec<(f64, f64)>,
}

/// Returns a drawing of all panels, with what these last minutes brought, and with other names for registries.
pub async fn drawing(
    prometheus: &Prometheus,
    panels: &[Value],
    minutes: u32,
    names: &[(&str, &str)],
) -> anyhow::Result<String> {
    let mut body = String::new();
    let mut bottom = 0.0_f64;
    for panel in panels {
        let place = |key: &str| panel["gridPos"][key].as_f64().unwrap_or_default();
        let (x, y) = (place("x") * COLUMN, place("y") * ROW);
        let (width, height) = (place("w") * COLUMN - 8.0, place("h") * ROW - 8.0);
        bottom = bottom.max(y + height + 8.0);
        let mut series = series(prometheus, panel, minutes).await?;
        for line in &mut series {
            line.name = names.iter().fold(line.name.clone(), |name, (from, to)| name.replace(from, to));
        }
        writeln!(
            body,
            r#"<g transform="translate({x} {y})"><rect width="{width}" height="{height}" class="panel"/>"#
        )?;
        writeln!(body, r#"<text x="8" y="17" class="title">{}</text>"#, escaped(text(panel, "title")))?;
        let unit = text(&panel["fieldConfig"]["defaults"], "unit");
        match text(panel, "type") {
            "timeseries" => lines(&mut body, &series, unit, (width, height)),
            "stat" => numbers(&mut body, &series, width),
            _ => table(&mut body, &series, unit, width),
        }?;
        body.push_str("</g>\n");
    }
    let width = 24.0 * COLUMN;
    let style = "text{font:11px sans-serif;fill:#333}.title{font-weight:bold}.panel{fill:#fff;stroke:#ccc}\
                 .number{font-size:30px;font-weight:bold}.line{fill:none;stroke-width:1.5}.axis{stroke:#ddd}.end{text-anchor:end}";
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{bottom}\" viewBox=\"-4 -4 {} {}\">\n<style>{style}</style>\n\
         <rect x=\"-4\" y=\"-4\" width=\"100%\" height=\"100%\" fill=\"#f4f5f5\"/>\n{body}</svg>\n",
        width + 4.0,
        bottom + 4.0,
    ))
}

/// Returns what the queries of a panel answer.
async fn series(prometheus: &Prometheus, panel: &Value, minutes: u32) -> anyhow::Result<Vec<Series>> {
    let mut all = Vec::new();
    for (query, target) in queries(panel).zip(panel["targets"].as_array().into_iter().flatten()) {
        let is_range = text(panel, "type") == "timeseries";
        let result = if is_range {
            prometheus.query_range(query, minutes).await?
        } else {
            prometheus.query(query).await?
        };
        for found in result {
            let points = match &found["values"] {
                Value::Array(values) => values.iter().filter_map(point).collect(),
                _ => point(&found["value"]).into_iter().collect(),
            };
            all.push(Series { name: name(text(target, "legendFormat"), &found["metric"]), points });
        }
    }
    Ok(all)
}

fn point(value: &Value) -> Option<(f64, f64)> {
    let (at, number) = (value[0].as_f64()?, value[1].as_str()?.parse::<f64>().ok()?);
    number.is_finite().then_some((at, number))
}

/// Returns the name of a line: its legend with labels put in, or all its labels.
fn name(legend: &str, labels: &Value) -> String {
    let labels = labels.as_object().into_iter().flatten();
    if legend.is_empty() {
        let shown = ["kind", "namespace", "name", "state", "reason"];
        let values = labels.filter(|(label, _)| shown.contains(&label.as_str()));
        return values.filter_map(|(_, value)| value.as_str()).collect::<Vec<_>>().join("  ");
    }
    let filled = labels.fold(legend.to_owned(), |text, (label, value)| {
        text.replace(&format!("{{{{{label}}}}}"), value.as_str().unwrap_or_default())
    });
    // What has no such label.
    filled.split("{{").map(|part| part.split_once("}}").map_or(part, |(_, rest)| rest)).collect()
}

/// Returns a number with its unit, for people.
fn shown(number: f64, unit: &str) -> String {
    let (number, prefix) = match number.abs() {
        large if large >= 1e6 => (number / 1e6, "M"),
        large if large >= 1e4 => (number / 1e3, "k"),
        _ => (number, ""),
    };
    let digits = usize::from(number.fract() != 0.0) * if number.abs() < 1.0 { 3 } else { 1 };
    let unit = match unit {
        "s" => " s",
        "Bps" => "B/s",
        "reqps" | "ops" => "/s",
        _ => "",
    };
    format!("{number:.digits$}{prefix}{unit}")
}

fn numbers(body: &mut String, series: &[Series], width: f64) -> std::fmt::Result {
    let count = f64::from(u32::try_from(series.len().max(1)).unwrap_or(1));
    let mut x = width / count / 2.0;
    if series.is_empty() {
        return writeln!(body, r#"<text x="{x}" y="65" text-anchor="middle">no data</text>"#);
    }
    for line in series {
        let number = line.points.last().map_or_else(|| "-".to_owned(), |(_, number)| shown(*number, ""));
        writeln!(body, r#"<text x="{x}" y="65" text-anchor="middle" class="number">{number}</text>"#)?;
        writeln!(body, r#"<text x="{x}" y="88" text-anchor="middle">{}</text>"#, escaped(&line.name))?;
        x += width / count;
    }
    Ok(())
}

fn table(body: &mut String, series: &[Series], unit: &str, width: f64) -> std::fmt::Result {
    let mut y = 40.0;
    if series.is_empty() {
        writeln!(body, r#"<text x="8" y="{y}">no data</text>"#)?;
    }
    for line in series.iter().take(MAX_LINES) {
        let number = line.points.last().map_or_else(String::new, |(_, number)| shown(*number, unit));
        writeln!(body, r#"<text x="8" y="{y}">{}</text>"#, escaped(&line.name))?;
        writeln!(body, r#"<text x="{}" y="{y}" class="end">{number}</text>"#, width - 8.0)?;
        y += 20.0;
    }
    Ok(())
}

fn lines(body: &mut String, series: &[Series], unit: &str, (width, height): (f64, f64)) -> std::fmt::Result {
    let points = || series.iter().flat_map(|line| &line.points);
    let (first, last) =
        points().fold((f64::MAX, f64::MIN), |(first, last), (at, _)| (first.min(*at), last.max(*at)));
    if points().next().is_none() {
        return writeln!(body, r#"<text x="8" y="40">no data</text>"#);
    }
    let top = points().map(|(_, number)| *number).fold(0.0, f64::max);
    let top = if top > 0.0 { top } else { 1.0 };
    let (left, right, upper, lower) = (58.0, width - 10.0, 30.0, height - 46.0);
    for (number, y) in [(top, upper), (0.0, lower)] {
        writeln!(body, r#"<line x1="{left}" x2="{right}" y1="{y}" y2="{y}" class="axis"/>"#)?;
        writeln!(
            body,
            r#"<text x="{}" y="{}" class="end">{}</text>"#,
            left - 4.0,
            y + 4.0,
            shown(number, unit)
        )?;
    }
    // What moves first: it is what the legend must have room for.
    let is_flat = |line: &&Series| line.points.iter().all(|(_, number)| *number == 0.0);
    let (flat, moving): (Vec<&Series>, Vec<&Series>) = series.iter().partition(is_flat);
    let (mut legend, mut y) = (left, height - 26.0);
    for (line, color) in moving.into_iter().chain(flat).zip(COLORS.iter().cycle()) {
        let place = |(at, number): &(f64, f64)| {
            let x = left + (at - first) / (last - first).max(1.0) * (right - left);
            format!("{x:.1},{:.1}", lower - number / top * (lower - upper))
        };
        let places: Vec<String> = line.points.iter().map(place).collect();
        writeln!(body, r#"<polyline points="{}" class="line" stroke="{color}"/>"#, places.join(" "))?;
        let needed = 26.0 + LETTER * f64::from(u32::try_from(line.name.chars().count()).unwrap_or_default());
        if legend + needed > width && legend > left {
            (legend, y) = (left, y + 14.0);
        }
        if y < height {
            writeln!(body, r#"<rect x="{legend}" y="{}" width="9" height="9" fill="{color}"/>"#, y - 8.0)?;
            writeln!(body, r#"<text x="{}" y="{y}">{}</text>"#, legend + 13.0, escaped(&line.name))?;
        }
        legend += needed;
    }
    Ok(())
}
