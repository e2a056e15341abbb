//! Images as rows of a table.

use imgop_core::api::conditions::{READY, find};
use imgop_core::api::{Image, ImageSpec, Mode, Referrers};
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::core::DynamicObject;

use crate::age::since;
use crate::table::Table;

/// Which columns a list has.
#[derive(Debug, Clone, Copy)]
pub struct Columns {
    /// The namespace first.
    pub namespace: bool,
    /// Destination and message last.
    pub wide: bool,
}

/// A table of Images.
pub fn table(objects: &[DynamicObject], columns: Columns, now: Timestamp) -> Table {
    let mut header = Vec::from(if columns.namespace { &["NAMESPACE"][..] } else { &[] });
    header.extend(["NAME", "MODE", "SOURCE", "READY", "REASON", "SYNCED", "LAST-SYNC", "AGE"]);
    if columns.wide {
        header.extend(["DESTINATION", "MESSAGE"]);
    }
    let mut table = Table::new(header);
    for object in objects {
        let mut cells = Vec::new();
        if columns.namespace {
            cells.push(object.namespace().unwrap_or_default());
        }
        cells.push(object.name_any());
        match read(object) {
            Ok(image) => cells.extend(row(&image, columns.wide, now)),
            // An Image of another version of imgop; the others are shown all the same.
            Err(why) => cells.extend(unreadable(object, &why, columns.wide, now)),
        }
        table.row(cells);
    }
    table
}

/// The Image that an object is, or why it is none.
pub fn read(object: &DynamicObject) -> Result<Image, String> {
    serde_json::to_value(object).and_then(serde_json::from_value).map_err(|error| error.to_string())
}

fn row(image: &Image, wide: bool, now: Timestamp) -> Vec<String> {
    let status = image.status.clone().unwrap_or_default();
    let ready = find(&status.conditions, READY);
    let of_ready = |value: fn(&k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition) -> &String| {
        ready.map_or_else(|| "<unknown>".to_owned(), |condition| value(condition).clone())
    };
    let mut cells = vec![
        mode(image.spec.mode).to_owned(),
        source(&image.spec),
        of_ready(|c| &c.status),
        if ready.is_none() { "<pending>".to_owned() } else { of_ready(|c| &c.reason) },
        status.progress.clone().unwrap_or_else(|| "<none>".to_owned()),
        since(status.last_sync_time.as_ref(), now),
        since(image.metadata.creation_timestamp.as_ref(), now),
    ];
    if wide {
        cells.push(destination(&image.spec));
        cells.push(ready.map_or_else(|| "<none>".to_owned(), |c| c.message.clone()));
    }
    cells
}

fn unreadable(object: &DynamicObject, why: &str, wide: bool, now: Timestamp) -> Vec<String> {
    let mut cells = vec!["<unknown>".to_owned(); 6];
    cells.push(since(object.metadata.creation_timestamp.as_ref(), now));
    if wide {
        cells.extend(["<unknown>".to_owned(), format!("this object cannot be read: {why}")]);
    }
    cells
}

/// The mode, as written in the spec.
pub fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::OneShot => "OneShot",
        Mode::OnceByTag => "OnceByTag",
        Mode::Recurrent => "Recurrent",
    }
}

/// `quay.io/argoproj/argocd:v2.13.x`.
pub fn source(spec: &ImageSpec) -> String {
    with_version(&spec.source.name, &spec.source.version)
}

/// What narrows or widens the version: `newest 3, without .*-debian`.
pub fn narrowing(spec: &ImageSpec) -> String {
    let select = spec.source.select.clone().unwrap_or_default();
    let list = |word: &str, expressions: &[String]| {
        (!expressions.is_empty()).then(|| format!("{word} {}", expressions.join(" or ")))
    };
    let parts = [
        spec.allow_candidate_release.then(|| "with release candidates".to_owned()),
        list("only", &select.include),
        list("without", &select.exclude),
        select.latest.map(|number| format!("newest {number}")),
        select.min_age.filter(|age| !age.is_empty()).map(|age| format!("at least {age} old")),
        (!spec.platforms.is_empty()).then(|| format!("for {}", spec.platforms.join(" and "))),
        (spec.referrers == Referrers::All).then(|| "with referrers".to_owned()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The destination, with its version where the spec has one.
pub fn destination(spec: &ImageSpec) -> String {
    with_version(&spec.destination.name, spec.destination.version.as_deref().unwrap_or_default())
}

/// A name and a version as people write them.
pub fn with_version(name: &str, version: &str) -> String {
    match version {
        "" => name.to_owned(),
        digest if digest.contains(':') => format!("{name}@{digest}"),
        // `name:>=2.13 <2.15` would read as a tag.
        range if range.starts_with(['<', '>', '=', '~', '^']) => format!("{name} {range}"),
        tag => format!("{name}:{tag}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn objects() -> Vec<DynamicObject> {
        let object = |name: &str, spec: serde_json::Value, status: serde_json::Value| {
            serde_json::from_value(json!({
                "apiVersion": "skopeo.io/v1alpha1", "kind": "Image",
                "metadata": { "name": name, "namespace": "ci", "creationTimestamp": "2026-01-01T00:00:00Z" },
                "spec": spec, "status": status,
            }))
            .unwrap()
        };
        let spec = json!({ "mode": "OnceByTag", "source": { "name": "quay.io/argoproj/argocd", "version": "v2.13.x" },
            "destination": { "name": "registry.example.com/argoproj/argocd" } });
        let status = json!({ "progress": "4/5", "lastSyncTime": "2026-01-08T00:00:00Z", "conditions": [
            { "type": "Ready", "status": "False", "reason": "CopyFailed", "message": "4 of 5 tags are\n\u{1b}[31mthere",
              "lastTransitionTime": "2026-01-08T00:00:00Z" } ] });
        vec![
            object("argocd-v2-13-x", spec.clone(), status),
            object("new", spec, json!({})),
            object("odd", json!({ "mode": "Never" }), json!({})),
        ]
    }

    fn text(columns: Columns) -> String {
        let now = "2026-01-08T00:05:30Z".parse().unwrap();
        table(&objects(), columns, now).lines(true).into_iter().map(|line| line.text + "\n").collect()
    }

    #[test]
    fn a_list_shows_what_became_of_each_image() {
        insta::assert_snapshot!(text(Columns { namespace: false, wide: false }), @"
        NAME             MODE        SOURCE                            READY       REASON       SYNCED      LAST-SYNC   AGE
        argocd-v2-13-x   OnceByTag   quay.io/argoproj/argocd:v2.13.x   False       CopyFailed   4/5         5m30s       7d
        new              OnceByTag   quay.io/argoproj/argocd:v2.13.x   <unknown>   <pending>    <none>      <none>      7d
        odd              <unknown>   <unknown>                         <unknown>   <unknown>    <unknown>   <unknown>   7d
        ");
    }

    #[test]
    fn a_wide_list_adds_destination_and_message() {
        insta::assert_snapshot!(text(Columns { namespace: true, wide: true }), @r"
        NAMESPACE   NAME             MODE        SOURCE                            READY       REASON       SYNCED      LAST-SYNC   AGE   DESTINATION                            MESSAGE
        ci          argocd-v2-13-x   OnceByTag   quay.io/argoproj/argocd:v2.13.x   False       CopyFailed   4/5         5m30s       7d    registry.example.com/argoproj/argocd   4 of 5 tags are \u{1b}[31mthere
        ci          new              OnceByTag   quay.io/argoproj/argocd:v2.13.x   <unknown>   <pending>    <none>      <none>      7d    registry.example.com/argoproj/argocd   <none>
        ci          odd              <unknown>   <unknown>                         <unknown>   <unknown>    <unknown>   <unknown>   7d    <unknown>                              this object cannot be read: unknown variant `Never`, expected one of `OneShot`, `OnceByTag`, `Recurrent`
        ");
    }
}
