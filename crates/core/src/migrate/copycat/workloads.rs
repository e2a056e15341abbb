//! Which workloads are looked at, and what is taken of their images.

use serde_json::{Map, Value, json};

use super::Made;
use super::settings::Settings;

/// Kinds of workloads: as copycat's lists call them, as `watchResources` does, and their own names.
const KINDS: [(&str, &str, &str); 6] = [
    ("skipNames.deployments", "deployments", "Deployment"),
    ("skipNames.statefulSets", "statefulsets", "StatefulSet"),
    ("skipNames.daemonSets", "daemonsets", "DaemonSet"),
    ("skipNames.jobs", "jobs", "Job"),
    ("skipNames.cronJobs", "cronjobs", "CronJob"),
    ("skipNames.pods", "pods", "Pod"),
];

/// Namespaces, kinds, and what is left out.
pub(super) fn workloads(settings: &Settings<'_>, made: &mut Made) {
    let mut include = settings.list("includeNamespaces", made);
    if include.is_empty() {
        include.push("*".to_owned());
    }
    if include.iter().any(|name| name.contains(['[', '\\'])) {
        made.unusable("includeNamespaces", "of the wildcards only * and ? are known here");
    }
    let reason = "a new namespace counts at once, and a name that fits none means none, not all; an administrator lets the WorkloadMirror see other namespaces (ClusterRole imgop-workload-mirror)";
    made.kept("includeNamespaces", reason);
    let mut namespaces = Map::from_iter([("include".to_owned(), Value::from(include))]);
    let exclude = settings.list("skipNamespaces", made);
    if !exclude.is_empty() {
        namespaces.insert("exclude".to_owned(), exclude.into());
        made.kept("skipNamespaces", "it is namespaces.exclude");
    }
    made.set("namespaces", namespaces);
    let kinds = kinds(settings, made);
    if !kinds.is_empty() {
        made.set("kinds", kinds);
    }
    let mut exclude = Map::new();
    let names = excluded_workloads(settings, made);
    if !names.is_empty() {
        exclude.insert("workloads".to_owned(), names.into());
    }
    let registries = settings.list("excludeRegistries", made);
    if !registries.is_empty() {
        let plain = |text: &String| {
            let text = text.to_lowercase();
            let text = text.trim_start_matches("https://").trim_start_matches("http://");
            text.trim_end_matches('/').to_owned()
        };
        let registries: Vec<String> = registries.iter().map(plain).collect();
        exclude.insert("registries".to_owned(), registries.into());
        made.kept("excludeRegistries", "it is exclude.registries");
    }
    if !exclude.is_empty() {
        made.set("exclude", exclude);
    }
}

fn kinds(settings: &Settings<'_>, made: &mut Made) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let listed = settings.list("watchResources", made);
    let is_known = |name: &String| KINDS.iter().any(|(_, resource, _)| *resource == name.to_lowercase());
    if !listed.is_empty() && listed.iter().all(is_known) {
        made.kept("watchResources", "it is kinds");
    }
    for name in listed {
        let plain = name.to_lowercase();
        match KINDS.iter().find(|(_, resource, _)| *resource == plain) {
            Some((_, _, kind)) if !all.iter().any(|known| known == kind) => all.push((*kind).to_owned()),
            Some(_) => {}
            None => made.unusable("watchResources", format!("{name:?} is no kind of workload")),
        }
    }
    all
}

fn excluded_workloads(settings: &Settings<'_>, made: &mut Made) -> Vec<Value> {
    let mut all = Vec::new();
    for (key, _, kind) in KINDS {
        let names = settings.list(key, made);
        if !names.is_empty() {
            made.kept(key, "it is among exclude.workloads");
        }
        for name in names {
            all.push(match name.split_once('/') {
                Some((namespace, name)) => json!({ "kind": kind, "namespace": namespace, "name": name }),
                None => json!({ "kind": kind, "name": name }),
            });
        }
    }
    all
}

/// Which content is taken: digests, platforms, and what is overwritten.
pub(super) fn contents(settings: &Settings<'_>, made: &mut Made) {
    let by_digest = settings.flag("digestPull", made) == Some(true);
    let ignored = settings.list("digestPullIgnoredTags", made);
    if by_digest {
        let mut digests = json!({ "use": "Running", "ifUnknown": "Resolve" });
        if let (false, Some(digests)) = (ignored.is_empty(), digests.as_object_mut()) {
            digests.insert("ignoreTags".to_owned(), ignored.into());
            made.kept("digestPullIgnoredTags", "it is digests.ignoreTags");
        }
        made.set("digests", digests);
        made.changed("digestPull", "what no pod has reported is taken as its source shows it (ifUnknown: Resolve), as copycat's README says; its last version waited for a pod, which is ifUnknown: Wait");
    } else if !ignored.is_empty() {
        made.not_carried("digestPullIgnoredTags", "it goes with digestPull");
    }
    platforms(settings, by_digest, made);
    if !settings.list("ignoreMissingPlatforms", made).is_empty() {
        made.not_carried(
            "ignoreMissingPlatforms",
            "it only silenced the log; a platform that is missing fails no copy here",
        );
    }
    if settings.flag("allowDifferentDigestRepush", made) == Some(false) {
        made.set("overwrite", json!({ "policy": "IfMissing" }));
        made.kept(
            "allowDifferentDigestRepush",
            "a tag with other content is kept and reported, and latest is replaced, as there",
        );
    }
}

/// Which platforms are taken: copycat narrowed only what it took by its digest.
fn platforms(settings: &Settings<'_>, by_digest: bool, made: &mut Made) {
    let listed: Vec<String> =
        settings.list("mirrorPlatforms", made).iter().map(|text| platform(text)).collect();
    let of_nodes = settings.flag("checkNodePlatform", made) == Some(true);
    let given = [("mirrorPlatforms", !listed.is_empty()), ("checkNodePlatform", of_nodes)];
    if !by_digest {
        for (key, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
            made.not_carried(key, "it goes with digestPull, and copycat ignored it without");
        }
    } else if !listed.is_empty() {
        made.set("platforms", json!({ "mode": "List", "list": listed }));
        made.changed("mirrorPlatforms", "tags that are taken by the digest of a pod keep all platforms, as an index of some has another digest");
        if of_nodes {
            made.not_carried("checkNodePlatform", "mirrorPlatforms names the platforms");
        }
    } else if of_nodes {
        made.set("platforms", json!({ "mode": "Nodes" }));
        made.changed("checkNodePlatform", "the platforms of all nodes that run an image are taken together, not those of the node that came last; tags that are taken by the digest of a pod keep all of them");
    }
}

/// Returns a platform as it is written here: `amd64` is `linux/amd64`.
fn platform(text: &str) -> String {
    if text.contains('/') { text.to_owned() } else { format!("linux/{text}") }
}

/// What a dry run is.
pub(super) fn mode(settings: &Settings<'_>, made: &mut Made) {
    let (run, pull) = (settings.flag("dryRun", made), settings.flag("dryPull", made));
    if pull == Some(true) {
        if run == Some(true) {
            made.kept("dryRun", "mode Plan, for dryPull, does less than Observe");
        }
        made.set("mode", "Plan");
        made.changed("dryPull", "Plan contacts no registry at all, which copycat did");
    } else if run == Some(true) {
        made.set("mode", "Observe");
        made.changed("dryRun", "Observe makes nothing anywhere; copycat created repositories");
    }
}
