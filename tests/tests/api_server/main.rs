//! Tests against a real API server and etcd, without nodes: what Kubernetes makes of our CRDs.

mod accepted;
mod admission;
mod agreement;
mod builder_agreement;
mod builds;
mod chart;
mod default_destinations;
mod documents;
mod high_availability;
mod images;
mod installation;
mod job_template;
mod kubectl_get;
mod mirrors;
mod monitoring;
mod older_crds;
mod plugin;
mod policies;
mod registry_accesses;
mod rights;
mod second_kind;
mod several_images;
mod sizes;
mod tenants;
mod watches;
