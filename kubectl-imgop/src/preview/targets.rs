//! What to preview: references, the Images of a file, or an Image of the cluster.

use std::fmt;
use std::io::Read as _;
use std::path::Path;

use imgop_core::api::{Image, ImageSpec, Side};
use imgop_core::copy::Known;
use imgop_core::copy::{CopyRequest, SpecError, first_seen};
use jiff::Timestamp;
use kube::ResourceExt as _;
use serde::Serialize;

use crate::cli_error::CliError;
use crate::kinds::{Erased, ObjectRef};
use crate::output::wording::Wording;

/// The largest file of manifests that is read.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Which Image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageName {
    /// The namespace, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.namespace.iter().try_for_each(|namespace| write!(f, "{namespace}/"))?;
        f.write_str(&self.name)
    }
}

/// One request to preview.
#[derive(Debug, Clone)]
pub struct Target {
    /// What to copy.
    pub request: CopyRequest,
    /// The spec, which names the Secrets.
    pub spec: ImageSpec,
    /// The Image that it comes from.
    pub image: Option<ImageName>,
    /// That Image as read. One of a file is younger than all in the cluster, unless it exists already.
    pub manifest: Option<Image>,
    /// Tags that mode `OnceByTag` has copied already, and since when others wait.
    pub known: Known,
    /// Whether there is a destination to compare with.
    pub has_destination: bool,
}

impl Target {
    /// Returns the target of two references.
    pub fn of_references(spec: ImageSpec, request: CopyRequest, has_destination: bool) -> Self {
        let known = Known { now: Timestamp::now(), ..Known::default() };
        Self { request, spec, image: None, manifest: None, known, has_destination }
    }

    /// Returns the target of an Image of a cluster or a file. What it copied already, and since when tags
    /// are too young, is taken from its status.
    pub fn of_image(image: &Image) -> Result<Self, SpecError> {
        let request = CopyRequest::parse(&image.spec)?;
        let waiting = image.status.as_ref().map(|status| first_seen(&status.waiting));
        // What was copied from another source, or for other platforms, does not count.
        let expected = request.synced_from(&image.spec);
        let status =
            image.status.iter().filter(|s| s.synced_from.as_ref().is_none_or(|from| *from == expected));
        let synced = status.flat_map(|status| &status.tag_already_synced);
        Ok(Self {
            request,
            spec: image.spec.clone(),
            manifest: Some(image.clone()),
            image: Some(ImageName { namespace: image.namespace(), name: image.name_any() }),
            known: Known {
                already_synced: synced.filter_map(|tag| tag.parse().ok()).collect(),
                first_seen: waiting.unwrap_or_default(),
                now: Timestamp::now(),
                ..Known::default()
            },
            has_destination: true,
        })
    }

    /// Returns its name in messages.
    pub fn name(&self) -> String {
        self.image.as_ref().map_or_else(|| self.request.source.to_string(), ImageName::to_string)
    }

    /// Returns whether its problems are explained by flags or by fields.
    pub fn wording(&self) -> Wording {
        if self.image.is_some() { Wording::Fields } else { Wording::Flags }
    }

    /// Returns whether a Secret is named.
    pub fn names_secrets(&self) -> bool {
        let names = |side: Side| {
            let endpoint = self.spec.endpoint(side);
            endpoint.credentials.is_some() || endpoint.tls.ca_secret_name.is_some()
        };
        names(Side::Source) || self.has_destination && names(Side::Destination)
    }
}

/// Returns the name of an Image, if the one argument of `preview` is one: a bare word without `/`, `:`
/// and `@`, or a word after `image/` as kubectl writes it.
pub fn image_name(argument: &str) -> Option<ObjectRef> {
    let object = ObjectRef::parse(argument).ok()?;
    (object.kind == Erased::<Image>::REF).then_some(object)
}

/// Returns the Images of a file; `-` is the standard input.
pub fn of_file(path: &Path) -> Result<Vec<Result<Target, CliError>>, CliError> {
    let shown = if path == Path::new("-") { "stdin".to_owned() } else { path.display().to_string() };
    let text = read(path).map_err(|error| CliError::failed(format!("cannot read {shown}: {error}")))?;
    let explain = |problem: String| CliError::failed(format!("{shown}: {problem}"));
    let targets = of_text(&text).map_err(explain)?;
    Ok(targets.into_iter().map(|target| target.map_err(explain)).collect())
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let mut limited: Box<dyn std::io::Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path)?)
    };
    limited.by_ref().take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(std::io::Error::other(format!("it is larger than {} MiB", MAX_FILE_BYTES >> 20)));
    }
    Ok(text)
}

/// Returns the Images of YAML or JSON, including those in Lists, or what is wrong with one of them. Other kinds
/// are skipped: a file may hold all manifests of an application.
fn of_text(text: &str) -> Result<Vec<Result<Target, String>>, String> {
    // First as values, like the API server: an unquoted version 1.10 is a number there too.
    let documents: Vec<serde_json::Value> =
        serde_saphyr::from_multiple(text).map_err(|error| format!("invalid YAML: {error}"))?;
    let resource = Erased::<Image>::REF.resource();
    let (mut targets, list) = (Vec::new(), format!("{}List", resource.kind));
    for document in documents {
        let items = match (&document["kind"], &document["items"]) {
            (kind, serde_json::Value::Array(items)) if *kind == "List" || *kind == list => items.clone(),
            _ => vec![document],
        };
        for item in items {
            let group =
                item["apiVersion"].as_str().and_then(|v| v.split_once('/')).map_or("", |(group, _)| group);
            if item["kind"] == resource.kind && group == resource.group {
                targets.push(of_value(item));
            }
        }
    }
    if targets.is_empty() {
        Err(format!("it contains no {} of {}", resource.kind, resource.api_version))
    } else {
        Ok(targets)
    }
}

fn of_value(value: serde_json::Value) -> Result<Target, String> {
    let name = value["metadata"]["name"].as_str().unwrap_or("without a name").to_owned();
    let expected = Erased::<Image>::REF.resource().api_version;
    if value["apiVersion"] != expected {
        return Err(format!("Image {name}: its apiVersion is not {expected}"));
    }
    let (mut unknown, mut track) = (Vec::new(), serde_path_to_error::Track::new());
    let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
    let image = serde_ignored::deserialize::<_, _, Image>(tracked, |path| {
        // serde_ignored marks what is optional.
        unknown.push(path.to_string().replace(".?", ""));
    });
    let image = image.map_err(|error| {
        let text = error.to_string();
        let quotes = if text.ends_with("expected a string") { "; quote it" } else { "" };
        format!("Image {name}: {}: {text}{quotes}", track.path())
    })?;
    // As `kubectl apply` does. A status may come from an agent that is newer than this program.
    unknown.retain(|field| !matches!(field.as_str(), "apiVersion" | "kind") && !field.starts_with("status."));
    if !unknown.is_empty() {
        return Err(format!("Image {name}: unknown field {}", unknown.join(", ")));
    }
    Target::of_image(&image).map_err(|error| format!("Image {name}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_word_is_the_name_of_an_image() {
        for (argument, name) in [
            ("argocd-v2-13-x", Some("argocd-v2-13-x")),
            ("image/argocd", Some("argocd")),
            ("image.skopeo.io/argocd", Some("argocd")),
            ("nginx:1.27", None),
            ("library/nginx", None),
            ("image/argocd:1.0", None),
            ("quay.io/a/b", None),
            ("localhost:5000", None),
        ] {
            assert_eq!(image_name(argument).map(|image| image.name).as_deref(), name, "{argument}");
        }
    }

    const IMAGE: &str = "apiVersion: skopeo.io/v1alpha1\nkind: Image\nmetadata: {name: a, namespace: ci}\nspec:\n  mode: OnceByTag\n  \
        source: {name: quay.io/a/b, version: 1.x}\n  destination: {name: r.example.com/a, credentials: {secretName: s}}\n";

    #[test]
    fn a_file_may_hold_several_images_and_other_things() {
        let text = format!(
            "---\n# nothing\n---\n{IMAGE}---\nkind: ConfigMap\napiVersion: v1\n---\n{IMAGE}status: {{tagAlreadySynced: ['1.0']}}\n"
        );
        let targets: Vec<Target> = of_text(&text).unwrap().into_iter().map(Result::unwrap).collect();
        assert_eq!(targets.len(), 2);
        assert_eq!(targets[0].image.as_ref().unwrap().to_string(), "ci/a");
        assert!(targets[0].names_secrets());
        assert_eq!(targets[1].known.already_synced.len(), 1);
        let list = serde_json::json!({ "apiVersion": "v1", "kind": "List",
            "items": [serde_saphyr::from_str::<serde_json::Value>(IMAGE).unwrap()] });
        assert_eq!(of_text(&list.to_string()).unwrap().len(), 1);
    }

    #[test]
    fn an_image_as_kubectl_prints_it_has_no_unknown_field() {
        let metadata = "metadata: {name: a, uid: x, generation: 2, creationTimestamp: '2026-11-21T12:00:00Z', \
            labels: {a: b}, managedFields: [{manager: m, operation: Apply, fieldsType: FieldsV1, fieldsV1: {'f:spec': {}}}]}";
        let text = IMAGE.replace("metadata: {name: a, namespace: ci}", metadata);
        let newer = format!("{text}status: {{phase: COMPLETED, fromTheFuture: 1}}\n");
        let read = of_text(&newer).unwrap().remove(0);
        assert!(read.is_ok(), "{read:?}");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_reported_with_the_image() {
        let wrong = |from: &str, to: &str| match of_text(&IMAGE.replace(from, to)) {
            Ok(mut targets) => targets.remove(0).unwrap_err(),
            Err(problem) => problem,
        };
        insta::assert_snapshot!(wrong("version: 1.x", "version: 1.10"), @"Image a: spec.source.version: invalid type: floating point `1.1`, expected a string; quote it");
        insta::assert_snapshot!(wrong("r.example.com/a", "r.example.com/a:1"), @r#"Image a: spec.destination.name: "r.example.com/a:1" names a tag or digest; give "r.example.com/a" as the name and the rest as the version"#);
        insta::assert_snapshot!(wrong("version: 1.x", "version: 1.x, selct: {latest: 1}"), @"Image a: unknown field spec.source.selct");
        insta::assert_snapshot!(wrong("version: 1.x", "version: 1.x, select: {latset: 1}"), @"Image a: unknown field spec.source.select.latset");
        insta::assert_snapshot!(wrong("secretName: s", "secretNam: s"), @"Image a: spec.destination.credentials: missing field `secretName`");
        insta::assert_snapshot!(wrong("v1alpha1", "v1"), @"Image a: its apiVersion is not skopeo.io/v1alpha1");
        insta::assert_snapshot!(wrong("kind: Image", "kind: Picture"), @"it contains no Image of skopeo.io/v1alpha1");
    }
}
