//! `ImageBuilder`s on the cluster: real git, Buildah and Skopeo in real pods, and images that containerd runs.

mod contexts;
mod failures;
mod images;
mod interruptions;
mod owners;
mod rebuilds;
mod registries;
mod secrets;
mod seeds;
mod starts;
mod verbs;
