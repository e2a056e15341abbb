//! Where images go: `targetKind`, `ecr`, `docker`, `pathMap`.

use serde_json::{Map, Value, json};

use super::Made;
use super::credentials::secret_command;
use super::paths::path_map;
use super::settings::{Settings, TARGET_CREDENTIALS};

/// The Secret with the login of the target.
const TARGET_SECRET: &str = "copycat-target";
/// What stands for something in a prefix.
const TOKENS: [&str; 5] = ["$namespace", "$podname", "$container_name", "$arch", "$registry"];

/// Makes the destination.
pub(super) fn destination(settings: &Settings<'_>, made: &mut Made) {
    let kind = settings.text("targetKind", made).unwrap_or_else(|| "ecr".to_owned());
    let mut destination = Map::new();
    let prefix = match kind.to_lowercase().as_str() {
        "ecr" => {
            ecr(settings, made, &mut destination);
            "ecr.repoPrefix"
        }
        "docker" => {
            docker(settings, made, &mut destination);
            "docker.repoPrefix"
        }
        _ => {
            made.unusable("targetKind", format!("{kind:?} is neither ecr nor docker"));
            "ecr.repoPrefix"
        }
    };
    if let Some(text) = settings.text(prefix, made) {
        if let Some(token) = unreadable_token(&text) {
            made.unusable(prefix, format!("{token} was read as a word and the rest of it; only {} are words here, each up to a slash, a dot or a dash", TOKENS.join(", ")));
        } else {
            made.kept(prefix, "it is destination.prefix");
        }
        destination.insert("prefix".to_owned(), text.trim_matches('/').into());
    }
    let path_map = path_map(settings, made);
    if !path_map.is_empty() {
        destination.insert("pathMap".to_owned(), path_map.into());
    }
    made.set("destination", destination);
}

fn ecr(settings: &Settings<'_>, made: &mut Made, destination: &mut Map<String, Value>) {
    let account = settings.text("ecr.accountID", made);
    let region = settings.text("ecr.region", made);
    match (account, region) {
        (Some(account), Some(region)) => {
            let repository = format!("{account}.dkr.ecr.{region}.amazonaws.com");
            destination.insert("repository".to_owned(), repository.into());
            for name in ["ecr.accountID", "ecr.region"] {
                made.kept(name, "it is part of destination.repository");
            }
        }
        (account, _) => {
            let missing = if account.is_some() { "ecr.region" } else { "ecr.accountID" };
            made.unusable(
                missing,
                "it is needed for targetKind ecr, and is neither in the file nor in the environment",
            );
        }
    }
    destination.insert("useAwsIRSA".to_owned(), true.into());
    made.kept(
        "targetKind",
        "an administrator lends the agent's AWS identity with a RegistryAccess (docs/ecr.md)",
    );
    let mut create = Map::new();
    let policy = settings.text("ecr.lifecyclePolicy", made);
    let role = settings.text("ecr.assumeRoleArn", made);
    if !settings.flag("ecr.createRepo", made).unwrap_or(true) {
        made.kept("ecr.createRepo", "no repository is created, as there");
        for (name, _) in [("ecr.lifecyclePolicy", &policy), ("ecr.assumeRoleArn", &role)]
            .iter()
            .filter(|(_, value)| value.is_some())
        {
            made.not_carried(name, "no repository is created (ecr.createRepo)");
        }
        return;
    }
    create.insert("policy".to_owned(), "IfMissing".into());
    made.kept("ecr.createRepo", "the RegistryAccess has to say aws.createRepositories: true");
    if let Some(policy) = policy {
        create.insert("lifecyclePolicy".to_owned(), policy.into());
        made.kept("ecr.lifecyclePolicy", "repositories that imgop has created get it too when it changes; with adopt: true also those that copycat has, if the RegistryAccess says aws.adoptRepositories");
    }
    if let Some(role) = role {
        create.insert("roleArn".to_owned(), role.into());
        made.changed("ecr.assumeRoleArn", "the role creates repositories, and the RegistryAccess has to name it in aws.roles; images are pushed with the agent's own identity, which the registry must let push (create.accessPolicy), or which is the role itself (a profile with role_arn)");
    }
    destination.insert("create".to_owned(), create.into());
}

fn docker(settings: &Settings<'_>, made: &mut Made, destination: &mut Map<String, Value>) {
    match settings.text("docker.registry", made) {
        Some(registry) => {
            let host = registry.trim_start_matches("https://").trim_start_matches("http://");
            destination.insert("repository".to_owned(), host.trim_end_matches('/').into());
            made.kept("targetKind", "the destination is docker.registry");
            made.kept("docker.registry", "it is destination.repository");
        }
        None => made.unusable(
            "docker.registry",
            "it is needed for targetKind docker, and is neither in the file nor in the environment",
        ),
    }
    if settings.flag("docker.insecure", made) == Some(true) {
        destination.insert("tls".to_owned(), json!({ "mode": "SkipVerify" }));
        made.changed("docker.insecure", "copycat took any certificate, and plain HTTP as well; if the registry speaks plain HTTP, write tls.mode: PlainHTTP");
    }
    let registry = destination.get("repository").and_then(Value::as_str).unwrap_or_default();
    if TARGET_CREDENTIALS.map(|name| settings.is_set(name)).contains(&true) {
        made.commands.push(secret_command(TARGET_SECRET, registry, settings));
        destination.insert("credentials".to_owned(), json!({ "secretName": TARGET_SECRET }));
        made.kept("TARGET_USERNAME", "user and password go into the Secret of destination.credentials");
    }
}

/// Returns a word that is none, as it is written: `$namespaces`.
fn unreadable_token(prefix: &str) -> Option<&str> {
    let starts = prefix.match_indices('$').map(|(at, _)| &prefix[at..]);
    let mut words = starts.map(|rest| {
        let end =
            rest[1..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(rest.len(), |at| at + 1);
        &rest[..end]
    });
    words.find(|word| !TOKENS.contains(word))
}
