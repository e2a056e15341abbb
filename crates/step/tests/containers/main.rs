//! The three containers of a build, one after the other, with real git, Buildah, Skopeo and registries on this
//! machine. Run as root; Debian's packages are installed if they are missing.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod bases;
mod built_image;
mod container;
mod contexts;
mod dockerfiles;
mod ends;
mod files;
mod flaky_proxy;
mod git_contexts;
mod http_files;
mod ids;
mod layer_cache;
mod outputs;
mod pod;
mod pushes;
mod registry;
mod ssh_contexts;
mod ssh_server;
