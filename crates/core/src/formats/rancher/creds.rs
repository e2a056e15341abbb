//! The credentials that `regsync.yaml` names for the repositories of a configuration.

use super::{Config, Schema, Target, TargetKey};

impl Config {
    /// Returns the repositories of which each stands for one entry of `creds`. The older tool writes one for each
    /// repository; the newer one leaves out equal ones and sorts them by registry. Where one registry has several, the
    /// newer tool's order changes from run to run: here it is that of the file.
    pub(super) fn credentials(&self) -> Vec<&Target> {
        let is_older = self.schema == Schema::Images
            && self.repositories.iter().all(|target| target.key == TargetKey::Target);
        if is_older {
            return self.repositories.iter().collect();
        }
        let mut distinct: Vec<&Target> = Vec::new();
        for target in &self.repositories {
            if !distinct.iter().any(|other| login(other) == login(target)) {
                distinct.push(target);
            }
        }
        distinct.sort_by_key(|target| target.registry.as_str());
        distinct
    }
}

fn login(target: &Target) -> (&str, &str, &str, bool, u64) {
    (&target.registry, &target.username, &target.password, target.repo_auth, target.req_concurrent)
}
