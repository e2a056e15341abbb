//! The Images of files: YAML or JSON, in files, folders or on the standard input.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use imgop_core::api::Image;
use imgop_core::copy::CopyRequest;

use super::unknown_fields;
use crate::cli_error::CliError;
use crate::kinds::Erased;

/// The largest file of manifests that is read.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// What files of a folder end with, as for kubectl.
const EXTENSIONS: [&str; 3] = ["json", "yaml", "yml"];

/// Returns the Images of files, of the files of folders (not of the folders in them), and of the standard
/// input, which is `-`; or what is wrong with one of them.
pub fn images(paths: &[PathBuf]) -> Result<Vec<Result<Image, CliError>>, CliError> {
    let mut images = Vec::new();
    for path in paths {
        if path.is_dir() {
            images.extend(of_folder(path)?);
        } else {
            images.extend(of_file(path)?.ok_or_else(|| no_image(path))?);
        }
    }
    Ok(images)
}

/// Returns the Images of a folder, which must have one.
fn of_folder(folder: &Path) -> Result<Vec<Result<Image, CliError>>, CliError> {
    let unreadable =
        |error: std::io::Error| CliError::failed(format!("cannot read {}: {error}", folder.display()));
    let entries: Vec<_> =
        std::fs::read_dir(folder).and_then(Iterator::collect::<Result<_, _>>).map_err(unreadable)?;
    let mut files: Vec<PathBuf> = entries.iter().map(std::fs::DirEntry::path).collect();
    files.retain(|path| {
        path.is_file() && path.extension().is_some_and(|e| EXTENSIONS.iter().any(|known| e == *known))
    });
    files.sort();
    let mut images = Vec::new();
    for file in files {
        images.extend(of_file(&file)?.unwrap_or_default());
    }
    if images.is_empty() { Err(no_image(folder)) } else { Ok(images) }
}

fn no_image(path: &Path) -> CliError {
    let resource = Erased::<Image>::REF.resource();
    let problem = format!("it contains no {} of {}", resource.kind, resource.api_version);
    CliError::failed(format!("{}: {problem}", shown(path)))
}

fn shown(path: &Path) -> String {
    if path == Path::new("-") { "stdin".to_owned() } else { path.display().to_string() }
}

/// Returns the Images of a file; none if it has no Image.
fn of_file(path: &Path) -> Result<Option<Vec<Result<Image, CliError>>>, CliError> {
    let shown = shown(path);
    let text = read(path).map_err(|error| CliError::failed(format!("cannot read {shown}: {error}")))?;
    let explain = |problem: String| CliError::failed(format!("{shown}: {problem}"));
    let images = of_text(&text).map_err(explain)?;
    Ok((!images.is_empty()).then(|| images.into_iter().map(|image| image.map_err(explain)).collect()))
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
fn of_text(text: &str) -> Result<Vec<Result<Image, String>>, String> {
    // First as values, like the API server: an unquoted version 1.10 is a number there too.
    let documents: Vec<serde_json::Value> =
        serde_saphyr::from_multiple(text).map_err(|error| format!("invalid YAML: {error}"))?;
    let resource = Erased::<Image>::REF.resource();
    let (mut images, list) = (Vec::new(), format!("{}List", resource.kind));
    for document in documents {
        let items = match (&document["kind"], &document["items"]) {
            (kind, serde_json::Value::Array(items)) if *kind == "List" || *kind == list => items.clone(),
            _ => vec![document],
        };
        for item in items {
            let group =
                item["apiVersion"].as_str().and_then(|v| v.split_once('/')).map_or("", |(group, _)| group);
            if item["kind"] == resource.kind && group == resource.group {
                images.push(of_value(item));
            }
        }
    }
    Ok(images)
}

fn of_value(value: serde_json::Value) -> Result<Image, String> {
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
    // As `kubectl apply` does. A status may come from an agent that is newer than this program.
    unknown.retain(|field| !matches!(field.as_str(), "apiVersion" | "kind") && !field.starts_with("status."));
    // A field that is misspelt is missing too.
    if !unknown.is_empty() {
        return Err(format!("Image {name}: {}", unknown_fields::unknown(&unknown)));
    }
    let image = image.map_err(|error| {
        let text = error.to_string();
        let quotes = if text.ends_with("expected a string") { "; quote it" } else { "" };
        format!("Image {name}: {}: {text}{quotes}", track.path())
    })?;
    CopyRequest::parse(&image.spec).map_err(|error| format!("Image {name}: {error}"))?;
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &str = "apiVersion: skopeo.io/v1alpha1\nkind: Image\nmetadata: {name: a, namespace: ci}\nspec:\n  mode: OnceByTag\n  \
        source: {name: quay.io/a/b, version: 1.x}\n  destination: {name: r.example.com/a, credentials: {secretName: s}}\n";

    #[test]
    fn a_file_may_hold_several_images_and_other_things() {
        let text = format!(
            "---\n# nothing\n---\n{IMAGE}---\nkind: ConfigMap\napiVersion: v1\n---\n{IMAGE}status: {{tagAlreadySynced: ['1.0']}}\n"
        );
        let images: Vec<Image> = of_text(&text).unwrap().into_iter().map(Result::unwrap).collect();
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
    }
}
