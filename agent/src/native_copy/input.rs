//! What a Job of the agent's own program is to copy: all that is no secret.

use std::path::PathBuf;

use imgop_copier::OpenUpload;
use imgop_core::api::TlsMode;
use imgop_registry::reference::{Digest, Repository, Tag};
use imgop_registry::{Allowances, PrivateAddresses};
use serde::{Deserialize, Serialize};

/// What a container copies. A field that the program does not know is an error: to leave it out would copy otherwise
/// than was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CopyInput {
    /// Where from.
    pub source: CopyEndpoint,
    /// Where to.
    pub destination: CopyEndpoint,
    /// Whether the destination is known to have nothing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_new: bool,
    /// What is copied. The report names it by its place in this list.
    pub items: Vec<CopyItem>,
    /// For how many seconds.
    pub seconds: u32,
    /// Requests to one registry at once.
    pub requests: u16,
    /// Which hosts may have private addresses.
    pub private_addresses: PrivateAddresses,
    /// Whether a registry that is written as localhost is looked for here.
    #[serde(default, skip_serializing_if = "is_false")]
    pub loopback: bool,
    /// Uploads that an earlier try has left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uploads: Vec<OpenUpload>,
}

/// One side of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CopyEndpoint {
    /// The repository.
    pub repository: Repository,
    /// How the connection is secured.
    pub tls: TlsMode,
    /// The file with this side's credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_file: Option<PathBuf>,
    /// The file with certificates to trust besides the well-known ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// What administrators allow at it.
    #[serde(default, skip_serializing_if = "Allowances::is_empty")]
    pub allowances: Allowances,
    /// Requests to it at once, if administrators limit them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<usize>,
}

/// A content that is copied as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CopyItem {
    /// What it is called in the log: the tag at the source.
    pub name: String,
    /// The content.
    pub digest: Digest,
    /// The tag that it is put to; none puts it by its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(is_so: &bool) -> bool {
    !is_so
}

#[cfg(test)]
mod tests {
    use imgop_core::commands::document::{from_arguments, to_arguments};

    use super::*;

    fn endpoint(repository: &str) -> CopyEndpoint {
        CopyEndpoint {
            repository: repository.parse().unwrap(),
            tls: TlsMode::Verify,
            auth_file: None,
            ca_file: None,
            allowances: Allowances::default(),
            requests: None,
        }
    }

    fn input(items: usize) -> CopyInput {
        let item = |number: usize| CopyItem {
            name: format!("v{number}"),
            digest: Digest::of(&number.to_be_bytes()),
            tag: None,
        };
        CopyInput {
            source: endpoint("quay.io/a/b"),
            destination: CopyEndpoint {
                auth_file: Some("/imgop/destination/auth/auth.json".into()),
                allowances: Allowances::new(
                    vec!["auth.example.com".into()],
                    vec!["10.0.0.0/8".parse().unwrap()],
                ),
                requests: Some(2),
                ..endpoint("r.example.com/a/b")
            },
            is_new: true,
            items: (0..items).map(item).collect(),
            seconds: 60,
            requests: 8,
            private_addresses: PrivateAddresses::Everywhere,
            loopback: false,
            uploads: vec![OpenUpload { blob: Digest::of(b"x"), place: "https://r.example.com/u/$1".into() }],
        }
    }

    #[test]
    fn what_is_handed_over_is_read_back_and_fits_into_arguments() {
        for items in [1, 500] {
            let arguments = to_arguments(&input(items)).unwrap();
            assert!(arguments.iter().all(|part| !part.contains('$') && part.len() <= 96 << 10));
            assert_eq!(from_arguments::<CopyInput>(&arguments).unwrap(), input(items));
        }
        let bytes: usize = to_arguments(&input(500)).unwrap().iter().map(String::len).sum();
        assert!(bytes < 64 << 10, "{bytes} bytes stand in each Job");
    }

    #[test]
    fn a_field_of_another_version_is_an_error() {
        let other = to_arguments(&input(1)).unwrap().concat().replacen('{', "{\"squash\":true,", 1);
        let error = from_arguments::<CopyInput>(&[other]).unwrap_err().to_string();
        assert!(error.contains("squash") && error.contains("of one version"), "{error}");
    }
}
