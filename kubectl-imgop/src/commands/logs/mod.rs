//! `kubectl imgop logs`.

mod attempts;
mod place;
mod wanted;

use std::time::Duration;

use clap::Args;
use futures::future::try_join_all;
use jiff::Timestamp;
use kube::api::LogParams;
use tokio::time::sleep;

use crate::args::pick::OneArgs;
use crate::cli_error::{CliError, Outcome};
use crate::cluster::pod_logs::Streamed;
use crate::cluster::{ConnectionArgs, TimeLimit};
use crate::kinds::JobContainer;
use crate::output::Ui;
use attempts::{Attempt, POD_TIMEOUT, Pods, Sought};
use place::{ObjectJobs, of_children};
use wanted::{Run, Wanted};

/// How often it is asked whether the next container has started.
const NEXT_CONTAINER_INTERVAL: Duration = Duration::from_secs(1);

/// Print the logs of the newest Job of an Image, or of the newest build of an ImageBuilder
///
/// Each tag of an Image is copied by a container of its own, or by one for each part of it where --platforms or
/// --referrers select parts; with the engine Native one container copies many, and its log says how many bytes have moved.
/// Each platform of a build has a Job with three containers, one after the other: prepare,
/// build and push. Jobs and their logs are deleted an hour after they ended, by default (those of builds as the
/// ImageBuilder says); kubectl imgop describe shows for longer what became of them. Exit code 1 means that nothing
/// was logged.
#[derive(Debug, Args)]
pub struct LogsArgs {
    #[command(flatten)]
    one: OneArgs,

    /// Print only the newest copy of this tag
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,

    /// Print the logs of this build, by its number, in place of the newest one
    #[arg(long, value_name = "NUMBER", conflicts_with = "tag")]
    build: Option<u64>,

    /// Print only the logs of this platform of a build, such as linux/arm64
    #[arg(long, value_name = "PLATFORM", conflicts_with = "tag")]
    platform: Option<String>,

    #[arg(short, long, help = follow_help())]
    follow: bool,

    /// Print the logs of the pod before the newest one: of an earlier try, or of the Job before
    #[arg(short, long, conflicts_with = "follow")]
    previous: bool,

    /// How many lines to print of each container, from the end
    #[arg(long, value_name = "LINES", value_parser = clap::value_parser!(u32))]
    tail: Option<u32>,

    /// Print only what was logged within this time, such as 5m
    #[arg(long, value_name = "DURATION")]
    since: Option<TimeLimit>,
}

/// Returns the help of `--follow`.
fn follow_help() -> String {
    format!(
        "Print what is logged from now on too, until copies or builds end; each line begins with its tag or platform. \
         A Job's pod is waited for until the Job ends, {}s at most, and a container until its pod \
         ends; without a Job nothing is waited for",
        POD_TIMEOUT.as_secs()
    )
}

/// Prints logs.
pub async fn run(ui: Ui, args: &LogsArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let (cluster, found) = args.one.find(ui, connection).await?;
    if let Some(error) = of_children(&cluster, &found) {
        return Err(error);
    }
    let wanted = Wanted {
        works_on: args.tag.clone().or_else(|| args.platform.clone()),
        run: args.build,
        previous: args.previous,
        waits_for_pod: args.follow,
    };
    let jobs = ObjectJobs::of(&cluster, &found).await?;
    let now = Timestamp::now();
    let pods = Pods { ui, cluster: &cluster, jobs: &jobs, found: &found, wanted: &wanted, now };
    let (runs, logs) = (pods.runs()?, Logs { ui, args });
    let printed = if args.follow {
        try_join_all(runs.iter().map(|run| logs.of_run(&pods, run, runs.len()))).await?
    } else {
        let mut printed = Vec::new();
        for run in &runs {
            printed.push(logs.of_run(&pods, run, runs.len()).await?);
        }
        printed
    };
    // Scripts must not mistake a container that has not started for one that had nothing to say.
    Ok(if printed.contains(&true) { Outcome::Done } else { Outcome::NotReady })
}

/// How following a container ended.
enum Followed {
    /// Its log was printed to its end.
    Whole,
    /// It never started; in Kubernetes' words, unless they were said while it was waited for.
    NeverStarted(Option<String>),
}

/// Prints logs as the arguments ask for.
struct Logs<'a> {
    ui: Ui,
    args: &'a LogsArgs,
}

impl Logs<'_> {
    /// Prints the logs of one run. Returns whether there are any. Where there are several runs, one without a pod is a warning.
    async fn of_run(&self, pods: &Pods<'_>, run: &Run, number: usize) -> Result<bool, CliError> {
        match pods.attempt(run).await? {
            Sought::Found(attempt) if !self.args.follow => self.print(&attempt).await,
            Sought::Found(attempt) if pods.found.kind.job_words().in_sequence => {
                self.follow_in_sequence(&attempt).await
            }
            Sought::Found(attempt) => self.follow(&attempt).await,
            Sought::Missing(error) if number == 1 => Err(error),
            Sought::Missing(error) => {
                let container = run.first().and_then(|(_, containers)| containers.first());
                let works_on = container.map_or("", |container| container.works_on.as_str());
                self.ui.warned(&error.of(works_on, number));
                Ok(false)
            }
        }
    }

    /// Prints one container after the other, each under a heading. Returns whether any has a log.
    async fn print(&self, attempt: &Attempt) -> Result<bool, CliError> {
        let mut is_printed = false;
        for container in &attempt.containers {
            let JobContainer { name, works_on, .. } = container;
            let mut heading = Some(format!("==> {works_on} (pod {}, container {name}) <==", attempt.pod));
            let printed = self.stream(attempt, container, |line| {
                heading.take().map_or(Ok(()), |heading| self.ui.data(&heading))?;
                self.ui.data(&format!("{line}\n"))
            });
            match printed.await? {
                Streamed::Whole => is_printed = true,
                Streamed::NotStarted(why) => self.ui.note(&why),
            }
        }
        Ok(is_printed)
    }

    /// Prints all containers at once, each line with its tag, until they end. Returns whether any has a log.
    async fn follow(&self, attempt: &Attempt) -> Result<bool, CliError> {
        let print = async |container: &JobContainer| {
            let followed = self.follow_container(attempt, container).await?;
            Ok::<_, CliError>(self.has_log(followed))
        };
        Ok(try_join_all(attempt.containers.iter().map(print)).await?.contains(&true))
    }

    /// Prints each container when it runs, until the pod ends. Returns whether any has a log.
    async fn follow_in_sequence(&self, attempt: &Attempt) -> Result<bool, CliError> {
        let mut is_printed = false;
        for container in &attempt.containers {
            match self.follow_container(attempt, container).await? {
                Followed::Whole => is_printed = true,
                // Nor do those after it. Behind one that has failed there is nothing to say of that.
                Followed::NeverStarted(_) if is_printed => break,
                followed @ Followed::NeverStarted(_) => return Ok(self.has_log(followed)),
            }
        }
        Ok(is_printed)
    }

    /// Returns whether there was a log; says why there is none, unless that was said.
    fn has_log(&self, followed: Followed) -> bool {
        match followed {
            Followed::Whole => true,
            Followed::NeverStarted(why) => {
                if let Some(why) = why {
                    self.ui.note(&why);
                }
                false
            }
        }
    }

    /// Prints a container, each line with its tag, once it has started; says why it has not. One that has not when its pod
    /// ends never does.
    async fn follow_container(
        &self,
        attempt: &Attempt,
        container: &JobContainer,
    ) -> Result<Followed, CliError> {
        let (mut has_ended, mut is_first, mut said) = (false, true, None);
        loop {
            let printed = self.stream(attempt, container, |line| self.prefixed(container, line)).await?;
            let Streamed::NotStarted(why) = printed else { return Ok(Followed::Whole) };
            if has_ended {
                return Ok(Followed::NeverStarted((said.as_ref() != Some(&why)).then_some(why)));
            }
            // It may have run since it was asked for: it is asked for once more when the pod has ended.
            has_ended = attempt.cluster.pod_has_ended(&attempt.pod).await?;
            if has_ended {
                continue;
            }
            // For a moment each one has not started, such as those that run one after the other.
            if !std::mem::take(&mut is_first) && said.as_ref() != Some(&why) {
                self.ui.note(&why);
                said = Some(why);
            }
            sleep(NEXT_CONTAINER_INTERVAL).await;
        }
    }

    fn prefixed(&self, container: &JobContainer, line: &str) -> Result<(), CliError> {
        self.ui.data(&format!("[{}] {line}\n", container.works_on))
    }

    /// Reads the log of a container line by line.
    async fn stream(
        &self,
        attempt: &Attempt,
        container: &JobContainer,
        show: impl FnMut(&str) -> Result<(), CliError>,
    ) -> Result<Streamed, CliError> {
        let since = self.args.since.and_then(TimeLimit::limit);
        let which = LogParams {
            container: Some(container.name.clone()),
            follow: self.args.follow,
            tail_lines: self.args.tail.map(i64::from),
            since_seconds: since.map(|since| i64::try_from(since.as_secs().max(1)).unwrap_or(i64::MAX)),
            ..LogParams::default()
        };
        attempt.cluster.read_log(&attempt.pod, &which, show).await
    }
}
