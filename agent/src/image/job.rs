//! The Job that copies a batch of tags: one pod, one container for each thing that is copied as it is: a
//! tag, or a part of an index that is made afterwards.
//!
//! Each container's exit code, and the digest or the error text it ended with, stand in the pod's
//! status; no shell is needed and no log is read.

use std::collections::BTreeMap;
use std::time::Duration;

use imgop_core::api::{COPIES_ANNOTATION, ImageSpec, Publish, ROUTE_ANNOTATION, Side, container_name};
use imgop_core::commands::SkopeoCopy;
use imgop_core::copy::{Copy, CopyRecord, CopyRequest, Order};
use imgop_registry::reference::Digest;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Container, VolumeMount};

use crate::cluster::owner::Owner;
use crate::config::Config;
use crate::jobs::refusals::Advice;
use crate::jobs::template::{JobOptions, JobTemplate, PodNeeds, TERMINATION_LOG, container};
use crate::registry_access::files::EndpointFiles;
use crate::registry_access::lent::{LentAccess, secret_name};

/// What helps where the pods of Jobs are refused.
pub const ADVICE: Advice = Advice {
    resources: "spec.jobTemplate.resources",
    settings: &["JOB"],
    pod_security: "they pass the level restricted as the agent makes them: a webhook of the cluster changes them",
};

/// Returns the Job for a batch, in the namespace of its owner; where something is lent, its files are in a Secret of its
/// own. Its name is a hash of what it does and for whom, so that creating it twice makes it once, and no two Images, tags
/// or namespaces meet (seed bugs B6, B18).
pub fn job(
    owner: &Owner,
    spec: &ImageSpec,
    request: &CopyRequest,
    batch: &[Copy],
    order: Order,
    config: &Config,
    lent: Option<&LentAccess>,
) -> Job {
    let records = records(batch);
    let options = options(spec, config, lent.is_some());
    let deadline_seconds = options.deadline_seconds.unwrap_or(config.job_deadline_seconds);
    let files = [(Side::Source, &request.source), (Side::Destination, &request.destination)];
    let files = files.map(|(side, place)| match lent {
        None => EndpointFiles::of(owner, side, place, spec.endpoint(side)),
        Some(lent) => {
            let secret = secret_name(owner, &identity(request, batch));
            EndpointFiles::lent(&secret, side, place, lent.side(side))
        }
    });
    let container_of = |name: String, command: &SkopeoCopy| {
        let mounts: Vec<VolumeMount> = files.iter().flat_map(|files| files.mounts.clone()).collect();
        let resources = &options.resources;
        container(name, config.job_image(), "skopeo", command.arguments(), &mounts, resources)
    };
    let timeout = Duration::from_secs(deadline_seconds.into());
    let mut containers: Vec<Container> = batch
        .iter()
        .enumerate()
        .flat_map(|(index, copy)| commands(index, copy, request, &files, timeout))
        .map(|(name, command)| container_of(name, &command))
        .collect();
    let init_containers = match order {
        Order::FirstAlone if containers.len() > 1 => containers.drain(..1).collect(),
        _ => Vec::new(),
    };
    let route = request.route();
    JobTemplate {
        owner,
        app: "imgop-copy",
        identity: identity(request, batch),
        annotations: BTreeMap::from([
            (COPIES_ANNOTATION.to_owned(), records),
            (ROUTE_ANNOTATION.to_owned(), route),
        ]),
        init_containers,
        containers,
        volumes: files.into_iter().flat_map(|files| files.volumes).collect(),
        deadline_seconds,
        ttl_seconds: Some(config.job_deletion_delay_seconds),
        pod: PodNeeds::default(),
        options,
    }
    .build()
}

/// Returns the most seconds that a Job may take, wherever it runs.
pub fn deadline_seconds(spec: &ImageSpec, config: &Config) -> u32 {
    spec.job_template.active_deadline_seconds.unwrap_or(config.job_deadline_seconds)
}

/// Returns what a Job has of its spec and of the settings. `is_elsewhere` says that it runs in the namespace of Jobs that use
/// what is lent.
pub fn options(spec: &ImageSpec, config: &Config, is_elsewhere: bool) -> JobOptions {
    if is_elsewhere {
        let (ttl, deadline) = (config.job_deletion_delay_seconds, config.job_deadline_seconds);
        config.job_options(&spec.job_template.outside_of_namespace(ttl, deadline))
    } else {
        config.job_options(&spec.job_template)
    }
}

/// Returns what the Job of a batch does, whole.
pub fn identity(request: &CopyRequest, batch: &[Copy]) -> String {
    format!("{}\n{}", request.route(), records(batch))
}

fn records(batch: &[Copy]) -> String {
    let records: Vec<CopyRecord> = batch.iter().map(CopyRecord::from).collect();
    serde_json::to_string(&records).unwrap_or_default()
}

/// Returns what the containers of one copy run, by their names: one for each of its parts.
fn commands(
    index: usize,
    copy: &Copy,
    request: &CopyRequest,
    [source, destination]: &[EndpointFiles; 2],
    timeout: Duration,
) -> Vec<(String, SkopeoCopy)> {
    let parts = copy.parts().iter().enumerate();
    let command_of = |(part, digest): (usize, &Digest)| {
        // Nothing but the whole belongs under the tag.
        let is_whole = request.publish == Publish::Direct && copy.made_of.is_none();
        let command = SkopeoCopy {
            source: source.endpoint.clone(),
            destination: destination.endpoint.clone(),
            digest: digest.clone(),
            tag: is_whole.then(|| copy.destination_tag.clone()),
            digest_file: TERMINATION_LOG.into(),
            timeout,
        };
        (container_name(index, part), command)
    };
    parts.map(command_of).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use imgop_core::api::{Credentials, Image, Mode};
    use k8s_openapi::api::core::v1::Container;

    use super::*;
    use crate::image::tests::fixtures::{copy, image, request, subset};

    fn config() -> Config {
        Config::parse_from([
            "imgop-agent",
            "--watch-namespaces=*",
            "--skopeo-image=quay.io/skopeo/stable:v1.16.1",
        ])
    }

    fn job_of(image: &Image, copies: &[Copy], order: Order, config: &Config) -> Job {
        let request = request(image);
        job(&Owner::of(image), &image.spec, &request, copies, order, config, None)
    }

    fn made(image: &Image, tags: &[&str]) -> Job {
        let copies: Vec<Copy> = tags.iter().map(|tag| copy(tag, 1)).collect();
        job_of(image, &copies, Order::FirstAlone, &config())
    }

    fn name_of(job: &Job) -> &str {
        job.metadata.name.as_deref().unwrap()
    }

    #[test]
    fn the_job_of_two_tags() {
        let job = made(&image(Mode::OnceByTag), &["v2.13.1", "v2.13.0"]);
        insta::assert_snapshot!(serde_saphyr::to_string(&job).unwrap());
    }

    #[test]
    fn the_job_of_a_tag_and_of_an_index_of_two_platforms() {
        let image = image(Mode::OnceByTag);
        let copies = [copy("v2.13.1", 1), subset("v2.13.0")];
        let job = job_of(&image, &copies, Order::FirstAlone, &config());
        let pod = job.spec.unwrap().template.spec.unwrap();
        let containers = pod.init_containers.iter().flatten().chain(&pod.containers);
        let line = |container: &Container| {
            let arguments = container.args.as_deref().unwrap_or_default();
            format!("{}: {}", container.name, arguments[arguments.len() - 2..].join(" "))
        };
        let mut text: Vec<String> = containers.map(line).collect();
        text.extend(job.metadata.annotations.unwrap().remove(COPIES_ANNOTATION));
        insta::assert_snapshot!(text.join("\n"));
    }

    #[test]
    fn b6_names_are_valid_and_never_meet() {
        let mut names = std::collections::HashSet::new();
        let tags = ["RELEASE.2024-01-01T00-00-00Z", "v1_2021", "1.2.3", "1-2-3", "1.2-3", "v1.2.3"];
        for name in ["argocd", "argo.cd", "argo-cd", &"a".repeat(200)] {
            let mut image = image(Mode::OneShot);
            image.metadata.name = Some(name.to_owned());
            image.metadata.uid = Some(format!("uid of {name}"));
            for tag in tags {
                let job = made(&image, &[tag]);
                let name = name_of(&job).to_owned();
                assert!(name.len() <= 63 && !name.ends_with('-'), "{name}");
                assert!(
                    name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                    "{name}"
                );
                assert!(names.insert(name.clone()), "{name} twice");
            }
        }
    }

    #[test]
    fn b18_images_of_one_name_in_two_namespaces_have_jobs_of_their_own() {
        let (one, mut two) = (image(Mode::OneShot), image(Mode::OneShot));
        two.metadata.namespace = Some("team-b".into());
        two.metadata.uid = Some("another".into());
        assert_ne!(name_of(&made(&one, &["1"])), name_of(&made(&two, &["1"])));
        assert_eq!(made(&two, &["1"]).metadata.namespace.as_deref(), Some("team-b"));
    }

    #[test]
    fn the_same_copies_make_the_same_name_and_the_next_try_another() {
        let image = image(Mode::OneShot);
        let again = job_of(&image, &[copy("1", 2)], Order::Together, &config());
        assert_eq!(name_of(&made(&image, &["1"])), name_of(&made(&image, &["1"])));
        assert_ne!(name_of(&made(&image, &["1"])), name_of(&again));
    }

    #[test]
    fn c4_a_copy_has_the_whole_time_of_its_job_and_each_try_its_own() {
        // A timeout of requests ended the copy of a large image, and every try after it.
        let mut image = image(Mode::OneShot);
        image.spec.job_template.active_deadline_seconds = Some(86_400);
        let mut config = config();
        let of = |attempt: u32, config: &Config| {
            let job = job_of(&image, &[copy("1", attempt)], Order::Together, config);
            let (name, spec) = (job.metadata.name.clone(), job.spec.unwrap());
            let arguments = spec.template.spec.unwrap().containers[0].args.clone().unwrap();
            (name, spec.active_deadline_seconds, arguments)
        };
        let (first, deadline, arguments) = of(1, &config);
        assert_eq!(deadline, Some(86_400));
        assert!(arguments.contains(&"--command-timeout=86400s".to_owned()), "{arguments:?}");
        let (second, deadline, _) = of(2, &config);
        assert!(first != second && deadline == Some(86_400), "another Job, whose time begins anew");
        config.registry_list_timeout = 1;
        assert_eq!(of(1, &config).2, arguments, "what requests may take is another setting");
    }

    #[test]
    fn b3_the_job_is_kept_for_as_long_as_the_setting_says() {
        let mut config = config();
        config.job_deletion_delay_seconds = 77;
        let image = image(Mode::OneShot);
        let job = job_of(&image, &[copy("1", 1)], Order::Together, &config);
        assert_eq!(job.spec.unwrap().ttl_seconds_after_finished, Some(77));
    }

    #[test]
    fn a_job_that_uses_what_is_lent_is_there_no_longer_than_the_settings_say() {
        let mut image = image(Mode::OneShot);
        image.spec.job_template = serde_json::from_value(serde_json::json!({
            "ttlSecondsAfterFinished": 31_536_000, "activeDeadlineSeconds": 604_800, "backoffLimit": 10,
            "nodeSelector": { "pool": "tenants" }, "imagePullSecrets": [{ "name": "tenants" }],
        }))
        .unwrap();
        let lent = options(&image.spec, &config(), true);
        let times = (lent.ttl_seconds, lent.deadline_seconds, lent.backoff_limit);
        assert_eq!(times, (Some(3600), Some(3600), 0));
        assert!(lent.node_selector.is_empty() && lent.pull_secrets.is_empty());
        assert_eq!(options(&image.spec, &config(), false).deadline_seconds, Some(604_800));
    }

    #[test]
    fn b2_b5_credentials_are_files_of_their_own_side_and_nothing_is_a_shell() {
        let mut image = image(Mode::OneShot);
        image.spec.source.credentials = Some(Credentials { secret_name: "origin".into() });
        let job = made(&image, &["v2.13.1"]);
        let pod = job.spec.unwrap().template.spec.unwrap();
        let container = &pod.containers[0];
        assert_eq!(container.command.as_deref(), Some(["skopeo".to_owned()].as_slice()));
        let arguments = container.args.as_ref().unwrap();
        assert!(arguments.contains(&"--src-authfile=/imgop/source/auth/auth.json".to_owned()));
        assert!(arguments.contains(&"--dest-authfile=/imgop/destination/auth/auth.json".to_owned()));
        let environment: Vec<&str> = container.env.iter().flatten().map(|v| v.name.as_str()).collect();
        assert_eq!(environment, ["HOME", "TMPDIR"]);
    }

    #[test]
    fn b11_either_side_may_have_a_token_of_aws_and_jobs_mount_it_as_a_file() {
        for (side, name) in [(Side::Source, "source"), (Side::Destination, "destination")] {
            let mut image = image(Mode::OneShot);
            image.spec.destination.credentials = None;
            let ecr = "111111111111.dkr.ecr.eu-west-3.amazonaws.com/argocd".to_owned();
            if side == Side::Source {
                (image.spec.source.name, image.spec.source.use_aws_irsa) = (ecr, true);
            } else {
                (image.spec.destination.name, image.spec.destination.use_aws_irsa) = (ecr, true);
            }
            let pod = made(&image, &["1"]).spec.unwrap().template.spec.unwrap();
            let volumes = pod.volumes.unwrap();
            let auth: Vec<_> = volumes.iter().filter(|volume| volume.name.ends_with("-auth")).collect();
            assert_eq!(auth.len(), 1);
            assert_eq!(auth[0].name, format!("{name}-auth"));
            let secret = auth[0].secret.as_ref().unwrap();
            assert_eq!(
                secret.secret_name,
                Some(crate::registry_access::aws::secret_name(&Owner::of(&image), side.as_str()))
            );
            let arguments = pod.containers[0].args.clone().unwrap().join(" ");
            assert!(arguments.contains(&format!("/imgop/{name}/auth/auth.json")), "{arguments}");
        }
    }

    #[test]
    fn nothing_of_the_images_own_metadata_is_copied() {
        let mut image = image(Mode::OneShot);
        image.metadata.labels = Some([("secret".to_owned(), "x".to_owned())].into());
        image.metadata.annotations = Some([("last-applied".to_owned(), "x".to_owned())].into());
        let text = serde_json::to_string(&made(&image, &["1"])).unwrap();
        assert!(!text.contains("last-applied") && !text.contains("\"secret\":\"x\""));
    }
}
