//! The Images and ImageBuilders of files: YAML or JSON, in files, folders or on the standard input.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use imgop_core::api::{Image, ImageBuilder, ImageMirror, WorkloadMirror};
use imgop_core::build::BuildRequest;
use imgop_core::copy::CopyRequest;
use imgop_core::default_destination::WithDestination;
use kube::CustomResourceExt;
use serde::de::DeserializeOwned;

use super::default_destination::NOWHERE;
use super::unknown_fields;
use crate::cli_error::CliError;
use crate::kinds::object_name::nearest_name;
use crate::kinds::{Erased, KINDS, KindRef};

/// The largest file of manifests that is read.
pub const MAX_FILE_BYTES: usize = 16 << 20;
/// What files of a folder end with, as for kubectl.
const EXTENSIONS: [&str; 3] = ["json", "yaml", "yml"];

/// One thing of a file.
#[derive(Debug)]
pub enum Manifest {
    /// A copy.
    Image(Box<Image>),
    /// A build.
    Builder(Box<ImageBuilder>),
    /// An inventory of copies.
    Mirror(Box<ImageMirror>),
    /// What workloads use.
    Workloads(Box<WorkloadMirror>),
}

/// Returns the Images and ImageBuilders of files, of the files of folders (not of the folders in them), and of the standard
/// input, which is `-`; or what is wrong with one of them. A file without any of ours is said to lack `wanted`.
pub fn manifests(paths: &[PathBuf], wanted: &[KindRef]) -> Result<Content, CliError> {
    let mut all = Content::default();
    for path in paths {
        let content = if path.is_dir() { of_folder(path)? } else { of_file(path)? };
        if content.manifests.is_empty() {
            return Err(nothing(path, &content.others, wanted));
        }
        all.add(content);
    }
    Ok(all)
}

/// Returns what the files of a folder have.
fn of_folder(folder: &Path) -> Result<Content, CliError> {
    let unreadable =
        |error: std::io::Error| CliError::failed(format!("cannot read {}: {error}", folder.display()));
    let entries: Vec<_> =
        std::fs::read_dir(folder).and_then(Iterator::collect::<Result<_, _>>).map_err(unreadable)?;
    let mut files: Vec<PathBuf> = entries.iter().map(std::fs::DirEntry::path).collect();
    files.retain(|path| {
        path.is_file() && path.extension().is_some_and(|e| EXTENSIONS.iter().any(|known| e == *known))
    });
    files.sort();
    let mut all = Content::default();
    for file in files {
        all.add(of_file(&file)?);
    }
    Ok(all)
}

/// What a file has.
#[derive(Debug, Default)]
pub struct Content {
    /// What can be previewed, or what is wrong with it.
    pub manifests: Vec<Result<Manifest, CliError>>,
    /// The other kinds.
    pub others: BTreeSet<String>,
}

impl Content {
    fn add(&mut self, other: Self) {
        self.manifests.extend(other.manifests);
        self.others.extend(other.others);
    }
}

fn nothing(path: &Path, others: &BTreeSet<String>, wanted: &[KindRef]) -> CliError {
    let of = |kind: &KindRef| format!("{} of {}", kind.resource().kind, kind.resource().api_version);
    let own: Vec<String> = wanted.iter().map(of).collect();
    let names: Vec<&str> = others.iter().map(String::as_str).collect();
    let only = if names.is_empty() { String::new() } else { format!("; it has {}", names.join(", ")) };
    let nothing = CliError::failed(format!("{}: it contains no {}{only}", shown(path), own.join(", no ")));
    let kind = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
    let kinds: Vec<String> = own.iter().map(|own| kind(own)).collect();
    let meant =
        others.iter().filter_map(|other| nearest_name(&kind(other), kinds.iter().map(String::as_str)));
    let hints = meant.filter_map(|meant| own.iter().find(|own| kind(own) == meant));
    hints.fold(nothing, |error, own| error.hinted(format!("do you mean {own}?")))
}

/// Returns the name of a file in messages.
pub fn shown(path: &Path) -> String {
    if path == Path::new("-") { "stdin".to_owned() } else { path.display().to_string() }
}

fn of_file(path: &Path) -> Result<Content, CliError> {
    let shown = shown(path);
    let text = text(path)?;
    let explain = |problem: String| CliError::failed(format!("{shown}: {problem}"));
    let documents = documents(&text).map_err(explain)?;
    let others = documents.iter().filter(|value| kind_of(value).is_none());
    let others = others.filter_map(|value| {
        Some(format!("{} of {}", value["kind"].as_str()?, value["apiVersion"].as_str()?))
    });
    let others = others.collect();
    let manifests = documents.into_iter().filter_map(of_value).map(|one| one.map_err(explain)).collect();
    Ok(Content { manifests, others })
}

/// Returns the text of a file with manifests, or of the standard input.
pub fn text(path: &Path) -> Result<String, CliError> {
    read(path).map_err(|error| CliError::failed(format!("cannot read {}: {error}", shown(path))))
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let mut limited: Box<dyn std::io::Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path)?)
    };
    limited.by_ref().take(MAX_FILE_BYTES as u64 + 1).read_to_string(&mut text)?;
    if text.len() > MAX_FILE_BYTES {
        return Err(std::io::Error::other(format!("it is larger than {} MiB", MAX_FILE_BYTES >> 20)));
    }
    Ok(text)
}

/// Returns the objects of YAML or JSON, including those in Lists. Other kinds than ours are skipped later: a file may
/// hold all manifests of an application.
pub fn documents(text: &str) -> Result<Vec<serde_json::Value>, String> {
    // First as values, like the API server: an unquoted version 1.10 is a number there too.
    let documents: Vec<serde_json::Value> =
        // The lines around a mistake may be those of a Secret.
        serde_saphyr::from_multiple(text)
            .map_err(|error: serde_saphyr::Error| format!("invalid YAML: {}", error.without_snippet()))?;
    Ok(documents.into_iter().flat_map(items).collect())
}

/// Returns the items of a List; of anything else itself.
fn items(document: serde_json::Value) -> Vec<serde_json::Value> {
    let is_list = |kind: &str| {
        let of_kind = |known: KindRef| format!("{}List", known.resource().kind) == kind;
        kind == "List"
            || of_kind(Erased::<Image>::REF)
            || of_kind(Erased::<ImageBuilder>::REF)
            || of_kind(Erased::<ImageMirror>::REF)
            || of_kind(Erased::<WorkloadMirror>::REF)
    };
    match (&document["kind"], &document["items"]) {
        (serde_json::Value::String(kind), serde_json::Value::Array(items)) if is_list(kind) => items.clone(),
        _ => vec![document],
    }
}

/// Returns the kind of an object, if it is one of ours.
fn kind_of(value: &serde_json::Value) -> Option<KindRef> {
    let group = value["apiVersion"].as_str().and_then(|v| v.split_once('/')).map_or("", |(group, _)| group);
    let is = |kind: &KindRef| value["kind"] == kind.resource().kind && group == kind.resource().group;
    KINDS.into_iter().find(is)
}

/// Reads one object; none of another kind.
fn of_value(value: serde_json::Value) -> Option<Result<Manifest, String>> {
    let kind = kind_of(&value)?;
    if kind == Erased::<Image>::REF {
        let check = |image: &Image| {
            let image = with_some_destination(image);
            CopyRequest::parse(&image.spec).map(drop).map_err(|error| error.to_string())
        };
        return Some(object(value, check).map(|image| Manifest::Image(Box::new(image))));
    }
    if kind == Erased::<ImageBuilder>::REF {
        let check = |builder: &ImageBuilder| {
            let builder = with_some_destination(builder);
            BuildRequest::parse(&builder.spec).map(drop).map_err(|error| error.to_string())
        };
        return Some(object(value, check).map(|builder| Manifest::Builder(Box::new(builder))));
    }
    if kind == Erased::<ImageMirror>::REF {
        return Some(object(value, |_| Ok(())).map(|mirror| Manifest::Mirror(Box::new(mirror))));
    }
    if kind == Erased::<WorkloadMirror>::REF {
        return Some(object(value, |_| Ok(())).map(|mirror| Manifest::Workloads(Box::new(mirror))));
    }
    None
}

/// Returns an object with a destination in any case. Whether the namespace has a default one is seen later.
fn with_some_destination<K: WithDestination>(object: &K) -> Cow<'_, K> {
    if !object.written_destination().is_empty() {
        return Cow::Borrowed(object);
    }
    let mut object = object.clone();
    NOWHERE.clone_into(object.destination().name);
    Cow::Owned(object)
}

/// Reads an object strictly, as `kubectl apply` does.
pub fn object<K: CustomResourceExt + DeserializeOwned>(
    value: serde_json::Value,
    check: impl Fn(&K) -> Result<(), String>,
) -> Result<K, String> {
    let name = value["metadata"]["name"].as_str().unwrap_or("without a name").to_owned();
    let resource = K::api_resource();
    let (title, expected) = (resource.kind, resource.api_version);
    if value["apiVersion"] != expected {
        return Err(format!("{title} {name}: its apiVersion is not {expected}"));
    }
    let (mut unknown, mut track) = (Vec::new(), serde_path_to_error::Track::new());
    let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
    let object = serde_ignored::deserialize::<_, _, K>(tracked, |path| {
        // serde_ignored marks what is optional.
        unknown.push(path.to_string().replace(".?", ""));
    });
    // A status may come from an agent that is newer than this program.
    unknown.retain(|field| !matches!(field.as_str(), "apiVersion" | "kind") && !field.starts_with("status."));
    // A field that is misspelt is missing too.
    if !unknown.is_empty() {
        return Err(format!("{title} {name}: {}", unknown_fields::unknown::<K>(&unknown)));
    }
    let object = object.map_err(|error| {
        let text = error.to_string();
        let quotes = if text.ends_with("expected a string") { "; quote it" } else { "" };
        format!("{title} {name}: {}: {text}{quotes}", track.path())
    })?;
    check(&object).map_err(|error| format!("{title} {name}: {error}"))?;
    Ok(object)
}

#[cfg(test)]
mod tests {
    use imgop_documents::Page;

    use super::*;

    fn of_text(text: &str) -> Result<Vec<Result<Manifest, String>>, String> {
        Ok(documents(text)?.into_iter().filter_map(of_value).collect())
    }

    const IMAGE: &str = "apiVersion: skopeo.io/v1alpha1\nkind: Image\nmetadata: {name: a, namespace: ci}\nspec:\n  mode: OnceByTag\n  \
        source: {name: quay.io/a/b, version: 1.x}\n  destination: {name: r.example.com/a, credentials: {secretName: s}}\n";

    #[test]
    fn a_file_may_hold_several_images_and_other_things() {
        let text = format!(
            "---\n# nothing\n---\n{IMAGE}---\nkind: ConfigMap\napiVersion: v1\n---\n{IMAGE}status: {{tagAlreadySynced: ['1.0']}}\n"
        );
        let image = |read: Result<Manifest, String>| match read.unwrap() {
            Manifest::Image(image) => image,
            Manifest::Builder(_) | Manifest::Mirror(_) | Manifest::Workloads(_) => panic!("it is an Image"),
        };
        let images: Vec<_> = of_text(&text).unwrap().into_iter().map(image).collect();
        assert_eq!(images.len(), 2);
        assert_eq!(images[0].metadata.namespace.as_deref(), Some("ci"));
        assert_eq!(images[1].status.as_ref().unwrap().tag_already_synced.len(), 1);
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
            Ok(mut images) => images.remove(0).unwrap_err(),
            Err(problem) => problem,
        };
        insta::assert_snapshot!(wrong("version: 1.x", "version: 1.10"), @"Image a: spec.source.version: invalid type: floating point `1.1`, expected a string; quote it");
        insta::assert_snapshot!(wrong("r.example.com/a", "r.example.com/a:1"), @r#"Image a: spec.destination.name: "r.example.com/a:1" names a tag or digest; give "r.example.com/a" as the name and the rest as the version"#);
        insta::assert_snapshot!(wrong("version: 1.x", "version: 1.x, selct: {latest: 1}"), @"Image a: unknown field spec.source.selct (did you mean select?)");
        insta::assert_snapshot!(wrong("version: 1.x", "version: 1.x, select: {latset: 1}"), @"Image a: unknown field spec.source.select.latset (did you mean latest?)");
        insta::assert_snapshot!(wrong("version: 1.x", "verison: 1.x"), @"Image a: unknown field spec.source.verison (did you mean version?)");
        insta::assert_snapshot!(wrong("secretName: s", "secretNam: s"), @"Image a: unknown field spec.destination.credentials.secretNam (did you mean secretName?)");
        insta::assert_snapshot!(wrong("{secretName: s}", "{}"), @"Image a: spec.destination.credentials: missing field `secretName`");
        insta::assert_snapshot!(wrong("v1alpha1", "v1"), @"Image a: its apiVersion is not skopeo.io/v1alpha1");
        assert!(of_text(&IMAGE.replace("kind: Image", "kind: Picture")).unwrap().is_empty());
        let builder = "apiVersion: buildah.io/v1alpha1\nkind: ImageBuilder\nmetadata: {name: b}\nspec: \
            {architecture: both, image: {name: r.example.com/a, version: '1'}, source: FROM a}\n";
        assert!(of_text(builder).unwrap().remove(0).is_ok());
        let wrong =
            |from: &str, to: &str| of_text(&builder.replace(from, to)).unwrap().remove(0).unwrap_err();
        insta::assert_snapshot!(wrong("architecture", "architectur"), @"ImageBuilder b: unknown field spec.architectur (did you mean architecture?)");
        insta::assert_snapshot!(wrong("version: '1'", "version: 'a b'"), @r#"ImageBuilder b: spec.image.version: "a b" is not a tag; a tag has at most 128 letters, digits, '_', '.' and '-', and starts with a letter, digit or '_'"#);
    }

    #[test]
    fn the_manifests_of_the_documentation_are_valid() {
        let mut number = 0;
        for page in Page::all() {
            for block in page.manifests() {
                for read in of_text(&block.text).unwrap() {
                    assert!(read.is_ok(), "{}:{}: {read:?}", page.path.display(), block.line);
                    number += 1;
                }
            }
        }
        assert!(number >= 10, "{number}");
    }
}
