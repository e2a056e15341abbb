//! The schema of the documents, which `docs/preview.schema.json` holds.

#[cfg(test)]
mod tests {
    use schemars::schema_for;

    use super::super::document::Item;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/preview.schema.json");

    #[test]
    fn the_schema_in_the_documentation_is_that_of_the_document() {
        let schema = serde_json::to_string_pretty(&schema_for!(Item<'_>)).unwrap() + "\n";
        if std::env::var_os("IMGOP_UPDATE").is_some() {
            std::fs::write(FILE, &schema).unwrap();
        }
        let written = std::fs::read_to_string(FILE).unwrap();
        assert!(written == schema, "run IMGOP_UPDATE=1 cargo test -p kubectl-imgop schema");
    }
}
