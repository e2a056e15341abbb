//! Arguments, secrets, registries and layers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use imgop_registry::reference::{RegistryHost, Repository};

use super::{ArgValue, BuildCache, ObjectKey, limits};
use crate::api::{BuildArg, BuildSecret, Cache, CacheMode, PullRegistry};
use crate::build::spec_checks::{argument_name, host, key};
use crate::quantity::positive;
use crate::spec_error::{EndpointFields, Problems, check_endpoint, is_object_name, secret_name};

/// Reads `buildArgs`.
pub(super) fn arguments(args: &[BuildArg], problems: &mut Problems<String>) -> BTreeMap<String, ArgValue> {
    let mut values = BTreeMap::new();
    for (i, arg) in args.iter().enumerate() {
        let field = |name: &str| format!("buildArgs[{i}].{name}");
        problems.keep(field("name"), argument_name(&arg.name));
        let Some(value) = problems.keep(format!("buildArgs[{i}]"), value(arg)) else { continue };
        if let ArgValue::ConfigMap(reference) = &value {
            if !is_object_name(&reference.name) {
                let name = field("valueFrom.configMapKeyRef.name");
                problems.report(name, "it must be the name of a ConfigMap in the same namespace");
            }
            problems.keep(field("valueFrom.configMapKeyRef.key"), key(&reference.key));
        }
        if values.insert(arg.name.clone(), value).is_some() {
            problems.report(field("name"), format!("{:?} is given twice; leave one of them out", arg.name));
        }
    }
    values
}

fn value(arg: &BuildArg) -> Result<ArgValue, &'static str> {
    let from = arg.value_from.as_ref();
    match (&arg.value, from, from.and_then(|from| from.config_map_key_ref.as_ref())) {
        (Some(text), None, _) => Ok(ArgValue::Text(text.clone())),
        (None, Some(_), Some(reference)) => {
            Ok(ArgValue::ConfigMap(ObjectKey { name: reference.name.clone(), key: reference.key.clone() }))
        }
        (None, Some(_), None) => {
            Err("valueFrom must have configMapKeyRef; a Secret would end in the image's history: name it in \
                 secrets and use RUN --mount=type=secret")
        }
        _ => Err("it must have either value or valueFrom; write value: \"\" for an empty text"),
    }
}

/// Reads `secrets`.
pub(super) fn secrets(
    secrets: &[BuildSecret],
    problems: &mut Problems<String>,
) -> BTreeMap<String, ObjectKey> {
    let mut keys = BTreeMap::new();
    for (i, secret) in secrets.iter().enumerate() {
        let field = |name: &str| format!("secrets[{i}].{name}");
        problems.keep(field("id"), key(&secret.id));
        problems.keep(field("secretName"), secret_name(&secret.secret_name));
        problems.keep(field("key"), key(secret.key()));
        let reference = ObjectKey { name: secret.secret_name.clone(), key: secret.key().to_owned() };
        if keys.insert(secret.id.clone(), reference).is_some() {
            problems.report(field("id"), format!("{:?} is given twice; leave one of them out", secret.id));
        }
    }
    keys
}

/// Reads `registries`.
pub(super) fn registries(
    registries: &[PullRegistry],
    problems: &mut Problems<String>,
) -> BTreeSet<RegistryHost> {
    let mut hosts = BTreeSet::new();
    for (i, registry) in registries.iter().enumerate() {
        let field = |name: &str| format!("registries[{i}].{name}");
        let fields = EndpointFields {
            secret: field("credentials.secretName"),
            ca_secret: field("tls.caSecretName"),
            tls: field("tls"),
        };
        check_endpoint(registry.endpoint(), fields, problems);
        let Some(host) = problems.keep(field("host"), host(&registry.host)) else { continue };
        if hosts.iter().any(|other: &RegistryHost| other.is_same_place(&host)) {
            problems.report(field("host"), format!("{host} is given twice; leave one of them out"));
        }
        hosts.insert(host);
    }
    hosts
}

/// Reads `cache`.
pub(super) fn cache(cache: &Cache, problems: &mut Problems<String>) -> Option<BuildCache> {
    if let Some(credentials) = &cache.credentials {
        problems.keep("cache.credentials.secretName", secret_name(&credentials.secret_name));
    }
    let ttl = limits::duration("cache.ttl", cache.ttl.as_deref(), MIN_TTL, MAX_TTL, problems);
    let registrys_own = cache.repository.is_some() || cache.credentials.is_some() || cache.ttl.is_some();
    if cache.mode != CacheMode::Registry && registrys_own {
        problems
            .report("cache", "repository, credentials and ttl go with mode Registry only; leave them out");
    }
    if cache.mode != CacheMode::Volume && cache.volume.is_some() {
        problems.report("cache.volume", "it goes with mode Volume only; leave one of them out");
    }
    match (cache.mode, &cache.repository, &cache.volume) {
        (CacheMode::None, ..) => Some(BuildCache::None),
        (CacheMode::Registry, Some(repository), _) => {
            let repository = problems.keep("cache.repository", repository.parse::<Repository>())?;
            Some(BuildCache::Registry { repository, ttl })
        }
        (CacheMode::Registry, None, _) => {
            problems.report("cache.repository", "mode Registry needs it");
            None
        }
        (CacheMode::Volume, _, Some(volume)) => {
            problems.keep("cache.volume.size", positive(&volume.size))?;
            if volume.storage_class_name.as_deref().is_some_and(|name| !is_object_name(name)) {
                problems.report("cache.volume.storageClassName", "it must be the name of a StorageClass");
            }
            let storage_class = volume.storage_class_name.clone();
            Some(BuildCache::Volume { size: volume.size.clone(), storage_class })
        }
        (CacheMode::Volume, _, None) => {
            problems.report("cache.volume", "mode Volume needs it");
            None
        }
    }
}

const MIN_TTL: Duration = Duration::from_mins(1);
const MAX_TTL: Duration = Duration::from_hours(365 * 24);
