//! What an `ImageMirror` says and a file of another tool cannot say.

use super::Format;
use crate::api::{
    Frequency, ImageMirrorSpec, JobTemplateSpec, MirrorPrune, MirrorSync, MirrorTarget, Publish, Referrers,
    Tls,
};

/// Returns the fields of a mirror that a file of a format cannot say, each as its path in the spec. Whether tags are replaced is
/// not among them where the format's tool decides it.
pub fn fields_left_out(spec: &ImageMirrorSpec, format: Format) -> Vec<&'static str> {
    let target = |is_said: fn(&MirrorTarget) -> bool| spec.targets.iter().any(is_said);
    let replaces = matches!(format, Format::Regsync | Format::SkopeoSync);
    let fields = [
        ("targets[].credentials", target(|target| target.credentials.is_some() || target.use_aws_irsa)),
        ("targets[].tls", target(|target| target.tls.as_ref().is_some_and(|tls| *tls != Tls::default()))),
        ("targets[].overwrite", target(|target| target.overwrite.is_some())),
        ("targets[].publish", target(|target| target.publish != Publish::default())),
        ("targets[].create", target(|target| target.create.is_some())),
        (
            "sources[].credentials",
            spec.sources.iter().any(|one| one.credentials.is_some() || one.use_aws_irsa),
        ),
        ("sources[].tls", spec.sources.iter().any(|source| source.tls != Tls::default())),
        ("sync", !replaces && spec.sync == MirrorSync::Follow),
        ("follow", !replaces && !spec.follow.is_empty()),
        ("frequency", spec.schedule.is_none() && spec.frequency != Frequency::DEFAULT_TEXT),
        ("schedule", spec.schedule.is_some()),
        ("platforms", !spec.platforms.is_empty()),
        ("engine", spec.engine.is_some()),
        ("referrers", spec.referrers != Referrers::default()),
        ("minAge", spec.min_age.is_some()),
        ("updates", !spec.updates.is_empty()),
        ("suspend", spec.suspend),
        ("prune", spec.prune != MirrorPrune::default()),
        ("jobTemplate", spec.job_template != JobTemplateSpec::default()),
    ];
    fields.into_iter().filter(|(_, is_said)| *is_said).map(|(field, _)| field).collect()
}

#[cfg(test)]
mod tests {
    use kube::CustomResourceExt as _;

    use super::*;
    use crate::api::ImageMirror;

    /// What all formats say, or what follows from another field.
    const SAID: [&str; 9] = [
        "entries",
        "from",
        "naming",
        "sources[].registry",
        "sources[].useAwsIRSA",
        "targets[].default",
        "targets[].repository",
        "targets[].useAwsIRSA",
        "timeZone",
    ];

    /// Returns all fields of a spec, those of targets and sources one by one.
    fn fields() -> Vec<String> {
        let crd = serde_json::to_value(ImageMirror::crd()).unwrap();
        let spec =
            &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
        let mut fields = Vec::new();
        for (field, schema) in spec.as_object().unwrap() {
            match schema["items"]["properties"]
                .as_object()
                .filter(|_| field == "targets" || field == "sources")
            {
                Some(below) => fields.extend(below.keys().map(|below| format!("{field}[].{below}"))),
                None => fields.push(field.clone()),
            }
        }
        fields
    }

    #[test]
    fn each_field_that_a_format_cannot_say_is_named() {
        let spec: ImageMirrorSpec = serde_json::from_value(serde_json::json!({
            "targets": [{ "repository": "r.io/m", "default": true, "credentials": { "secretName": "s" }, "tls": { "mode": "SkipVerify" },
                "overwrite": "IfMissing", "publish": "Direct" },
                { "repository": "r.io/n", "create": { "policy": "IfMissing" } }],
            "sources": [{ "registry": "quay.io", "useAwsIRSA": true, "tls": { "mode": "PlainHTTP" } }],
            "sync": "Follow", "follow": ["latest"], "schedule": "0 3 * * *", "platforms": ["linux/amd64"],
            "engine": "Native",
            "referrers": "All", "minAge": "3d", "suspend": true, "prune": "Never",
            "jobTemplate": { "backoffLimit": 2 },
            "updates": [{ "name": "a", "from": { "githubRelease": { "owner": "o", "repository": "r" } } }],
        }))
        .unwrap();
        let of_rancher = fields_left_out(&spec, Format::Rancher);
        insta::assert_snapshot!(of_rancher.join("\n"));
        let unknown = fields().into_iter().filter(|field| {
            let is_frequency = field == "frequency";
            !is_frequency && !SAID.contains(&field.as_str()) && !of_rancher.contains(&field.as_str())
        });
        assert_eq!(unknown.collect::<Vec<_>>(), [""; 0], "a field that is neither said nor named");
        let of_regsync = fields_left_out(&spec, Format::Regsync);
        let besides = of_rancher.iter().filter(|field| !of_regsync.contains(field));
        assert_eq!(besides.collect::<Vec<_>>(), [&"sync", &"follow"]);
        let often = ImageMirrorSpec { frequency: "1h".to_owned(), ..ImageMirrorSpec::default() };
        assert_eq!(fields_left_out(&often, Format::ImagesList), ["frequency"]);
        assert!(fields_left_out(&ImageMirrorSpec::default(), Format::Rancher).is_empty());
    }
}
