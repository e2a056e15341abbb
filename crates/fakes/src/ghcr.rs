//! GitHub's registry, ghcr.io: its token server and the part of the distribution API that reads tags.
//!
//! As observed: the token server is `/token` on the same host. It grants a token for public repositories to
//! everyone, refuses one without a credential where a repository is private or absent (401), and refuses a
//! credential that is wrong or has expired (403, DENIED). Tokens have no `expires_in`. The registry answers
//! DENIED without a challenge where a token lacks the right, gives at most 100 tags a page whatever `n`
//! says, and links to the next page by the last tag with `n=0`.

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{ScriptedRegistry, Seen, Tags, distribution, json, reply};

const PAGE: usize = 100;
const PUBLIC: &str = "team/app";
const PRIVATE: &str = "team/secret";

/// ghcr.io with the public repository `team/app` and the private one `team/secret`.
#[derive(Debug)]
pub struct Ghcr {
    /// Both the registry and the token server.
    pub host: ScriptedRegistry,
}

impl Ghcr {
    /// The only user.
    pub const USER: &str = "octocat";
    /// Reads both repositories.
    pub const TOKEN: &str = "ghp_reads_packages";
    /// Is a token of the user, and reads no packages.
    pub const TOKEN_WITHOUT_RIGHTS: &str = "ghp_no_packages";

    /// Both repositories have these tags.
    pub async fn start(tags: Tags) -> Self {
        let host = ScriptedRegistry::start(move |seen| {
            if seen.target.starts_with("/token?") { token(seen) } else { registry(&tags, seen) }
        })
        .await;
        Self { host }
    }
}

fn token(seen: &Seen) -> Response {
    let scope = seen.query("scope").unwrap_or_default().replace("%3A", ":").replace("%2F", "/");
    let repository = scope.split(':').nth(1).unwrap_or_default();
    let shows = |token: &str| {
        let basic = STANDARD.encode(format!("{}:{token}", Ghcr::USER));
        seen.header("authorization") == Some(format!("Basic {basic}").as_str())
    };
    let holder = match seen.header("authorization") {
        None if repository == PUBLIC => "nobody",
        None => return refusal(401, "UNAUTHORIZED", "authentication required"),
        Some(_) if shows(Ghcr::TOKEN) => "reader",
        Some(_) if shows(Ghcr::TOKEN_WITHOUT_RIGHTS) => "user",
        Some(_) => return refusal(403, "DENIED", "denied"),
    };
    json(200, format!(r#"{{"token":"{holder}"}}"#))
}

fn registry(tags: &Tags, seen: &Seen) -> Response {
    let holder = seen.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let host = seen.header("host").unwrap();
    let Some(holder) = holder else {
        let challenge = format!(
            r#"Bearer realm="http://{host}/token",service="ghcr.io",scope="repository:user/image:pull""#
        );
        let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
        return reply(401, &[("www-authenticate", &challenge)], body);
    };
    let of = |path: &str| seen.target.starts_with(&format!("/v2/{path}/"));
    match (of(PUBLIC), of(PRIVATE), holder) {
        (true, _, _) | (_, true, "reader") => {}
        (_, true, _) => return refusal(403, "DENIED", "permission_denied: read_package"),
        _ => return refusal(404, "NAME_UNKNOWN", "repository name not known to registry"),
    }
    let path = if of(PUBLIC) { PUBLIC } else { PRIVATE };
    if seen.target.contains("/tags/list") { page(tags, path, seen) } else { distribution(tags, path, seen) }
}

fn page(tags: &Tags, path: &str, seen: &Seen) -> Response {
    let after =
        seen.query("last").map_or(0, |last| tags.iter().position(|(name, _)| name == last).unwrap() + 1);
    let asked = seen.query("n").and_then(|n| n.parse().ok()).filter(|n| *n > 0).unwrap_or(PAGE);
    let names: Vec<&str> =
        tags.iter().skip(after).take(asked.min(PAGE)).map(|(name, _)| name.as_str()).collect();
    let body = serde_json::json!({ "name": path, "tags": names }).to_string();
    match names.last().filter(|_| after + names.len() < tags.len()) {
        None => json(200, body),
        Some(last) => {
            let link = format!(r#"</v2/{path}/tags/list?last={last}&n=0>; rel="next""#);
            reply(200, &[("link", &link), ("content-type", "application/json")], body)
        }
    }
}

fn refusal(status: u16, code: &str, message: &str) -> Response {
    json(status, format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#))
}
