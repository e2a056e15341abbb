//! A source and a destination with contents of their own, and what is copied between them.

use imgop_core::api::ImageSpec;
use imgop_core::copy::{CopyRequest, Observed};
use imgop_core::copy::{Known, Limits, Sides, observe};
use imgop_registry::{Access, Registries};

use super::observing::spec;
use imgop_fakes::settings;
use imgop_fakes::{Content, ContentRegistry};

/// A copy of one repository of the source.
pub struct Case {
    pub source: ContentRegistry,
    pub destination: ContentRegistry,
    pub spec: ImageSpec,
    pub sides: Sides,
}

impl Case {
    /// Copies this version, with what else the spec is to say.
    pub async fn new(
        source: Content,
        destination: Content,
        version: &str,
        edit: impl FnOnce(&mut ImageSpec),
    ) -> Self {
        let (source, destination) = (source.start().await, destination.start().await);
        let mut spec = spec(&source.http, &destination.http, version);
        edit(&mut spec);
        let registries = Registries::new(settings());
        let client =
            |side: &ContentRegistry| registries.repository(&side.http.repository("app"), &Access::default());
        let sides = Sides { source: client(&source), destination: Some(client(&destination)) };
        Self { source, destination, spec, sides }
    }

    pub fn request(&self) -> CopyRequest {
        CopyRequest::parse(&self.spec).unwrap()
    }

    pub async fn observe(&self, known: &Known) -> Observed {
        observe(&self.sides, &self.request(), known, Limits::default()).await.unwrap()
    }

    /// How many manifests were read at the source, and how many at the destination.
    pub fn read(&self) -> (usize, usize) {
        let gets = |side: &ContentRegistry| side.count("GET /v2/app/manifests/");
        (gets(&self.source), gets(&self.destination))
    }
}
