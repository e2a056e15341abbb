//! Conditions as kstatus reads them: `Ready` is always there; `Reconciling` and `Stalled` are
//! there only while true (sigs.k8s.io/cli-utils, kstatus).

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Every tag is at the destination.
pub const READY: &str = "Ready";
/// The agent is at work, or will try again.
pub const RECONCILING: &str = "Reconciling";
/// Nothing more happens until the spec or what it names is changed.
pub const STALLED: &str = "Stalled";

/// What an object controls is ready, whatever else is wrong with it.
pub const CHILDREN_READY: &str = "ChildrenReady";

/// Reasons of conditions and events, in one place so that they are stable words. docs/troubleshooting.md has them all.
pub mod reasons {
    /// Every tag is at the destination.
    pub const SUCCEEDED: &str = "Succeeded";
    /// Copies run.
    pub const PROGRESSING: &str = "Progressing";
    /// Something failed and is tried again.
    pub const PROGRESSING_WITH_RETRY: &str = "ProgressingWithRetry";
    /// `spec.suspend` is set.
    pub const SUSPENDED: &str = "Suspended";
    /// The spec cannot be acted on.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// The version selects no tag of the source.
    pub const NO_MATCHING_TAGS: &str = "NoMatchingTags";
    /// Some tags of a `OneShot` are younger than `select.minAge`; the others are there.
    pub const TAGS_TOO_YOUNG: &str = "TagsTooYoung";
    /// The version selects more tags than the cap.
    pub const TOO_MANY_TAGS: &str = "TooManyTags";
    /// The tag, or one of the tags, is not at the source.
    pub const TAG_NOT_FOUND: &str = "TagNotFound";
    /// A tag at the source has none of the platforms that are wanted.
    pub const PLATFORM_NOT_FOUND: &str = "PlatformNotFound";
    /// A tag at the source is in a format that cannot be copied.
    pub const FORMAT_UNSUPPORTED: &str = "FormatUnsupported";
    /// At least one copy failed.
    pub const COPY_FAILED: &str = "CopyFailed";
    /// An older Image keeps other content under the same tag of the destination.
    pub const DESTINATION_CONFLICT: &str = "DestinationConflict";
    /// No administrator lets this namespace write to the destination.
    pub const DESTINATION_NOT_ALLOWED: &str = "DestinationNotAllowed";
    /// Two objects of administrators contradict each other.
    pub const ACCESS_CONFLICT: &str = "RegistryAccessConflict";
    /// What administrators have granted is not known.
    pub const ACCESS_UNKNOWN: &str = "RegistryAccessUnknown";
    /// A registry refuses the credentials, or wants some.
    pub const REGISTRY_UNAUTHORIZED: &str = "RegistryUnauthorized";
    /// A registry allows no more requests for now.
    pub const REGISTRY_RATE_LIMITED: &str = "RegistryRateLimited";
    /// A registry does not answer, or not in its protocol.
    pub const REGISTRY_UNREACHABLE: &str = "RegistryUnreachable";
    /// The source has no such repository.
    pub const REPOSITORY_NOT_FOUND: &str = "RepositoryNotFound";
    /// The repository of the destination cannot be created, or not be made what the spec says.
    pub const REPOSITORY_NOT_READY: &str = "RepositoryNotReady";
    /// A Secret that the spec names cannot be used.
    pub const SECRET_UNUSABLE: &str = "SecretUnusable";
    /// The agent may not work in this namespace.
    pub const NAMESPACE_NOT_ENABLED: &str = "NamespaceNotEnabled";
    /// The agent may not see the workloads of the cluster.
    pub const WORKLOADS_NOT_ALLOWED: &str = "WorkloadsNotAllowed";
    /// The API server does not list the workloads of the cluster.
    pub const WORKLOADS_UNKNOWN: &str = "WorkloadsUnknown";
    /// The API server refuses the Job.
    pub const JOB_REFUSED: &str = "JobRefused";
    /// Another object has the name of our Job.
    pub const NAME_CONFLICT: &str = "NameConflict";
    /// The agent itself is at fault.
    pub const INTERNAL_ERROR: &str = "InternalError";
    /// A file of an inventory cannot be used.
    pub const INVENTORY_UNREADABLE: &str = "InventoryUnreadable";
    /// Entries of an inventory would put several sources under one tag.
    pub const ENTRIES_CONFLICT: &str = "EntriesConflict";
    /// Another Image has the name of one that an inventory asks for.
    pub const NAME_TAKEN: &str = "NameTaken";
    /// Many Images would be deleted in one step.
    pub const PRUNE_HELD: &str = "PruneHeld";
    /// The API server refuses an Image of an inventory.
    pub const IMAGE_REFUSED: &str = "ImageRefused";
    /// There is no room for an Image of a mirror in the agent's memory, or it cannot be read.
    pub const IMAGE_NOT_KEPT: &str = "ImageNotKept";
    /// At least one Image of an inventory is not ready.
    pub const IMAGES_NOT_READY: &str = "ImagesNotReady";
    /// An event: a pod cannot pull an image that its registry has.
    pub const IMAGE_IS_THERE: &str = "ImageIsThere";
    /// An event: a pod cannot pull an image, and no origin has it.
    pub const ORIGIN_NOT_FOUND: &str = "OriginNotFound";
    /// An event: a pod cannot pull an image, and more were copied for its namespace than may be in an hour.
    pub const ORIGIN_LIMIT_REACHED: &str = "OriginLimitReached";
    /// A user ended the build.
    pub const CANCELLED: &str = "Cancelled";
    /// Of events alone: a Job that copies was created.
    pub const COPY_SCHEDULED: &str = "CopyScheduled";
    /// Of events alone: the repository of a destination was created.
    pub const REPOSITORY_CREATED: &str = "RepositoryCreated";
    /// Of events alone: a repository of a destination got a policy of the spec.
    pub const REPOSITORY_POLICY_SET: &str = "RepositoryPolicySet";
    /// Of events alone: a repository keeps its policies, because imgop did not create it.
    pub const REPOSITORY_NOT_ADOPTED: &str = "RepositoryNotAdopted";
    /// Of events alone: a tag of the destination was deleted that is no longer selected.
    pub const TAG_DELETED: &str = "TagDeleted";
    /// Of events alone: a Job that builds was created.
    pub const BUILD_STARTED: &str = "BuildStarted";
}

/// Returns the condition of a type.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}

/// Returns whether a condition is there and true.
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|c| c.status == "True")
}

/// A condition to be written, without its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCondition {
    /// [`READY`], [`RECONCILING`], [`STALLED`] or [`CHILDREN_READY`].
    pub type_: &'static str,
    /// Whether it holds; `None` is "Unknown".
    pub status: Option<bool>,
    /// One of [`reasons`].
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

/// Gives each new condition its transition time: the old one while status and reason are the same, else `now`. A reason
/// that changes is written anyway, and whoever reads how long something lasts means what the reason says. Old conditions
/// that are not among the new ones are gone.
pub fn merge(
    old: &[Condition],
    new: Vec<NewCondition>,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    new.into_iter()
        .map(|condition| {
            let status = match condition.status {
                Some(true) => "True",
                Some(false) => "False",
                None => "Unknown",
            };
            let since = find(old, condition.type_)
                .filter(|c| c.status == status && c.reason == condition.reason)
                .map_or(Time(now), |c| c.last_transition_time.clone());
            Condition {
                type_: condition.type_.to_owned(),
                status: status.to_owned(),
                reason: condition.reason.to_owned(),
                message: condition.message,
                observed_generation: generation,
                last_transition_time: since,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(status: bool) -> NewCondition {
        NewCondition {
            type_: READY,
            status: Some(status),
            reason: reasons::SUCCEEDED,
            message: String::new(),
        }
    }

    #[test]
    fn the_transition_time_moves_when_the_status_flips_or_the_reason_is_another_one() {
        let (first, later): (Timestamp, Timestamp) =
            ("2026-01-01T00:00:00Z".parse().unwrap(), "2026-01-02T00:00:00Z".parse().unwrap());
        let old = merge(&[], vec![ready(false)], Some(1), first);
        let same = merge(&old, vec![ready(false)], Some(2), later);
        assert_eq!(same[0].last_transition_time, Time(first));
        assert_eq!(same[0].observed_generation, Some(2));
        let message = NewCondition { message: "2 of 3 tags".into(), ..ready(false) };
        assert_eq!(merge(&old, vec![message], Some(2), later)[0].last_transition_time, Time(first));
        let flipped = merge(&old, vec![ready(true)], Some(2), later);
        assert_eq!(flipped[0].last_transition_time, Time(later));
        let reason = NewCondition { reason: reasons::PROGRESSING, ..ready(false) };
        assert_eq!(merge(&old, vec![reason], Some(2), later)[0].last_transition_time, Time(later));
    }

    #[test]
    fn conditions_that_no_longer_hold_are_gone() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let stalled = NewCondition {
            type_: STALLED,
            status: Some(true),
            reason: reasons::INVALID_SPEC,
            message: "x".into(),
        };
        let old = merge(&[], vec![ready(false), stalled], None, now);
        assert!(is_true(&old, STALLED));
        let new = merge(&old, vec![ready(true)], None, now);
        assert!(find(&new, STALLED).is_none());
    }
}
