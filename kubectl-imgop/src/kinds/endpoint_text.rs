//! How a registry is reached, in words.

use imgop_core::api::{Credentials, RepositoryCreation, Tls, TlsMode};

/// Returns what differs from an anonymous, verified connection.
pub fn access(credentials: Option<&Credentials>, use_aws: bool, tls: &Tls) -> Vec<String> {
    let mut remarks = Vec::new();
    remarks.extend(use_aws.then(|| "the agent's AWS identity".to_owned()));
    remarks.extend(credentials.map(|c| format!("credentials in Secret {}", c.secret_name)));
    remarks.extend(tls.ca_secret_name.as_ref().map(|name| format!("CA in Secret {name}")));
    match tls.mode {
        TlsMode::Verify => {}
        TlsMode::SkipVerify => remarks.push("certificates are not verified".to_owned()),
        TlsMode::PlainHttp => remarks.push("plain HTTP".to_owned()),
    }
    remarks
}

/// Returns remarks in brackets, to stand behind what they are about.
pub fn in_brackets(remarks: &[String]) -> String {
    if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join(", ")) }
}

/// Returns what becomes of a repository that the registry does not have; none where nothing is said of it.
pub fn creation(create: Option<&RepositoryCreation>) -> Option<String> {
    let create = create.filter(|create| create.is_wanted())?;
    let parts = [
        create.lifecycle_policy.is_some().then_some("a lifecycle policy"),
        create.access_policy.is_some().then_some("an access policy"),
        create.scan_on_push.then_some("scans"),
        create.immutable.then_some("immutable tags"),
    ];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    let with = if parts.is_empty() { String::new() } else { format!(" with {}", parts.join(", ")) };
    let adopt = if create.adopt { ", also where others created it" } else { "" };
    Some(format!("repository created if missing{with}{adopt}"))
}
