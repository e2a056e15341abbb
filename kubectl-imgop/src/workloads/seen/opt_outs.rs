//! Which workloads say that they are not to be mirrored, of those whose kind does not count by its templates.

use std::collections::BTreeSet;

use imgop_core::api::{NOT_MIRRORED_ANNOTATION, WorkloadKind};
use imgop_core::workloads::{Makers, Member};
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject, PartialObjectMeta};
use kube::{Api, ResourceExt};

use super::{MAX_NAMED, Reader, resource};
use crate::cli_error::CliError;
use crate::output::text::first_few;
use crate::workloads::forbidden::unless_forbidden;

impl Reader<'_> {
    /// Notes which of the workloads that pods count for say so. All images are seen also where the user may not list these
    /// workloads, since what they say only takes images away.
    pub(super) async fn read_opt_outs(&mut self) -> Result<(), CliError> {
        let mut hidden = Vec::new();
        for (kind, namespace) in self.to_ask() {
            // Jobs are read anyway, and where the user may not list them that is noted.
            let names = if kind == WorkloadKind::Job {
                Some(self.opted_out_jobs(&namespace))
            } else {
                self.list_opted_out(&namespace, &resource(kind)).await?
            };
            let Some(names) = names else {
                hidden.push(format!("{} in {namespace}", resource(kind).plural));
                continue;
            };
            self.opted_out.extend(names.into_iter().map(|name| (kind, namespace.clone(), name)));
        }
        self.notes.extend(hidden_note(&hidden));
        Ok(())
    }

    /// Returns the names of the Jobs of a namespace that say so.
    fn opted_out_jobs(&self, namespace: &str) -> Vec<String> {
        let jobs = self.workloads.iter().filter(|(kind, _)| *kind == WorkloadKind::Job);
        let jobs = jobs.map(|(_, job)| &job.metadata);
        let opted_out = jobs.filter(|job| job.namespace == namespace && job.is_opted_out());
        opted_out.map(|job| job.name.clone()).collect()
    }

    /// Returns the names of the workloads of a kind that say so; none where the user may not list them.
    async fn list_opted_out(
        &self,
        namespace: &str,
        resource: &ApiResource,
    ) -> Result<Option<Vec<String>>, CliError> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.cluster.client.clone(), namespace, resource);
        let listed = unless_forbidden(api.list_metadata(&ListParams::default()).await);
        let explain = |error| self.cluster.explain_in_namespace("list", &resource.plural, &error);
        let Some(list) = listed.map_err(explain)? else { return Ok(None) };
        let is_opted_out = |one: &&PartialObjectMeta<DynamicObject>| {
            one.annotations().get(NOT_MIRRORED_ANNOTATION).is_some_and(|value| value == "false")
        };
        Ok(Some(list.items.iter().filter(is_opted_out).map(ResourceExt::name_any).collect()))
    }

    /// Returns the kinds that are to be asked for, each with the namespace.
    fn to_ask(&self) -> BTreeSet<(WorkloadKind, String)> {
        let (members, makers) = self.members();
        let asked = members.iter().filter_map(|one| {
            let (kind, _) = one.workload_to_ask(self.request, &makers)?;
            Some((kind, one.namespace.to_owned()))
        });
        asked.collect()
    }

    /// Returns whether the workload that a pod counts for says so.
    pub(super) fn is_opted_out(&self, pod: &Member<'_>, makers: &Makers) -> bool {
        let of = pod.workload_to_ask(self.request, makers);
        of.is_some_and(|(kind, name)| {
            self.opted_out.contains(&(kind, pod.namespace.to_owned(), name.to_owned()))
        })
    }
}

/// Returns what is to be known where the user may not list these.
fn hidden_note(hidden: &[String]) -> Option<String> {
    (!hidden.is_empty()).then(|| {
        format!(
            "you may not list {}: those that say {NOT_MIRRORED_ANNOTATION}: \"false\" are shown as mirrored",
            first_few(hidden, MAX_NAMED, 0)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_namespaces_whose_workloads_are_hidden_a_note_names_a_few() {
        let hidden: Vec<String> = (0..300).map(|number| format!("jobs in n{number}")).collect();
        insta::assert_snapshot!(hidden_note(&hidden).unwrap(), @r#"you may not list jobs in n0,jobs in n1,jobs in n2,jobs in n3,jobs in n4,+295: those that say imgop.skopeo.io/mirror: "false" are shown as mirrored"#);
        assert_eq!(hidden_note(&[]), None);
    }
}
