//! Hosts at which no registry is.

use serde_json::json;

use super::{Kind, refusal, refused, try_create, with, with_case};

/// As the agent knows them; written in every way that a reference has room for.
const METADATA: [&str; 14] = [
    "169.254.169.254",
    "169.254.170.2:80",
    "[fe80::1]",
    "[fd00:ec2::254]:5000",
    "[fd00:ec2::23]",
    "[fd20:ce::254]",
    "[2002:a9fe:a9fe::1]",
    "[64:ff9b::a9fe:a9fe]",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "0.0.0.0",
    "224.0.0.1",
    "[::]",
];
const DISGUISED: [&str; 4] = ["0xa9.254.43518", "2852039166:80", "0251.0376.0251.0376", "169.254.0xa9fe"];
/// Where registries are; the agent decides with what an administrator allows.
const OTHERS: [&str; 8] = [
    "quay.io",
    "registry.example.com:5000",
    "localhost:5000",
    "127.0.0.1:5000",
    "10.0.0.5",
    "[fd12::1]:5000",
    "registry.team-a.svc:5000",
    "3scale.example.com",
];

#[tokio::test]
async fn a_host_that_is_a_metadata_address_is_refused_in_every_field_and_spelling() -> anyhow::Result<()> {
    with_case(async |case| {
        let (image, builder) = (Kind::Image, Kind::ImageBuilder);
        for (kind, field, scheme) in [
            (image, "source.name", ""),
            (image, "destination.name", ""),
            (builder, "image.name", ""),
            (builder, "context.image.name", ""),
            (builder, "cache.repository", ""),
            (builder, "context.git.url", "https://"),
            (builder, "context.git.url", "ssh://git@"),
            (builder, "registries", ""),
        ] {
            let api = case.objects(&case.admin, kind);
            let object = |host: &str| {
                let spec = if field == "registries" {
                    with(kind.spec(), field, json!([{ "host": "first.example.com" }, { "host": host }]))
                } else {
                    with(kind.spec(), field, format!("{scheme}{host}/team/app"))
                };
                let is_cache = field == "cache.repository";
                let spec = if is_cache { with(spec, "cache.mode", "Registry") } else { spec };
                kind.object("app", &spec)
            };
            for (hosts, words) in [
                (&METADATA[..], "it is a link-local or metadata address"),
                (&DISGUISED[..], "it ends in a number and is no address in its usual spelling"),
            ] {
                for host in hosts {
                    let is_bracketed = host.starts_with('[');
                    let name =
                        if is_bracketed { host.split(['[', ']']).nth(1) } else { host.split(':').next() };
                    let place = if field == "registries" { "registries[1].host" } else { field };
                    let name = name.unwrap_or_default();
                    let words = format!("spec.{place} must not have the host {name}: {words}");
                    refused(&words, || async { try_create(&api, &object(host)).await }).await?;
                }
            }
            for host in OTHERS {
                let answer = refusal(try_create(&api, &object(host)).await)?;
                anyhow::ensure!(answer.is_none(), "{field} {host}: {answer:?}");
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn names_of_docker_hub_have_no_host() -> anyhow::Result<()> {
    with_case(async |case| {
        let api = case.objects(&case.admin, Kind::Image);
        for name in ["nginx", "library/nginx", "2048", "2048/team", "team/2048"] {
            let object = Kind::Image.object("app", &with(Kind::Image.spec(), "source.name", name));
            let answer = refusal(try_create(&api, &object).await)?;
            anyhow::ensure!(answer.is_none(), "{name}: {answer:?}");
        }
        Ok(())
    })
    .await
}
