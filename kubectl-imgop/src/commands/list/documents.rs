//! What `kubectl imgop list -o` prints where it is no table.

use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::ListArgs;
use crate::cli_error::CliError;
use crate::cluster::objects::FoundObject;
use crate::output::Ui;
use crate::output::documents::{ListFormat, document, json as as_json, yaml};

/// Prints objects where no table is asked for.
pub(super) fn print_documents(ui: Ui, args: &ListArgs, objects: &[FoundObject]) -> Result<(), CliError> {
    if args.watch || args.output == ListFormat::Name {
        return objects.iter().try_for_each(|object| print_one(ui, args.output, object));
    }
    let whole = whole(args.names_objects() && args.names.len() == 1, objects)?;
    ui.data(&if args.output == ListFormat::Yaml { yaml(&whole)? } else { as_json(&whole)? })
}

/// Prints one object, where each is printed by itself.
pub(super) fn print_one(ui: Ui, format: ListFormat, found: &FoundObject) -> Result<(), CliError> {
    let document = |object: &DynamicObject| document(object.clone(), &found.kind.resource());
    match format {
        ListFormat::Json => ui.data(&as_json(&document(&found.object)?)?),
        ListFormat::Yaml => ui.data(&format!("---\n{}", yaml(&document(&found.object)?)?)),
        _ => ui.data(&found.reference().qualified()),
    }
}

/// Returns the one object that was named, or a List as kubectl prints it: of a kind alone also where there is only one.
fn whole(is_named: bool, objects: &[FoundObject]) -> Result<Value, CliError> {
    let document = |found: &FoundObject| document(found.object.clone(), &found.kind.resource());
    let items = objects.iter().map(document).collect::<Result<Vec<Value>, _>>()?;
    match items.as_slice() {
        [only] if is_named => Ok(only.clone()),
        _ => Ok(
            json!({ "apiVersion": "v1", "kind": "List", "metadata": { "resourceVersion": "" }, "items": items }),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::DEFAULT_KIND;

    #[test]
    fn one_object_comes_without_a_list_only_where_it_was_named() {
        let object =
            json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "metadata": { "name": "a" } });
        let found = [FoundObject { kind: DEFAULT_KIND, object: serde_json::from_value(object).unwrap() }];
        assert_eq!(whole(true, &found).unwrap()["kind"], "Image");
        let listed = whole(false, &found).unwrap();
        assert_eq!((&listed["kind"], &listed["items"][0]["kind"]), (&json!("List"), &json!("Image")));
    }
}
