//! Credentials as a file that Skopeo and Buildah read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

use super::Credential;

/// Returns a file with these credentials, each for its registry or for a path of it.
pub fn docker_config(credentials: &[(String, Credential)]) -> String {
    let auths: Map<String, Value> = credentials
        .iter()
        .filter_map(|(scope, credential)| Some((scope.clone(), entry(credential)?)))
        .collect();
    json!({ "auths": auths }).to_string()
}

/// Returns how a credential stands in the file; none for one that the tools cannot use from there.
fn entry(credential: &Credential) -> Option<Value> {
    match credential {
        Credential::Basic { username, password } => {
            let auth = STANDARD.encode(format!("{username}:{}", password.expose_secret()));
            Some(json!({ "auth": auth }))
        }
        Credential::IdentityToken(token) => Some(json!({ "identitytoken": token.expose_secret() })),
        Credential::RegistryToken(_) => None,
    }
}
