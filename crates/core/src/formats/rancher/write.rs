//! A configuration to text: its canonical form, and `regsync.yaml`, both byte for byte as the original writes them.

use super::{Config, Entry, Exclusion, Schema, Target, TargetKey};
use crate::formats::regsync::{self, Step};
use crate::formats::yaml::Out;

impl Config {
    /// Puts it into its canonical order: tags and entries in the order of their bytes, entries by source and name,
    /// repositories by `BaseUrl`.
    pub fn sort(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.tags.sort());
        self.entries.sort_by_cached_key(|entry| (entry.source.clone(), entry.effective_name()));
        self.repositories.sort_by(|a, b| a.base_url.cmp(&b.base_url));
    }

    /// Returns the canonical form of `config.yaml`. Comments are dropped, as the original drops them.
    pub fn formatted(&self) -> String {
        let mut config = self.clone();
        config.sort();
        let entries = config.entries.iter().map(|entry| self.entry(entry)).collect();
        let repositories = config.repositories.iter().map(target).collect();
        Out::fields([(self.schema.list(), Out::List(entries)), ("Repositories", Out::List(repositories))])
            .document()
    }

    /// Returns `regsync.yaml`. `user_agent` replaces the name by which the original asks registries.
    pub fn regsync(&self, user_agent: Option<&str>) -> String {
        let user_agent = user_agent.unwrap_or(match self.schema {
            Schema::Images => "rancher-image-mirror",
            Schema::Artifacts => "rancher-artifact-mirror",
        });
        let creds = self.credentials().into_iter().map(credential).collect();
        let steps = self.rows().0.into_iter().map(|row| Step::image(row.source, row.target));
        regsync::document(creds, user_agent, steps)
    }

    fn entry(&self, entry: &Entry) -> Out {
        let [source_key, name_key] = self.schema.entry_keys();
        let mut fields = vec![
            (source_key, Out::Text(entry.source.as_str().to_owned())),
            ("Tags", Out::texts(&entry.tags)),
        ];
        match &entry.exclusion {
            Exclusion::Unset => {}
            Exclusion::All(all) => fields.push(("DoNotMirror", Out::Bool(*all))),
            Exclusion::Tags(tags) => fields.push(("DoNotMirror", Out::texts(tags))),
        }
        fields.extend(entry.target_name.clone().map(|name| (name_key, Out::Text(name))));
        if !entry.targets.is_empty() {
            fields.push(("TargetRepositories", Out::texts(&entry.targets)));
        }
        Out::fields(fields)
    }
}

fn target(target: &Target) -> Out {
    let key = match target.key {
        TargetKey::Target => "Target",
        TargetKey::DefaultTarget => "DefaultTarget",
    };
    let mut fields = vec![
        ("BaseUrl", Out::Text(target.base_url.clone())),
        (key, Out::Bool(target.is_default)),
        ("Password", Out::Text(target.password.clone())),
        ("Registry", Out::Text(target.registry.clone())),
        ("Username", Out::Text(target.username.clone())),
    ];
    fields.extend(optional(target, ["RepoAuth", "ReqConcurrent"]));
    Out::fields(fields)
}

fn credential(target: &Target) -> Out {
    let mut fields = vec![
        ("pass", Out::Text(target.password.clone())),
        ("registry", Out::Text(target.registry.clone())),
        ("user", Out::Text(target.username.clone())),
    ];
    fields.extend(optional(target, ["repoAuth", "reqConcurrent"]));
    Out::fields(fields)
}

/// Returns what is written of a registry only where it is set, under the names that a file has for it.
fn optional(
    target: &Target,
    [repo_auth, req_concurrent]: [&'static str; 2],
) -> impl Iterator<Item = (&'static str, Out)> {
    let auth = target.repo_auth.then_some((repo_auth, Out::Bool(true)));
    let concurrent = (target.req_concurrent > 0)
        .then_some((req_concurrent, Out::Number(target.req_concurrent.to_string())));
    auth.into_iter().chain(concurrent)
}
