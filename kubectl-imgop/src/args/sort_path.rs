//! By which field a list is sorted, as `kubectl get --sort-by` takes it.

use std::cmp::Ordering;
use std::str::FromStr;

use kube::core::DynamicObject;
use serde_json::Value;

/// A path to one field: `.metadata.name`, in braces or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortPath(String);

impl FromStr for SortPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bare = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
        let path = bare.strip_prefix('.').unwrap_or(bare);
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric());
        if !path.split('.').all(is_name) {
            let such_as = ".metadata.creationTimestamp or .status.lastSyncTime";
            return Err(format!("write the path of a field, such as {such_as}"));
        }
        Ok(Self(format!("/{}", path.replace('.', "/"))))
    }
}

impl SortPath {
    /// Returns the order of two objects; one without the field comes first.
    pub fn compare(&self, a: &DynamicObject, b: &DynamicObject) -> Ordering {
        let value = |object: &DynamicObject| {
            let object = serde_json::to_value(object).ok()?;
            object.pointer(&self.0).filter(|value| !value.is_null()).cloned()
        };
        match (value(a), value(b)) {
            (Some(Value::Number(a)), Some(Value::Number(b))) => {
                a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal)
            }
            // Times of Kubernetes are in the order of their texts.
            (Some(Value::String(a)), Some(Value::String(b))) => a.cmp(&b),
            (a, b) => a.map(|value| value.to_string()).cmp(&b.map(|value| value.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, generation: i64, time: Option<&str>) -> DynamicObject {
        serde_json::from_value(json!({ "apiVersion": "v1", "kind": "Image",
            "metadata": { "name": name, "generation": generation }, "status": { "lastSyncTime": time } }))
        .unwrap()
    }

    #[test]
    fn objects_are_sorted_by_any_field_as_by_kubectl() {
        let objects = [
            object("b", 10, None),
            object("a", 9, Some("2026-01-02T00:00:00Z")),
            object("c", 1, Some("2026-01-01T00:00:00Z")),
        ];
        let sorted = |path: &str| {
            let (path, mut objects) = (path.parse::<SortPath>().unwrap(), objects.clone());
            objects.sort_by(|a, b| path.compare(a, b));
            objects.map(|object| object.metadata.name.unwrap()).join("")
        };
        assert_eq!(sorted(".metadata.name"), "abc");
        assert_eq!(sorted("{.metadata.generation}"), "cab");
        assert_eq!(sorted("metadata.generation"), "cab");
        assert_eq!(sorted(".status.lastSyncTime"), "bca");
        for bad in ["", ".", "{.a", ".a[0]", ".a..b"] {
            assert!(bad.parse::<SortPath>().is_err(), "{bad}");
        }
    }
}
