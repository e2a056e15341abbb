//! `--secret id=ID,src=FILE`: what a build may mount, and the Secret that holds what is of this machine.

use std::collections::BTreeMap;
use std::path::Path;

use imgop_core::api::BuildSecret;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

use crate::cli_error::CliError;
use crate::cluster::build_inputs::SECRETS_LABEL;

/// Bytes of one secret.
const MAX_BYTES: u64 = 256 << 10;

/// The secrets of a build.
#[derive(Debug, Default)]
pub struct Secrets {
    /// As the spec names them.
    pub of_spec: Vec<BuildSecret>,
    /// The Secret that holds those of this machine, if there are any.
    pub object: Option<Secret>,
}

/// Where one secret is.
enum Place<'a> {
    File(&'a str),
    Variable(&'a str),
    Secret { name: &'a str, key: Option<&'a str> },
}

impl Secrets {
    /// Reads the flags, and the files and variables that they name. `builder` is the name of the ImageBuilder.
    pub fn read(
        flags: &[String],
        builder: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, CliError> {
        let name = format!("{builder}-build-secrets");
        let (mut of_spec, mut data) = (Vec::new(), BTreeMap::new());
        for flag in flags {
            let usage = |problem: &str| CliError::usage(format!("--secret {flag:?}: {problem}"));
            let (id, place) = parse(flag).map_err(usage)?;
            let value = match place {
                Place::Secret { name, key } => {
                    let key = key.map(str::to_owned);
                    of_spec.push(BuildSecret { id: id.to_owned(), secret_name: name.to_owned(), key });
                    continue;
                }
                Place::File(path) => file(path)?,
                Place::Variable(name) => {
                    variable(name).ok_or_else(|| usage("this variable is not set"))?.into_bytes()
                }
            };
            of_spec.push(BuildSecret { id: id.to_owned(), secret_name: name.clone(), key: None });
            data.insert(id.to_owned(), ByteString(value));
        }
        let object = (!data.is_empty()).then(|| {
            let mut secret =
                Secret { data: Some(data), type_: Some("Opaque".to_owned()), ..Secret::default() };
            secret.metadata.name = Some(name);
            secret.metadata.labels = Some([(SECRETS_LABEL.to_owned(), builder.to_owned())].into());
            secret
        });
        Ok(Self { of_spec, object })
    }
}

fn parse(flag: &str) -> Result<(&str, Place<'_>), &'static str> {
    const SYNTAX: &str = "write id=ID,src=FILE, id=ID,env=NAME or id=ID,secret=NAME/KEY";
    let (mut id, mut place) = (None, None);
    for part in flag.split(',') {
        match part.split_once('=') {
            Some(("id", value)) => id = Some(value),
            Some(("src" | "source", value)) => place = Some(Place::File(value)),
            Some(("env", value)) => place = Some(Place::Variable(value)),
            Some(("secret", value)) => {
                let (name, key) =
                    value.split_once('/').map_or((value, None), |(name, key)| (name, Some(key)));
                place = Some(Place::Secret { name, key });
            }
            Some(("type", "file" | "env")) => {}
            _ => return Err(SYNTAX),
        }
    }
    let id = id.filter(|id| !id.is_empty()).ok_or(SYNTAX)?;
    // As for docker: the variable of this name.
    Ok((id, place.unwrap_or(Place::Variable(id))))
}

fn file(path: &str) -> Result<Vec<u8>, CliError> {
    let failed = |problem: String| CliError::failed(format!("--secret: cannot read {path}: {problem}"));
    let size = Path::new(path).metadata().map_err(|error| failed(error.to_string()))?.len();
    if size > MAX_BYTES {
        return Err(failed(format!("it is larger than {} KiB", MAX_BYTES >> 10)));
    }
    std::fs::read(path).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_a_file_a_variable_or_one_of_the_cluster() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "CANARY-1").unwrap();
        let flags = [
            format!("id=npm,src={}", file.path().display()),
            "type=env,id=token,env=TOKEN".to_owned(),
            "id=ca,secret=corp/ca.pem".to_owned(),
        ];
        let variable = |name: &str| (name == "TOKEN").then(|| "CANARY-2".to_owned());
        let Secrets { of_spec, object } = Secrets::read(&flags, "api", variable).unwrap();
        let named: Vec<String> =
            of_spec.iter().map(|s| format!("{} {} {}", s.id, s.secret_name, s.key())).collect();
        assert_eq!(named, ["npm api-build-secrets npm", "token api-build-secrets token", "ca corp ca.pem"]);
        assert_eq!(object.unwrap().data.unwrap().len(), 2);
    }

    #[test]
    fn what_cannot_be_read_is_named_and_no_value_is_printed() {
        let read = |flag: &str| Secrets::read(&[flag.to_owned()], "api", |_| None).unwrap_err().message;
        assert_eq!(read("id=a,env=NONE"), r#"--secret "id=a,env=NONE": this variable is not set"#);
        assert!(read("src=x").ends_with("write id=ID,src=FILE, id=ID,env=NAME or id=ID,secret=NAME/KEY"));
        assert!(read("id=a,src=/no/such").starts_with("--secret: cannot read /no/such: "));
    }
}
