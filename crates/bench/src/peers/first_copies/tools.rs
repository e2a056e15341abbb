//! How each program is told what to copy.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::data::Pair;
use crate::measures::Bench;
use crate::programs::Programs;

/// What crane and regsync copy at a time.
const AT_ONCE: &str = "16";

/// A program that copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    Imgop,
    Regsync,
    Crane,
    Skopeo,
}

impl Tool {
    pub const ALL: [Self; 4] = [Self::Imgop, Self::Regsync, Self::Crane, Self::Skopeo];

    pub fn name(self) -> &'static str {
        match self {
            Self::Imgop => "imgop",
            Self::Regsync => "regsync",
            Self::Crane => "crane",
            Self::Skopeo => "skopeo",
        }
    }

    /// Returns what runs, for people.
    pub fn described(self) -> &'static str {
        match self {
            Self::Imgop => "imgop, without a cluster",
            Self::Regsync => "regsync once",
            Self::Crane => "crane cp",
            Self::Skopeo => "skopeo",
        }
    }
}

/// One run: what is started, and the repository of the destination that has the tags then.
#[derive(Debug, Clone)]
pub struct Copies {
    pub command: Vec<OsString>,
    pub repository: String,
}

impl Copies {
    /// Copies all tags of a repository of this host.
    pub fn of_repository(
        bench: &Bench,
        name: &str,
        tool: Tool,
        run: usize,
        (host, repository): (&str, &str),
    ) -> anyhow::Result<Self> {
        let (programs, place) = (&bench.programs, place(name, tool, run));
        let (from, to) = (format!("{host}/{repository}"), format!("{}/{place}", programs.target));
        let command = match tool {
            Tool::Imgop => words(&programs.plugin, &["copy", "--local", "--versions", "*", &from, &to]),
            Tool::Crane => words(&programs.crane(), &["cp", "-a", "-j", AT_ONCE, "--insecure", &from, &to]),
            Tool::Skopeo => {
                let tls = ["--src-tls-verify=false", "--dest-tls-verify=false"];
                let kinds = ["--src", "docker", "--dest", "docker", "--all", &from, &to];
                let all: Vec<&str> = ["sync"].into_iter().chain(tls).chain(kinds).collect();
                words(Path::new("skopeo"), &all)
            }
            Tool::Regsync => {
                let sync = json!([{"source": from, "target": to, "type": "repository"}]);
                regsync(programs, &place, &sync)?
            }
        };
        // It puts the repository's own name behind the destination.
        let repository = if tool == Tool::Skopeo { format!("{place}/{repository}") } else { place };
        Ok(Self { command, repository })
    }

    /// Copies one tag of the source.
    pub fn of_tag(
        bench: &Bench,
        name: &str,
        tool: Tool,
        run: usize,
        (repository, tag): (&str, &str),
    ) -> anyhow::Result<Self> {
        let (programs, place) = (&bench.programs, place(name, tool, run));
        let from = format!("{}/{repository}:{tag}", programs.source);
        let to = format!("{}/{place}", programs.target);
        let tagged = format!("{to}:{tag}");
        let command = match tool {
            Tool::Imgop => words(&programs.plugin, &["copy", "--local", &from, &to]),
            Tool::Crane => words(&programs.crane(), &["cp", "--insecure", &from, &tagged]),
            Tool::Skopeo => {
                let (from, to) = (format!("docker://{from}"), format!("docker://{tagged}"));
                let tls = ["--src-tls-verify=false", "--dest-tls-verify=false"];
                words(Path::new("skopeo"), &["copy", tls[0], tls[1], "--all", &from, &to])
            }
            Tool::Regsync => {
                let sync = json!([{"source": from, "target": tagged, "type": "image"}]);
                regsync(programs, &place, &sync)?
            }
        };
        Ok(Self { command, repository: place })
    }
}

/// Returns what copies a list below a path of the target.
pub fn list(
    bench: &Bench,
    tool: Tool,
    run: usize,
    below: &str,
    pairs: &[Pair],
) -> anyhow::Result<Vec<OsString>> {
    let programs = &bench.programs;
    let to = format!("{}/{below}", programs.target);
    if tool == Tool::Regsync {
        let entry = |pair: &Pair| {
            json!({
                "source": format!("{}/{}:{}", programs.source, pair.source, pair.tag),
                "target": format!("{to}/{}:{}", pair.target_name(), pair.tag),
                "type": "image",
            })
        };
        let sync: Vec<Value> = pairs.iter().map(entry).collect();
        return regsync(programs, below, &sync.into());
    }
    let file = inventory(programs, run, &to, pairs)?;
    Ok(words(&programs.plugin, &["run", "--file", &file.display().to_string()]))
}

/// Writes an ImageMirror that means the same: what the source has is at the target then, as after `regsync once`.
fn inventory(programs: &Programs, run: usize, to: &str, pairs: &[Pair]) -> anyhow::Result<PathBuf> {
    let mut entries: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for pair in pairs {
        entries.entry((&pair.source, pair.target_name())).or_default().push(&pair.tag);
    }
    let entry = |((source, target), tags): ((&str, &str), Vec<&str>)| json!({"source": format!("{}/{source}", programs.source), "targetName": target, "tags": tags});
    let entries: Vec<Value> = entries.into_iter().map(entry).collect();
    let mirror = json!({
        "apiVersion": "skopeo.io/v1alpha1",
        "kind": "ImageMirror",
        "metadata": {"name": "list"},
        "spec": {"entries": entries, "targets": [{"repository": to, "default": true}], "sync": "Follow"},
    });
    let file = programs.scratch.join(format!("list-{run}.yaml"));
    // JSON is YAML.
    std::fs::write(&file, mirror.to_string())?;
    Ok(file)
}

fn place(name: &str, tool: Tool, run: usize) -> String {
    let name = name.to_lowercase().replace(' ', "-");
    format!("first/{name}/{}-{run}", tool.name())
}

fn regsync(programs: &Programs, name: &str, sync: &Value) -> anyhow::Result<Vec<OsString>> {
    let registries =
        [&programs.source, &programs.target].map(|host| json!({"registry": host, "tls": "disabled"}));
    let config = json!({"version": 1, "creds": registries, "defaults": {"parallel": 16}, "sync": sync});
    let file = programs.scratch.join(format!("{}.yaml", name.replace('/', "-")));
    std::fs::write(&file, config.to_string())?;
    let file = file.display().to_string();
    Ok(words(&programs.peers.join("regsync"), &["once", "--config", &file]))
}

fn words(program: &Path, arguments: &[&str]) -> Vec<OsString> {
    std::iter::once(program.as_os_str().to_owned()).chain(arguments.iter().map(OsString::from)).collect()
}
