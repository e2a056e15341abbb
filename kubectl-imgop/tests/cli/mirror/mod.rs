//! `mirror`: files of other tools, without a cluster; and an ImageMirror of one.

mod adding;
#[cfg(unix)]
mod branches;
mod comparing;
mod exporting;
mod importing;
mod losses;
mod of_cluster;
#[cfg(unix)]
mod pull_requests;
mod validating;

use imgop_fakes::{Background, Content, ContentRegistry};

use crate::preview_details::{push, start};
use crate::program::{Program, Run};

/// A configuration as rancher's tools format it.
pub const CONFIG: &str = r#"Images:
- SourceImage: quay.io/tools/widget
  Tags:
  - "1.0"
  - v1.1
  TargetImageName: widget
- DoNotMirror: true
  SourceImage: registry.k8s.io/pause
  Tags:
  - "3.10"
Repositories:
- BaseUrl: docker.io/acme
  Password: '{{ env "HUB_PASSWORD" }}'
  Registry: docker.io
  Target: true
  Username: '{{ env "HUB_USERNAME" }}'
- BaseUrl: registry.corp/mirror
  Password: '{{ env "CORP_PASSWORD" }}'
  Registry: registry.corp
  Target: true
  Username: '{{ env "CORP_USERNAME" }}'
"#;

pub fn mirror(arguments: &str, config: &str) -> Run {
    let program = Program::new();
    program.file("config.yaml", config);
    program.run(&format!("mirror {arguments}"))
}

/// A registry with tags of each of its repositories.
pub fn registry(tags: &[&str]) -> Background<ContentRegistry> {
    let mut content = Content::default();
    for tag in tags {
        push(&mut content, tag);
    }
    start(content)
}

/// A configuration whose source is a registry.
pub fn config_of(registry: &ContentRegistry, tags: &str) -> String {
    let source = format!("{}/app", registry.http.address);
    format!(
        "Artifacts:\n- SourceArtifact: {source}\n  Tags:\n{tags}  TargetArtifactName: widget\nRepositories:\n- BaseUrl: docker.io/acme\n  DefaultTarget: true\n  Password: \"\"\n  Registry: docker.io\n  Username: \"\"\n"
    )
}

/// An inventory from one registry to another.
pub fn between(from: &ContentRegistry, to: &ContentRegistry, tags: &str) -> String {
    let (from, to) = (&from.http.address, &to.http.address);
    format!(
        "apiVersion: skopeo.io/v1alpha1\nkind: ImageMirror\nmetadata: {{name: acme}}\nspec:\n  targets:\n  - {{repository: '{to}', default: true}}\n  naming: {{template: '{{name}}'}}\n  entries:\n  - {{source: '{from}/app', tags: [{tags}]}}\n"
    )
}
