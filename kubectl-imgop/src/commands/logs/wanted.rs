//! Which of an object's Jobs are wanted. Pure.

use k8s_openapi::api::batch::v1::Job;

use crate::kinds::{JobContainer, KindRef};
use crate::output::text::count;

/// Which logs are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Those of this tag, or of this platform.
    pub works_on: Option<String>,
    /// Those of this build.
    pub run: Option<u64>,
    /// Those of the pod before the newest one.
    pub previous: bool,
    /// Whether a pod that is to come is waited for.
    pub waits_for_pod: bool,
}

/// Jobs that do the same, the newest first, with their containers.
pub type Run = Vec<(Job, Vec<JobContainer>)>;

/// Whether there are Jobs of the run that is wanted, whatever they work on.
pub fn works_on_any(kind: KindRef, jobs: &[Job], wanted: &Wanted) -> bool {
    !runs(kind, jobs, &Wanted { works_on: None, ..wanted.clone() }).is_empty()
}

/// Returns the Jobs whose logs are wanted. Where Jobs are parts of one build, those of each part are one run.
pub fn runs(kind: KindRef, jobs: &[Job], wanted: &Wanted) -> Vec<Run> {
    let jobs = working_on(kind, jobs, wanted);
    let Some(number) = wanted.run.or_else(|| jobs.first().and_then(|(job, _)| kind.run_of(job))) else {
        return if jobs.is_empty() { Vec::new() } else { vec![jobs] };
    };
    let mut runs: Vec<Run> = Vec::new();
    for (job, containers) in jobs.into_iter().filter(|(job, _)| kind.run_of(job) == Some(number)) {
        let part = |(_, other): &(Job, Vec<JobContainer>)| *other == containers;
        match runs.iter_mut().find(|run| run.first().is_some_and(part)) {
            Some(run) => run.push((job, containers)),
            None => runs.push(vec![(job, containers)]),
        }
    }
    runs
}

/// Returns the Jobs that work on what is wanted, each with the containers that do. The Jobs come newest first.
fn working_on(kind: KindRef, jobs: &[Job], wanted: &Wanted) -> Run {
    let is_selected = |container: &JobContainer| {
        wanted.works_on.as_ref().is_none_or(|what| container.works_on == *what || container.writes == *what)
    };
    let selected = jobs.iter().filter_map(|job| {
        let all = kind.containers(job)?;
        let selected: Vec<String> =
            all.iter().filter(|it| is_selected(it)).map(|it| it.name.clone()).collect();
        let mut containers = each_once(all);
        containers.retain(|container| selected.contains(&container.name));
        (!containers.is_empty()).then(|| (job.clone(), containers))
    });
    selected.collect()
}

/// Returns each container once. One that works on several things has one log for all of them.
fn each_once(all: Vec<JobContainer>) -> Vec<JobContainer> {
    let mut once: Vec<(JobContainer, usize)> = Vec::new();
    for container in all {
        match once.iter_mut().find(|(known, _)| known.name == container.name) {
            Some((_, number)) => *number += 1,
            None => once.push((container, 1)),
        }
    }
    let named = |(container, number): (JobContainer, usize)| match number {
        1 => container,
        _ => JobContainer { works_on: count(number, "tag"), ..container },
    };
    once.into_iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use imgop_core::api::ImageBuilder;
    use kube::ResourceExt as _;
    use serde_json::json;

    use super::*;
    use crate::kinds::{DEFAULT_KIND, Erased};

    fn job(name: &str, tags: &[&str]) -> Job {
        let copies: Vec<_> = tags
            .iter()
            .map(|tag| {
                json!({ "source": tag, "destination": format!("mirror-{tag}"), "attempt": 1,
                               "digest": format!("sha256:{}", "0".repeat(64)) })
            })
            .collect();
        serde_json::from_value(json!({ "metadata": { "name": name,
            "annotations": { "imgop.skopeo.io/copies": serde_json::to_string(&copies).unwrap() } } }))
        .unwrap()
    }

    fn of(kind: KindRef, jobs: &[Job], tag: Option<&str>) -> Vec<(Job, Vec<JobContainer>)> {
        working_on(kind, jobs, &Wanted { works_on: tag.map(str::to_owned), ..Wanted::default() })
    }

    #[test]
    fn the_newest_job_that_copies_the_tag_is_selected() {
        let jobs = [job("new", &["1.2", "1.1"]), job("old", &["1.1", "1.0"])];
        let named = |tag: Option<&str>| {
            let (job, containers) = of(DEFAULT_KIND, &jobs, tag).into_iter().next().unwrap_or_default();
            let job = job.name_any();
            containers.iter().map(|c| format!("{job}/{} {}", c.name, c.works_on)).collect::<Vec<_>>()
        };
        assert_eq!(named(None), ["new/copy-0 1.2", "new/copy-1 1.1"]);
        assert_eq!(named(Some("1.1")), ["new/copy-1 1.1"]);
        assert_eq!(named(Some("mirror-1.0")), ["old/copy-1 1.0"]);
        assert!(named(Some("0.9")).is_empty());
    }

    #[test]
    fn each_part_of_a_copy_has_a_log() {
        let digest = |letter: &str| format!("sha256:{}", letter.repeat(64));
        let copies = json!([
            { "source": "1.0", "destination": "1.0", "attempt": 1, "digest": digest("0"),
              "madeOf": { "origin": { "platformsOf": digest("1") }, "parts": [digest("2"), digest("3")] } },
            { "source": "1.1", "destination": "1.1", "attempt": 1, "digest": digest("4") },
        ]);
        let mut job = job("j", &[]);
        job.annotations_mut().insert("imgop.skopeo.io/copies".to_owned(), copies.to_string());
        let named = |tag: Option<&str>| {
            let jobs = of(DEFAULT_KIND, std::slice::from_ref(&job), tag);
            let (_, containers) = jobs.into_iter().next().unwrap_or_default();
            containers.into_iter().map(|c| format!("{} {}", c.name, c.works_on)).collect::<Vec<_>>()
        };
        assert_eq!(named(None), ["copy-0 1.0", "copy-0-1 1.0", "copy-1 1.1"]);
        assert_eq!(named(Some("1.0")), ["copy-0 1.0", "copy-0-1 1.0"]);
    }

    #[test]
    fn the_one_container_of_many_tags_has_one_log_whichever_of_them_is_asked_for() {
        let mut job = job("j", &["1.2", "1.1"]);
        let pod = json!({ "template": { "spec": { "containers": [{ "name": "copy" }] } } });
        job.spec = Some(serde_json::from_value(pod).unwrap());
        for (tag, expected) in
            [(None, &["copy 2 tags"][..]), (Some("1.1"), &["copy 2 tags"]), (Some("0.9"), &[])]
        {
            let jobs = of(DEFAULT_KIND, std::slice::from_ref(&job), tag);
            let containers = jobs.into_iter().flat_map(|(_, containers)| containers);
            let named: Vec<String> = containers.map(|it| format!("{} {}", it.name, it.works_on)).collect();
            assert_eq!(named, expected, "{tag:?}");
        }
    }

    #[test]
    fn a_build_is_all_its_platforms_each_with_its_last_try() {
        let job = |name: &str, number: u64, platform: &str| -> Job {
            let part = json!({ "number": number, "platform": platform, "attempt": 1 }).to_string();
            serde_json::from_value(json!({ "metadata": { "name": name,
                "annotations": { "imgop.skopeo.io/build": part } } }))
            .unwrap()
        };
        let jobs = [
            job("amd-2", 7, "linux/amd64"),
            job("arm-1", 7, "linux/arm64"),
            job("amd-1", 7, "linux/amd64"),
            job("old", 6, "linux/amd64"),
        ];
        let named = |wanted: Wanted| -> Vec<String> {
            let runs = runs(Erased::<ImageBuilder>::REF, &jobs, &wanted);
            let first = |run: &Run| run.first().map(|(job, containers)| (job.name_any(), containers.len()));
            runs.iter().filter_map(first).map(|(name, containers)| format!("{name} {containers}")).collect()
        };
        assert_eq!(named(Wanted::default()), ["amd-2 3", "arm-1 3"]);
        let arm = Wanted { works_on: Some("linux/arm64".to_owned()), ..Wanted::default() };
        assert_eq!(named(arm), ["arm-1 3"]);
        assert_eq!(named(Wanted { run: Some(6), ..Wanted::default() }), ["old 3"]);
        assert!(named(Wanted { run: Some(5), ..Wanted::default() }).is_empty());
    }
}
