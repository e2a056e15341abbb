//! `ImageBuilders` of which the images are built already: no pod is ever needed.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::body::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use imgop_core::api::conditions::{READY, is_true};
use imgop_core::api::{
    BaseImageStatus, BuildReason, BuildRecord, BuildResult, BuiltImage, BuiltImageStatus, Context,
    DestinationStatus, GitContext, ImageBuilder, ImageBuilderSpec, ImageBuilderStatus, PullRegistry,
    RebuildOn, SourceStatus, Tls, TlsMode,
};
use imgop_core::build::{BuildKey, BuildRequest, DestinationKey, ObservedInputs};
use imgop_fakes::{GitBehaviour, GitRepository, GitServer, INDEX};
use imgop_registry::reference::Digest;
use imgop_tests::wait;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::images::{NAMESPACE, REPOSITORIES, repository};
use crate::report::{Counts, IdleBuilders, WatchingBuilders, say, total};
use crate::scenarios::{Marks, SETTLE, SHORT, megabytes, quiet};
use crate::setup::Setup;

/// Builders that watch their bases and their git repositories.
const WATCHING: usize = 100;
/// Base images that they are built on.
const BASES: usize = 5;
/// Repositories that they are built from.
const GIT_REPOSITORIES: usize = 20;
/// Their frequency, as the spec says it and as time.
const FREQUENCY: (&str, Duration) = ("1m", Duration::from_mins(1));
/// Periods that are counted.
const PERIODS: u32 = 3;
/// Builders that only lie there.
const IDLE: usize = 1000;
const DEADLINE: Duration = Duration::from_mins(10);
/// The tag of all base images; `crates/bench/run` has filled it.
const TAG: &str = "1.0.0";

/// Measures what builders ask of registries and git servers that watch the same few bases and repositories.
pub async fn watching(setup: &Setup) -> anyhow::Result<WatchingBuilders> {
    say(&format!("{WATCHING} builders on {BASES} bases and {GIT_REPOSITORIES} git repositories"));
    let repositories = setup.api_server.join("git");
    std::fs::create_dir_all(&repositories)?;
    let git = GitServer::start(&repositories, GitBehaviour::Open);
    let commits: Vec<String> = (0..GIT_REPOSITORIES).map(|n| commit(&repositories, n)).collect();
    let builders = Builders::new(setup).await?;
    let specs = (0..WATCHING).map(|number| {
        let (base, repository) = (number % BASES, number % GIT_REPOSITORIES);
        let mut spec = builders.spec(number);
        spec.context = Some(Context {
            git: Some(GitContext {
                url: format!("{}/{}", git.url, git_name(repository)),
                revision: Some("trunk".to_owned()),
                depth: 1,
                ..GitContext::default()
            }),
            ..Context::default()
        });
        FREQUENCY.0.clone_into(&mut spec.frequency);
        spec.rebuild_on = vec![RebuildOn::Source, RebuildOn::BaseImage];
        let inputs =
            ObservedInputs { commit: Some(commits[repository].clone()), ..builders.inputs_on(base, &spec)? };
        Ok((number, spec, inputs))
    });
    builders.built(specs.collect::<anyhow::Result<_>>()?).await?;
    let agent = setup.start_agent().await?;
    builders.all_are_ready(WATCHING).await?;
    quiet(&agent, "settling", SETTLE).await?;

    let (before, asked_before) = (Marks::now(setup).await?, git.requests());
    quiet(&agent, "counting", FREQUENCY.1 * PERIODS).await?;
    let (after, asked) = (Marks::now(setup).await?, git.requests() - asked_before);
    let seen = after.since(&before, setup)?;
    let api_writes = setup.audit_log.count(before.audit, after.audit)?.writes;
    let jobs = builders.jobs().await?;
    agent.stop().await?;
    builders.delete().await?;
    Ok(WatchingBuilders {
        builders: WATCHING,
        bases: BASES,
        git_repositories: GIT_REPOSITORIES,
        head_per_period: per_period(heads(&seen.source)),
        registry_requests_per_period: per_period(total(&seen.source) + total(&seen.target)),
        git_requests_per_period: per_period(u64::try_from(asked)?),
        jobs,
        api_writes,
    })
}

/// Measures what builders cost in memory that have nothing to do.
pub async fn idle(setup: &Setup) -> anyhow::Result<IdleBuilders> {
    say(&format!("the agent idling with {IDLE} builders"));
    let agent = setup.start_agent().await?;
    quiet(&agent, "settling without them", SETTLE).await?;
    let without = agent.memory()?;
    agent.stop().await?;
    let builders = Builders::new(setup).await?;
    let specs = (0..IDLE).map(|number| {
        let spec = builders.spec(number);
        let inputs = builders.inputs_on(number % REPOSITORIES, &spec)?;
        Ok((number, spec, inputs))
    });
    builders.built(specs.collect::<anyhow::Result<_>>()?).await?;
    let agent = setup.start_agent().await?;
    builders.all_are_ready(IDLE).await?;
    quiet(&agent, "settling", SETTLE).await?;
    let (with, before, began) = (agent.memory()?, Marks::now(setup).await?, Instant::now());
    quiet(&agent, "counting", SHORT).await?;
    let (after, elapsed) = (Marks::now(setup).await?, began.elapsed());
    let api_writes = setup.audit_log.count(before.audit, after.audit)?.writes;
    let jobs = builders.jobs().await?;
    agent.stop().await?;
    builders.delete().await?;
    Ok(IdleBuilders {
        builders: IDLE,
        rss_mb: megabytes(with.resident)?,
        rss_mb_without: megabytes(without.resident)?,
        rss_anonymous_mb: megabytes(with.anonymous)?,
        rss_anonymous_mb_without: megabytes(without.anonymous)?,
        window_seconds: elapsed.as_secs(),
        jobs,
        api_writes,
    })
}

fn per_period(count: u64) -> f64 {
    let count = u32::try_from(count).map_or(f64::INFINITY, f64::from);
    (count / f64::from(PERIODS) * 10.0).round() / 10.0
}

fn heads(counts: &Counts) -> u64 {
    counts.iter().filter(|(kind, _)| kind.contains("HEAD")).map(|(_, count)| count).sum()
}

fn git_name(number: usize) -> String {
    format!("app-{number}")
}

/// Makes a git repository, and returns its one commit.
fn commit(root: &Path, number: usize) -> String {
    let repository = GitRepository::new(root, &git_name(number));
    repository.commit(&[("file", &number.to_string())])
}

/// The builders of the bench, and what their bases and their images are: the same content.
struct Builders<'a> {
    setup: &'a Setup,
    api: Api<ImageBuilder>,
    client: reqwest::Client,
    content: Bytes,
}

/// A builder's number, what it builds, and what its image was built from.
type Built = (usize, ImageBuilderSpec, ObservedInputs);

impl<'a> Builders<'a> {
    async fn new(setup: &'a Setup) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let url = format!("http://{}/v2/{}/manifests/{TAG}", setup.source.address, repository(0));
        let answer = client.get(url).header("accept", INDEX).send().await?.error_for_status()?;
        let content = answer.bytes().await?;
        Ok(Self { setup, api: Api::namespaced(setup.client.clone(), NAMESPACE), client, content })
    }

    /// A spec whose image is the one that `crates/bench/run` has put there, unlike all others by its label.
    fn spec(&self, number: usize) -> ImageBuilderSpec {
        let base = self.base(number % BASES);
        let plain = Tls { mode: TlsMode::PlainHttp, ca_secret_name: None };
        let path = format!("{}/{}", self.setup.source.address, repository(number));
        // Two builders of one tag are a conflict.
        let image =
            BuiltImage { tls: Some(plain.clone()), ..BuiltImage::new(path, format!("{TAG}-{number}")) };
        ImageBuilderSpec {
            platforms: vec!["linux/amd64".to_owned()],
            source: Some(format!("FROM {base}\nLABEL number={number}\n")),
            registries: vec![PullRegistry {
                host: self.setup.source.address.clone(),
                tls: plain,
                ..PullRegistry::default()
            }],
            ..ImageBuilderSpec::new(image)
        }
    }

    fn base(&self, number: usize) -> String {
        format!("{}/{}:{TAG}", self.setup.source.address, repository(number))
    }

    fn inputs_on(&self, base: usize, spec: &ImageBuilderSpec) -> anyhow::Result<ObservedInputs> {
        let bases = [(self.base(base).parse()?, Digest::of(&self.content))].into();
        let dockerfile = spec.source.as_ref().map(|text| Digest::of(text.as_bytes()));
        Ok(ObservedInputs { dockerfile, bases, ..ObservedInputs::default() })
    }

    /// Makes builders, with the status that they have after their build.
    async fn built(&self, all: Vec<Built>) -> anyhow::Result<()> {
        let make = |(number, spec, inputs): Built| async move {
            let name = format!("builder-{number}");
            let status = self.status(&spec, &inputs)?;
            self.push(&spec.image).await?;
            let builder = ImageBuilder::new(&name, spec);
            self.api.create(&PostParams::default(), &builder).await.context("cannot make a builder")?;
            let patch = Patch::Merge(json!({ "status": status }));
            self.api.patch_status(&name, &PatchParams::default(), &patch).await?;
            anyhow::Ok(())
        };
        futures::stream::iter(all).map(make).buffer_unordered(16).try_collect().await
    }

    async fn push(&self, image: &BuiltImage) -> anyhow::Result<()> {
        let path = image.name.replacen('/', "/v2/", 1);
        let url = format!("http://{path}/manifests/{}", image.version);
        let put = self.client.put(url).header("content-type", INDEX).body(self.content.clone());
        put.send().await?.error_for_status()?;
        Ok(())
    }

    fn status(&self, spec: &ImageBuilderSpec, inputs: &ObservedInputs) -> anyhow::Result<ImageBuilderStatus> {
        let request = BuildRequest::parse(spec).map_err(|error| anyhow::anyhow!("{error}"))?;
        let DestinationKey { repository, tags } = DestinationKey::of(&request.destination);
        let (now, digest) = (Time(Timestamp::now()), Digest::of(&self.content).to_string());
        let base = |(reference, digest): (_, &Digest)| BaseImageStatus {
            reference: ToString::to_string(reference),
            digest: digest.to_string(),
        };
        Ok(ImageBuilderStatus {
            observed_generation: Some(1),
            last_generation_seen: 1,
            image: Some(BuiltImageStatus {
                digest: digest.clone(),
                repository: Some(repository.to_string()),
                tags: vec![spec.image.version.clone()],
                built_at: Some(now.clone()),
                ..BuiltImageStatus::default()
            }),
            source: Some(SourceStatus {
                revision: inputs.commit.as_ref().map(|_| "trunk".to_owned()),
                commit: inputs.commit.clone(),
                dockerfile_digest: inputs.dockerfile.as_ref().map(ToString::to_string),
                ..SourceStatus::default()
            }),
            base_images: inputs.bases.iter().map(base).collect(),
            key: Some(BuildKey::new(&request, inputs).to_string()),
            destination: Some(DestinationStatus {
                repository: repository.to_string(),
                tags_digest: tags.to_string(),
                defaults_from: None,
            }),
            history: vec![BuildRecord {
                number: 1,
                reason: BuildReason::SpecChanged,
                changes: None,
                result: BuildResult::Succeeded,
                failure: None,
                message: None,
                digest: Some(digest.clone()),
                started_at: Some(now.clone()),
                duration: None,
            }],
            last_build_time: Some(now.clone()),
            last_successful_build_time: Some(now),
            pushed: true,
            ..ImageBuilderStatus::default()
        })
    }

    async fn all_are_ready(&self, count: usize) -> anyhow::Result<()> {
        wait::poll("all builders are ready", DEADLINE, || async {
            let list = self.api.list(&ListParams::default()).await?.items;
            let ready = list
                .iter()
                .filter_map(|builder| builder.status.as_ref())
                .filter(|status| is_true(&status.conditions, READY))
                .count();
            Ok((ready == count).then_some(()))
        })
        .await
    }

    /// Returns how many Jobs there are: none was ever needed.
    async fn jobs(&self) -> anyhow::Result<usize> {
        let jobs: Api<Job> = Api::namespaced(self.setup.client.clone(), NAMESPACE);
        Ok(jobs.list(&ListParams::default()).await?.items.len())
    }

    async fn delete(&self) -> anyhow::Result<()> {
        self.api.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
        wait::poll("all builders are deleted", DEADLINE, || async {
            let left = self.api.list(&ListParams::default().limit(1)).await?.items;
            Ok(left.is_empty().then_some(()))
        })
        .await
    }
}
