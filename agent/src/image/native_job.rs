//! The one container of a Job whose copies the agent's own program makes.

use imgop_copier::OpenUpload;
use imgop_core::api::{NATIVE_CONTAINER, Publish};
use imgop_core::commands::document::to_arguments;
use imgop_core::copy::{Copy, CopyRequest};
use imgop_registry::{Allowances, PrivateAddresses};
use k8s_openapi::api::core::v1::{Container, VolumeMount};

use super::job::JobOf;
use crate::jobs::template::{JobOptions, PodNeeds, container};
use crate::native_copy::{COPY, CopyEndpoint, CopyInput, CopyItem};
use crate::registry_access::files::EndpointFiles;

/// How long its pod has to end: a chunk of a large layer may be under way.
const GRACE_SECONDS: u32 = 30;
/// How long before its pod the program ends, so that its report is whole.
const REPORT_SECONDS: u32 = 30;
/// The program in its image.
const PROGRAM: &str = "/imgop-agent";

/// What administrators say of one side besides what is lent.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// What is allowed there.
    pub allowances: Allowances,
    /// Requests to it at once, if they are limited.
    pub requests: Option<u32>,
}

/// What is known of earlier tries.
#[derive(Debug, Clone, Default)]
pub struct Resumed {
    /// Uploads that they have left.
    pub uploads: Vec<OpenUpload>,
    /// Whether the destination is known to have nothing.
    pub is_new: bool,
}

/// Returns the container.
pub fn native_container(
    of: &JobOf<'_>,
    files: &[EndpointFiles; 2],
    options: &JobOptions,
    deadline_seconds: u32,
) -> Container {
    let mounts: Vec<VolumeMount> = files.iter().flat_map(|files| files.mounts.clone()).collect();
    let mut arguments = vec![COPY.to_owned()];
    // Nothing in it is a number or a text that JSON cannot hold.
    arguments.extend(to_arguments(&input(of, files, deadline_seconds)).unwrap_or_default());
    let image = of.config.copies.native_image.clone();
    container(NATIVE_CONTAINER.to_owned(), image, PROGRAM, arguments, &mounts, &options.resources)
}

/// Returns how its pod differs from others: it may run for this long once it is on a node, and what ends it before is no
/// reason for a second one, which would begin anew.
pub fn native_pod(deadline_seconds: u32) -> PodNeeds {
    PodNeeds {
        grace_seconds: GRACE_SECONDS,
        is_replaced: false,
        deadline_seconds: Some(deadline_seconds),
        ..PodNeeds::default()
    }
}

/// Returns what the container copies.
fn input(of: &JobOf<'_>, [source, destination]: &[EndpointFiles; 2], deadline_seconds: u32) -> CopyInput {
    let [from, to] = of.reach;
    CopyInput {
        source: endpoint(source, from),
        destination: endpoint(destination, to),
        is_new: of.resumed.is_new,
        items: of.batch.copies.iter().flat_map(|copy| items(copy, of.request)).collect(),
        seconds: deadline_seconds.saturating_sub(REPORT_SECONDS).max(REPORT_SECONDS),
        requests: of.config.requests_per_registry,
        // A pod in a tenant's namespace reaches what the tenant's own pods reach; what is lent does not go everywhere.
        private_addresses: match of.lent {
            None => PrivateAddresses::Everywhere,
            Some(_) => of.config.registry_private_addresses,
        },
        loopback: of.config.registry_loopback,
        uploads: of.resumed.uploads.clone(),
    }
}

fn endpoint(files: &EndpointFiles, reach: &Reach) -> CopyEndpoint {
    CopyEndpoint {
        repository: files.endpoint.repository.clone(),
        tls: files.tls,
        auth_file: files.endpoint.auth_file.clone(),
        ca_file: files.endpoint.certificates.as_ref().map(|folder| folder.join("ca.crt")),
        allowances: reach.allowances.clone(),
        requests: reach.requests.and_then(|requests| usize::try_from(requests).ok()),
    }
}

/// Returns the parts of a copy, each as it is.
fn items<'a>(copy: &'a Copy, request: &'a CopyRequest) -> impl Iterator<Item = CopyItem> + 'a {
    // Nothing but the whole belongs under the tag.
    let is_whole = request.publish == Publish::Direct && copy.made_of.is_none();
    copy.parts().iter().map(move |digest| CopyItem {
        name: copy.source_ref.to_string(),
        digest: digest.clone(),
        tag: is_whole.then(|| copy.destination_tag.clone()),
    })
}
