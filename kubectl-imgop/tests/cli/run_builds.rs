//! `run -f` with ImageBuilders, by the Buildah of this machine.

use imgop_fakes::{Background, StoringRegistry};
use serde_json::Value;

use crate::program::Program;

const REAL: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

fn builder(registry: &StoringRegistry, more: &str) -> String {
    let address = registry.address;
    format!(
        "apiVersion: buildah.io/v1alpha1\nkind: ImageBuilder\nmetadata: {{name: app}}\nspec:\n  \
         source: |\n    FROM scratch\n    LABEL a=b\n  image: {{name: \"{address}/team/app\", version: v1, additionalTags: [latest]}}\n  {more}\n"
    )
}

#[test]
#[ignore = "needs Buildah and Skopeo: make test-builds"]
fn real_buildah_builds_each_platform_and_all_tags_show_one_index() {
    let registry = Background::of(StoringRegistry::start());
    let program = Program::new().variable("PATH", REAL);
    let file = program.file("app.yaml", &builder(&registry, "platforms: [linux/amd64, linux/arm64]"));
    let run = program.run(&format!("run -f {} -o json", file.display()));
    assert_eq!(run.code, 0, "{run}");
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    let built = &document["builds"][0];
    assert_eq!(
        (&built["name"], built["references"].as_array().unwrap().len()),
        (&"app".into(), 2),
        "{document}"
    );
    let manifests = registry.manifests("team/app");
    let (v1, latest) = (&manifests["v1"], &manifests["latest"]);
    assert_eq!(v1, latest);
    let index: Value = serde_json::from_slice(&v1.1).unwrap();
    let platforms: Vec<&Value> =
        index["manifests"].as_array().unwrap().iter().map(|m| &m["platform"]["architecture"]).collect();
    assert_eq!(platforms, ["amd64", "arm64"]);
}

#[test]
#[ignore = "needs Buildah and Skopeo: make test-builds"]
fn real_buildah_puts_the_manifest_itself_of_one_platform_and_says_why_a_step_fails() {
    let registry = Background::of(StoringRegistry::start());
    let program = Program::new().variable("PATH", REAL);
    let file = program.file("app.yaml", &builder(&registry, "architecture: amd64"));
    let run = program.run(&format!("run -f {}", file.display()));
    assert_eq!(run.code, 0, "{run}");
    let address = registry.address;
    assert_eq!(run.stdout, format!("{address}/team/app:v1 built\n{address}/team/app:latest built\n"));
    let (_, bytes) = &registry.manifests("team/app")["v1"];
    let manifest: Value = serde_json::from_slice(bytes).unwrap();
    assert!(manifest["config"]["digest"].is_string(), "{manifest}");
    let fails = builder(&registry, "architecture: amd64").replace("LABEL a=b", "COPY nothing /");
    let run = program.run(&format!("run -f {}", program.file("fails.yaml", &fails).display()));
    assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{run}");
    assert!(run.stderr.contains("ImageBuilder app: ") && run.stderr.contains("nothing"), "{run}");
}

#[test]
fn a_dry_run_says_what_would_be_pushed_and_what_is_wrong() {
    let registry = Background::of(StoringRegistry::start());
    let program = Program::new();
    let file = program.file("app.yaml", &builder(&registry, "architecture: amd64"));
    let dry = program.run(&format!("run -f {} --dry-run", file.display()));
    assert_eq!(dry.code, 0, "{dry}");
    assert!(dry.stdout.contains("Would push") && dry.stdout.contains("team/app"), "{dry}");
    assert_eq!(registry.count("P"), 0, "nothing is written");
    let wrong = builder(&registry, "architecture: amd64").replace("LABEL a=b", "COPPY a b");
    let dry = program.run(&format!("run -f {} --dry-run", program.file("wrong.yaml", &wrong).display()));
    assert_eq!(dry.code, 1, "{dry}");
}
