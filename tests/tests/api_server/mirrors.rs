//! What the agent makes of ImageMirrors on a real API server. Nothing answers at the registries, so that only the Images
//! themselves matter.

use std::collections::{BTreeMap, BTreeSet};

use imgop_core::api::conditions::{READY, find, reasons};
use imgop_core::api::{
    ADOPT_ANNOTATION, ConfigMapFile, Destination, Image, ImageMirror, ImageMirrorSpec, ImageSpec,
    InventoryFile, InventoryFormat, MirrorEntry, MirrorTarget, Mode, PRUNE_ANNOTATION, Source, prune_release,
};
use imgop_tests::wait;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use crate::tenants::{Case, DEADLINE};

/// Nothing listens there.
const NOWHERE: &str = "127.0.0.1:9";

/// A namespace with a mirror.
struct Mirrors {
    case: Case,
    namespace: &'static str,
}

impl Mirrors {
    /// A new namespace beside those of other tests.
    async fn new(namespace: &'static str) -> anyhow::Result<Self> {
        Ok(Self { case: Case::with_namespaces(&[namespace]).await?, namespace })
    }

    fn api(&self) -> Api<ImageMirror> {
        Api::namespaced(self.case.client().clone(), self.namespace)
    }

    /// Creates the mirror, or changes it.
    async fn apply(&self, spec: &ImageMirrorSpec) -> anyhow::Result<i64> {
        let force = PatchParams::apply("imgop-tests").force();
        let mirror = ImageMirror::new("acme", spec.clone());
        let applied = self.api().patch("acme", &force, &Patch::Apply(&mirror)).await?;
        Ok(applied.metadata.generation.unwrap_or_default())
    }

    async fn annotate(&self, name: &str, value: &str) -> anyhow::Result<()> {
        let patch = Patch::Merge(json!({ "metadata": { "annotations": { name: value } } }));
        self.api().patch("acme", &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Waits until the agent has acted on this generation of the spec, and says this.
    async fn says(&self, generation: i64, reason: &str) -> anyhow::Result<ImageMirror> {
        let is_said = |mirror: &ImageMirror| {
            let Some(status) = &mirror.status else { return false };
            status.observed_generation == Some(generation)
                && find(&status.conditions, READY).is_some_and(|ready| ready.reason == reason)
        };
        wait::until(&self.api(), "acme", &format!("says {reason}"), DEADLINE, is_said).await
    }

    /// Waits until there are this many Images, and returns them by their names.
    async fn images(&self, count: usize) -> anyhow::Result<BTreeMap<String, Image>> {
        let api = self.case.images(self.namespace);
        wait::poll(&format!("there are {count} Images"), DEADLINE, || async {
            // There may be hundreds, so they are read once there are enough.
            if counted(&api).await? != count {
                return Ok(None);
            }
            let images = api.list(&ListParams::default()).await?.items;
            Ok((images.len() == count).then(|| images.into_iter().map(|i| (i.name_any(), i)).collect()))
        })
        .await
    }
}

/// How many Images there are, by what the API server says is left behind the first.
async fn counted(images: &Api<Image>) -> anyhow::Result<usize> {
    let first = images.list(&ListParams::default().limit(1)).await?;
    let left = first.metadata.remaining_item_count.unwrap_or_default();
    Ok(first.items.len() + usize::try_from(left)?)
}

fn entry(n: usize) -> MirrorEntry {
    let source = format!("{NOWHERE}/tools/widget{n}");
    MirrorEntry { source, tags: vec!["1.0".into(), "1.1".into()], ..MirrorEntry::default() }
}

fn target(name: &str) -> MirrorTarget {
    MirrorTarget { repository: format!("{NOWHERE}/{name}"), default: true, ..MirrorTarget::default() }
}

fn spec(entries: usize) -> ImageMirrorSpec {
    let entries = (0..entries).map(entry).collect();
    ImageMirrorSpec { targets: vec![target("acme")], entries, ..ImageMirrorSpec::default() }
}

/// What of Images changes with a write of their spec or of their marks.
fn versions(images: &BTreeMap<String, Image>) -> BTreeMap<String, (Option<String>, Option<i64>)> {
    let version = |image: &Image| (image.uid(), image.metadata.generation);
    images.iter().map(|(name, image)| (name.clone(), version(image))).collect()
}

#[tokio::test]
async fn another_order_writes_nothing_and_one_entry_less_takes_its_image_alone() -> anyhow::Result<()> {
    let mirrors = Mirrors::new("another-order").await?;
    let _agent = mirrors.case.agent(&[]).await?;
    let mut wanted = spec(15);
    mirrors.apply(&wanted).await?;
    let first = mirrors.images(15).await?;

    wanted.entries.reverse();
    let generation = mirrors.apply(&wanted).await?;
    mirrors.says(generation, reasons::IMAGES_NOT_READY).await?;
    assert_eq!(versions(&mirrors.images(15).await?), versions(&first));

    let gone = wanted.entries.remove(3);
    wanted.entries[0].tags.push("2.0".into());
    mirrors.apply(&wanted).await?;
    let left = mirrors.images(14).await?;
    assert!(left.values().all(|image| image.spec.source.name != gone.source));
    let changed: Vec<&str> = left
        .iter()
        .filter(|(name, image)| first[*name].metadata.generation != image.metadata.generation)
        .map(|(_, image)| image.spec.source.name.as_str())
        .collect();
    assert_eq!(changed, [wanted.entries[0].source.as_str()]);
    Ok(())
}

#[tokio::test]
async fn an_emptied_inventory_keeps_its_images_until_they_are_let_go() -> anyhow::Result<()> {
    let mirrors = Mirrors::new("emptied").await?;
    let _agent = mirrors.case.agent(&[]).await?;
    mirrors.apply(&spec(12)).await?;
    let before = mirrors.images(12).await?;
    let generation = mirrors.apply(&spec(0)).await?;
    let held = mirrors.says(generation, reasons::PRUNE_HELD).await?;
    assert_eq!(held.status.and_then(|status| status.children).map(|children| children.prune_held), Some(12));
    assert_eq!(versions(&mirrors.images(12).await?), versions(&before));
    mirrors.annotate(PRUNE_ANNOTATION, &prune_release(generation, "let go")).await?;
    mirrors.annotate("imgop.skopeo.io/requested-at", "let go").await?;
    mirrors.images(0).await?;
    Ok(())
}

#[tokio::test]
async fn a_file_that_cannot_be_read_changes_nothing_and_a_corrected_one_is_followed() -> anyhow::Result<()> {
    let mirrors = Mirrors::new("unreadable").await?;
    let _agent = mirrors.case.agent(&[]).await?;
    let config_maps: Api<ConfigMap> = Api::namespaced(mirrors.case.client().clone(), mirrors.namespace);
    let file = |entries: usize, more: &str| {
        let entry = |n| format!("- SourceImage: {NOWHERE}/tools/widget{n}\n  Tags:\n  - v1.0\n");
        let entries: String = (0..entries).map(entry).collect();
        let repository = format!("- BaseUrl: {NOWHERE}/acme\n  DefaultTarget: true\n  Registry: {NOWHERE}\n");
        let text = format!("Images:\n{entries}{more}Repositories:\n{repository}");
        serde_json::from_value::<ConfigMap>(
            json!({ "metadata": { "name": "inventory" }, "data": { "config.yaml": text } }),
        )
    };
    config_maps.create(&PostParams::default(), &file(3, "")?).await?;
    let of_file = ImageMirrorSpec {
        targets: vec![target("acme")],
        from: vec![InventoryFile {
            config_map: ConfigMapFile { name: "inventory".into(), key: "config.yaml".into() },
            format: InventoryFormat::Rancher,
        }],
        frequency: "10s".into(),
        ..ImageMirrorSpec::default()
    };
    let generation = mirrors.apply(&of_file).await?;
    let before = mirrors.images(3).await?;
    config_maps
        .replace("inventory", &PostParams::default(), &file(2, "- SourceImage: a/b\n  Tagz: [v1]\n")?)
        .await?;
    let stalled = mirrors.says(generation, reasons::INVENTORY_UNREADABLE).await?;
    let said = stalled.status.map(|status| format!("{:?}", status.conditions)).unwrap_or_default();
    assert!(said.contains("line 9") && said.contains("Tagz"), "{said}");
    assert_eq!(versions(&mirrors.images(3).await?), versions(&before));
    config_maps.replace("inventory", &PostParams::default(), &file(4, "")?).await?;
    mirrors.annotate("imgop.skopeo.io/requested-at", "corrected").await?;
    mirrors.images(4).await?;
    Ok(())
}

#[tokio::test]
async fn one_tag_of_two_sources_is_mirrored_of_neither_and_all_else_is() -> anyhow::Result<()> {
    let mirrors = Mirrors::new("conflicting").await?;
    let _agent = mirrors.case.agent(&[]).await?;
    let mut wanted = spec(3);
    for (n, entry) in wanted.entries.iter_mut().enumerate().take(2) {
        entry.target_name = Some("app".into());
        entry.tags = vec!["1".into(), format!("only-{n}")];
    }
    let generation = mirrors.apply(&wanted).await?;
    let said = mirrors.says(generation, reasons::ENTRIES_CONFLICT).await?.status.unwrap_or_default();
    assert_eq!(said.conflicts[0].destination, format!("{NOWHERE}/acme/app:1"));
    let tags: BTreeSet<String> =
        mirrors.images(3).await?.into_values().flat_map(|image| image.spec.source.tags).collect();
    assert_eq!(tags, ["1.0", "1.1", "only-0", "only-1"].map(str::to_owned).into());
    Ok(())
}

#[tokio::test]
async fn an_image_of_a_user_is_taken_over_only_where_it_says_so_and_orphans_stay() -> anyhow::Result<()> {
    let mirrors = Mirrors::new("taken-over").await?;
    let agent = mirrors.case.agent(&[]).await?;
    mirrors.apply(&spec(1)).await?;
    let name = mirrors.images(1).await?.into_keys().next().unwrap_or_default();
    let orphan = DeleteParams {
        propagation_policy: Some(kube::api::PropagationPolicy::Orphan),
        ..DeleteParams::default()
    };
    mirrors.api().delete("acme", &orphan).await?;
    // What waits for this has no controller here.
    let freed = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    mirrors.api().patch("acme", &PatchParams::default(), &freed).await?;
    drop(agent);
    let images = mirrors.case.images(mirrors.namespace);
    // Its owner is gone, whether or not something removes the reference.
    images.delete(&name, &DeleteParams::default()).await?;
    let source = Source::new(format!("{NOWHERE}/a/b"), "1.0");
    let own =
        Image::new(&name, ImageSpec::new(Mode::OneShot, source, Destination::new(format!("{NOWHERE}/c/d"))));
    images.create(&PostParams::default(), &own).await?;

    let _agent = mirrors.case.agent(&[]).await?;
    let generation = mirrors.apply(&spec(1)).await?;
    mirrors.says(generation, reasons::NAME_TAKEN).await?;
    assert_eq!(images.get(&name).await?.spec.mode, Mode::OneShot);
    let adopt = Patch::Merge(json!({ "metadata": { "annotations": { ADOPT_ANNOTATION: "acme" } } }));
    images.patch(&name, &PatchParams::default(), &adopt).await?;
    mirrors.annotate("imgop.skopeo.io/requested-at", "adopted").await?;
    let is_taken_over = |image: &Image| {
        image.spec.mode == Mode::Recurrent
            && image.owner_references().iter().any(|owner| owner.name == "acme")
    };
    wait::until(&images, &name, "is taken over", DEADLINE, is_taken_over).await?;
    Ok(())
}

#[tokio::test]
async fn the_images_of_a_suspended_mirror_are_suspended_and_those_of_a_user_stay_so() -> anyhow::Result<()> {
    let mirrors = Mirrors::new("suspended").await?;
    let _agent = mirrors.case.agent(&[]).await?;
    let mut wanted = spec(3);
    mirrors.apply(&wanted).await?;
    let images = mirrors.case.images(mirrors.namespace);
    let first = mirrors.images(3).await?.into_keys().next().unwrap_or_default();
    let suspend = Patch::Merge(json!({ "spec": { "suspend": true } }));
    images.patch(&first, &PatchParams::default(), &suspend).await?;
    wanted.suspend = true;
    mirrors.apply(&wanted).await?;
    let suspended = |count: usize| {
        let images = images.clone();
        async move {
            wait::poll(&format!("{count} Images are suspended"), DEADLINE, || async {
                let all = images.list(&ListParams::default()).await?.items;
                Ok((all.iter().filter(|image| image.spec.suspend).count() == count).then_some(()))
            })
            .await
        }
    };
    suspended(3).await?;
    wanted.suspend = false;
    mirrors.apply(&wanted).await?;
    suspended(1).await?;
    anyhow::ensure!(images.get(&first).await?.spec.suspend, "a user has suspended it too");
    Ok(())
}

#[tokio::test]
async fn an_inventory_of_the_largest_known_size_is_written_at_no_more_than_twenty_a_second()
-> anyhow::Result<()> {
    // On an API server of its own: so many Images are too many beside other tests.
    let mirrors = Mirrors { case: Case::new().await?, namespace: "large" };
    mirrors.case.enabled_namespace(mirrors.namespace).await?;
    let agent = mirrors.case.agent(&[]).await?;
    let mut wanted = spec(240);
    wanted.targets.extend([target("second"), target("third")]);
    for entry in &mut wanted.entries {
        entry.tags = (0..10).map(|n| format!("1.{n}")).collect();
    }
    mirrors.apply(&wanted).await?;
    let images = mirrors.images(720).await?;
    let mut a_second = BTreeMap::<String, usize>::new();
    for image in images.values() {
        let created = image.creation_timestamp().map(|at| at.0.to_string()).unwrap_or_default();
        *a_second.entry(created).or_default() += 1;
    }
    // Those of two seconds may come within one of the clock.
    anyhow::ensure!(a_second.values().all(|count| *count <= 40), "{a_second:?}");
    let gone = wanted.entries.remove(7);
    mirrors.apply(&wanted).await?;
    let left = mirrors.images(717).await?;
    assert!(left.values().all(|image| image.spec.source.name != gone.source));
    let memory = agent.memory()?;
    anyhow::ensure!(memory.anonymous < 60 << 20, "{} MB", memory.anonymous >> 20);
    Ok(())
}
