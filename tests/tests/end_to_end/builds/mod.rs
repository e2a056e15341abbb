//! `ImageBuilder`s on the cluster: real git, Buildah and Skopeo in real pods, and images that containerd runs.

mod contexts;
mod failures;
mod image_operator;
mod images;
mod interruptions;
mod owners;
mod rebuilds;
mod registries;
mod secrets;
mod starts;
mod verbs;
