//! `docs/kinds/` is made from the schemas that the CRDs have; this test is also the generator.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fmt::Write as _;

use imgop_core::api::crds;
use imgop_documents::{assert_current, assert_only};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

const FOLDER: &str = "docs/kinds";
/// Fields that Kubernetes itself defines and documents.
const OF_KUBERNETES: [(&str, &str); 1] = [(
    "affinity",
    "[affinity of pods](https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#affinity-and-anti-affinity)",
)];

const NOTE: &str = "Generated from the code by `make docs`; do not edit.";

/// Pages that say more about a kind.
const MORE: [(&str, &str); 5] = [
    (
        "Image",
        "[Versions](../versions.md), [what an Image copies, and when](../copying.md), [schedules](../schedule.md), \
         [engines](../engines.md), [credentials](../credentials.md), [repositories of ECR](../ecr.md), \
         [prune](../prune.md), [Jobs](../jobs.md), [examples](../cookbook.md).",
    ),
    (
        "ImageBuilder",
        "[Builds](../imagebuilder.md), [schedules](../schedule.md), [Jobs](../jobs.md), [examples](../cookbook.md).",
    ),
    ("ImageMirror", "[Inventories](../inventories.md), [schedules](../schedule.md), [Jobs](../jobs.md)."),
    ("WorkloadMirror", "[Workloads](../workload-mirror.md), [Jobs](../jobs.md)."),
    ("RegistryAccess", "[What administrators lend](../registry-access.md), [examples](../cookbook.md)."),
];

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    let escaped = text.replace('|', "\\|").replace('<', "\\<").replace('*', "\\*");
    escaped.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The schema of the elements of a list, or of the values of a map, and how the path goes on.
fn within(schema: &JSONSchemaProps) -> Option<(&'static str, &JSONSchemaProps)> {
    match (&schema.items, &schema.additional_properties) {
        (Some(JSONSchemaPropsOrArray::Schema(items)), _) => Some(("[]", items)),
        (_, Some(JSONSchemaPropsOrBool::Schema(values))) => Some((".*", values)),
        _ => None,
    }
}

fn type_of(schema: &JSONSchemaProps) -> String {
    if schema.x_kubernetes_int_or_string == Some(true) {
        return "integer or string".to_owned();
    }
    let own = schema.type_.as_deref().unwrap_or("any");
    match (within(schema), schema.format.as_deref()) {
        (Some(("[]", items)), _) => format!("list of {}", type_of(items)),
        (Some((_, values)), _) => format!("map of {}", type_of(values)),
        (None, Some("date-time")) => "time".to_owned(),
        _ => own.to_owned(),
    }
}

/// What the schema allows of a value.
fn limits(schema: &JSONSchemaProps) -> String {
    let number = |value: f64| format!("{value}");
    let values = schema.enum_.iter().flatten().map(|value| match value.0.as_str() {
        Some(text) => format!("`{text}`"),
        None => format!("`{}`", value.0),
    });
    let values = values.collect::<Vec<_>>().join(", ");
    let limits = [
        (!values.is_empty()).then_some(values),
        schema.minimum.map(|least| format!("{} or more", number(least))),
        // The largest that every program reads is no limit that anyone meets.
        schema.maximum.filter(|most| *most < 4e9).map(|most| format!("{} at most", number(most))),
        schema.min_length.map(|least| format!("{least} characters or more")),
        schema.max_length.map(|most| format!("{most} characters at most")),
        schema.min_items.map(|least| format!("{least} entries or more")),
        schema.max_items.map(|most| format!("{most} entries at most")),
        schema.max_properties.map(|most| format!("{most} entries at most")),
        schema.pattern.as_ref().map(|pattern| format!("`{}`", pattern.replace('|', "\\|"))),
    ];
    limits.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// A row for each field below a path, and the rules that the API server checks there.
fn fields(path: &str, schema: &JSONSchemaProps, rows: &mut String, rules: &mut Vec<(String, String)>) {
    for rule in schema.x_kubernetes_validations.iter().flatten() {
        rules.push((path.to_owned(), rule.message.clone().unwrap_or_else(|| rule.rule.clone())));
    }
    if let Some((step, inner)) = within(schema) {
        fields(&format!("{path}{step}"), inner, rows, rules);
    }
    for (name, field) in schema.properties.iter().flatten() {
        let path = format!("{path}.{name}");
        let is_required = schema.required.iter().flatten().any(|required| required == name);
        let default = match &field.default {
            _ if is_required => "**required**".to_owned(),
            Some(value) => format!("`{}`", value.0),
            None => String::new(),
        };
        let mut help = cell(field.description.as_deref().unwrap_or_default());
        let elsewhere = OF_KUBERNETES.iter().find(|(of_kubernetes, _)| of_kubernetes == name);
        if let Some((_, link)) = elsewhere {
            let _ = write!(help, " Its fields: {link}.");
        }
        let mut limits = limits(field);
        if let Some((_, inner)) = within(field) {
            let of_each = self::limits(inner);
            if !of_each.is_empty() {
                let and = if limits.is_empty() { "" } else { "; " };
                let _ = write!(limits, "{and}each: {of_each}");
            }
        }
        let _ = writeln!(rows, "| `{path}` | {} | {default} | {limits} | {help} |", type_of(field));
        let mut within = String::new();
        fields(&path, field, &mut within, rules);
        if elsewhere.is_none() {
            rows.push_str(&within);
        }
    }
}

fn section(name: &str, schema: &JSONSchemaProps, text: &mut String) {
    let (mut rows, mut rules) = (String::new(), Vec::new());
    fields(name, schema, &mut rows, &mut rules);
    let _ =
        write!(text, "\n## {name}\n\n| field | type | default | limits | |\n|---|---|---|---|---|\n{rows}");
    if !rules.is_empty() {
        let _ = write!(text, "\n### What the API server refuses\n\n| at | with |\n|---|---|\n");
        for (path, message) in rules {
            let _ = writeln!(text, "| `{path}` | {} |", cell(&message));
        }
    }
}

fn page(crd: &CustomResourceDefinition) -> String {
    let (spec, kind) = (&crd.spec, &crd.spec.names.kind);
    let version = &spec.versions[0];
    let schema = version.schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
    let mut text =
        format!("# {kind}\n\n{NOTE}\n\n{}\n", cell(schema.description.as_deref().unwrap_or_default()));
    let (_, more) = MORE.iter().find(|(of, _)| of == kind).unwrap();
    let _ = write!(text, "\n{more}\n\n| | |\n|---|---|\n");
    let _ = writeln!(text, "| `apiVersion` | `{}/{}` |", spec.group, version.name);
    let _ = writeln!(text, "| `kind` | `{kind}` |");
    let names = spec.names.short_names.iter().flatten().map(|name| format!(", `{name}`"));
    let _ = writeln!(
        text,
        "| for kubectl | `{}.{}`{} |",
        spec.names.plural,
        spec.group,
        names.collect::<String>()
    );
    let scope = if spec.scope == "Cluster" { "one for the whole cluster" } else { "in a namespace" };
    let _ = writeln!(text, "| scope | {scope} |");
    let columns = version.additional_printer_columns.iter().flatten();
    let columns: Vec<String> = columns
        .map(|column| match column.priority {
            Some(1..) => format!("{} (`-o wide`)", column.name),
            _ => column.name.clone(),
        })
        .collect();
    if !columns.is_empty() {
        let _ = writeln!(text, "| columns of `kubectl get` | {} |", columns.join(", "));
    }
    for (name, part) in schema.properties.iter().flatten() {
        section(name, part, &mut text);
    }
    text
}

#[test]
fn the_pages_of_kinds_are_those_of_the_crds() {
    let mut names = Vec::new();
    for crd in crds() {
        let name = format!("{}.md", crd.spec.names.singular.clone().unwrap());
        assert_current(&format!("{FOLDER}/{name}"), &page(&crd));
        names.push(name);
    }
    assert_only(FOLDER, &names);
}
