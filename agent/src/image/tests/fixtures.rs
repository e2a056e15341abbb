//! What the tests of Images are built from.

use std::sync::Arc;

use clap::Parser as _;
use imgop_core::api::{Credentials, Destination, Image, ImageSpec, Mode, Source, Tls, TlsMode};
use imgop_core::copy::{Copy, CopyRequest, MadeOf, Origin};
use imgop_core::selection::SourceRef;
use imgop_registry::reference::Digest;
use jiff::Timestamp;
use kube::Client;

use crate::OF_KINDS;
use crate::agent::Agent;
use crate::config::Config;
use crate::metrics::Metrics;

/// An Image `argocd` in namespace `team-a`, of this mode.
pub fn image(mode: Mode) -> Image {
    let mut image = Image::new(
        "argocd",
        ImageSpec::new(
            mode,
            Source::new("quay.io/argoproj/argocd", "v2.13.x"),
            Destination {
                credentials: Some(Credentials { secret_name: "target".into() }),
                tls: Some(Tls { mode: TlsMode::Verify, ca_secret_name: Some("corporate-ca".into()) }),
                ..Destination::new("registry.example.com:5000/mirror/argocd")
            },
        ),
    );
    image.metadata.namespace = Some("team-a".into());
    image.metadata.uid = Some("6f1d9a52-0000-4000-8000-000000000001".into());
    image.metadata.generation = Some(1);
    image
}

/// What it asks for.
pub fn request(image: &Image) -> CopyRequest {
    CopyRequest::parse(&image.spec).unwrap()
}

/// The nth try of this tag, its content being the tag's own text.
pub fn copy(tag: &str, attempt: u32) -> Copy {
    Copy {
        source_ref: SourceRef::Tag(tag.parse().unwrap()),
        destination_tag: tag.parse().unwrap(),
        digest: Digest::of(tag.as_bytes()),
        made_of: None,
        attempt,
    }
}

/// The first try of a tag that becomes an index of two platforms.
pub fn subset(tag: &str) -> Copy {
    let parts = ["amd64", "arm64"].map(|part| Digest::of(format!("{tag} {part}").as_bytes())).to_vec();
    let origin = Origin::PlatformsOf(Digest::of(format!("{tag} whole").as_bytes()));
    Copy { made_of: Some(MadeOf { origin, parts }), ..copy(tag, 1) }
}

/// An agent that watches all namespaces and knows of no Job.
pub fn agent(client: Client) -> Arc<Agent> {
    agent_with(client, &[])
}

/// The same with these settings besides.
pub fn agent_with(client: Client, settings: &[&str]) -> Arc<Agent> {
    let all = ["imgop-agent", "--watch-namespaces=*", "--skopeo-image=skopeo:1", "--registry-loopback=true"];
    let config = Config::parse_from(all.iter().chain(settings));
    let agent = Agent::new(client, config, Metrics::new(), OF_KINDS);
    agent.policies.show(&[]);
    Arc::new(agent)
}

/// The time in all tests.
pub fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}
