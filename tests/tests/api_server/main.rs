//! Tests against a real API server and etcd, without nodes: what Kubernetes makes of our CRDs.

mod accepted;
mod admission;
mod agreement;
mod builder_agreement;
mod builds;
mod default_destinations;
mod images;
mod kubectl_get;
mod plugin;
mod registry_accesses;
mod second_kind;
mod several_images;
mod sizes;
mod tenants;
mod watches;
