//! Specs that leave their destination open, and the default destinations of `RegistryAccesses`.

use imgop_core::api::RegistryAccess;
use imgop_tests::api_server::ApiServer;
use imgop_tests::namespace::with_namespace;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, PostParams};
use serde_json::{Value, json};

use crate::images::{image, images, refusal, spec};

#[tokio::test]
async fn an_image_may_leave_its_destination_open_and_an_empty_name_is_refused_with_the_fix()
-> anyhow::Result<()> {
    let client = ApiServer::shared().await?.client().await?;
    with_namespace(&client, async |namespace| {
        let api = images(&client, &namespace);
        let without = |field: &str| {
            let mut spec = spec(&[]);
            spec.as_object_mut().unwrap().remove(field);
            spec
        };
        let open = [
            without("destination"),
            spec(&[("destination", json!({}))]),
            spec(&[("destination", json!({ "version": "{tag}-corp" }))]),
            spec(&[(
                "destination",
                json!({ "credentials": { "secretName": "push" }, "overwrite": "IfMissing" }),
            )]),
            spec(&[("destination.name", "web/argocd".into())]),
        ];
        for spec in open {
            let created = api.create(&PostParams::default(), &image(&spec)).await;
            assert!(created.is_ok(), "{spec}: {created:?}");
        }
        let causes = refusal(&api, &image(&spec(&[("destination.name", "".into())]))).await.unwrap();
        assert_eq!(causes[0].field, "spec.destination.name");
        assert!(
            causes[0].message.contains("or leave the field out where an administrator has set a default")
        );
        Ok(())
    })
    .await
}

fn access(default_destination: &Value) -> DynamicObject {
    let spec = json!({ "hosts": ["r.example.com"], "repositories": ["mirror/"], "actions": ["Push"],
        "defaultDestination": default_destination });
    let mut object =
        DynamicObject::new("", &ApiResource::erase::<RegistryAccess>(&())).data(json!({ "spec": spec }));
    object.metadata.name = None;
    object.metadata.generate_name = Some("test-".to_owned());
    object
}

#[tokio::test]
async fn a_default_destination_is_a_registry_with_or_without_a_path() -> anyhow::Result<()> {
    let client = ApiServer::shared().await?.client().await?;
    let api: Api<DynamicObject> = Api::all_with(client, &ApiResource::erase::<RegistryAccess>(&()));
    // Each is only tried: what is stored would be for all tests.
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    for prefix in [
        "r.example.com",
        "r.example.com/",
        "r.example.com:5000/mirror/",
        "r.example.com/mirror/{namespace}",
        "r.example.com/x-{namespace}/y/",
        "localhost/m",
        "[::1]:5000/m",
    ] {
        let created = api.create(&dry, &access(&json!({ "prefix": prefix }))).await;
        assert!(created.is_ok(), "{prefix}: {created:?}");
        assert!(prefix.parse::<imgop_core::default_destination::DestinationPrefix>().is_ok(), "{prefix}");
    }
    for prefix in [
        "",
        "mirror",
        "mirror/{namespace}",
        "{namespace}.example.com",
        "https://r.example.com",
        "r.example.com/A",
        "r.example.com//",
        "r.example.com/{ns}",
        "r.example.com/a:1",
    ] {
        let causes = refusal(&api, &access(&json!({ "prefix": prefix })))
            .await
            .map_err(|why| anyhow::anyhow!("{prefix}: {why}"))?;
        let says = "defaultDestination.prefix must be a registry, with or without the beginning of a path";
        assert!(causes.iter().any(|cause| cause.message.contains(says)), "{prefix}: {causes:?}");
        assert!(prefix.parse::<imgop_core::default_destination::DestinationPrefix>().is_err(), "{prefix}");
    }
    let both =
        json!({ "prefix": "r.example.com", "useAwsIRSA": true, "credentials": { "secretName": "push" } });
    let causes = refusal(&api, &access(&both)).await.map_err(anyhow::Error::msg)?;
    assert!(
        causes[0].message.contains("defaultDestination.useAwsIRSA does not go with credentials"),
        "{causes:?}"
    );
    Ok(())
}
