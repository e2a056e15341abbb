//! What comes out.

use std::io::Write as _;

use serde::Serialize;
use serde_json::{Map, Value};

use imgop_bench::proxy::Counts;

use crate::first_copies::FirstCopies;

/// What it costs to find that nothing has changed.
pub struct NoOps {
    /// 100 tags of one repository that may move.
    pub repository: Vec<Figures>,
    /// 20 tags of six platforms.
    pub platforms: Vec<Figures>,
    /// 2,645 tags that never move.
    pub list: Vec<Figures>,
    /// The same tags, but they may move.
    pub mutable_list: Vec<Figures>,
    pub paged: Figures,
    pub selecting: Vec<Value>,
}

/// One program and what it cost.
#[derive(Serialize)]
pub struct Figures {
    #[serde(skip)]
    pub tool: &'static str,
    pub requests_by_kind: Counts,
    pub seconds_0ms: f64,
    pub seconds_20ms: f64,
    pub rss_mb: f64,
    /// Bytes of blobs that the destination was sent.
    pub sent_bytes: u64,
    /// Those that were read from the source.
    pub read_bytes: u64,
    /// Tags that the destination lacks afterwards, of all runs.
    pub failures: usize,
    /// At each latency.
    pub runs: usize,
    #[serde(skip)]
    pub output: String,
}

impl Figures {
    fn requests(&self) -> u64 {
        self.requests_by_kind.values().sum()
    }

    fn kinds(&self) -> String {
        let kinds = self.requests_by_kind.iter().map(|(kind, count)| format!("{count} × {kind}"));
        kinds.collect::<Vec<_>>().join(", ")
    }

    fn json(&self) -> anyhow::Result<Value> {
        let mut value = serde_json::to_value(self)?;
        value["requests"] = self.requests().into();
        Ok(value)
    }
}

/// Progress, for whoever waits.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}"); // standard error may be closed
}

/// The figures as they stand in results.json.
pub fn figures(measured: &NoOps) -> anyhow::Result<Map<String, Value>> {
    let mut all = with_peers(measured.rows())?;
    all.insert("list_10000".into(), measured.paged.json()?);
    all.insert("select_100000".into(), measured.selecting.clone().into());
    Ok(all)
}

/// The same of first copies.
pub fn first_copies(measured: &FirstCopies) -> anyhow::Result<Map<String, Value>> {
    let rows = measured.rows.iter().map(|(name, rows)| (*name, rows.as_slice()));
    let mut all = with_peers(rows)?;
    all.insert("limited".into(), serde_json::to_value(&measured.limited)?);
    all.insert("broken".into(), serde_json::to_value(&measured.broken)?);
    Ok(all)
}

/// The figures of each measure: ours, and within them those of the peers.
fn with_peers<'a>(
    measures: impl IntoIterator<Item = (&'static str, &'a [Figures])>,
) -> anyhow::Result<Map<String, Value>> {
    let mut all = Map::new();
    for (name, rows) in measures {
        let Some((ours, peers)) = rows.split_first() else { continue };
        let mut value = ours.json()?;
        let peers: Map<String, Value> = peers
            .iter()
            .map(|peer| Ok((peer.tool.to_owned(), peer.json()?)))
            .collect::<anyhow::Result<_>>()?;
        value["peers"] = peers.into();
        all.insert(name.replace(' ', "_"), value);
    }
    Ok(all)
}

impl NoOps {
    fn rows(&self) -> [(&'static str, &[Figures]); 4] {
        [
            ("repository", &self.repository),
            ("multi-platform", &self.platforms),
            ("long list", &self.list),
            ("mutable list", &self.mutable_list),
        ]
    }
}

/// The tables of first copies.
pub fn print_first_copies(measured: &FirstCopies) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:<14} {:<8} {:>8} {:>8} {:>8} {:>9} {:>9} {:>9} {:>5} {:>7}  requests by kind",
        "first copy",
        "program",
        "requests",
        "MB read",
        "MB sent",
        "s, 0 ms",
        "s, 20 ms",
        "peak MB",
        "runs",
        "lacking"
    )?;
    for (name, rows) in &measured.rows {
        for row in rows {
            writeln!(
                out,
                "{name:<14} {:<8} {:>8} {:>8} {:>8} {:>9.3} {:>9.3} {:>9.1} {:>5} {:>7}  {}",
                row.tool,
                row.requests(),
                megabytes(row.read_bytes),
                megabytes(row.sent_bytes),
                row.seconds_0ms,
                row.seconds_20ms,
                row.rss_mb,
                row.runs,
                row.failures,
                row.kinds()
            )?;
        }
    }
    writeln!(out, "\nlimited: a destination that answers four requests at a time, each after 20 ms")?;
    for row in &measured.limited {
        writeln!(
            out,
            "  {:<8} {:>6} requests, {:>5} refused ({:>4.1} %), {:>7.3} s (ideal: {:.3} s), lacking {}",
            row.tool,
            row.requests,
            row.refused,
            row.refused_percent,
            row.seconds,
            row.ideal_seconds,
            row.failures
        )?;
    }
    writeln!(out, "\nbroken: 200 MB, broken off half-way")?;
    for row in &measured.broken {
        writeln!(
            out,
            "  {:<8} killed: {:>5.1} % sent again; the source cut: {:>5.1} % read again; lacking {}",
            row.tool, row.killed_sent_again_percent, row.cut_read_again_percent, row.failures
        )?;
    }
    let legend = [
        "shared: 100 tags that share two layers. platforms: 20 tags of six. mounted: those of shared within one registry.",
        "one tag: a small one. four blobs: 316 MB. list: 2,645 tags of 206 repositories into 242 (with --quick fewer).",
    ];
    writeln!(out, "\n{}\n", legend.join("\n"))
}

/// Returns megabytes of a million bytes, in hundredths.
fn megabytes(bytes: u64) -> String {
    format!("{}.{:02}", bytes / 1_000_000, bytes % 1_000_000 / 10_000)
}

/// The table.
pub fn print(measured: &NoOps) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:<14} {:<8} {:>8} {:>9} {:>9} {:>9} {:>5}  requests by kind",
        "a no-op of", "program", "requests", "s, 0 ms", "s, 20 ms", "peak MB", "runs"
    )?;
    let paged = std::slice::from_ref(&measured.paged);
    for (name, rows) in measured.rows().into_iter().chain([("10,000 tags", paged)]) {
        for row in rows {
            writeln!(
                out,
                "{name:<14} {:<8} {:>8} {:>9.3} {:>9.3} {:>9.1} {:>5}  {}",
                row.tool,
                row.requests(),
                row.seconds_0ms,
                row.seconds_20ms,
                row.rss_mb,
                row.runs,
                row.kinds()
            )?;
        }
    }
    let legend = [
        "repository: 100 tags that may move. multi-platform: 20 tags of six platforms, the same.",
        "long list: 2,645 tags in 242 target repositories that never move. mutable list: the same, but they may move.",
        "Whole processes; imgop's is a second pass: it knows what the destination answered the first time.",
    ];
    writeln!(out, "{}\n\nchoosing from 100,000 tags:", legend.join("\n"))?;
    for row in &measured.selecting {
        writeln!(
            out,
            "  {:<20} of {:<21} {:>7} matches {:>7} ms ({:>5} of CPU) {:>6} MB more at the peak",
            row["version"].as_str().unwrap_or_default(),
            row["such_as"].as_str().unwrap_or_default(),
            row["matches"],
            row["milliseconds"],
            row["cpu_milliseconds"],
            row["peak_growth_mb"]
        )?;
    }
    Ok(())
}
