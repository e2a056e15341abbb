//! Answers as the API server gives them, in chunks of any size.

use serde_json::{Value as Json, json};

use super::*;

const KEEP: Keep = Keep { fields: &["spec"], labels: &["mine"], annotations: &["mine"], max_bytes: 1024 };

fn prune(shape: Shape, answer: &str, chunk: usize) -> Vec<Part> {
    let (mut pruner, mut parts) = (Pruner::new(shape, KEEP), VecDeque::new());
    for bytes in answer.as_bytes().chunks(chunk) {
        pruner.push(bytes, &mut parts).unwrap();
    }
    assert!(pruner.is_complete());
    parts.into()
}

fn object(part: &Part) -> Json {
    let Part::Object { json, .. } = part else { panic!("{part:?}") };
    serde_json::from_slice(json).unwrap()
}

fn an_object(name: &str) -> Json {
    json!({
        "apiVersion": "v1", "kind": "Thing",
        "metadata": {
            "name": name, "generation": 7, "uid": null,
            "labels": {"mine": "x\"}],{\\", "other": "y"},
            "annotations": {"other": {"not": ["a", "text"]}, "mine": ""},
            "managedFields": [{"f:metadata": {}}, "]"],
            "finalizers": ["a"],
        },
        "spec": {"deep": [[{"a": "}"}], 1.5e3, true, null]},
        "data": "x",
    })
}

fn pruned(name: &str) -> Json {
    json!({
        "apiVersion": "v1", "kind": "Thing",
        "metadata": {
            "name": name, "generation": 7, "uid": null,
            "labels": {"mine": "x\"}],{\\"}, "annotations": {"mine": ""},
        },
        "spec": {"deep": [[{"a": "}"}], 1.5e3, true, null]},
    })
}

#[test]
fn of_each_object_of_a_list_only_what_is_kept_comes_out_however_it_is_cut() {
    let list = json!({
        "kind": "ThingList", "metadata": {"resourceVersion": "5", "continue": "next"},
        "items": [an_object("a"), an_object("b")], "extra": {"items": [1]},
    });
    for answer in [list.to_string(), serde_json::to_string_pretty(&list).unwrap()] {
        for chunk in [1, 2, 3, 7, 64, answer.len()] {
            let parts = prune(Shape::List, &answer, chunk);
            let objects: Vec<Json> =
                parts.iter().filter(|part| matches!(part, Part::Object { .. })).map(object).collect();
            assert_eq!(objects, [pruned("a"), pruned("b")], "{chunk}");
            let metadata: Vec<Json> = parts
                .iter()
                .filter_map(|part| match part {
                    Part::ListMetadata(json) => Some(serde_json::from_slice(json).unwrap()),
                    Part::Object { .. } => None,
                })
                .collect();
            assert_eq!(metadata, [json!({"resourceVersion": "5", "continue": "next"})]);
        }
    }
}

#[test]
fn a_list_may_be_empty_and_its_metadata_may_come_last() {
    for items in ["[]", "null"] {
        let answer = format!(r#"{{"items":{items},"metadata":{{"resourceVersion":"5"}}}}"#);
        assert_eq!(
            prune(Shape::List, &answer, 4),
            [Part::ListMetadata(br#"{"resourceVersion":"5"}"#.into())]
        );
    }
}

#[test]
fn each_event_comes_out_with_its_object() {
    let event = |type_: &str, name| json!({"type": type_, "object": an_object(name)}).to_string();
    let answer = format!("{}\n{}\n", event("ADDED", "a"), event("DELETED", "b"));
    for chunk in [1, 5, 4096] {
        let events: Vec<Json> = prune(Shape::Events, &answer, chunk).iter().map(object).collect();
        let want = |type_: &str, name| json!({"type": type_, "object": pruned(name)});
        assert_eq!(events, [want("ADDED", "a"), want("DELETED", "b")]);
    }
    let failed = json!({"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}});
    assert_eq!(object(&prune(Shape::Events, &failed.to_string(), 9)[0]), failed);
}

#[test]
fn a_giant_takes_no_more_memory_than_is_kept_and_keeps_its_name() {
    let mut giant = an_object("giant");
    giant["metadata"]["labels"]["other"] = "x".repeat(1 << 20).into();
    giant["metadata"]["finalizers"] = json!(vec!["x/y"; 100_000]);
    giant["data"] = json!(vec![Json::Null; 100_000]);
    let list = |object: &Json| json!({"metadata": {}, "items": [object, an_object("b")]}).to_string();
    let parts = prune(Shape::List, &list(&giant), 4096);
    assert!(matches!(&parts[0], Part::Object { json, is_too_large: false } if json.len() < 400));
    assert_eq!(object(&parts[0]), pruned("giant"));

    giant["spec"] = json!({"long": "x".repeat(5000)});
    let parts = prune(Shape::List, &list(&giant), 4096);
    assert!(matches!(&parts[0], Part::Object { is_too_large: true, .. }));
    assert_eq!(object(&parts[0])["metadata"], pruned("giant")["metadata"]);
    assert_eq!(object(&parts[0])["spec"], Json::Null);
    assert_eq!(object(&parts[1]), pruned("b"), "those behind it are whole");
    assert!(matches!(&parts[1], Part::Object { is_too_large: false, .. }));
}

#[test]
fn many_small_fields_are_bounded_as_well() {
    let mut giant = an_object("giant");
    giant["metadata"]["labels"]["mine"] = "x".repeat(2000).into();
    let parts = prune(Shape::List, &json!({"metadata": {}, "items": [giant]}).to_string(), 100);
    let Part::Object { json, is_too_large: true } = &parts[0] else { panic!("{parts:?}") };
    assert!(json.len() <= KEEP.max_bytes + 16);
    assert_eq!(object(&parts[0])["metadata"]["name"], "giant");
}

#[test]
fn what_is_no_answer_of_the_api_server_is_an_error_or_not_complete() {
    for (answer, is_error) in [("", false), ("[1]", true), ("<html>", true), ("{\"items\":[1]}", true)] {
        let mut pruner = Pruner::new(Shape::List, KEEP);
        let result = pruner.push(answer.as_bytes(), &mut VecDeque::new());
        assert_eq!(result.is_err(), is_error, "{answer}");
        assert!(!pruner.is_complete());
    }
    let mut pruner = Pruner::new(Shape::List, KEEP);
    pruner.push(br#"{"items":[{"metadata":{"#, &mut VecDeque::new()).unwrap();
    assert!(!pruner.is_complete(), "a list that is cut off");
}
