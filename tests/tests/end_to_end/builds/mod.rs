//! `ImageBuilder`s on the cluster: real git, Buildah and Skopeo in real pods, and images that containerd runs.

mod contexts;
mod failures;
mod rebuilds;
mod secrets;
mod seeds;
mod verbs;
