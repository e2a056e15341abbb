//! Where objects put tags, read without what else they hold: of thousands few may put a tag to one repository.

use imgop_registry::reference::Repository;
use serde::Deserialize;

/// An Image of which only the destination is read.
#[derive(Deserialize)]
pub struct ImageDestination {
    spec: ImagePart,
}

#[derive(Deserialize)]
struct ImagePart {
    source: Place,
    #[serde(default)]
    destination: Place,
}

/// A side, of which only the repository is read.
#[derive(Deserialize, Default)]
struct Place {
    #[serde(default)]
    name: String,
}

/// An ImageBuilder of which only the names of its tags are read.
#[derive(Deserialize)]
pub struct BuilderDestination {
    spec: BuilderPart,
}

#[derive(Deserialize)]
struct BuilderPart {
    image: Named,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    name: String,
    #[serde(default)]
    additional_tags: Vec<String>,
}

impl ImageDestination {
    /// Returns the repository, as the spec names it.
    pub fn name(&self) -> &str {
        &self.spec.destination.name
    }

    /// Returns whether the default of its namespace decides where it is.
    pub fn is_open(&self) -> bool {
        !Repository::names_registry(self.name())
    }

    /// Returns whether a repository whose path ends with this part may be the destination.
    pub fn may_be(&self, base_name: &str) -> bool {
        // Without a name it has its source's path.
        let name = Some(self.name()).filter(|name| !name.is_empty()).unwrap_or(&self.spec.source.name);
        last_part(name) == base_name
    }
}

impl BuilderDestination {
    /// Returns whether a repository whose path ends with this part may be one that gets a tag.
    pub fn may_be(&self, base_name: &str) -> bool {
        let Named { name, additional_tags } = &self.spec.image;
        // Without a slash it is another tag of the same repository.
        let others = additional_tags.iter().filter(|tag| tag.contains('/'));
        others.chain([name]).any(|name| last_part(name) == base_name)
    }
}

fn last_part(name: &str) -> &str {
    let last = name.rsplit_once('/').map_or(name, |(_, last)| last);
    last.split_once(':').map_or(last, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_a_destination_may_put_tags_where_its_sources_path_ends_alike() {
        let image = |destination: serde_json::Value| -> ImageDestination {
            let spec =
                serde_json::json!({ "source": { "name": "quay.io/a/app" }, "destination": destination });
            serde_json::from_value(serde_json::json!({ "spec": spec })).unwrap()
        };
        let open = image(serde_json::json!({}));
        assert!(open.is_open() && open.may_be("app") && !open.may_be("a"));
        let named = image(serde_json::json!({ "name": "r.example.com/x/y" }));
        assert!(!named.is_open() && named.may_be("y") && !named.may_be("app"));
    }

    #[test]
    fn an_image_builder_may_put_tags_to_each_repository_that_it_names() {
        let spec = serde_json::json!({"spec": {"image": {
            "name": "a.example:5000/team/app",
            "version": "1",
            "additionalTags": ["latest", "a.example:5000/team/copy:2", "a.example:5000/team/other"],
        }}});
        let builder: BuilderDestination = serde_json::from_value(spec).unwrap();
        let may_be = ["app", "copy", "other"].map(|name| builder.may_be(name));
        assert_eq!(may_be, [true; 3]);
        assert!(!builder.may_be("latest") && !builder.may_be("team"));
    }
}
