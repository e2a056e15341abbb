//! image-operator's settings, which its environment has, its flags and the values of its chart: what each becomes here.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::lent::{Lent, LentAccess, lent_secret_command};
use super::manager_flags::why_not_carried;
use super::on_the_fly::{IRSA, NO_TLS, REGISTRY, migrate_on_the_fly};
use super::{Change, Migrated, Outcome};

/// What image-operator's settings become.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MigratedOperator {
    /// What is applied: each RegistryAccess, and the `WorkloadMirror` that copies on the fly.
    pub objects: Vec<Migrated>,
    /// Settings of the agent, by the names of their variables.
    pub agent: BTreeMap<String, String>,
    /// Commands that create the Secrets that the objects name.
    pub commands: Vec<String>,
    /// What became of each setting.
    pub changes: Vec<Change>,
}

/// The namespace of its Jobs and Images, where nothing else is said.
const NAMESPACE: &str = "image-operator";
const JOB_NAMESPACE: &str = "PULL_JOB_NAMESPACE";
const DELETION_DELAY: [&str; 2] = ["JOB_DELETION_DELAY_SECONDS", "SUCCEEDED_JOB_DELETION_DELAY_SECONDS"];
const NO_SOURCE_TLS: &str = "DISABLE_SRC_TLS_VERIFICATION";
/// Settings that the agent has under the same name.
const SAME: [&str; 6] = [
    "SKOPEO_IMAGE",
    "SKOPEO_VERSION",
    "BUILDAH_IMAGE",
    "BUILDAH_VERSION",
    "BUILDAH_PRIVILEGED_CONTAINER",
    REGISTRY,
];
/// Logins: user and password, and of which registry they are, which image-operator did not ask for.
const SOURCE_LOGIN: [&str; 3] = ["CREDS_SOURCE_USERNAME", "CREDS_SOURCE_PASSWORD", "CREDS_SOURCE_REGISTRY"];
const DESTINATION_LOGIN: [&str; 3] =
    ["CREDS_DESTINATION_USERNAME", "CREDS_DESTINATION_PASSWORD", "CREDS_DESTINATION_REGISTRY"];
/// Settings for which there is nothing to set here, and why.
const WITHOUT: [(&str, &str); 9] = [
    ("BUILDAH_JOB_NAMESPACE", OF_BUILDS),
    ("BUILD_JOB_NAMESPACE", OF_BUILDS),
    ("FEATURE_DOCKERHUB_RATE_LIMIT_ENABLED", OF_LIMITS),
    ("FEATURE_DOCKERHUB_RATE_LIMIT_FREQUENCY_SECOND", OF_LIMITS),
    ("SKOPEO_IMAGE_AWS_IRSA", "tokens of AWS are files, so that Jobs need no image of their own for them"),
    ("API_AWS_PAGE_ITEMS_COUNT", OF_PAGES),
    ("API_AWS_PAGE_MAX", OF_PAGES),
    ("AVOID_OPERATOR", OF_GRAPHQL),
    ("GRAPHQL_API_ENABLED", OF_GRAPHQL),
];
const OF_BUILDS: &str = "a build runs in the namespace of its ImageBuilder, which an administrator enables: kubectl imgop enable NAMESPACE --builds";
const OF_LIMITS: &str =
    "what Docker Hub allows is read from its answers, always; PULL_RESERVE says what is left to others";
const OF_PAGES: &str =
    "tags of every registry are listed whole, within REGISTRY_MAX_TAGS and REGISTRY_MAX_TAG_PAGES";
const OF_GRAPHQL: &str = "there is no GraphQL API and no UI: kubectl imgop list, describe, search and copy";
/// The action of what is lent to destinations.
const PUSH: &str = "Push";
/// What settings of one beginning have in common that are answered by `migrate_on_the_fly`.
const ON_THE_FLY: &str = "FEATURE_COPY_ON_THE_FLY";

/// Returns what image-operator's settings become: those of its environment, and its flags with their dashes. Values of
/// passwords are not needed: that they are set is enough.
pub fn migrate_operator_settings(settings: &BTreeMap<String, String>) -> MigratedOperator {
    let mut made = MigratedOperator::default();
    let of = Settings(settings);
    made.objects.extend(migrate_on_the_fly(settings, of.namespace()));
    of.agent(&mut made);
    of.destination(&mut made);
    of.source(&mut made);
    of.others(&mut made);
    made
}

/// Whether image-operator has a setting of this variable, whose value matters: of a login it is enough that there is one.
pub fn is_operator_setting(name: &str) -> bool {
    let registries = [SOURCE_LOGIN[2], DESTINATION_LOGIN[2]];
    SAME.iter()
        .chain(&DELETION_DELAY)
        .chain(&registries)
        .chain(&[JOB_NAMESPACE, IRSA, NO_TLS, NO_SOURCE_TLS])
        .any(|known| *known == name)
        || name.starts_with(ON_THE_FLY)
}

struct Settings<'a>(&'a BTreeMap<String, String>);

impl Settings<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    fn is_true(&self, name: &str) -> bool {
        self.text(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    fn has_login(&self, [user, password, _]: [&str; 3]) -> bool {
        self.0.contains_key(user) || self.0.contains_key(password)
    }

    /// Returns the namespace that gets what is lent, and that copies on the fly.
    fn namespace(&self) -> &str {
        self.text(JOB_NAMESPACE).unwrap_or(NAMESPACE)
    }

    /// Settings that are the agent's here.
    fn agent(&self, made: &mut MigratedOperator) {
        for name in SAME {
            let Some(value) = self.text(name) else { continue };
            made.agent.insert(name.to_owned(), value.to_owned());
            made.say(name, Outcome::Kept, "it is a setting of the agent, of the same name");
        }
        if let Some(name) = DELETION_DELAY.into_iter().find(|name| self.text(name).is_some()) {
            let value = self.text(name).unwrap_or_default().to_owned();
            made.agent.insert(DELETION_DELAY[0].to_owned(), value);
            let reason = "it is the agent's setting JOB_DELETION_DELAY_SECONDS, and is how long a Job stays; image-operator read it the other way round";
            made.say(name, Outcome::Changed, reason);
        }
        if let Some(namespace) = self.text(JOB_NAMESPACE) {
            made.agent.insert("JOB_NAMESPACE".to_owned(), namespace.to_owned());
            made.say(JOB_NAMESPACE, Outcome::Changed, "it is the agent's setting JOB_NAMESPACE, for Jobs that use what is lent; tenants may have no rights there. All others run in the namespace of their Image");
        }
    }

    /// How the default registry is written to.
    fn destination(&self, made: &mut MigratedOperator) {
        let (has_aws, skips) = (self.is_true(IRSA), self.is_true(NO_TLS));
        let has_login = self.has_login(DESTINATION_LOGIN);
        if has_aws {
            made.agent.insert(IRSA.to_owned(), "true".to_owned());
        }
        let place = self.text(DESTINATION_LOGIN[2]).or_else(|| self.text(REGISTRY));
        let Some(place) = place else {
            for (name, is_set) in [(DESTINATION_LOGIN[0], has_login), (IRSA, has_aws), (NO_TLS, skips)] {
                if is_set {
                    let reason = "nothing says for which registry: it was used for all; write a RegistryAccess with actions [Push] for each (docs/registry-access.md)";
                    made.say(name, Outcome::NotCarried, reason);
                }
            }
            return;
        };
        if !(has_login || has_aws || skips) {
            return;
        }
        let secret = "image-operator-destination";
        let lent = match (has_aws, has_login) {
            (true, _) => Lent::Aws,
            (false, true) => Lent::Secret(secret),
            (false, false) => Lent::Nothing,
        };
        let to = Side { name: secret, action: PUSH, lent, skips };
        self.lend(place, to, [DESTINATION_LOGIN[0], IRSA, NO_TLS], made);
    }

    /// How sources are read.
    fn source(&self, made: &mut MigratedOperator) {
        let (has_login, skips) = (self.has_login(SOURCE_LOGIN), self.is_true(NO_SOURCE_TLS));
        let Some(place) = self.text(SOURCE_LOGIN[2]) else {
            for (name, is_set) in [(SOURCE_LOGIN[0], has_login), (NO_SOURCE_TLS, skips)] {
                if is_set {
                    let reason = "nothing says for which registry: it was used for all, and image-operator sent it to the destination; write a RegistryAccess with actions [Pull] for each (docs/registry-access.md), or give it CREDS_SOURCE_REGISTRY";
                    made.say(name, Outcome::NotCarried, reason);
                }
            }
            return;
        };
        let secret = "image-operator-source";
        let lent = if has_login { Lent::Secret(secret) } else { Lent::Nothing };
        if has_login || skips {
            let from = Side { name: secret, action: "Pull", lent, skips };
            self.lend(place, from, [SOURCE_LOGIN[0], "", NO_SOURCE_TLS], made);
        }
    }

    /// Lends what a side needs, and says so of the settings that asked for the login, the identity and the connection.
    fn lend(&self, place: &str, side: Side<'_>, [login, aws, tls]: [&str; 3], made: &mut MigratedOperator) {
        let Side { name, action, lent, skips } = side;
        let (host, path) = place.trim_end_matches('/').split_once('/').unwrap_or((place, ""));
        let repositories = format!("{path}/");
        let access = LentAccess {
            name,
            hosts: &[host.trim_end_matches('/').to_owned()],
            repositories: &repositories,
            action,
            namespace: self.namespace(),
            lent,
            skips_verification: skips,
        };
        made.objects.push(Migrated { object: access.object(), changes: Vec::new() });
        let lending = format!(
            "RegistryAccess {name} lends it to the namespace {}, and to others that its namespaceSelector selects; it was for all",
            self.namespace()
        );
        match lent {
            Lent::Secret(secret) => {
                made.commands.push(lent_secret_command(secret));
                made.say(login, Outcome::Changed, lending);
            }
            Lent::Aws => made.say(aws, Outcome::Kept, lending),
            Lent::Nothing => {}
        }
        if skips {
            let reason =
                format!("it is tls.mode of RegistryAccess {name}, for that registry alone; it was for all");
            made.say(tls, Outcome::Changed, reason);
        }
        if action == PUSH {
            made.say(&format!("RegistryAccess {name}"), Outcome::Changed, closing(place));
        }
    }

    /// What there is nothing to set for, and what image-operator never had.
    fn others(&self, made: &mut MigratedOperator) {
        let answered: Vec<&str> = SAME
            .into_iter()
            .chain(DELETION_DELAY)
            .chain(SOURCE_LOGIN)
            .chain(DESTINATION_LOGIN)
            .chain([JOB_NAMESPACE, IRSA, NO_TLS, NO_SOURCE_TLS])
            .collect();
        for name in self.0.keys().filter(|name| !answered.contains(&name.as_str())) {
            let known = WITHOUT.iter().find(|(known, _)| known == name).map(|(_, why)| *why);
            match known.or_else(|| why_not_carried(name)) {
                Some(why) => made.say(name, Outcome::NotCarried, why),
                None if name.starts_with(ON_THE_FLY) && made.copies_on_the_fly() => {}
                None if name.starts_with(ON_THE_FLY) => {
                    made.say(
                        name,
                        Outcome::NotCarried,
                        "copying on the fly is off, and needs a WorkloadMirror here",
                    );
                }
                None => {
                    let reason = "image-operator has no such setting; what the platform needs (AWS, proxies) is the agent's own environment";
                    made.say(name, Outcome::NotCarried, reason);
                }
            }
        }
    }
}

/// Returns what an object that lets some namespaces write does to all others.
fn closing(place: &str) -> String {
    format!(
        "once it is applied, no other namespace may write below {}/, even with a Secret of its own, as it could before: have namespaceSelector select every namespace that writes there (docs/migrate/image-operator.md)",
        place.trim_end_matches('/')
    )
}

/// What is lent to one side.
#[derive(Clone, Copy)]
struct Side<'a> {
    name: &'a str,
    action: &'a str,
    lent: Lent<'a>,
    skips: bool,
}

impl MigratedOperator {
    fn say(&mut self, field: &str, outcome: Outcome, reason: impl Into<String>) {
        self.changes.push(Change { field: field.to_owned(), outcome, reason: reason.into() });
    }

    fn copies_on_the_fly(&self) -> bool {
        self.objects.iter().any(|one| one.object["kind"] == json!("WorkloadMirror"))
    }
}

/// Values of the chart that are none of the operator's settings, with what they are here. Those below them are, too.
const OF_CHART: [(&str, &str); 10] = [
    ("/image", "image, of imgop's chart"),
    ("/affinity", "affinity, of imgop's chart"),
    ("/tolerations", "tolerations, of imgop's chart"),
    ("/resources/memory", "resources.requests.memory and resources.limits.memory, of imgop's chart"),
    (
        "/config/credentials/createSecret",
        "nothing: passwords stand in no values; the commands create the Secrets",
    ),
    (
        "/config/credentials/secretName",
        "nothing: its chart ignored it; secretName of the RegistryAccess names the Secret",
    ),
    (
        "/config/skopeo/imageAwsIrsa",
        "nothing: tokens of AWS are files, so that Jobs need no image of their own",
    ),
    (
        "/config/buildah/imageAwsIrsa",
        "nothing: tokens of AWS are files, so that Jobs need no image of their own",
    ),
    ("/config/ui", "nothing: kubectl imgop list, describe, search and copy do what the UI did"),
    ("/monitoring/podMonitor", "podMonitor, of imgop's chart"),
];

/// Returns what values of image-operator's chart say that is none of the operator's settings.
pub fn operator_chart_changes(values: &Value) -> Vec<Change> {
    let set = |path: &str| {
        values
            .pointer(path)
            .is_some_and(|value| !value.is_null() && *value != json!({}) && *value != json!([]))
    };
    let change = |(path, reason): &(&str, &str)| Change {
        field: path.trim_start_matches('/').replace('/', "."),
        outcome: Outcome::NotCarried,
        reason: format!("it is {reason}"),
    };
    OF_CHART.iter().filter(|(path, _)| set(path)).map(change).collect()
}

#[cfg(test)]
mod tests;
