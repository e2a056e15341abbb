//! The spec of an Image in words.

use imgop_core::api::{ImageSpec, Mode, Referrers};

/// Returns the mode as written in the spec.
pub fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::OneShot => "OneShot",
        Mode::OnceByTag => "OnceByTag",
        Mode::Recurrent => "Recurrent",
    }
}

/// Returns the source, such as `quay.io/argoproj/argocd:v2.13.x`.
pub fn source(spec: &ImageSpec) -> String {
    if spec.source.tags.len() > 1 {
        return format!("{} {}", spec.source.name, spec.source.selected());
    }
    with_version(&spec.source.name, &spec.source.selected())
}

/// Returns what narrows or widens the version: `latest 3, exclude .*-debian`.
pub fn narrowing(spec: &ImageSpec) -> String {
    let select = spec.source.select.clone().unwrap_or_default();
    let list = |word: &str, expressions: &[String]| {
        (!expressions.is_empty()).then(|| format!("{word} {}", expressions.join(" or ")))
    };
    let parts = [
        spec.allow_candidate_release.then(|| "pre-releases".to_owned()),
        list("include", &select.include),
        list("exclude", &select.exclude),
        select.latest.map(|number| format!("latest {number}")),
        select.min_age.filter(|age| !age.is_empty()).map(|age| format!("min age {age}")),
        (!spec.platforms.is_empty()).then(|| format!("platforms {}", spec.platforms.join(","))),
        (spec.referrers == Referrers::All).then(|| "referrers".to_owned()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Returns the destination, with its version where the spec has one.
pub fn destination(spec: &ImageSpec) -> String {
    with_version(&spec.destination.name, spec.destination.version.as_deref().unwrap_or_default())
}

/// Returns a name and a version as users write them.
fn with_version(name: &str, version: &str) -> String {
    match version {
        "" => name.to_owned(),
        digest if digest.starts_with("sha256:") => format!("{name}@{digest}"),
        // `name:>=2.13 <2.15` would read as a tag.
        range if range.starts_with(['<', '>', '=', '~', '^']) => format!("{name} {range}"),
        tag => format!("{name}:{tag}"),
    }
}
