//! Each document that a test makes the program print fits its schema in docs/.

use std::path::PathBuf;
use std::sync::LazyLock;

use serde_json::{Value, json};

/// The schemas by the version of the document that they describe, which is their title.
static SCHEMAS: LazyLock<Vec<(String, Value)>> = LazyLock::new(|| {
    let docs = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs"));
    let files = std::fs::read_dir(docs).unwrap().map(|entry| entry.unwrap().path());
    let schemas = files.filter(|path| path.to_string_lossy().ends_with(".schema.json")).map(|path| {
        let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        (schema["title"].as_str().unwrap().to_owned(), schema)
    });
    schemas.collect()
});

/// Fails if the text is a document, or one in each line, that does not fit its schema.
pub fn check(text: &str) {
    if !text.starts_with('{') {
        return;
    }
    let documents = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    for document in documents.map_while(Result::ok) {
        let version = document["apiVersion"].as_str().unwrap_or_default();
        if !version.starts_with("imgop.") {
            continue;
        }
        let schema = SCHEMAS.iter().find(|(title, _)| title == version);
        assert!(schema.is_some(), "docs/ has no schema of {version}");
        let Some((_, schema)) = schema else { return };
        let fits = fits(schema, &document, schema, version);
        assert!(fits.is_ok(), "{}\n{text}", fits.unwrap_err());
    }
}

/// Checks a value against the keywords that the schemas have.
fn fits(schema: &Value, value: &Value, root: &Value, at: &str) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let referred = root.pointer(reference.trim_start_matches('#')).ok_or("no such reference")?;
        fits(referred, value, root, at)?;
    }
    let list = |keyword: &str| schema[keyword].as_array().map(Vec::as_slice);
    if let Some(either) = list("anyOf").or(list("oneOf")) {
        let tried = either.iter().map(|one| fits(one, value, root, at)).collect::<Vec<_>>();
        if tried.iter().all(Result::is_err) {
            let why = tried.into_iter().filter_map(Result::err).collect::<Vec<_>>();
            return Err(format!("{at}: nothing fits: {}", why.join("; ")));
        }
    }
    for one in list("allOf").unwrap_or_default() {
        fits(one, value, root, at)?;
    }
    let types =
        list("type").map_or_else(|| schema.get("type").into_iter().collect(), |all| all.iter().collect());
    if !Vec::<&Value>::is_empty(&types) && !types.iter().any(|name| is_of_type(value, name)) {
        return Err(format!("{at}: {value} is not of type {}", schema["type"]));
    }
    if schema.get("const").is_some_and(|only| only != value)
        || list("enum").is_some_and(|all| !all.contains(value))
    {
        return Err(format!("{at}: {value} is not allowed"));
    }
    fits_inside(schema, value, root, at)
}

/// Checks the fields of an object and the items of a list.
fn fits_inside(schema: &Value, value: &Value, root: &Value, at: &str) -> Result<(), String> {
    if let Some(fields) = value.as_object() {
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        if let Some(missing) = required.into_iter().find(|name| !fields.contains_key(*name)) {
            return Err(format!("{at}: {missing} is a required property"));
        }
        for (name, field) in fields {
            let described = schema["properties"].get(name).or(schema.get("additionalProperties"));
            described.map_or(Ok(()), |one| fits(one, field, root, &format!("{at}.{name}")))?;
        }
    }
    let items = value.as_array().into_iter().flatten();
    let described = schema.get("items");
    items
        .zip(described.into_iter().cycle())
        .try_for_each(|(item, one)| fits(one, item, root, &format!("{at}[]")))
}

fn is_of_type(value: &Value, name: &Value) -> bool {
    match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("null") => value.is_null(),
        _ => false,
    }
}

#[test]
fn a_document_that_lacks_a_required_field_does_not_fit() {
    let schema = json!({ "required": ["a"], "properties": { "a": { "$ref": "#/$defs/A" } },
        "$defs": { "A": { "type": ["array", "null"], "items": { "enum": [1] } } } });
    let fits = |value: Value| fits(&schema, &value, &schema, "it").map_err(|why| why.clone());
    assert_eq!(fits(json!({ "a": [1] })), Ok(()));
    assert_eq!(fits(json!({})), Err("it: a is a required property".to_owned()));
    assert_eq!(fits(json!({ "a": [2] })), Err("it.a[]: 2 is not allowed".to_owned()));
    assert_eq!(fits(json!({ "a": "x" })), Err("it.a: \"x\" is not of type [\"array\",\"null\"]".to_owned()));
}
