//! What comes out.

use std::io::Write as _;

use serde::Serialize;
use serde_json::{Map, Value, json};

use imgop_bench::proxy::Counts;

/// Everything that was measured.
pub struct Measured {
    pub m1: Vec<Figures>,
    pub m2: Vec<Figures>,
    pub m5: Vec<Figures>,
    pub m6: Vec<Figures>,
    pub m4: Vec<Figures>,
    pub m4_mutable: Vec<Figures>,
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
    /// At each latency.
    pub runs: usize,
    #[serde(skip)]
    pub output: String,
}

impl Figures {
    fn requests(&self) -> u64 {
        self.requests_by_kind.values().sum()
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
pub fn figures(measured: &Measured) -> anyhow::Result<Map<String, Value>> {
    let mut all = Map::new();
    for (name, rows) in measured.rows() {
        let Some((ours, peers)) = rows.split_first() else { continue };
        let mut value = ours.json()?;
        let peers: Map<String, Value> = peers
            .iter()
            .map(|peer| Ok((peer.tool.to_owned(), peer.json()?)))
            .collect::<anyhow::Result<_>>()?;
        value["peers"] = peers.into();
        all.insert(name.replace(' ', "_"), value);
    }
    // M3 is the time of M1.
    let m3: Map<String, Value> =
        measured.m1.iter().map(|row| (row.tool.to_owned(), row.seconds_20ms.into())).collect();
    let peers: Map<String, Value> = m3
        .iter()
        .filter(|(tool, _)| *tool != "imgop")
        .map(|(tool, seconds)| (tool.clone(), json!({"seconds_20ms": seconds})))
        .collect();
    all.insert("M3".into(), json!({"seconds_20ms": m3.get("imgop"), "peers": peers}));
    all.insert("list_10000".into(), measured.paged.json()?);
    all.insert("select_100000".into(), measured.selecting.clone().into());
    Ok(all)
}

impl Measured {
    fn rows(&self) -> [(&'static str, &[Figures]); 6] {
        [
            ("M1", &self.m1),
            ("M2", &self.m2),
            ("M5", &self.m5),
            ("M6", &self.m6),
            ("M4", &self.m4),
            ("M4 mutable", &self.m4_mutable),
        ]
    }
}

/// The table.
pub fn print(measured: &Measured) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:<11} {:<8} {:>8} {:>9} {:>9} {:>9} {:>5}  requests by kind",
        "a no-op of", "program", "requests", "s, 0 ms", "s, 20 ms", "peak MB", "runs"
    )?;
    let paged = std::slice::from_ref(&measured.paged);
    for (name, rows) in measured.rows().into_iter().chain([("10,000 tags", paged)]) {
        for row in rows {
            let kinds: Vec<String> =
                row.requests_by_kind.iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
            writeln!(
                out,
                "{name:<11} {:<8} {:>8} {:>9.3} {:>9.3} {:>9.1} {:>5}  {}",
                row.tool,
                row.requests(),
                row.seconds_0ms,
                row.seconds_20ms,
                row.rss_mb,
                row.runs,
                kinds.join(", ")
            )?;
        }
    }
    let legend = [
        "M1: 100 tags of one repository that may move (M3 is its time at 20 ms). M2: 20 tags of six platforms.",
        "M5: the first copy of 100 tags that share two layers. M6: that of the tags of M2.",
        "M4: 2,645 tags in 242 target repositories that never move. M4 mutable: the same, but they may move.",
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
