//! Why the API server refuses the pods of a Job: in its own words, with what refuses them, and with the field or the
//! setting that helps. Kubernetes gives the words in events of the Job alone, and nowhere in its status.

use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::ListParams;

use super::Jobs;
use super::report::JobReport;
use crate::cluster::api_error::{ApiCause, printable};

/// How many events of a Job are read: the controller adds one for each try, and counts those that are alike.
const MAX_EVENTS: u32 = 20;
/// How Kubernetes' event begins, before the words of the API server.
const EVENT_PREFIX: &str = "Error creating: ";

/// What helps where pods of a kind are refused.
#[derive(Debug, Clone, Copy)]
pub struct Advice {
    /// The field of its spec that says what containers may use.
    pub resources: &'static str,
    /// How the agent's settings for that begin: `JOB` for `JOB_MEMORY_LIMIT`.
    pub settings: &'static [&'static str],
    /// What to do where the namespace's level of pod security is too strict.
    pub pod_security: &'static str,
}

impl Advice {
    /// That of kinds whose pods pass the level restricted.
    pub const RESTRICTED: Self = Self {
        resources: "spec.jobTemplate.resources",
        settings: &["JOB"],
        pod_security: "they pass the level restricted as the agent makes them: a webhook of the cluster changes them",
    };
}

/// What refuses a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    PodSecurity,
    ServiceAccount,
    PriorityClass,
    Quota,
    LimitRange,
}

impl By {
    /// Reads it from the words of the API server (plugin/pkg/admission and k8s.io/pod-security-admission).
    fn of(message: &str) -> Option<Self> {
        let is_limit = |text: &str| {
            (text.contains("usage per ") || text.contains("ratio per ")) && text.contains(" is ")
        };
        let marks: [(Self, &[&str]); 4] = [
            (Self::PodSecurity, &["violates PodSecurity"]),
            (Self::ServiceAccount, &["error looking up service account"]),
            (Self::PriorityClass, &["no PriorityClass"]),
            (Self::Quota, &["exceeded quota", "failed quota", "insufficient quota"]),
        ];
        let is_by = |marks: &[&str]| marks.iter().any(|mark| message.contains(mark));
        let found = marks.into_iter().find(|(_, marks)| is_by(marks)).map(|(by, _)| by);
        found.or_else(|| is_limit(message).then_some(Self::LimitRange))
    }

    /// As a sentence.
    fn what(self) -> &'static str {
        match self {
            Self::PodSecurity => "the namespace's level of pod security refuses the pod",
            Self::ServiceAccount => "the pod's service account cannot be used",
            Self::PriorityClass => "the pod's PriorityClass does not exist",
            Self::Quota => "a ResourceQuota of the namespace refuses the pod",
            Self::LimitRange => "a LimitRange of the namespace refuses the pod",
        }
    }

    fn help(self, message: &str, advice: &Advice) -> String {
        match self {
            Self::PodSecurity => advice.pod_security.to_owned(),
            Self::ServiceAccount => "create it, or change spec.jobTemplate.serviceAccountName".to_owned(),
            Self::PriorityClass => {
                "create it, or change spec.jobTemplate.priorityClassName, or JOB_PRIORITY_CLASS of \
                                    the agent"
                    .to_owned()
            }
            Self::Quota if !names_resources(message) => ABOUT_NUMBERS.to_owned(),
            Self::Quota if message.contains("exceeded quota") => {
                format!("raise the ResourceQuota, or {}", about_resources(message, advice))
            }
            Self::Quota | Self::LimitRange => about_resources(message, advice),
        }
    }
}

/// What helps where there may be no more Jobs or pods.
const ABOUT_NUMBERS: &str = "raise the ResourceQuota, or lower MAX_JOBS_PER_NAMESPACE of the agent";
/// The resources of containers, and how settings name them.
const RESOURCES: [(&str, &str); 3] =
    [("cpu", "CPU"), ("memory", "MEMORY"), ("ephemeral-storage", "EPHEMERAL_STORAGE")];

fn names_resources(message: &str) -> bool {
    RESOURCES.iter().any(|(name, _)| message.contains(name))
}

/// Returns which field and which settings say what a container may use, of the resources that are named.
fn about_resources(message: &str, advice: &Advice) -> String {
    let of_named =
        RESOURCES.into_iter().filter(|(name, _)| message.contains(name)).map(|(_, setting)| setting);
    let settings: Vec<String> = of_named
        .flat_map(|name| advice.settings.iter().map(move |prefix| (prefix, name)))
        // Builds have no setting for disk: what they need of it differs too much.
        .filter(|(prefix, name)| **prefix == "JOB" || *name != "EPHEMERAL_STORAGE")
        .map(|(prefix, name)| format!("{prefix}_{name}_REQUEST and {prefix}_{name}_LIMIT"))
        .collect();
    let or_settings = match settings.as_slice() {
        [] => String::new(),
        some => format!(", or {} of the agent", some.join(", ")),
    };
    format!("set {}{or_settings}", advice.resources)
}

/// Returns why a pod is refused, for people.
pub fn refusal_of_pod(message: &str, advice: &Advice) -> String {
    let words = printable(without_name(message.trim_start_matches(EVENT_PREFIX)));
    match By::of(&words) {
        Some(by) => format!("{}: {words}; {}", by.what(), by.help(&words, advice)),
        None => format!("the API server refuses the pod: {words}"),
    }
}

/// Returns why a Job is refused, for people.
pub(super) fn refusal_of_job(message: String) -> String {
    if message.contains("count/jobs") {
        return format!("{message}; {ABOUT_NUMBERS}");
    }
    if message.contains("spec.template.spec.") {
        return format!("{message}; check spec.jobTemplate, and the agent's settings that begin with JOB_");
    }
    message
}

/// Returns the words without the name of a pod that never was.
fn without_name(message: &str) -> &str {
    message
        .split_once(" is forbidden: ")
        .filter(|(pod, _)| pod.starts_with("pods "))
        .map_or(message, |(_, why)| why)
}

impl Jobs {
    /// Says in the reports of Jobs without a pod why there is none, where events tell it and may be read.
    pub async fn explain(&self, reports: &mut [JobReport], advice: &Advice) {
        for report in reports.iter_mut().filter(|report| report.is_without_pod) {
            let Some(uid) = &report.uid else { continue };
            match self.newest_refusal(&report.namespace, uid).await {
                Ok(Some(message)) => report.is_stuck_because(&refusal_of_pod(&message, advice)),
                Ok(None) => {}
                Err(error) => {
                    let (namespace, job) = (&report.namespace, &report.name);
                    tracing::debug!(namespace, job, %error, "cannot read the events of a Job");
                }
            }
        }
    }

    async fn newest_refusal(&self, namespace: &str, uid: &str) -> Result<Option<String>, ApiCause> {
        let of_job = format!("involvedObject.uid={uid},reason=FailedCreate");
        let params = ListParams::default().fields(&of_job).limit(MAX_EVENTS);
        let events: Api<Event> = Api::namespaced(self.0.client.clone(), namespace);
        let events = events.list(&params).await.map_err(|error| ApiCause::of(&error))?;
        let last_seen = |event: &Event| event.last_timestamp.as_ref().map(|time| time.0);
        let newest = events.items.into_iter().max_by_key(last_seen);
        Ok(newest.and_then(|event| event.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADVICE: Advice = Advice {
        resources: "spec.jobTemplate.resources",
        settings: &["JOB"],
        pod_security: "change the level",
    };

    fn refusal(words: &str) -> String {
        refusal_of_pod(&format!("{EVENT_PREFIX}pods \"imgop-a-0123-\" is forbidden: {words}"), &ADVICE)
    }

    #[test]
    fn each_refusal_names_what_refuses_and_the_field_or_setting_that_helps() {
        let refusals = [
            "maximum memory usage per Container is 256Mi, but limit is 512Mi",
            "[minimum cpu usage per Container is 100m, but request is 10m, maximum memory usage per Pod is 1Gi, but limit is 5Gi]",
            "failed quota: compute: must specify limits.cpu for: copy-0",
            "exceeded quota: compute, requested: pods=1, used: pods=4, limited: pods=4",
            "violates PodSecurity \"restricted:latest\": privileged",
            "error looking up service account a/puller: serviceaccount \"puller\" not found",
            "no PriorityClass with name low was found",
            "a policy says no",
        ];
        insta::assert_snapshot!(refusals.map(refusal).join("\n"), @r#"
    a LimitRange of the namespace refuses the pod: maximum memory usage per Container is 256Mi, but limit is 512Mi; set spec.jobTemplate.resources, or JOB_MEMORY_REQUEST and JOB_MEMORY_LIMIT of the agent
    a LimitRange of the namespace refuses the pod: [minimum cpu usage per Container is 100m, but request is 10m, maximum memory usage per Pod is 1Gi, but limit is 5Gi]; set spec.jobTemplate.resources, or JOB_CPU_REQUEST and JOB_CPU_LIMIT, JOB_MEMORY_REQUEST and JOB_MEMORY_LIMIT of the agent
    a ResourceQuota of the namespace refuses the pod: failed quota: compute: must specify limits.cpu for: copy-0; set spec.jobTemplate.resources, or JOB_CPU_REQUEST and JOB_CPU_LIMIT of the agent
    a ResourceQuota of the namespace refuses the pod: exceeded quota: compute, requested: pods=1, used: pods=4, limited: pods=4; raise the ResourceQuota, or lower MAX_JOBS_PER_NAMESPACE of the agent
    the namespace's level of pod security refuses the pod: violates PodSecurity "restricted:latest": privileged; change the level
    the pod's service account cannot be used: error looking up service account a/puller: serviceaccount "puller" not found; create it, or change spec.jobTemplate.serviceAccountName
    the pod's PriorityClass does not exist: no PriorityClass with name low was found; create it, or change spec.jobTemplate.priorityClassName, or JOB_PRIORITY_CLASS of the agent
    the API server refuses the pod: a policy says no
    "#);
    }

    #[test]
    fn a_refused_job_names_the_setting_or_the_field() {
        let quota = "exceeded quota: few, requested: count/jobs.batch=1".to_owned();
        assert!(refusal_of_job(quota).ends_with("MAX_JOBS_PER_NAMESPACE of the agent"));
        let field = "Job.batch \"x\" is invalid: spec.template.spec.affinity: Invalid value".to_owned();
        assert!(refusal_of_job(field).contains("; check spec.jobTemplate"));
        assert_eq!(refusal_of_job("a policy says no".to_owned()), "a policy says no");
    }
}
