//! The schemas of the documents that `-o json` prints, which docs/ holds.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

use crate::commands::doctor::Diagnosis;
use crate::commands::enable::EnabledNamespaces;
use crate::commands::history::History;
use crate::commands::mirror::changes::Changes;
use crate::commands::mirror::comparison::Comparison;
use crate::commands::mirror::validate::Validation;
use crate::commands::quota::Quotas;
use crate::commands::search::Found;
use crate::commands::tags::Listing;
use crate::local_copy::{Document, Line};
use crate::preview::document::Item;
use crate::verification::Verification;
use crate::workloads::planned::WorkloadsPlan;
use crate::workloads::rows::UsedImages;

/// Returns the schema of what is written: a field that is left out at times is not required, one that is null at times is.
fn schema<T: JsonSchema>() -> String {
    let schema = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>();
    serde_json::to_string_pretty(&schema).unwrap() + "\n"
}

#[test]
fn the_schemas_in_the_documentation_are_those_of_the_documents() {
    for (verb, schema) in [
        ("copy", schema::<Document<'_>>()),
        ("doctor", schema::<Diagnosis>()),
        ("enable", schema::<EnabledNamespaces>()),
        ("history", schema::<History>()),
        ("mirror", schema::<Comparison>()),
        ("mirror-changes", schema::<Changes>()),
        ("mirror-validation", schema::<Validation>()),
        ("preview", schema::<Item<'_>>()),
        ("quota", schema::<Quotas>()),
        ("run", schema::<Line<'_>>()),
        ("search", schema::<Found>()),
        ("tags", schema::<Listing>()),
        ("verify", schema::<Verification>()),
        ("workloads", schema::<UsedImages>()),
        ("workloads-plan", schema::<WorkloadsPlan>()),
    ] {
        let file = format!("{}/../docs/{verb}.schema.json", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("IMGOP_UPDATE").is_some() {
            std::fs::write(&file, &schema).unwrap();
        }
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(written == schema, "{verb}: run IMGOP_UPDATE=1 cargo test -p kubectl-imgop schemas");
    }
}
