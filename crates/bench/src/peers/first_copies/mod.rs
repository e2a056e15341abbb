//! First copies: `copy --local` and `run` beside regsync, crane and skopeo. Each run gets a repository that is not there
//! yet, and what the destination has afterwards is counted.

mod broken;
mod limited;
mod tools;

use serde::Serialize;

use crate::data::{BIG, BIG_TAG, FIRST_MULTI, ONE, ONE_TAG, Pair, SHARED, Scale, WITHIN};
use crate::measures::{Bench, Expected};
use crate::report::Figures;
use broken::Broken;
use limited::Limited;
use tools::{Copies, Tool};

/// Everything that was measured of first copies.
#[derive(Default, Serialize)]
pub struct FirstCopies {
    /// By measure, in the order of the tools.
    #[serde(skip)]
    pub rows: Vec<(&'static str, Vec<Figures>)>,
    pub limited: Vec<Limited>,
    pub broken: Vec<Broken>,
}

/// Measures a large image alone.
pub async fn large(bench: &Bench, scale: Scale) -> anyhow::Result<FirstCopies> {
    let rows = vec![("four blobs", one_tag(bench, "four blobs", BIG, BIG_TAG, scale).await?)];
    Ok(FirstCopies { rows, ..FirstCopies::default() })
}

/// Measures a destination alone that refuses requests.
pub async fn limited(bench: &Bench, scale: Scale) -> anyhow::Result<FirstCopies> {
    Ok(FirstCopies { limited: limited::measure(bench, scale).await?, ..FirstCopies::default() })
}

/// Measures copies alone that break off.
pub async fn broken(bench: &Bench) -> anyhow::Result<FirstCopies> {
    Ok(FirstCopies { broken: broken::measure(bench).await?, ..FirstCopies::default() })
}

impl Scale {
    fn runs_of(self, tool: Tool) -> usize {
        if tool == Tool::Skopeo { self.slow_runs } else { self.runs }
    }
}

/// Measures all of them.
pub async fn measure(bench: &Bench, scale: Scale) -> anyhow::Result<FirstCopies> {
    let shared = scale.shared_tags;
    let mut rows = vec![
        ("shared", repository(bench, "shared", &bench.programs.source, SHARED, shared, scale).await?),
        (
            "platforms",
            repository(bench, "platforms", &bench.programs.source, FIRST_MULTI, scale.multi_tags, scale)
                .await?,
        ),
        // From one repository of the destination's registry to another.
        ("mounted", repository(bench, "mounted", &bench.programs.target, WITHIN, shared, scale).await?),
        ("one tag", one_tag(bench, "one tag", ONE, ONE_TAG, scale).await?),
        ("four blobs", one_tag(bench, "four blobs", BIG, BIG_TAG, scale).await?),
    ];
    rows.push(("list", list(bench, scale).await?));
    let limited = limited::measure(bench, scale).await?;
    let broken = broken::measure(bench).await?;
    Ok(FirstCopies { rows, limited, broken })
}

/// Copies all tags of a repository with each program.
async fn repository(
    bench: &Bench,
    name: &'static str,
    host: &str,
    repository: &str,
    tags: usize,
    scale: Scale,
) -> anyhow::Result<Vec<Figures>> {
    let mut rows = Vec::new();
    for tool in Tool::ALL {
        let copies = |run| Copies::of_repository(bench, name, tool, run, (host, repository));
        rows.push(copied(bench, name, tool, scale.runs_of(tool), &copies, tags).await?);
    }
    Ok(rows)
}

async fn one_tag(
    bench: &Bench,
    name: &'static str,
    repository: &str,
    tag: &str,
    scale: Scale,
) -> anyhow::Result<Vec<Figures>> {
    let mut rows = Vec::new();
    for tool in Tool::ALL {
        let copies = |run| Copies::of_tag(bench, name, tool, run, (repository, tag));
        rows.push(copied(bench, name, tool, scale.runs_of(tool), &copies, 1).await?);
    }
    Ok(rows)
}

async fn copied(
    bench: &Bench,
    name: &str,
    tool: Tool,
    runs: usize,
    copies: &dyn Fn(usize) -> anyhow::Result<Copies>,
    tags: usize,
) -> anyhow::Result<Figures> {
    let copies: Vec<Copies> = (0..2 * runs).map(copies).collect::<anyhow::Result<_>>()?;
    let label = format!("{name}: {}", tool.described());
    let command = |run: usize| copies.get(run).map(|copies| copies.command.clone()).unwrap_or_default();
    let expected = |run: usize| {
        let repository = copies.get(run).map(|copies| copies.repository.clone()).unwrap_or_default();
        Expected { repositories: vec![(repository, tags)] }
    };
    bench.measure_each(&label, tool.name(), runs, command, expected).await
}

/// A list of the shape of rancher's. Neither crane nor skopeo has something that reads one with other names at the
/// destination.
async fn list(bench: &Bench, scale: Scale) -> anyhow::Result<Vec<Figures>> {
    let pairs = scale.long_list();
    let mut rows = Vec::new();
    for tool in [Tool::Imgop, Tool::Regsync] {
        let below = |run: usize| format!("first/list/{}-{run}", tool.name());
        let runs = if tool == Tool::Regsync { scale.slow_runs } else { scale.runs };
        let commands: Vec<_> = (0..2 * runs)
            .map(|run| tools::list(bench, tool, run, &below(run), &pairs))
            .collect::<anyhow::Result<_>>()?;
        let command = |run: usize| commands.get(run).cloned().unwrap_or_default();
        let expected = |run: usize| Expected { repositories: by_target(&pairs, &below(run)) };
        let label = format!("list: {}", tool.described());
        rows.push(bench.measure_each(&label, tool.name(), runs, command, expected).await?);
    }
    Ok(rows)
}

/// Returns each target repository with the number of its tags.
fn by_target(pairs: &[Pair], below: &str) -> Vec<(String, usize)> {
    let mut tags = std::collections::BTreeMap::new();
    for pair in pairs {
        *tags.entry(format!("{below}/{}", pair.target_name())).or_insert(0) += 1;
    }
    tags.into_iter().collect()
}
