//! The calls of the distribution API, one file a family.

mod account;
mod artifacts;
mod blob_stream;
mod blobs;
mod bulk_digests;
mod created;
mod created_cache;
mod details;
mod manifests;
mod mount_refusals;
mod platform;
mod pull_quota;
mod pulls;
mod referrers;
mod referrers_support;
mod registries;
mod repository_client;
mod state;
mod tag_list;
mod tag_list_cache;
mod tag_memory;
mod tag_page;
mod tags;
mod upload_places;
mod uploads;

pub use account::Account;
pub use blob_stream::BlobStream;
pub use details::ImageDetails;
pub use pull_quota::{DOCKER_HUB, PullReserveReached, RateLimit};
pub use registries::Registries;
pub use repository_client::RepositoryClient;
pub use tag_list::TagList;
pub use tag_list_cache::SharedTags;
pub use uploads::{Begun, Upload};
