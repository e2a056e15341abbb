//! Signatures as AWS checks them.

use std::time::SystemTime;

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::Seen;

/// Access keys and their secrets; temporary ones have a session token.
const KEYS: [(&str, &str, Option<&str>); 4] = [
    ("AKIASTATIC", "static-secret", None),
    ("ASIAWEB", "web-secret", Some("web-session")),
    ("ASIAPOD", "pod-secret", Some("pod-session")),
    ("ASIAROLE", "role-secret", Some("role-session")),
];

/// The access key and the region of a good signature (IAM User Guide, "Create a signed AWS API
/// request").
pub(super) fn signer(seen: &Seen, service: &str) -> Option<(String, String)> {
    let parts = seen.header("authorization")?.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let part = |name: &str| parts.split(", ").find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    let credential: Vec<&str> = part("Credential")?.split('/').collect();
    let &[key, day, region, of, "aws4_request"] = credential.as_slice() else { return None };
    let (_, secret, session) = KEYS.iter().find(|(known, _, _)| *known == key)?;
    let date = seen.header("x-amz-date")?;
    if of != service || seen.header("x-amz-security-token") != *session || !date.starts_with(day) {
        return None;
    }
    let names = part("SignedHeaders")?;
    let signed: Vec<&str> = names.split(';').collect();
    // The query API of STS names its operation in the body.
    let needed = ["host", "x-amz-date", "x-amz-target"];
    let needed = if service == "sts" { &needed[..2] } else { &needed };
    let session_is_signed = session.is_none() || signed.contains(&"x-amz-security-token");
    if !needed.iter().all(|name| signed.contains(name)) || !session_is_signed {
        return None;
    }
    let header = |name: &&str| [name, ":", seen.header(name).unwrap_or_default(), "\n"].concat();
    let headers: String = signed.iter().map(header).collect();
    let hash = |bytes: &[u8]| hex::encode(Sha256::digest(bytes));
    let canonical = format!("POST\n/\n\n{headers}\n{names}\n{}", hash(&seen.body));
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{date}\n{day}/{region}/{service}/aws4_request\n{}",
        hash(canonical.as_bytes())
    );
    let time: Timestamp = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &date[..4],
        &date[4..6],
        &date[6..8],
        &date[9..11],
        &date[11..13],
        &date[13..15]
    )
    .parse()
    .ok()?;
    let signing_key = generate_signing_key(secret, SystemTime::from(time), region, service);
    let expected = calculate_signature(signing_key, to_sign.as_bytes());
    (part("Signature") == Some(expected.as_str())).then(|| (key.to_owned(), region.to_owned()))
}
