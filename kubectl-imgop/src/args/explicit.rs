//! Defaults that a flag asks for. A spec leaves its defaults out; but a field that another manager has set to
//! something else is taken back only by an apply that holds it.

use imgop_core::api::ImageSpec;
use serde_json::{Value, json};

use super::image::ImageArgs;

/// Writes the fields of a spec that these flags ask for, those with default values too. Without `--frequency`
/// the field is left out, and so to its default and to other managers.
pub fn explicit_fields(spec: &ImageSpec, args: &ImageArgs) -> Result<Value, serde_json::Error> {
    let mut fields = serde_json::to_value(spec)?;
    if let (None, Some(fields)) = (&args.schedule.frequency, fields.as_object_mut()) {
        fields.remove("frequency");
    }
    for (path, value) in given(args) {
        if let Some(value) = value {
            *path.iter().fold(&mut fields, |field, name| &mut field[*name]) = value;
        }
    }
    Ok(fields)
}

/// Returns the fields that are left out of a spec where they have their defaults, with what was given for them.
fn given(args: &ImageArgs) -> [(&'static [&'static str], Option<Value>); 9] {
    let ImageArgs { schedule, endpoints, .. } = args;
    [
        (&["suspend"], schedule.suspend.map(|value| json!(value))),
        (&["allowCandidateRelease"], args.allow_candidate_release.map(|value| json!(value))),
        (&["referrers"], args.referrers.map(|value| json!(value))),
        (&["destination", "overwrite"], args.overwrite.map(|value| json!(value))),
        (&["destination", "publish"], args.publish.map(|value| json!(value))),
        (&["source", "tls", "mode"], endpoints.source_tls.map(|value| json!(value))),
        (&["destination", "tls", "mode"], endpoints.destination_tls.map(|value| json!(value))),
        (&["source", "useAwsIRSA"], endpoints.source_use_aws_irsa.map(|value| json!(value))),
        (&["destination", "useAwsIRSA"], endpoints.destination_use_aws_irsa.map(|value| json!(value))),
    ]
}

#[cfg(test)]
mod tests {
    use imgop_core::api::{Overwrite, Publish, Referrers, TlsMode};

    use super::super::endpoints::EndpointArgs;
    use super::super::image_spec;
    use super::super::schedule::ScheduleArgs;
    use super::*;

    fn fields(args: &ImageArgs) -> Value {
        let (spec, _) = image_spec("quay.io/a/b:1.x", "r.example.com/a", args).unwrap();
        explicit_fields(&spec, args).unwrap()
    }

    #[test]
    fn a_default_is_written_where_a_flag_asks_for_it_and_only_there() {
        let args = ImageArgs {
            allow_candidate_release: Some(false),
            referrers: Some(Referrers::None),
            overwrite: Some(Overwrite::IfDifferent),
            publish: Some(Publish::default()),
            schedule: ScheduleArgs {
                suspend: Some(false),
                frequency: Some("5m".to_owned()),
                ..ScheduleArgs::default()
            },
            endpoints: EndpointArgs {
                source_tls: Some(TlsMode::Verify),
                destination_tls: Some(TlsMode::Verify),
                source_use_aws_irsa: Some(false),
                destination_use_aws_irsa: Some(false),
                ..EndpointArgs::default()
            },
            ..ImageArgs::default()
        };
        insta::assert_snapshot!(fields(&args), @r#"{"allowCandidateRelease":false,"destination":{"name":"r.example.com/a","overwrite":"IfDifferent","publish":"Staged","tls":{"mode":"Verify"},"useAwsIRSA":false},"frequency":"5m","mode":"OnceByTag","referrers":"None","source":{"name":"quay.io/a/b","tls":{"mode":"Verify"},"useAwsIRSA":false,"version":"1.x"},"suspend":false}"#);
        insta::assert_snapshot!(fields(&ImageArgs::default()), @r#"{"destination":{"name":"r.example.com/a"},"mode":"OnceByTag","source":{"name":"quay.io/a/b","version":"1.x"}}"#);
    }
}
