//! The program that is measured beside its peers: what the agent does to see whether anything is to
//! be copied, without Kubernetes. `crates/bench/run-peers` starts it, once for each
//! pass.
//!
//! A first pass with `save` writes down what the destination answered, as the agent remembers it;
//! a second one with `known` begins with that.

mod selecting;

use std::collections::HashMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::future::try_join_all;
use imgop_core::api::{Destination, ImageSpec, Mode, Source};
use imgop_core::copy::{CopyRequest, Known, Limits, Observed, Sides, TagState, observe};
use imgop_registry::reference::Digest;
use imgop_registry::reference::Tag;
use imgop_registry::{Access, Registries, Settings};
use serde::Deserialize;

/// Requests that may be under way at one registry; crane gets the same with `-j`.
const CONCURRENCY: usize = 16;

/// What to observe.
#[derive(Deserialize)]
struct Job {
    copies: Vec<Copy>,
    /// Whether no tag ever moves.
    immutable: bool,
    /// For how long lists are shared, in seconds.
    share_lists_seconds: u64,
    /// Where to read what the destination answered last.
    known: Option<PathBuf>,
    /// Where to write what it answered.
    save: Option<PathBuf>,
}

/// One Image.
#[derive(Deserialize)]
struct Copy {
    source: String,
    version: String,
    destination: String,
}

/// What destinations answered, by repository and tag.
type Answers = HashMap<String, HashMap<Tag, Digest>>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let text = match arguments[..] {
        ["observe", job] => observe_all(serde_json::from_slice(&std::fs::read(job)?)?).await?,
        ["list", repository] => {
            let client = registries(0).repository(&repository.parse()?, &Access::default());
            client.tags().await?.len().to_string()
        }
        ["select"] => selecting::measured()?,
        _ => bail!("usage: imgop-bench-observe observe JOB | list REPOSITORY | select"),
    };
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

fn registries(share_lists_seconds: u64) -> Registries {
    Registries::new(Settings {
        concurrency_per_registry: CONCURRENCY,
        tag_list_ttl: Duration::from_secs(share_lists_seconds),
        system_proxy: false,
        ..Settings::default()
    })
}

/// Observes everything at once, as the agent does with Images that are due at the same time. Says
/// how many tags it found up to date, and fails if there are others.
async fn observe_all(job: Job) -> anyhow::Result<String> {
    let mut known: HashMap<String, Known> = HashMap::new();
    if let Some(file) = &job.known {
        let answers: Answers = serde_json::from_slice(&std::fs::read(file)?)?;
        known = answers
            .into_iter()
            .map(|(repository, at_destination)| (repository, Known { at_destination, ..Known::default() }))
            .collect();
    }
    let registries = registries(job.share_lists_seconds);
    let nothing = Known::default();
    let passes = job.copies.iter().map(|copy| {
        let known = known.get(&copy.destination).unwrap_or(&nothing);
        observe_one(&registries, copy, job.immutable, known)
    });
    let mut answers = Answers::new();
    let mut up_to_date = 0;
    for (copy, observed) in job.copies.iter().zip(try_join_all(passes).await?) {
        for tag in observed.tags {
            if !matches!(tag.state(), TagState::UpToDate | TagState::AlreadySynced) {
                bail!("{}:{} is {}", copy.destination, tag.destination_tag, tag.state());
            }
            up_to_date += 1;
            if let (Some(digest), Some(_)) = (tag.destination.digest(), &job.save) {
                let of_repository = answers.entry(copy.destination.clone()).or_default();
                of_repository.insert(tag.destination_tag, digest.clone());
            }
        }
    }
    if let Some(file) = &job.save {
        std::fs::write(file, serde_json::to_vec(&answers)?)?;
    }
    Ok(up_to_date.to_string())
}

async fn observe_one(
    registries: &Registries,
    copy: &Copy,
    immutable: bool,
    known: &Known,
) -> anyhow::Result<Observed> {
    let request = CopyRequest::parse(&ImageSpec::new(
        Mode::Recurrent,
        Source {
            immutable_tags: if immutable { vec!["*".into()] } else { Vec::new() },
            ..Source::new(&copy.source, &copy.version)
        },
        Destination::new(&copy.destination),
    ))?;
    let sides = Sides {
        source: registries.repository(&request.source, &Access::default()),
        destination: Some(registries.repository(&request.destination, &Access::default())),
    };
    observe(&sides, &request, known, Limits::default())
        .await
        .with_context(|| format!("{} to {}", copy.source, copy.destination))
}
