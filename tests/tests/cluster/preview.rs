//! The preview and the agent give the same answer.

use std::collections::BTreeMap;

use imgop_core::api::{Image, ImageSpec, Mode, Overwrite};
use imgop_tests::tenant::{Tenant, with_tenant};
use serde_json::Value;

/// A spec, and what both must say of it: the state of each tag before, and after.
struct Case {
    name: &'static str,
    edit: fn(&mut ImageSpec),
    before: &'static [(&'static str, &'static str)],
    after: &'static [(&'static str, &'static str)],
}

const CASES: [Case; 12] = [
    Case {
        name: "pattern",
        edit: |spec| spec.source.version = "v2.13.x".into(),
        before: &[("v2.13.0", "missing"), ("v2.13.1", "missing"), ("v2.13.10", "missing")],
        after: &[("v2.13.0", "up-to-date"), ("v2.13.1", "up-to-date"), ("v2.13.10", "up-to-date")],
    },
    Case {
        name: "candidates",
        edit: |spec| {
            spec.source.version = "v2.13.x".into();
            spec.allow_candidate_release = true;
        },
        before: &[
            ("v2.13.0", "missing"),
            ("v2.13.1", "missing"),
            ("v2.13.10", "missing"),
            ("v2.13.11-rc10", "missing"),
        ],
        after: &[
            ("v2.13.0", "up-to-date"),
            ("v2.13.1", "up-to-date"),
            ("v2.13.10", "up-to-date"),
            ("v2.13.11-rc10", "up-to-date"),
        ],
    },
    Case {
        name: "no-v",
        edit: |spec| spec.source.version = "2.x.0".into(),
        before: &[("2.15.0", "missing"), ("v2.13.0", "missing"), ("v2.14.0", "missing")],
        after: &[("2.15.0", "up-to-date"), ("v2.13.0", "up-to-date"), ("v2.14.0", "up-to-date")],
    },
    Case {
        name: "suffix",
        edit: |spec| spec.source.version = "v2.13.x-alpine".into(),
        before: &[("v2.13.1-alpine", "missing")],
        after: &[("v2.13.1-alpine", "up-to-date")],
    },
    Case {
        name: "one-tag",
        edit: |spec| spec.source.version = "v2.13.1".into(),
        before: &[("v2.13.1", "missing")],
        after: &[("v2.13.1", "up-to-date")],
    },
    Case {
        name: "fixed",
        edit: |spec| {
            spec.source.version = "v2.13.1".into();
            spec.destination.version = Some("stable".into());
        },
        before: &[("v2.13.1", "missing")],
        after: &[("v2.13.1", "up-to-date")],
    },
    Case {
        name: "template",
        edit: |spec| {
            spec.source.version = "v2.14.x".into();
            spec.destination.version = Some("corp-{tag}".into());
        },
        before: &[("v2.14.0", "missing")],
        after: &[("v2.14.0", "up-to-date")],
    },
    Case {
        name: "absent",
        edit: |spec| spec.source.version = "v9.9.9".into(),
        before: &[("v9.9.9", "not-found")],
        after: &[("v9.9.9", "not-found")],
    },
    Case { name: "no-match", edit: |spec| spec.source.version = "v9.x.x".into(), before: &[], after: &[] },
    Case {
        name: "differs",
        edit: |spec| spec.source.version = "v2.13.x".into(),
        before: &[("v2.13.0", "up-to-date"), ("v2.13.1", "differs"), ("v2.13.10", "missing")],
        after: &[("v2.13.0", "up-to-date"), ("v2.13.1", "up-to-date"), ("v2.13.10", "up-to-date")],
    },
    Case {
        name: "kept",
        edit: |spec| {
            spec.source.version = "v2.13.x".into();
            spec.destination.overwrite = Overwrite::IfMissing;
        },
        before: &[("v2.13.0", "up-to-date"), ("v2.13.1", "differs"), ("v2.13.10", "missing")],
        after: &[("v2.13.0", "up-to-date"), ("v2.13.1", "differs"), ("v2.13.10", "up-to-date")],
    },
    Case {
        name: "latest",
        edit: |spec| spec.source.version = "latest".into(),
        before: &[("latest", "missing")],
        after: &[("latest", "up-to-date")],
    },
];

#[tokio::test]
async fn the_agent_copies_exactly_what_the_preview_says() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let tags = [
            "v2.13.0",
            "v2.13.1",
            "v2.13.10",
            "v2.13.11-rc10",
            "v2.13.1-alpine",
            "v2.14.0",
            "2.15.0",
            "latest",
        ];
        let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
        let from = tenant.path("busybox");
        source.fill(&from, &tags, "").await?;
        for name in ["differs", "kept"] {
            let to = tenant.path(name);
            target.take(&to, "v2.13.0", source, &from, "v2.13.0").await?;
            target.take(&to, "v2.13.1", source, &from, "latest").await?;
        }
        for case in &CASES {
            let mut spec = tenant.spec("busybox", "", case.name);
            spec.mode = Mode::Recurrent;
            (case.edit)(&mut spec);
            agree(tenant, case, &spec).await?;
        }
        Ok(())
    })
    .await
}

async fn agree(tenant: &Tenant, case: &Case, spec: &ImageSpec) -> anyhow::Result<()> {
    let before = preview(tenant, case.name, spec).await?;
    assert_eq!(states(&before), map(case.before), "{}: the preview before", case.name);

    tenant.apply(case.name, spec).await?;
    let image = tenant.until(case.name, "was looked at", is_concluded).await?;

    // What the agent copied is what the preview called missing, or different where that is replaced.
    let keeps = spec.destination.overwrite == Overwrite::IfMissing;
    let to_copy = |tag: &&Value| tag["state"] == "missing" || tag["state"] == "differs" && !keeps;
    let said: BTreeMap<String, (Value, Value)> = tags(&before)
        .iter()
        .filter(to_copy)
        .map(|tag| (text(&tag["tag"]), (tag["destinationTag"].clone(), tag["sourceDigest"].clone())))
        .collect();
    let uid = image.metadata.uid.clone().unwrap_or_default();
    let mut copied = BTreeMap::new();
    for job in tenant.jobs().await? {
        let labels = job.metadata.labels.clone().unwrap_or_default();
        if labels.get(imgop_core::api::IMAGE_UID_LABEL) != Some(&uid) {
            continue;
        }
        let annotations = job.metadata.annotations.clone().unwrap_or_default();
        let records: Vec<Value> = serde_json::from_str(&annotations[imgop_core::api::COPIES_ANNOTATION])?;
        for copy in records {
            copied.insert(text(&copy["source"]), (copy["destination"].clone(), copy["digest"].clone()));
        }
    }
    assert_eq!(copied, said, "{}: the Jobs", case.name);

    let after = preview(tenant, case.name, spec).await?;
    assert_eq!(states(&after), map(case.after), "{}: the preview after", case.name);
    let states = states(&after);
    let count = |state: &str| states.values().filter(|s| *s == state).count();
    let counts = image.status.and_then(|status| status.counts).unwrap_or_default();
    let counted =
        [counts.matched, counts.synced, counts.kept, counts.failed, counts.copying, counts.excluded];
    let excluded = after["excluded"].as_array().map_or(0, Vec::len);
    let previewed = [states.len(), count("up-to-date"), count("differs"), count("not-found"), 0, excluded];
    assert_eq!(
        counted.map(|n| n as usize),
        previewed,
        "{}: matched, synced, kept, failed, copying, excluded",
        case.name
    );
    Ok(())
}

/// The agent knows the tags, and has nothing under way.
fn is_concluded(image: &Image) -> bool {
    let Some(status) = &image.status else { return false };
    status.observed_generation == image.metadata.generation && status.counts.is_some_and(|c| c.copying == 0)
}

async fn preview(tenant: &Tenant, name: &str, spec: &ImageSpec) -> anyhow::Result<Value> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("image.yaml");
    std::fs::write(&file, serde_saphyr::to_string(&Image::new(name, spec.clone()))?)?;
    let file = file.to_string_lossy();
    let output = tenant.kubectl.imgop(["preview", "-f", &*file, "-o", "json"]).await?;
    Ok(serde_json::from_str(&output.ok()?)?)
}

fn tags(report: &Value) -> Vec<Value> {
    report["tags"].as_array().cloned().unwrap_or_default()
}

fn states(report: &Value) -> BTreeMap<String, String> {
    tags(report).iter().map(|tag| (text(&tag["tag"]), text(&tag["state"]))).collect()
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(tag, state)| ((*tag).to_owned(), (*state).to_owned())).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
