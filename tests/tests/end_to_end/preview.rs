//! The preview and the agent give the same answer.

use std::collections::BTreeMap;

use anyhow::Context as _;
use imgop_core::api::{Image, ImageSpec, Mode, Overwrite, Select};
use imgop_tests::tenant::{Tenant, with_tenant};
use serde_json::Value;

/// A spec, and what both must say of it: the state of each tag before, and after.
struct Case {
    name: &'static str,
    edit: fn(&mut ImageSpec),
    before: &'static [(&'static str, &'static str)],
    after: &'static [(&'static str, &'static str)],
}

const CASES: [Case; 16] = [
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
        name: "range",
        edit: |spec| spec.source.version = ">=2.13.1 <2.15".into(),
        before: &[("v2.13.1", "missing"), ("v2.13.10", "missing"), ("v2.14.0", "missing")],
        after: &[("v2.13.1", "up-to-date"), ("v2.13.10", "up-to-date"), ("v2.14.0", "up-to-date")],
    },
    Case {
        name: "newest",
        edit: |spec| {
            spec.source.version = "v2.13.x".into();
            spec.source.select = Some(Select { latest: Some(1), ..Select::default() });
            spec.destination.version = Some("newest".into());
        },
        before: &[("v2.13.10", "missing")],
        after: &[("v2.13.10", "up-to-date")],
    },
    Case {
        name: "narrowed",
        edit: |spec| {
            spec.source.version = "v2.x.x".into();
            let (include, exclude) = (vec!["v2[.]1[34].*".into()], vec![".*[.]1".into()]);
            spec.source.select = Some(Select { include, exclude, ..Select::default() });
        },
        before: &[("v2.13.0", "missing"), ("v2.13.10", "missing"), ("v2.14.0", "missing")],
        after: &[("v2.13.0", "up-to-date"), ("v2.13.10", "up-to-date"), ("v2.14.0", "up-to-date")],
    },
    Case {
        name: "every",
        edit: |spec| {
            spec.source.version = "*".into();
            spec.source.select = Some(Select { exclude: vec!["v.*".into()], ..Select::default() });
        },
        before: &[("2.15.0", "missing"), ("latest", "missing")],
        after: &[("2.15.0", "up-to-date"), ("latest", "up-to-date")],
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
        let pushed = source.fill(&from, &tags, "").await?;
        for name in ["differs", "kept"] {
            let to = tenant.path(name);
            target.take(&to, "v2.13.0", source, &from, "v2.13.0").await?;
            target.take(&to, "v2.13.1", source, &from, "latest").await?;
        }
        for case in &CASES {
            let mut spec = tenant.spec("busybox", "", case.name);
            spec.mode = Mode::Recurrent;
            (case.edit)(&mut spec);
            agree(tenant, case.name, &spec, &map(case.before), &map(case.after)).await?;
        }
        let digest = pushed["v2.13.1"].as_str();
        let mut spec = tenant.spec("busybox", digest, "digest");
        spec.destination.version = Some("pinned".to_owned());
        agree(tenant, "digest", &spec, &map(&[(digest, "missing")]), &map(&[(digest, "up-to-date")])).await
    })
    .await
}

type States = BTreeMap<String, String>;

async fn agree(
    tenant: &Tenant,
    name: &str,
    spec: &ImageSpec,
    states_before: &States,
    states_after: &States,
) -> anyhow::Result<()> {
    let before = preview(tenant, name, spec).await?;
    assert_eq!(states(&before), *states_before, "{name}: the preview before");

    tenant.apply(name, spec).await?;
    let image = tenant.until(name, "was looked at", is_concluded).await?;

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
        if labels.get(imgop_core::api::OWNER_UID_LABEL) != Some(&uid) {
            continue;
        }
        let annotations = job.metadata.annotations.clone().unwrap_or_default();
        let records: Vec<Value> = serde_json::from_str(&annotations[imgop_core::api::COPIES_ANNOTATION])?;
        for copy in records {
            copied.insert(text(&copy["source"]), (copy["destination"].clone(), copy["digest"].clone()));
        }
    }
    assert_eq!(copied, said, "{name}: the Jobs");

    let after = preview(tenant, name, spec).await?;
    assert_eq!(states(&after), *states_after, "{name}: the preview after");
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
        "{name}: matched, synced, kept, failed, copying, excluded"
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
    // A tag that the source does not have is a failure, and is in the report all the same.
    serde_json::from_str(&output.stdout).with_context(|| output.stderr.clone())
}

fn tags(report: &Value) -> Vec<Value> {
    report["tags"].as_array().cloned().unwrap_or_default()
}

fn states(report: &Value) -> States {
    tags(report).iter().map(|tag| (text(&tag["tag"]), text(&tag["state"]))).collect()
}

fn map(pairs: &[(&str, &str)]) -> States {
    pairs.iter().map(|(tag, state)| ((*tag).to_owned(), (*state).to_owned())).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
