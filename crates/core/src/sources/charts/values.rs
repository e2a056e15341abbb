//! The images in a chart's values, and those that its metadata lists. Pure.

use super::archive::ChartFiles;
use super::rendered::{ChartImages, split};
use crate::formats::yaml::{self, Node, Value, is_read_as_text};

/// The annotations that list images: Artifact Hub's, and that of Helm's improvement proposal 15.
pub(super) const ANNOTATIONS: [&str; 2] = ["artifacthub.io/images", "helm.sh/images"];

/// Returns the images that `Chart.yaml` lists in an annotation.
///
/// # Errors
/// Where it, or the annotation, is no YAML.
pub fn images_of_annotations(chart: &ChartFiles) -> Result<ChartImages, String> {
    let mut found = ChartImages::default();
    let Some(metadata) = document(&chart.metadata)? else { return Ok(found) };
    let annotations = field(&metadata, "annotations");
    for text in ANNOTATIONS.iter().filter_map(|name| scalar(field(annotations?, name)?)) {
        images_listed(text, &mut found)?;
    }
    Ok(found)
}

/// Adds the images that the text of an annotation lists.
pub(super) fn images_listed(text: &str, found: &mut ChartImages) -> Result<(), String> {
    if let Some(Node { value: Value::List(images), .. }) = document(text)? {
        let images = images.iter().filter_map(|image| scalar(field(image, "image")?));
        images.for_each(|image| found.push(image));
    }
    Ok(())
}

/// Returns the images in the values of a chart: `image: REFERENCE`, and objects with `registry`, `repository`, `tag`. Without a
/// tag it is the version of what the chart installs, as charts have it.
///
/// # Errors
/// Where the values or the metadata are no YAML.
pub fn images_of_values(chart: &ChartFiles) -> Result<ChartImages, String> {
    let metadata = document(&chart.metadata)?;
    let app_version = metadata.as_ref().and_then(|metadata| scalar(field(metadata, "appVersion")?));
    let mut walk = Walk { app_version: app_version.unwrap_or_default(), found: ChartImages::default() };
    if let Some(values) = document(&chart.values)? {
        walk.node("", &values);
    }
    Ok(walk.found)
}

struct Walk<'a> {
    app_version: &'a str,
    found: ChartImages,
}

impl Walk<'_> {
    fn node(&mut self, key: &str, node: &Node) {
        match &node.value {
            Value::Scalar { text, is_plain } => {
                let is_text = !text.is_empty() && (!is_plain || is_read_as_text(text));
                if key == "image" && is_text {
                    self.found.push(text);
                }
            }
            Value::List(list) => list.iter().for_each(|node| self.node(key, node)),
            Value::Map(map) => {
                if let Some(image) = self.image(key, node) {
                    self.found.push(&image);
                    return;
                }
                for (key, node) in map {
                    self.node(&key.name, node);
                }
            }
        }
    }

    /// Returns the image that an object says in parts. Only what is in a field of images may call its repository otherwise.
    fn image(&self, key: &str, node: &Node) -> Option<String> {
        let part = |name: &str| scalar(field(node, name)?).filter(|text| !text.is_empty());
        let is_image = key.to_lowercase().contains("image");
        let other = || is_image.then(|| part("name").or_else(|| part("image"))).flatten();
        let repository = part("repository").or_else(other)?;
        if !is_image && field(node, "tag").is_none() {
            return None;
        }
        let name = match part("registry") {
            Some(registry) => format!("{registry}/{repository}"),
            None => repository.to_owned(),
        };
        let has_tag = split(&name).is_ok();
        match part("tag").unwrap_or(self.app_version) {
            _ if has_tag => Some(name),
            "" => Some(name),
            tag => Some(format!("{name}:{tag}")),
        }
    }
}

fn document(text: &str) -> Result<Option<Node>, String> {
    yaml::read(text).map_err(|error| error.to_string())
}

fn field<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    let Value::Map(map) = &node.value else { return None };
    map.iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
}

fn scalar(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Scalar { text, .. } => Some(text),
        Value::List(_) | Value::Map(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::Note;

    fn chart(values: &str) -> ChartFiles {
        let metadata = "name: web\nappVersion: 1.10\nannotations:\n  artifacthub.io/images: |\n    - name: web\n      image: \
                        ghcr.io/a/web:2\n    - {name: db, image: a/db}\n";
        ChartFiles { metadata: metadata.to_owned(), values: values.to_owned() }
    }

    fn shown(found: &ChartImages) -> Vec<String> {
        found.images.iter().map(|(name, tag)| format!("{name}:{tag}")).collect()
    }

    #[test]
    fn images_are_references_and_objects_with_their_parts() {
        let values = "
image: {registry: ghcr.io, repository: a/web, tag: \"\"}
db: {image: 'docker.io/a/db:3@sha256:00', pullPolicy: Always}
sidecar: {image: {name: host:5000/a/c, tag: 1.20}}
backup: {repository: a/backup, tag: v1}
git: {repository: https://example.com/x}
none: {image: {repository: a/none, tag: v1, digest: ''}, images: [{repository: a/list, tag: 2}]}
enabled: {image: true}
";
        let found = images_of_values(&chart(values)).unwrap();
        assert_eq!(
            shown(&found),
            ["ghcr.io/a/web:1.10", "a/db:3", "host:5000/a/c:1.20", "a/backup:v1", "a/none:v1", "a/list:2"]
        );
        assert_eq!(found.notes, []);
    }

    #[test]
    fn an_image_without_a_tag_has_the_version_of_what_the_chart_installs_or_is_noted() {
        let mut chart = chart("image: {repository: a/web}\n");
        assert_eq!(shown(&images_of_values(&chart).unwrap()), ["a/web:1.10"]);
        "name: web".clone_into(&mut chart.metadata);
        assert_eq!(images_of_values(&chart).unwrap().notes, [Note::Untagged("a/web".to_owned())]);
    }

    #[test]
    fn the_annotation_lists_images() {
        let found = images_of_annotations(&chart("")).unwrap();
        assert_eq!(
            (shown(&found), &found.notes[..]),
            (vec!["ghcr.io/a/web:2".to_owned()], &[Note::Untagged("a/db".to_owned())][..])
        );
        assert_eq!(images_of_annotations(&ChartFiles::default()), Ok(ChartImages::default()));
    }

    proptest::proptest! {
        #[test]
        fn no_values_end_in_a_panic(text in "[-:#imagerpostyn \\n\\[\\]{}/'.0]{0,80}") {
            let chart = ChartFiles { metadata: text.clone(), values: text };
            let _ = (images_of_values(&chart), images_of_annotations(&chart));
        }
    }
}
