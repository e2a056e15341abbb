//! Which workloads say that they are not to be mirrored, of those whose kind does not count by its templates.

use std::collections::BTreeSet;

use imgop_core::api::WorkloadKind;
use imgop_core::workloads::{Makers, Member, ObservedWorkload};

use super::{Reader, resource};
use crate::cli_error::CliError;

impl Reader<'_> {
    /// Notes which of the workloads that pods count for say so.
    pub(super) async fn read_opt_outs(&mut self) -> Result<(), CliError> {
        for (kind, namespace) in self.to_ask() {
            for workload in self.list::<ObservedWorkload>(&namespace, &resource(kind)).await? {
                if workload.metadata.is_opted_out() {
                    self.opted_out.insert((kind, namespace.clone(), workload.metadata.name));
                }
            }
        }
        Ok(())
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
