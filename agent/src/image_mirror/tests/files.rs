//! Inventories of files.

use std::fmt::Write as _;
use std::sync::Arc;

use imgop_core::api::conditions::{STALLED, reasons};
use imgop_core::api::{ConfigMapFile, InventoryFile, InventoryFormat, REQUESTED_AT_ANNOTATION};
use serde_json::json;

use super::stage::Stage;

const CONFIG_MAP: &str = "/api/v1/namespaces/team-a/configmaps/inventory";

fn of_config_map(stage: &mut Stage, text: &str) {
    stage
        .api
        .hold(CONFIG_MAP, json!({ "metadata": { "name": "inventory" }, "data": { "config.yaml": text } }));
    stage.change(|spec| {
        spec.entries.clear();
        spec.from = vec![InventoryFile {
            config_map: ConfigMapFile { name: "inventory".into(), key: "config.yaml".into() },
            format: InventoryFormat::Rancher,
        }];
    });
}

fn file(repositories: usize) -> String {
    let mut text = "Images:\n".to_owned();
    for n in 0..repositories {
        let _ = writeln!(text, "- SourceImage: quay.io/tools/widget{n}\n  Tags:\n  - v1.0");
    }
    text
}

/// Where its entries go.
fn with_repositories(images: &str) -> String {
    let repository = "- BaseUrl: r.example.com/acme\n  DefaultTarget: true\n  Registry: r.example.com\n";
    format!("{images}Repositories:\n{repository}")
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_read_changes_nothing_at_all_and_says_where_it_is_wrong() {
    let mut stage = Stage::new(1);
    of_config_map(&mut stage, &with_repositories(&file(3)));
    assert_eq!(stage.settle().await, 3, "{:?}", stage.status().conditions);
    stage.images_say(true, reasons::SUCCEEDED);
    let broken = file(1) + "- SourceImage: quay.io/tools/other\n  Tagz: [v1]\n";
    of_config_map(&mut stage, &with_repositories(&broken));
    assert_eq!(stage.settle().await, 0);
    let stalled = stage.condition(STALLED).clone();
    assert_eq!(stalled.reason, reasons::INVENTORY_UNREADABLE);
    for part in ["ConfigMap inventory, key config.yaml, line 6", "Tagz", "no Image is changed"] {
        assert!(stalled.message.contains(part), "{part}: {}", stalled.message);
    }
    stage.api.hold(CONFIG_MAP, json!({ "metadata": { "name": "inventory" }, "data": {} }));
    stage.annotate(REQUESTED_AT_ANNOTATION, "again");
    assert_eq!(stage.settle().await, 0);
    assert!(stage.condition(STALLED).message.contains("there is no such key"));
}

/// The mirror's inventory is this file, and it has come to rest.
async fn at_rest(stage: &mut Stage, text: &str) {
    of_config_map(stage, text);
    stage.settle().await;
    stage.images_say(true, reasons::SUCCEEDED);
    stage.settle().await;
}

fn reads(stage: &Stage) -> usize {
    stage.api.requests().iter().filter(|line| line.starts_with(&format!("GET {CONFIG_MAP}"))).count()
}

#[tokio::test(start_paused = true)]
async fn files_are_read_when_it_is_time_and_not_whenever_an_image_reports() {
    let mut stage = Stage::new(1);
    at_rest(&mut stage, &with_repositories(&file(3))).await;
    assert_eq!(reads(&stage), 1, "once, although several passes wrote Images");
    for is_ready in [false, true, false] {
        stage.images_say(is_ready, reasons::TAG_NOT_FOUND);
        stage.pass(11).await;
    }
    assert_eq!(reads(&stage), 1);
    let parsed = stage.memory.inventory.as_ref().unwrap().read.inventory.clone();
    stage.annotate(REQUESTED_AT_ANNOTATION, "now");
    stage.settle().await;
    assert_eq!(reads(&stage), 2);
    let kept = &stage.memory.inventory.as_ref().unwrap().read.inventory;
    assert!(Arc::ptr_eq(&parsed, kept), "what did not change is not parsed again");
    let text = with_repositories(&file(4));
    stage
        .api
        .hold(CONFIG_MAP, json!({ "metadata": { "name": "inventory" }, "data": { "config.yaml": text } }));
    stage.annotate(REQUESTED_AT_ANNOTATION, "again");
    stage.settle().await;
    assert_eq!(stage.images().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn another_spec_is_followed_at_once_whatever_is_kept() {
    let mut stage = Stage::new(1);
    at_rest(&mut stage, &with_repositories(&file(2))).await;
    stage.change(|spec| spec.platforms = vec!["linux/amd64".into()]);
    assert_eq!(stage.settle().await, 2);
    stage.change(|spec| spec.from.clear());
    stage.pass(11).await;
    assert_eq!(stage.condition(STALLED).reason, reasons::PRUNE_HELD);
}

#[tokio::test(start_paused = true)]
async fn what_keeps_a_file_from_being_read_comes_with_what_to_do() {
    let mut stage = Stage::new(1);
    of_config_map(&mut stage, "");
    let mut said = Vec::new();
    for (data, binary) in [
        (json!({}), json!({})),
        (json!({ "other.yaml": "", "third.yaml": "" }), json!({})),
        (json!({}), json!({ "config.yaml": "H4sI/w==" })),
    ] {
        let object = json!({ "metadata": { "name": "inventory" }, "data": data, "binaryData": binary });
        stage.api.hold(CONFIG_MAP, object);
        stage.annotate(REQUESTED_AT_ANNOTATION, &said.len().to_string());
        stage.pass(11).await;
        said.push(stage.condition(STALLED).message.clone());
    }
    stage.change(|spec| spec.from[0].config_map.name = "absent".into());
    stage.pass(11).await;
    said.push(stage.condition(STALLED).message.clone());
    insta::assert_snapshot!(said.join("\n"), @r"
    spec.from: ConfigMap inventory, key config.yaml: there is no such key; add it, or name one that is there: it has none; no Image is changed until all of the inventory can be read
    spec.from: ConfigMap inventory, key config.yaml: there is no such key; add it, or name one that is there: other.yaml, third.yaml; no Image is changed until all of the inventory can be read
    spec.from: ConfigMap inventory, key config.yaml: this is no text in UTF-8; save the file as UTF-8, without compression; no Image is changed until all of the inventory can be read
    spec.from: there is no ConfigMap absent in this namespace; create it, or name another one; no Image is changed until all of the inventory can be read
    ");
}
