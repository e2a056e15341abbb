//! `run -f`: the Images of files, copied by this process.

use imgop_fakes::{Background, Graph, StoringRegistry};
use serde_json::Value;

use crate::program::{Program, Run};

pub struct Case {
    pub source: Background<StoringRegistry>,
    pub destination: Background<StoringRegistry>,
    pub program: Program,
}

impl Case {
    /// `one` and `two` have an image each, which share a layer.
    pub fn new() -> Self {
        let start = || Background::of(StoringRegistry::start());
        let case = Self { source: start(), destination: start(), program: Program::new() };
        for path in ["one", "two"] {
            let mut graph = Graph::default();
            let config = graph.blob(format!(r#"{{"of":"{path}"}}"#));
            let layer = graph.blob("shared by both");
            let image = graph.oci_image(&config, &[layer]);
            for blob in graph.blobs {
                case.source.hold_blob(path, blob);
            }
            case.source.hold_manifest(path, &["1.0"], &image.media_type, image.bytes);
        }
        case
    }

    pub fn image(&self, path: &str, more: &str) -> String {
        let (source, destination) = (self.source.address, self.destination.address);
        format!(
            "apiVersion: skopeo.io/v1alpha1\nkind: Image\nmetadata: {{name: {path}}}\nspec:\n  {more}\n  mode: OneShot\n  \
             source: {{name: \"{source}/{path}\", version: \"1.0\"}}\n  destination: {{name: \"{destination}/mirror/{path}\"}}\n---\n"
        )
    }

    fn run(&self, text: &str, flags: &str) -> Run {
        let file = self.program.file("images.yaml", text);
        self.program.run(&format!("run -f {} {flags}", file.display()))
    }
}

#[test]
fn all_images_of_a_file_are_copied_and_a_layer_of_several_is_mounted() {
    let case = Case::new();
    let text = [case.image("one", ""), case.image("two", "")].concat();
    let dry = case.run(&text, "--dry-run");
    assert_eq!((dry.code, dry.stdout.matches("would be copied").count()), (0, 2), "{}", dry.stderr);
    assert_eq!(case.destination.count("P"), 0);
    let run = case.run(&text, "");
    assert_eq!((run.code, run.stdout.lines().count()), (0, 2), "{}", run.stderr);
    for path in ["mirror/one", "mirror/two"] {
        assert!(case.destination.manifests(path).contains_key("1.0"), "{path}");
    }
    assert!(run.stderr.contains("2 tags copied") && run.stderr.contains("1 blob mounted"), "{}", run.stderr);
    let read = case.source.asked().iter().filter(|asked| asked.line.contains("/blobs/")).count();
    assert_eq!(read, 3, "two configurations, and the layer once");
}

#[test]
fn what_fails_for_one_image_does_not_keep_the_others() {
    let case = Case::new();
    let text = [case.image("absent", ""), case.image("two", "")].concat();
    let run = case.run(&text, "-o json");
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("absent: "), "{}", run.stderr);
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(document["copies"][0]["tags"][0]["result"], "copied");
    let failed = document["failed"].as_array().unwrap();
    assert_eq!((failed.len(), failed[0]["image"].as_str()), (1, Some("absent")), "{document}");
    assert!(failed[0]["error"].as_str().unwrap().contains("/absent"), "{document}");
    let alone = case.run(&case.image("absent", ""), "-o json");
    let document: Value = serde_json::from_str(&alone.stdout).unwrap();
    assert_eq!((alone.code, document["failed"].as_array().unwrap().len()), (1, 1), "{document}");
}

#[test]
fn a_file_without_its_flag_comes_with_the_flag_and_one_of_other_kinds_with_those_that_are_run() {
    let program = Program::new();
    let run = program.run("run argocd.yaml");
    assert!(run.code == 2 && run.stderr.contains("tip: use '-f argocd.yaml'"), "{run}");
    program.file("service.yaml", "apiVersion: v1\nkind: Service\n");
    let run = program.run("run -f service.yaml");
    assert!(run.stderr.contains("it contains no Image of skopeo.io/v1alpha1, no ImageBuilder of "), "{run}");
    assert!(!run.stderr.contains("WorkloadMirror"), "{run}");
}

fn builder(name: &str, image: &str, version: &str) -> String {
    format!(
        "apiVersion: buildah.io/v1alpha1\nkind: ImageBuilder\nmetadata: {{name: {name}}}\nspec: {{source: \"FROM scratch\", \
         architecture: amd64, image: {{name: \"{image}\", version: \"{version}\"}}}}\n---\n"
    )
}

#[test]
fn a_tag_belongs_to_the_first_image_or_builder_of_the_files_and_the_others_fail() {
    let case = Case::new();
    let to = format!("{}/mirror/one", case.destination.address);
    let files = [case.image("one", ""), builder("app", &to, "1.0"), builder("other", &to, "1.0")].concat();
    for flags in ["--dry-run", ""] {
        let run = case.run(&files, flags);
        assert_eq!(run.code, 1, "{run}");
        for name in ["app", "other"] {
            let said = format!("ImageBuilder {name}: {to}:1.0 belongs to Image one, which stands before it");
            assert!(run.stderr.contains(&said), "{run}");
        }
    }
    assert_eq!(case.destination.manifests("mirror/one")["1.0"], case.source.manifests("one")["1.0"]);
    let to = format!("{}/mirror/two", case.destination.address);
    let run = case.run(&[builder("app", &to, "1.0"), case.image("two", "")].concat(), "");
    let said = format!("{to}:1.0: the tag belongs to ImageBuilder app, which stands before it");
    assert!(run.code == 1 && run.stderr.contains(&said), "{run}");
    assert!(case.destination.manifests("mirror/two").is_empty(), "the builder is the one that may put it");
}

#[test]
fn a_dry_run_takes_its_word_as_other_verbs_and_a_wrong_builder_keeps_neither_the_others_nor_the_document() {
    let case = Case::new();
    let to = format!("{}/app", case.destination.address);
    let files = [case.image("one", ""), builder("wrong", "", "v1"), builder("app", &to, "v1")].concat();
    let dry = case.run(&files, "--dry-run=client -o json");
    assert_eq!(dry.code, 1, "{dry}");
    let document: Value = serde_json::from_str(&dry.stdout).unwrap();
    assert_eq!(document["copies"][0]["tags"][0]["result"], "would-copy");
    assert_eq!(document["builds"][0]["name"], "wrong");
    assert!(dry.stderr.contains("ImageBuilder wrong: ") && dry.stderr.contains("Would push"), "{dry}");
    let elsewhere = case.run(&case.image("one", ""), "--dry-run -n team-a --context there");
    let said = "run asks no cluster, so -n team-a --context there changes nothing";
    assert!(elsewhere.code == 0 && elsewhere.stderr.contains(said), "{elsewhere}");
    let server = case.run(&files, "--dry-run=server");
    assert!(server.code == 2 && server.stderr.contains("run asks no cluster"), "{server}");
}

#[test]
fn a_tag_that_two_images_give_other_content_is_the_first_ones_and_fails_for_the_other() {
    let case = Case::new();
    let second = case.image("two", "").replace("mirror/two", "mirror/one");
    let run = case.run(&[case.image("one", ""), second.clone()].concat(), "");
    assert_eq!(run.code, 1, "{}", run.stderr);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(said.contains("mirror/one:1.0: the tag belongs to one, which stands before it"), "{said}");
    let digest = |path: &str| case.source.manifests(path)["1.0"].clone();
    assert_eq!(case.destination.manifests("mirror/one")["1.0"], digest("one"));
    // Alone it has the tag.
    assert_eq!(case.run(&second, "").code, 0);
    assert_eq!(case.destination.manifests("mirror/one")["1.0"], digest("two"));
}

#[test]
fn the_last_line_counts_what_could_not_be_looked_at() {
    let case = Case::new();
    let broken = case.image("two", "").replace("/two\", version: \"1.0\"", "/two\", version: \"9\"");
    let both = [case.image("one", ""), broken.clone()].concat();
    let last = |text: &str, flags: &str| {
        let run = case.run(text, flags);
        assert_eq!(run.code, 1, "{run}");
        run.stderr.lines().last().unwrap().to_owned()
    };
    assert_eq!(last(&both, "--dry-run"), "1 tag would be copied; 1 object could not be looked at");
    let copied = last(&both, "");
    assert!(
        copied.starts_with("1 tag copied: ") && copied.ends_with("; 1 object could not be looked at"),
        "{copied}"
    );
    let none = [case.image("absent", ""), broken.clone()].concat();
    assert_eq!(last(&none, ""), "2 objects could not be looked at");
    let alone = last(&broken, "");
    assert!(!alone.contains("could not be looked at"), "its error says so: {alone}");
}

#[test]
fn a_tag_that_never_changes_is_not_compared_whatever_the_mode() {
    let case = Case::new();
    let image =
        case.image("one", "").replace("version: \"1.0\"", "version: \"1.0\", immutableTags: [\"1.0\"]");
    assert_eq!(case.run(&image, "").code, 0);
    let again = case.run(&image, "-o json");
    let document: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(document["copies"][0]["tags"][0]["result"], "present", "{again}");
}

#[test]
fn a_tag_of_mode_once_by_tag_that_moves_is_left_alone_and_one_of_mode_recurrent_follows() {
    let case = Case::new();
    let [once, recurrent] = [("OnceByTag", "once"), ("Recurrent", "recurrent")].map(|(mode, path)| {
        case.image("one", "").replace("OneShot", mode).replace("mirror/one", &format!("mirror/{path}"))
    });
    let both = [once, recurrent.replace("{name: one}", "{name: other}")].concat();
    assert_eq!(case.run(&both, "").code, 0);
    let digest = |of: &Background<StoringRegistry>, path: &str| of.manifests(path)["1.0"].clone();
    let before = digest(&case.destination, "mirror/once");
    // The tag moves to what `two` shows.
    let (media_type, bytes) = digest(&case.source, "two");
    case.source.hold_blob("one", r#"{"of":"two"}"#);
    case.source.hold_manifest("one", &["1.0"], &media_type, bytes);
    let preview = case.program.run("preview -f images.yaml");
    assert!(preview.stdout.contains("kubectl imgop run leaves a tag that is there"), "{preview}");
    let run = case.run(&both, "");
    assert_eq!((run.code, run.stdout.matches(" copied").count()), (0, 1), "{run}");
    let kept =
        format!("{}/mirror/once:1.0 is there already, and was not compared\n", case.destination.address);
    assert!(run.stdout.contains(&kept), "{run}");
    assert_eq!(digest(&case.destination, "mirror/once"), before);
    assert_ne!(digest(&case.destination, "mirror/recurrent"), before);
}

#[test]
fn a_tag_of_two_sources_of_an_inventory_is_copied_of_none_and_said() {
    let case = Case::new();
    let (source, destination) = (case.source.address, case.destination.address);
    let run = case.run(
        &format!(
            "apiVersion: skopeo.io/v1alpha1\nkind: ImageMirror\nmetadata: {{name: acme}}\nspec:\n  targets: [{{repository: \
             \"{destination}/mirror\", default: true}}]\n  entries:\n  - {{source: \"{source}/one\", tags: [\"1.0\"], targetName: x}}\n  \
             - {{source: \"{source}/two\", tags: [\"1.0\"], targetName: x}}\n"
        ),
        "",
    );
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(
        run.stderr.contains("mirror/x:1.0 would be ") && run.stderr.contains("/two:1.0"),
        "{}",
        run.stderr
    );
    assert_eq!(case.destination.count("P"), 0);
}

#[test]
fn a_suspended_image_is_left_out_and_an_image_is_not_built_without_buildah() {
    let case = Case::new();
    let suspended = case.run(&case.image("one", "suspend: true"), "");
    assert_eq!((suspended.code, suspended.stdout.as_str()), (0, ""));
    assert!(suspended.stderr.contains("one is suspended"), "{}", suspended.stderr);
    let builder = "apiVersion: buildah.io/v1alpha1\nkind: ImageBuilder\nmetadata: {name: app}\nspec: {source: \"FROM scratch\", \
                   architecture: amd64, image: {name: r.example.com/a/app, version: v1}}\n";
    let run = case.run(builder, "");
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    let said = "ImageBuilder app: buildah and skopeo are not installed";
    assert!(run.stderr.contains(said) && run.stderr.contains("apt-get install buildah skopeo"), "{run}");
    let files = builder.replace("source: \"FROM scratch\"", "context: {configMap: {name: files}}");
    let run = case.run(&files, "");
    assert!(
        run.code == 1 && run.stderr.contains("spec.context.configMap: ConfigMaps are in a cluster"),
        "{run}"
    );
}

#[test]
fn an_inventory_is_copied_as_the_images_that_it_becomes() {
    let case = Case::new();
    let (source, destination) = (case.source.address, case.destination.address);
    let mirror = format!(
        "apiVersion: skopeo.io/v1alpha1\nkind: ImageMirror\nmetadata: {{name: all}}\nspec:\n  entries:\n  - source: \
         {source}/one\n    tags: [\"1.0\"]\n    targetName: one\n  targets:\n  - repository: {destination}/mirror\n    default: true\n"
    );
    let run = case.run(&mirror, "");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.stdout.matches(" copied").count(), 1, "{}", run.stdout);
}
