//! Objects of one kind as rows of a table.

use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::core::DynamicObject;

use super::KindRef;
use crate::output::age::since;
use crate::output::table::Table;
use crate::output::text::none;

/// Which columns a list has.
#[derive(Debug, Clone, Copy)]
pub struct Columns {
    /// The namespace first.
    pub namespace: bool,
    /// More columns and the message last.
    pub wide: bool,
}

/// Returns the table of some objects. One that cannot be read is a row all the same: an object of another
/// version of imgop must not hide the others.
pub fn table(kind: KindRef, objects: &[DynamicObject], columns: Columns, now: Timestamp) -> Table {
    let columns = Columns { namespace: columns.namespace && kind.is_namespaced(), ..columns };
    let mut header = Vec::from(if columns.namespace { &["NAMESPACE", "NAME"][..] } else { &["NAME"] });
    header.extend(kind.columns());
    header.push("AGE");
    if columns.wide {
        header.extend(kind.wide_columns());
        header.push("MESSAGE");
    }
    let mut table = Table::new(header);
    for object in objects {
        table.row(cells(kind, object, columns, now));
    }
    table
}

fn cells(kind: KindRef, object: &DynamicObject, columns: Columns, now: Timestamp) -> Vec<String> {
    let unknown = |columns: &[&str]| vec!["<unknown>".to_owned(); columns.len()];
    let (middle, wide, message) = match kind.row(object, now) {
        Ok(row) => (row.cells, row.wide, row.message.unwrap_or_else(none)),
        Err(why) => {
            let message = format!("this object cannot be read: {why}");
            (unknown(kind.columns()), unknown(kind.wide_columns()), message)
        }
    };
    let mut cells = Vec::new();
    cells.extend(columns.namespace.then(|| object.namespace().unwrap_or_default()));
    cells.push(object.name_any());
    cells.extend(middle);
    cells.push(since(object.metadata.creation_timestamp.as_ref(), now));
    if columns.wide {
        cells.extend(wide);
        cells.push(message);
    }
    cells
}

#[cfg(test)]
mod tests {
    use imgop_core::api::Image;
    use serde_json::json;

    use super::*;
    use crate::kinds::Erased;

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
        table(Erased::<Image>::REF, &objects(), columns, now)
            .lines(true)
            .into_iter()
            .map(|line| line.text + "\n")
            .collect()
    }

    #[test]
    fn a_list_shows_what_became_of_each_image() {
        insta::assert_snapshot!(text(Columns { namespace: false, wide: false }), @"
        NAME             MODE        SOURCE                            READY       REASON       SYNCED      LAST-CHANGE   AGE
        argocd-v2-13-x   OnceByTag   quay.io/argoproj/argocd:v2.13.x   False       CopyFailed   4/5         5m30s         7d
        new              OnceByTag   quay.io/argoproj/argocd:v2.13.x   <unknown>   <pending>    <none>      <none>        7d
        odd              <unknown>   <unknown>                         <unknown>   <unknown>    <unknown>   <unknown>     7d
        ");
    }

    #[test]
    fn a_wide_list_adds_destination_and_message() {
        insta::assert_snapshot!(text(Columns { namespace: true, wide: true }), @r"
        NAMESPACE   NAME             MODE        SOURCE                            READY       REASON       SYNCED      LAST-CHANGE   AGE   LAST-CHECK   NEXT-CHECK   DESTINATION                            MESSAGE
        ci          argocd-v2-13-x   OnceByTag   quay.io/argoproj/argocd:v2.13.x   False       CopyFailed   4/5         5m30s         7d    5m30s        <none>       registry.example.com/argoproj/argocd   4 of 5 tags are \u{1b}[31mthere
        ci          new              OnceByTag   quay.io/argoproj/argocd:v2.13.x   <unknown>   <pending>    <none>      <none>        7d    <none>       <none>       registry.example.com/argoproj/argocd   <none>
        ci          odd              <unknown>   <unknown>                         <unknown>   <unknown>    <unknown>   <unknown>     7d    <unknown>    <unknown>    <unknown>                              this object cannot be read: unknown variant `Never`, expected one of `OneShot`, `OnceByTag`, `Recurrent`
        ");
    }
}
