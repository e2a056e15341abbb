//! First copies of a whole repository: `copy --local` beside regsync, crane and skopeo. Each run gets a repository that
//! is not there yet.

use std::ffi::OsString;

use serde_json::json;

use crate::measures::Bench;
use crate::report::Figures;

/// Each figure is the median of this number of runs.
const RUNS: usize = 3;
/// What crane and regsync copy at a time.
const AT_ONCE: &str = "16";

/// Copies all tags of a repository with each program.
pub async fn measure(bench: &Bench, name: &str, repository: &str) -> anyhow::Result<Vec<Figures>> {
    let programs = &bench.programs;
    let from = format!("{}/{repository}", programs.source);
    let to = |tool: &str, run: usize| format!("{}/first/{repository}/{tool}-{run}", programs.target);
    let words = |program: &std::path::Path, arguments: &[&str]| -> Vec<OsString> {
        std::iter::once(program.as_os_str().to_owned()).chain(arguments.iter().map(OsString::from)).collect()
    };
    let imgop =
        |run| words(&programs.plugin, &["copy", "--local", "--versions", "*", &from, &to("imgop", run)]);
    let crane = |run| {
        words(
            &programs.peers.join("crane"),
            &["cp", "-a", "-j", AT_ONCE, "--insecure", &from, &to("crane", run)],
        )
    };
    let skopeo = |run| {
        let insecure = ["--src-tls-verify=false", "--dest-tls-verify=false"];
        let kinds = ["--src", "docker", "--dest", "docker", "--all", &from];
        let to = to("skopeo", run);
        let all: Vec<&str> = ["sync"].into_iter().chain(insecure).chain(kinds).chain([to.as_str()]).collect();
        words("skopeo".as_ref(), &all)
    };
    // One configuration a run: it names the target.
    let mut configurations = Vec::new();
    for run in 0..2 * RUNS {
        let registries =
            [&programs.source, &programs.target].map(|host| json!({"registry": host, "tls": "disabled"}));
        let sync = json!([{"source": from, "target": to("regsync", run), "type": "repository"}]);
        let config = json!({"version": 1, "creds": registries, "defaults": {"parallel": 16}, "sync": sync});
        let file = programs.scratch.join(format!("first-{repository}-{run}.yaml"));
        std::fs::write(&file, config.to_string())?;
        configurations.push(file);
    }
    let regsync = |run: usize| {
        let mut all = words(&programs.peers.join("regsync"), &["once", "--config"]);
        all.extend(configurations.get(run).map(|file| file.as_os_str().to_owned()));
        all
    };
    Ok(vec![
        bench.measure_each(&format!("{name}: imgop copy --local"), "imgop", RUNS, imgop).await?,
        bench.measure_each(&format!("{name}: regsync once"), "regsync", RUNS, regsync).await?,
        bench.measure_each(&format!("{name}: crane cp -a"), "crane", RUNS, crane).await?,
        bench.measure_each(&format!("{name}: skopeo sync --all"), "skopeo", RUNS, skopeo).await?,
    ])
}
