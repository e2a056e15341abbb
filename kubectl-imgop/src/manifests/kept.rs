//! What of a running agent stays through an upgrade: what its administrator has set, however it was set.
//!
//! A value counts as set where no version has shipped it. That needs no record of who set what, and whatever is not known
//! is kept: a setting that returned to its default unnoticed could widen what the agent watches.

use serde_json::{Value, json};

use super::choices::{Choices, NATIVE_IMAGE, follow_image, label};
use super::listen::follow_listen;
use super::{Manifest, container};

/// Values that some version has shipped, by the name of the setting: those that a later version replaces. The test below
/// wants each value of this version in it, so that one that changes is added, and the one before stays.
const SHIPPED_SETTINGS: [(&str, &[&str]); 4] = [
    ("WATCH_NAMESPACES", &["*"]),
    ("SKOPEO_IMAGE", &["quay.io/skopeo/stable:v1.16.1"]),
    ("BUILDER_IMAGE", &["ghcr.io/imgop/builder:0.1.0"]),
    (NATIVE_IMAGE, &["ghcr.io/imgop/agent:0.1.0"]),
];
/// The same for the resources of the agent's container.
const SHIPPED_RESOURCES: [&str; 1] =
    [r#"{"limits":{"memory":"128Mi"},"requests":{"cpu":"10m","memory":"32Mi"}}"#];
/// Repositories of images whose tags are imgop's versions.
const OWN_REPOSITORIES: [&str; 2] = ["ghcr.io/imgop/agent", "ghcr.io/imgop/builder"];

/// Something that stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What it is: `image`, `replicas`, `resources` or the name of a setting.
    pub what: String,
    /// Its value.
    pub value: String,
}

/// Puts into the manifest of the agent's Deployment what the running one has and no version has shipped, unless it is
/// chosen anew. Returns what that is.
pub fn keep(manifest: &mut Manifest, live: &Value, choices: &Choices) -> Vec<Kept> {
    let mut kept = Vec::new();
    let Some(running) = container(live).cloned() else { return kept };
    if choices.replicas.is_none()
        && let Some(replicas) =
            live.pointer("/spec/replicas").filter(|n| **n != manifest.body["spec"]["replicas"])
    {
        kept.push(Kept { what: "replicas".to_owned(), value: replicas.to_string() });
        manifest.body["spec"]["replicas"] = replicas.clone();
    }
    let Some(container) = manifest.container() else { return kept };
    if choices.image.is_none() {
        kept.extend(keep_image(container, &running));
    }
    let follows = follows_image(&running, choices);
    if follows {
        follow_image(container);
    }
    kept.extend(keep_settings(container, &running, choices, follows));
    follow_listen(container, Some(&running));
    let resources = &running["resources"];
    let is_shipped = is_shipped(resources);
    if !resources.is_null() && *resources != container["resources"] && !is_shipped {
        kept.push(Kept { what: "resources".to_owned(), value: resources.to_string() });
        container["resources"] = resources.clone();
    }
    label(manifest);
    kept
}

/// Whether the Jobs of the agent's own program have had the agent's image, and shall have it.
fn follows_image(running: &Value, choices: &Choices) -> bool {
    let mut variables = running["env"].as_array().into_iter().flatten();
    let of_jobs = variables.find(|variable| variable["name"] == NATIVE_IMAGE);
    let is_chosen = choices.settings.iter().any(|chosen| chosen.name == NATIVE_IMAGE);
    !is_chosen && of_jobs.is_none_or(|variable| variable["value"] == running["image"])
}

fn is_shipped(resources: &Value) -> bool {
    let mut shipped = SHIPPED_RESOURCES.iter().filter_map(|text| serde_json::from_str::<Value>(text).ok());
    shipped.any(|shipped| shipped == *resources)
}

fn keep_image(container: &mut Value, running: &Value) -> Option<Kept> {
    let (live, shipped) = (running["image"].as_str()?, container["image"].as_str()?.to_owned());
    let image = upgraded_image(live, &shipped);
    let kept = (image != shipped).then(|| Kept { what: "image".to_owned(), value: image.clone() });
    container["image"] = json!(image);
    kept
}

/// Returns the image that takes the place of another one: of a mirror of the shipped one the same version, and whatever
/// has no version for a tag as it is.
fn upgraded_image(live: &str, shipped: &str) -> String {
    let (Some((repository, tag)), Some((shipped_repository, version))) = (tagged(live), tagged(shipped))
    else {
        return live.to_owned();
    };
    if !is_version(tag) {
        live.to_owned()
    } else if repository == shipped_repository {
        shipped.to_owned()
    } else {
        format!("{repository}:{version}")
    }
}

/// Returns repository and tag of an image; none of one with a digest, or without a tag.
fn tagged(image: &str) -> Option<(&str, &str)> {
    let (repository, tag) = image.rsplit_once(':')?;
    (!image.contains('@') && !tag.contains('/')).then_some((repository, tag))
}

/// Returns whether a tag is a version, such as `0.1.0` or `v1.2.3-rc.1`.
fn is_version(tag: &str) -> bool {
    let numbers = tag.trim_start_matches('v').split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = numbers.split('.').collect();
    numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u32>().is_ok())
}

/// Returns the version of an image; none where its tag is none.
pub fn version_of(image: &str) -> Option<&str> {
    tagged(image).map(|(_, tag)| tag).filter(|tag| is_version(tag)).map(|tag| tag.trim_start_matches('v'))
}

/// Returns whether a version is newer than another one, by their numbers.
pub fn is_newer(version: &str, than: &str) -> bool {
    let numbers = |version: &str| -> Vec<u32> {
        let plain = version.split(['-', '+']).next().unwrap_or_default();
        plain.split('.').map(|number| number.parse().unwrap_or(0)).collect()
    };
    numbers(version) > numbers(than)
}

fn keep_settings(container: &mut Value, running: &Value, choices: &Choices, follows: bool) -> Vec<Kept> {
    let live = running["env"].as_array().cloned().unwrap_or_default();
    let Some(variables) = container["env"].as_array_mut() else { return Vec::new() };
    let mut kept = Vec::new();
    for setting in live {
        let name = setting["name"].as_str().unwrap_or_default().to_owned();
        let is_chosen = choices.settings.iter().any(|chosen| chosen.name == name);
        if is_chosen || follows && name == NATIVE_IMAGE {
            continue;
        }
        let place = variables.iter_mut().find(|variable| variable["name"] == name.as_str());
        let kept_setting = match &place {
            // What Kubernetes gives each pod is written by the manifests.
            Some(shipped) if shipped.get("valueFrom").is_some() => None,
            Some(shipped) => kept_value(&name, &setting, shipped),
            None => Some(setting),
        };
        let Some(setting) = kept_setting else { continue };
        // What is taken from elsewhere, such as a Secret, is not shown.
        let value = setting["value"].as_str().unwrap_or("(from elsewhere)");
        // Nor is an address that may hold a password or a token.
        let may_be_shown =
            !value.contains('@') && !name.starts_with("NOTIFICATION_URL") && !name.starts_with("CREDS_");
        let value = if may_be_shown { value.to_owned() } else { "(not shown)".to_owned() };
        kept.push(Kept { what: name, value });
        match place {
            Some(place) => *place = setting,
            None => variables.push(setting),
        }
    }
    kept
}

/// Returns a setting that stays in the place of the shipped one; none where it is one that was shipped.
fn kept_value(name: &str, live: &Value, shipped: &Value) -> Option<Value> {
    let Some(value) = live["value"].as_str() else {
        return Some(live.clone()).filter(|live| live != shipped);
    };
    let default = shipped["value"].as_str().unwrap_or_default();
    let is_own =
        OWN_REPOSITORIES.iter().any(|own| tagged(default).is_some_and(|(repository, _)| repository == *own));
    if is_own {
        let image = upgraded_image(value, default);
        return (image != default).then(|| json!({ "name": name, "value": image }));
    }
    let earlier =
        SHIPPED_SETTINGS.iter().filter(|(setting, _)| *setting == name).flat_map(|(_, values)| *values);
    (value != default && !earlier.into_iter().any(|earlier| *earlier == value)).then(|| live.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifests::choices::VERSION_LABEL;
    use crate::manifests::shipped;

    fn agent(choices: &Choices) -> Manifest {
        let manifests = choices.applied(shipped().unwrap()).unwrap();
        manifests.into_iter().find(|manifest| manifest.is("Deployment")).unwrap()
    }

    /// A Deployment as shipped, changed.
    fn live(change: impl FnOnce(&mut Value)) -> Value {
        let mut live = agent(&Choices::default()).body;
        change(&mut live);
        live
    }

    fn kept(live: &Value, choices: &Choices) -> (Vec<String>, Value) {
        let mut manifest = agent(choices);
        let kept = keep(&mut manifest, live, choices);
        (kept.iter().map(|kept| format!("{}: {}", kept.what, kept.value)).collect(), manifest.body)
    }

    const AGENT: &str = "/spec/template/spec/containers/0";

    #[test]
    fn each_value_of_this_version_is_known_as_one_that_was_shipped() {
        let manifest = agent(&Choices::default());
        let container = container(&manifest.body).unwrap();
        for variable in container["env"].as_array().unwrap() {
            let Some(value) = variable["value"].as_str() else { continue };
            let name = variable["name"].as_str().unwrap();
            let known = SHIPPED_SETTINGS.iter().any(|(n, values)| *n == name && values.contains(&value));
            assert!(known, "{name}: add {value:?} to SHIPPED_SETTINGS, and keep what stands there");
        }
        let resources = &container["resources"];
        assert!(is_shipped(resources), "add to SHIPPED_RESOURCES: {resources}");
        let repositories = [container["image"].as_str(), container["env"][2]["value"].as_str()];
        let repositories = repositories.map(|image| tagged(image.unwrap()).unwrap().0);
        assert_eq!(repositories, OWN_REPOSITORIES);
    }

    #[test]
    fn what_an_administrator_has_set_stays_and_what_was_shipped_goes_with_the_version() {
        let changed = live(|live| {
            live["spec"]["replicas"] = json!(3);
            let agent = live.pointer_mut(AGENT).unwrap();
            agent["image"] = json!("r.corp:5000/imgop/agent:0.0.9");
            agent["resources"]["limits"]["memory"] = json!("512Mi");
            agent["env"][0]["value"] = json!("team-a,team-b");
            agent["env"].as_array_mut().unwrap().push(json!({ "name": "MAX_JOBS", "value": "7" }));
        });
        let (kept_values, manifest) = kept(&changed, &Choices::default());
        insta::assert_snapshot!(kept_values.join("\n"), @r#"
        replicas: 3
        image: r.corp:5000/imgop/agent:0.1.0
        WATCH_NAMESPACES: team-a,team-b
        MAX_JOBS: 7
        resources: {"limits":{"memory":"512Mi"},"requests":{"cpu":"10m","memory":"32Mi"}}
        "#);
        let (again, same) = kept(&manifest, &Choices::default());
        assert_eq!(manifest["metadata"]["labels"][VERSION_LABEL], "0.1.0");
        assert_eq!((again.len(), same), (5, manifest), "it stays so");
        assert_eq!(kept(&live(|_| {}), &Choices::default()).0, Vec::<String>::new());
    }

    #[test]
    fn an_image_that_is_kept_and_names_no_version_gets_no_label_of_one() {
        let by_digest = live(|live| {
            live.pointer_mut(AGENT).unwrap()["image"] = json!("r.corp/agent@sha256:00");
        });
        let (_, manifest) = kept(&by_digest, &Choices::default());
        assert_eq!(manifest["metadata"]["labels"].get(VERSION_LABEL), None);
    }

    #[test]
    fn what_is_chosen_anew_goes_before_what_was_set() {
        let changed = live(|live| {
            live["spec"]["replicas"] = json!(3);
            live.pointer_mut(AGENT).unwrap()["image"] = json!("r.corp/agent:dev");
            live.pointer_mut(AGENT).unwrap()["env"][0]["value"] = json!("a");
        });
        let settings = vec!["WATCH_NAMESPACES=b".parse().unwrap()];
        let image = Some("ghcr.io/imgop/agent:0.1.0".to_owned());
        let choices = Choices { image, replicas: Some(2), settings, namespace: None };
        let (kept, manifest) = kept(&changed, &choices);
        assert_eq!(kept, Vec::<String>::new());
        assert_eq!(manifest, agent(&choices).body);
    }

    #[test]
    fn jobs_of_the_agents_own_program_have_the_agents_image_unless_they_were_given_another_one() {
        let of_jobs = |live: &Value, choices: &Choices| {
            let (_, body) = kept(live, choices);
            let variables = body.pointer(AGENT).unwrap()["env"].as_array().unwrap().clone();
            let found = variables.into_iter().find(|variable| variable["name"] == NATIVE_IMAGE);
            found.unwrap()["value"].as_str().unwrap().to_owned()
        };
        let with = |image: &str, of_jobs: Option<&str>| {
            live(|live| {
                let container = live.pointer_mut(AGENT).unwrap();
                container["image"] = json!(image);
                let variables = container["env"].as_array_mut().unwrap();
                variables.retain(|variable| variable["name"] != NATIVE_IMAGE);
                variables.extend(of_jobs.map(|image| json!({ "name": NATIVE_IMAGE, "value": image })));
            })
        };
        let (none, mirror) = (Choices::default(), "r.example.com/agent:dev");
        assert_eq!(of_jobs(&with(mirror, None), &none), mirror);
        assert_eq!(of_jobs(&with(mirror, Some(mirror)), &none), mirror);
        assert_eq!(of_jobs(&with(mirror, Some("r.example.com/other:1")), &none), "r.example.com/other:1");
        let chosen = Choices { image: Some("r.example.com/agent:next".to_owned()), ..Choices::default() };
        assert_eq!(of_jobs(&with(mirror, Some(mirror)), &chosen), "r.example.com/agent:next");
    }

    #[test]
    fn an_image_goes_to_the_new_version_wherever_it_is_kept_unless_its_tag_is_none() {
        let shipped = "ghcr.io/imgop/agent:0.2.0";
        for (live, upgraded) in [
            ("ghcr.io/imgop/agent:0.1.0", shipped),
            ("ghcr.io/imgop/agent:v0.1.0-rc.1", shipped),
            ("r.corp:5000/agent:0.1.0", "r.corp:5000/agent:0.2.0"),
            ("r.corp:5000/agent", "r.corp:5000/agent"),
            ("localhost/agent:dev", "localhost/agent:dev"),
            ("ghcr.io/imgop/agent@sha256:00", "ghcr.io/imgop/agent@sha256:00"),
        ] {
            assert_eq!(upgraded_image(live, shipped), upgraded, "{live}");
        }
        assert!(
            is_newer("0.10.0", "0.9.1") && !is_newer("0.1.0", "0.1.0") && !is_newer("0.1.0-rc.1", "0.1.0")
        );
        assert_eq!(
            (version_of("a:v1.2.3"), version_of("a:1"), version_of("r:5000/a")),
            (Some("1.2.3"), None, None)
        );
    }
}
