//! A registry whose certificate is not trusted.

use std::collections::HashMap;

use imgop_core::api::{Destination, ImageSpec, Mode, Side, Source};
use imgop_core::copy::{CopyRequest, Known, Limits, ObserveError, Sides, observe};
use imgop_fakes::{ScriptedRegistry, json, settings};
use imgop_registry::{Access, Reason, Registries, Settings, Unreachable};

#[tokio::test]
async fn a_registry_that_is_not_trusted_ends_the_observation_of_one_tag_too() {
    let (registry, _) = ScriptedRegistry::start_tls(&["registry.corp.test"], |_| json(200, "{}")).await;
    let spec = ImageSpec::new(
        Mode::OneShot,
        Source::new("registry.corp.test/a", "1"),
        Destination::new("r.example.com/a"),
    );
    let request = CopyRequest::parse(&spec).unwrap();
    let addresses = HashMap::from([("registry.corp.test".to_owned(), registry.address)]);
    let registries = Registries::new(Settings { addresses, ..settings() });
    let sides =
        Sides { source: registries.repository(&request.source, &Access::default()), destination: None };
    let error = observe(&sides, &request, &Known::default(), Limits::default()).await.unwrap_err();
    let ObserveError::Registry { side: Side::Source, error } = error else { panic!("{error}") };
    assert_eq!(*error.reason(), Reason::Unreachable(Unreachable::Tls), "{error}");
}
