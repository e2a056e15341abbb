//! `mirror export`, `mirror format`.

use super::{CONFIG, mirror};
use crate::program::Program;

/// The same with its entries and tags in another order.
fn unordered() -> String {
    CONFIG.replace("  - \"1.0\"\n  - v1.1\n", "  - v1.1\n  - \"1.0\" # the first\n")
}

#[test]
fn regsync_yaml_is_written_as_ranchers_tool_generates_it() {
    insta::assert_snapshot!(mirror("export config.yaml --format regsync", CONFIG));
    let named = mirror("export config.yaml --format regsync --user-agent mine", CONFIG);
    assert!(named.stdout.contains("\n  userAgent: mine\n"), "{named}");
    let piped = Program::new().stdin(CONFIG).run("mirror export - --format rancher");
    assert_eq!((piped.code, piped.stdout.as_str(), piped.stderr.as_str()), (0, CONFIG, ""), "{piped}");
}

#[test]
fn format_writes_the_canonical_form_and_changes_no_file_with_check() {
    let program = Program::new();
    let path = program.file("config.yaml", &unordered());
    insta::assert_snapshot!(program.run("mirror format config.yaml --check"), @"
    exit code: 1
    ----- stderr -----
    warning: config.yaml:5: this comment is left out when the file is written
    config.yaml is not in its canonical form
    kubectl imgop mirror format changes 1 file
    ");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), unordered());
    insta::assert_snapshot!(program.run("mirror format config.yaml"), @"
    exit code: 0
    ----- stderr -----
    warning: config.yaml:5: this comment is left out when the file is written
    ");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), CONFIG);
    let again = program.run("mirror format config.yaml --check");
    assert_eq!((again.code, again.stdout.as_str(), again.stderr.as_str()), (0, "", ""), "{again}");
}

#[test]
fn a_file_that_cannot_be_read_leaves_all_files_as_they_are() {
    let program = Program::new();
    let path = program.file("config.yaml", &unordered());
    program.file("broken.yaml", "Images:\n- SourceImage: quay.io/tools/widget:1.0\n");
    insta::assert_snapshot!(program.run("mirror format config.yaml broken.yaml"), @r#"
    exit code: 1
    ----- stderr -----
    warning: config.yaml:5: this comment is left out when the file is written
    error: broken.yaml:2: Images[0].SourceImage: "quay.io/tools/widget:1.0" names a tag or digest; give "quay.io/tools/widget" as the name and the rest as the version
    "#);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), unordered());
    insta::assert_snapshot!(program.run("mirror format --check missing.yaml"), @"
    exit code: 2
    ----- stderr -----
    error: cannot read missing.yaml: No such file or directory (os error 2)
    ");
}

#[test]
fn a_hosts_toml_that_is_there_with_other_content_is_replaced_only_where_that_is_wanted() {
    let program = Program::new();
    program.file(
        "mirror.yaml",
        "apiVersion: skopeo.io/v1alpha1\nkind: ImageMirror\nmetadata: {name: acme}\nspec:\n  \
         targets: [{repository: r.corp/m, default: true}]\n  naming: {template: '{path}'}\n  entries:\n  \
         - {source: quay.io/a/b, tags: ['1']}\n  - {source: ghcr.io/a/c, tags: ['1']}\n",
    );
    let own = program.file("certs/quay.io/hosts.toml", "server = \"https://own\"\n");
    let export = |flags: &str| {
        program.run(&format!("mirror export mirror.yaml --format hosts.toml --output-dir certs {flags}"))
    };
    let refused = export("");
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.stderr.contains("certs/quay.io/hosts.toml is there with other content"), "{refused}");
    assert_eq!(std::fs::read_to_string(&own).unwrap(), "server = \"https://own\"\n");
    assert!(!program.home().join("certs/ghcr.io").exists(), "none is written");
    assert_eq!(export("--force").code, 0);
    assert!(std::fs::read_to_string(&own).unwrap().contains("r.corp"));
    let again = export("");
    assert_eq!(again.code, 0, "what is the same is no obstacle: {again}");
}
