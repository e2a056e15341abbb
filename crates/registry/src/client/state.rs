//! What this process remembers of all registries, and of each.

use super::created_cache::CreatedCache;
use super::mount_refusals::MountRefusals;
use super::pull_quota::PullQuota;
use super::referrers_support::ReferrersSupport;
use super::tag_list_cache::TagListCache;
use super::tag_memory::TagMemory;
use super::upload_places::UploadPlaces;
use crate::auth::Session;
use crate::bulk;
use crate::settings::Settings;
use crate::transport::Http;

/// What all registries of the process share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) http: Http,
    pub(super) pulls: PullQuota,
    pub(super) tag_lists: TagListCache,
    pub(super) tag_memory: TagMemory,
    pub(super) bulk_reach: bulk::Reach,
    pub(super) created: CreatedCache,
}

/// What is known of one registry, reached in one way.
#[derive(Debug)]
pub(super) struct RegistryState {
    pub(super) session: Session,
    pub(super) mount_refusals: MountRefusals,
    pub(super) referrers_support: ReferrersSupport,
    pub(super) upload_places: UploadPlaces,
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            pulls: PullQuota::new(settings.pull_reserve),
            tag_lists: TagListCache::new(settings.tag_list_ttl),
            tag_memory: TagMemory::new(settings.max_tag_memory),
            bulk_reach: bulk::Reach::default(),
            created: CreatedCache::default(),
            http: Http::new(settings),
        }
    }
}

impl RegistryState {
    pub(super) fn new(session: Session) -> Self {
        Self {
            session,
            mount_refusals: MountRefusals::default(),
            referrers_support: ReferrersSupport::default(),
            upload_places: UploadPlaces::default(),
        }
    }
}
