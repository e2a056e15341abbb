//! Layers of earlier builds are used again only where nothing changed that a step depends on.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use imgop_core::build::DockerfilePlace;
use imgop_core::build::dockerfile::Feature;
use imgop_core::build::step::{LayerCache, place};
use imgop_step::buildah::version;

use crate::built_image::BuiltImage;
use crate::pod::Pod;
use crate::registry::{busybox, shared};

/// What a build is made from that a step may depend on.
#[derive(Clone)]
struct Inputs {
    argument: &'static str,
    variable: &'static str,
    content: &'static str,
    mode: u32,
    ignored: &'static str,
    base: &'static str,
}

const FIRST: Inputs =
    Inputs { argument: "one", variable: "one", content: "one", mode: 0o644, ignored: "none", base: "one" };

/// Builds these inputs, whose files are of one size and time. Returns also how many layers the cache had.
fn image_and_hits(inputs: &Inputs, cache: Option<&str>) -> (BuiltImage, u32) {
    let dockerfile = format!(
        "FROM {} AS base\nRUN echo {} > /base\nFROM base\n\
         RUN cat /proc/sys/kernel/random/uuid > /once\nARG TEXT\nENV MODE={}\nRUN echo \"$TEXT $MODE\" > /text\n\
         COPY . /c/\nRUN cat /c/f > /copied\n",
        busybox(),
        inputs.base,
        inputs.variable
    );
    let files = [("f", inputs.content), ("g", "g"), (".dockerignore", inputs.ignored)];
    let mut pod = Pod::of(&dockerfile).with_files(&files);
    pod.input.dockerfile = DockerfilePlace::Inline(dockerfile);
    pod.input.arguments.insert("TEXT".into(), inputs.argument.into());
    pod.input.cache =
        cache.map(|repository| LayerCache { repository: repository.parse().unwrap(), ttl_seconds: None });
    pod.prepare().succeeded();
    let file = pod.path(place::WORK).join("context/f");
    fs::set_permissions(&file, fs::Permissions::from_mode(inputs.mode)).unwrap();
    File::open(&file)
        .unwrap()
        .set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000))
        .unwrap();
    let hits = pod.build().succeeded().layers.cached;
    let pushed = pod.push().succeeded().image.unwrap();
    (BuiltImage::read(&format!("{}@{}", pod.input.repository, pushed.digest), None), hits)
}

fn image(inputs: &Inputs, cache: Option<&str>) -> BuiltImage {
    image_and_hits(inputs, cache).0
}

/// Returns what the layers hold, without the file that each run of its step writes anew.
fn comparable(image: &BuiltImage) -> Vec<Vec<String>> {
    let mut layers = image.layers();
    for layer in &mut layers {
        layer.retain(|entry| !entry.starts_with("once "));
    }
    layers
}

#[test]
fn with_a_cache_each_change_gives_what_a_build_without_one_gives() {
    let cache = format!("{}/built/layers", shared().address);
    let (first, hits) = image_and_hits(&FIRST, Some(&cache));
    assert_eq!(hits, 0, "there was none");
    let (again, hits) = image_and_hits(&FIRST, Some(&cache));
    // 1.28 finds nothing behind an ARG: a RUN of each stage is left.
    let is_new = version(&Pod::of("").places).unwrap().has(Feature::StagePlatform);
    assert_eq!(hits, if is_new { 5 } else { 2 }, "of four RUNs and a COPY, in two stages");
    assert_eq!(again.text("once"), first.text("once"), "the layers are used again");
    for (what, inputs) in [
        ("a build argument that only RUN uses", Inputs { argument: "two", ..FIRST }),
        ("ENV", Inputs { variable: "two", ..FIRST }),
        ("a file's content of equal size and time", Inputs { content: "two", ..FIRST }),
        ("a file's mode", Inputs { mode: 0o755, ..FIRST }),
        ("the ignore file", Inputs { ignored: "g\n", ..FIRST }),
        ("the base", Inputs { base: "two", ..FIRST }),
    ] {
        let (with, without) = (image(&inputs, Some(&cache)), image(&inputs, None));
        let config = |image: &BuiltImage| {
            let mut config = image.config["config"].clone();
            // Buildah's name for the container in which it built.
            config.as_object_mut().unwrap().remove("Hostname");
            config
        };
        assert_eq!(config(&with), config(&without), "{what}");
        assert_eq!(with.text("text"), format!("{} {}\n", inputs.argument, inputs.variable), "{what}");
        assert_eq!(with.text("copied"), inputs.content, "{what}");
        // Without a cache all steps are one layer.
        let files = |image: &BuiltImage| {
            let layers = comparable(image).into_iter().flatten();
            layers.filter(|entry| !entry.contains(" Directory ")).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(files(&with), files(&without), "{what}");
        assert_eq!(with.text("once") == first.text("once"), inputs.base == FIRST.base, "{what}");
    }
}

#[test]
fn a_cache_that_cannot_be_reached_is_done_without() {
    let image = image(&FIRST, Some("127.0.0.1:1/team/cache"));
    assert_eq!(image.text("text"), "one one\n");
}
