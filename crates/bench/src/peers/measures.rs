//! No-ops: what it costs to find that nothing has changed; and how a program is measured.

use std::ffi::{OsStr, OsString};

use anyhow::ensure;
use serde_json::Value;

use crate::data::{MULTI, Pair, SINGLE, Scale};
use crate::pages;
use crate::programs::{Pass, Programs};
use crate::report::{Figures, NoOps, say};
use imgop_bench::proxy::{Counts, Proxy};

/// Each figure is the median of this number of runs.
const RUNS: usize = 5;
/// regsync takes half a minute and more for the long list.
const LONG_RUNS: usize = 1;
/// What the proxies add to each request, in milliseconds.
const LATENCY: u64 = 20;
/// What imgop's pass has as `concurrency_per_registry`.
const CONCURRENCY: usize = 16;

/// What the measures need.
pub struct Bench {
    pub programs: Programs,
    pub source: Proxy,
    pub target: Proxy,
}

/// What a destination has after a copy: repositories, and how many tags each.
#[derive(Debug, Default)]
pub struct Expected {
    pub repositories: Vec<(String, usize)>,
}

impl Expected {
    /// Returns how many of the tags the registry does not have; its proxy is not asked.
    pub async fn missing(&self, bench: &Bench) -> anyhow::Result<usize> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let mut missing = 0;
        for (repository, tags) in &self.repositories {
            let url = format!("http://{}/v2/{repository}/tags/list", bench.target.registry);
            let list: Value = serde_json::from_slice(&client.get(url).send().await?.bytes().await?)?;
            missing += tags.saturating_sub(list["tags"].as_array().map_or(0, Vec::len));
        }
        Ok(missing)
    }
}

/// That nothing has changed: all of it, one after the other.
pub async fn all(bench: &Bench) -> anyhow::Result<NoOps> {
    let repository = bench.repository("repository", SINGLE, "v1.0.x", 100).await?;
    let platforms = bench.repository("multi-platform", MULTI, "v2.0.x", 20).await?;
    let list = bench.long_list("long list", true).await?;
    let mutable_list = bench.long_list("mutable list", false).await?;
    let paged = bench.paged_list().await?;
    say("choosing from 100,000 tags");
    let selecting = bench.programs.run(&[bench.programs.observe.as_ref(), "select".as_ref()]).await?;
    let selecting = serde_json::from_str(&selecting.output)?;
    Ok(NoOps { repository, platforms, list, mutable_list, paged, selecting })
}

impl Bench {
    /// One repository whose tags may move.
    async fn repository(
        &self,
        name: &str,
        repository: &str,
        version: &str,
        tags: usize,
    ) -> anyhow::Result<Vec<Figures>> {
        let programs = &self.programs;
        let copy = |tag: &str| {
            [Pair { source: repository.to_owned(), target: repository.to_owned(), tag: tag.to_owned() }]
        };
        let pass = Pass { immutable: false, share_lists_seconds: 0 };
        let job = programs.prepare_pass(repository, &copy(version), pass).await?;
        let regsync = programs.regsync_config(repository, CONCURRENCY, &copy(""))?;
        let jobs = CONCURRENCY.to_string();
        let [from, to] = [&programs.source, &programs.target].map(|host| format!("{host}/{repository}"));
        Ok(vec![
            self.imgop(name, &job, tags).await?,
            self.regsync(name, &["once", "--config"], &regsync, RUNS).await?,
            self.measure(
                &format!("{name}: crane cp -a -j {jobs}"),
                "crane",
                &programs.peers.join("crane"),
                &["cp", "-a", "-j", &jobs, "--insecure", &from, &to].map(OsStr::new),
                RUNS,
            )
            .await?,
        ])
    }

    /// The long list, one Image or one entry for each tag. crane has nothing that reads a list.
    async fn long_list(&self, name: &str, immutable: bool) -> anyhow::Result<Vec<Figures>> {
        let list = Scale::FULL.long_list();
        let file_name = if immutable { "list-immutable" } else { "list-mutable" };
        let pass = Pass { immutable, share_lists_seconds: 10 };
        let job = self.programs.prepare_pass(file_name, &list, pass).await?;
        let regsync = self.programs.regsync_config(file_name, CONCURRENCY, &list)?;
        let arguments: &[&str] =
            if immutable { &["once", "--missing", "--config"] } else { &["once", "--config"] };
        Ok(vec![
            self.imgop(name, &job, list.len()).await?,
            self.regsync(name, arguments, &regsync, LONG_RUNS).await?,
        ])
    }

    async fn imgop(&self, name: &str, job: &std::path::Path, tags: usize) -> anyhow::Result<Figures> {
        let arguments = [OsStr::new("observe"), job.as_ref()];
        let figures = self
            .measure(&format!("{name}: imgop"), "imgop", &self.programs.observe, &arguments, RUNS)
            .await?;
        ensure!(figures.output == tags.to_string(), "{name}: {} tags instead of {tags}", figures.output);
        Ok(figures)
    }

    async fn regsync(
        &self,
        name: &str,
        arguments: &[&str],
        config: &std::path::Path,
        runs: usize,
    ) -> anyhow::Result<Figures> {
        let mut all: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        all.push(config.as_ref());
        let program = self.programs.peers.join("regsync");
        let label = format!("{name}: regsync {}", arguments[..arguments.len() - 1].join(" "));
        self.measure(&label, "regsync", &program, &all, runs).await
    }

    /// Runs a program so often at each latency. Its requests must be the same each time.
    async fn measure(
        &self,
        label: &str,
        tool: &'static str,
        program: &std::path::Path,
        arguments: &[&OsStr],
        runs: usize,
    ) -> anyhow::Result<Figures> {
        let all = std::iter::once(program.as_ref()).chain(arguments.iter().copied());
        let command: Vec<OsString> = all.map(OsStr::to_owned).collect();
        self.measure_each(label, tool, runs, |_| command.clone(), |_| Expected::default()).await
    }

    /// Runs a program so often at each latency, with a command of its own each time.
    pub async fn measure_each(
        &self,
        label: &str,
        tool: &'static str,
        runs: usize,
        command: impl Fn(usize) -> Vec<OsString>,
        expected: impl Fn(usize) -> Expected,
    ) -> anyhow::Result<Figures> {
        say(label);
        let (mut number, mut failures) = (0, 0);
        let (mut requests, mut memory, mut output) = (None, Vec::new(), String::new());
        let (mut sent, mut read) = (Vec::new(), Vec::new());
        let mut seconds = [0, LATENCY].map(|latency| (latency, Vec::new()));
        for (latency, seconds) in &mut seconds {
            for _ in 0..runs {
                self.begin(*latency);
                let command = command(number);
                let arguments: Vec<&OsStr> = command.iter().map(AsRef::as_ref).collect();
                let expected = expected(number);
                let run = if expected.repositories.is_empty() {
                    self.programs.run(&arguments).await?
                } else {
                    self.programs.attempt(&arguments).await?
                };
                if let Some(error) = &run.error {
                    say(&format!("  it failed: {}", error.lines().last().unwrap_or_default()));
                }
                let counts = self.counts();
                sent.push(self.target.take_bytes().sent);
                read.push(self.source.take_bytes().read);
                failures += expected.missing(self).await?;
                number += 1;
                let before = requests.get_or_insert_with(|| counts.clone());
                if *before != counts {
                    say(&format!("  the requests differ: {before:?} and {counts:?}"));
                }
                seconds.push(run.seconds);
                memory.push(run.rss_mb);
                output = run.output;
            }
        }
        let [(_, at_once), (_, late)] = seconds;
        Ok(Figures {
            tool,
            requests_by_kind: requests.unwrap_or_default(),
            seconds_0ms: median(at_once, 1000.0),
            seconds_20ms: median(late, 1000.0),
            rss_mb: median(memory, 10.0),
            sent_bytes: median_count(sent),
            read_bytes: median_count(read),
            failures,
            runs,
            output,
        })
    }

    /// 10,000 tags in pages.
    async fn paged_list(&self) -> anyhow::Result<Figures> {
        let proxy = Proxy::start("source", pages::start().await?).await?;
        let repository = format!("{}/many", proxy.address);
        let bench = Self {
            source: proxy,
            target: Proxy::start("target", self.target.address).await?,
            programs: Programs {
                observe: self.programs.observe.clone(),
                plugin: self.programs.plugin.clone(),
                peers: self.programs.peers.clone(),
                scratch: self.programs.scratch.clone(),
                source: String::new(),
                target: String::new(),
            },
        };
        let arguments = ["list", &repository].map(OsStr::new);
        let label = "a list of 10,000 tags: imgop";
        let figures = bench.measure(label, "imgop", &bench.programs.observe, &arguments, RUNS).await?;
        ensure!(figures.output == pages::TAGS.to_string(), "{} tags", figures.output);
        Ok(figures)
    }

    /// Counts from here on, with this latency in milliseconds.
    pub fn begin(&self, latency: u64) {
        for proxy in [&self.source, &self.target] {
            proxy.set_latency(latency);
            proxy.take_counts();
            proxy.take_bytes();
        }
    }

    fn counts(&self) -> Counts {
        let mut counts = self.source.take_counts();
        counts.extend(self.target.take_counts());
        counts
    }
}

/// Returns the middle one, rounded to this number of parts of one.
pub fn median(mut numbers: Vec<f64>, precision: f64) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN);
    (middle * precision).round() / precision
}

pub fn median_count(mut numbers: Vec<u64>) -> u64 {
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}

/// Returns how many of a hundred a part is, in tenths.
pub fn percent(part: u64, of: u64) -> f64 {
    let tenths = part.saturating_mul(1_000) / of.max(1);
    u32::try_from(tenths).map_or(f64::INFINITY, f64::from) / 10.0
}
