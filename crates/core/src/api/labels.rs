//! The names by which programs find what the agent makes: labels, annotations, keys of Secrets, containers.

/// A new token in this annotation asks for a sync now; the agent echoes it in
/// `status.lastHandledRequestedAt`.
pub const REQUESTED_AT_ANNOTATION: &str = "imgop.skopeo.io/requested-at";

/// A new value in this annotation asks that what failed is tried again as if it had never failed; the agent echoes
/// it in `status.lastHandledReset`. [`Reset`](crate::reset::Reset) reads it.
pub const RESET_ANNOTATION: &str = "imgop.skopeo.io/reset";

/// A new token in this annotation asks that the build that runs is ended; the agent echoes it in
/// `status.lastHandledCancelRequestedAt`.
pub const CANCEL_REQUESTED_AT_ANNOTATION: &str = "imgop.skopeo.io/cancel-requested-at";

/// The label by which the agent finds its own Jobs and pods.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// The value of [`MANAGED_BY_LABEL`] on everything that the agent makes.
pub const MANAGED_BY: &str = "imgop";

/// The label that says what something is; on Jobs what they do, such as `imgop-copy`.
pub const NAME_LABEL: &str = "app.kubernetes.io/name";

/// The label that says what something belongs to.
pub const PART_OF_LABEL: &str = "app.kubernetes.io/part-of";

/// The annotation of a Job that holds a hash of the template that it was made from.
pub const TEMPLATE_ANNOTATION: &str = "imgop.skopeo.io/template";

/// The label that holds the UID of the object that a Job or a Secret belongs to. Its value is from when Images
/// were the only kind.
pub const OWNER_UID_LABEL: &str = "imgop.skopeo.io/image-uid";

/// The label by which Kubernetes marks the pods of a Job with the Job's name.
pub const JOB_NAME_LABEL: &str = "batch.kubernetes.io/job-name";

/// The annotation of a Job that holds the tags that it copies, as JSON.
pub const COPIES_ANNOTATION: &str = "imgop.skopeo.io/copies";

/// The annotation of a Job that holds the repositories between which it copies, and how: its outcome counts
/// only for a spec with the same route.
pub const ROUTE_ANNOTATION: &str = "imgop.skopeo.io/route";

/// The annotation of a Job that holds whose it is, as JSON, where its owner is in another namespace.
pub const OWNER_ANNOTATION: &str = "imgop.skopeo.io/owner";

/// The annotation of a Job that holds which part of which build it is, as JSON.
pub const BUILD_ANNOTATION: &str = "imgop.skopeo.io/build";

/// The label of an Image that holds the name of the `ImageMirror` that it belongs to, shortened where it is too long for a
/// label.
pub const MIRROR_LABEL: &str = "imgop.skopeo.io/mirror";

/// The label of an Image that holds the name of the `WorkloadMirror` that it belongs to, shortened where it is too long for
/// a label.
pub const WORKLOAD_MIRROR_LABEL: &str = "imgop.skopeo.io/workload-mirror";

/// The label of an Image of a `WorkloadMirror` that copies what pods could not pull.
pub const ON_THE_FLY_LABEL: &str = "imgop.skopeo.io/on-the-fly";

/// The annotation of an Image of a `WorkloadMirror` that holds since when no workload names which of its tags and
/// platforms, as JSON.
pub const UNUSED_SINCE_ANNOTATION: &str = "imgop.skopeo.io/unused-since";

/// The annotation of a workload, or of its pod template, that keeps it from being mirrored where it is `"false"`.
pub const NOT_MIRRORED_ANNOTATION: &str = "imgop.skopeo.io/mirror";

/// The annotation of an Image of an `ImageMirror` that holds which of its tags version sources have added, with commas.
pub const FOUND_TAGS_ANNOTATION: &str = "imgop.skopeo.io/found-tags";

/// The annotation of an Image that holds a hash of what its `ImageMirror` last wrote of its spec.
pub const MIRRORED_SPEC_ANNOTATION: &str = "imgop.skopeo.io/mirrored-spec";

/// The annotation of an Image that names the `ImageMirror` with which it was suspended.
pub const SUSPENDED_WITH_ANNOTATION: &str = "imgop.skopeo.io/suspended-with";

/// The annotation of an Image that lets the `ImageMirror` of this name take it over.
pub const ADOPT_ANNOTATION: &str = "imgop.skopeo.io/adopt";

/// The annotation of an `ImageMirror` that lets Images go whose deletion is held: what [`prune_release`] returns.
pub const PRUNE_ANNOTATION: &str = "imgop.skopeo.io/prune";

/// Returns the value of [`PRUNE_ANNOTATION`] for one sync: the generation of the spec, and the token in
/// [`REQUESTED_AT_ANNOTATION`]. Neither a later spec nor a later sync has it.
pub fn prune_release(generation: i64, sync: &str) -> String {
    format!("{generation}/{sync}")
}

/// The key of a Secret of type `kubernetes.io/dockerconfigjson`.
pub const DOCKER_CONFIG_KEY: &str = ".dockerconfigjson";

/// The key of a CA Secret that holds the certificates.
pub const CA_KEY: &str = "ca.crt";

/// The name of the one container of a Job whose copies the agent's own program makes.
pub const NATIVE_CONTAINER: &str = "copy";

/// Returns the name of the container that copies this part of the nth copy of a Job. Most copies have one
/// part.
pub fn container_name(index: usize, part: usize) -> String {
    match part {
        0 => format!("copy-{index}"),
        part => format!("copy-{index}-{part}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_a_copy_has_a_container_and_the_first_is_named_after_the_copy() {
        let names = [(0, 0), (1, 0), (1, 1), (11, 0)].map(|(index, part)| container_name(index, part));
        assert_eq!(names, ["copy-0", "copy-1", "copy-1-1", "copy-11"]);
    }
}
