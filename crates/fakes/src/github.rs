//! GitHub's REST API and its host for raw files.
//!
//! As documented and observed: lists have at most 100 entries a page, and the `Link` to the next one names the repository
//! by its number. Drafts are shown to those who have a token. An answer has an `ETag`; one that is known already is
//! answered with 304, which costs nothing where a token is given. Each answer says how many requests are left; without
//! any, it is 403 with the time at which there are more. Pull requests need a token.

mod pulls;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::response::Response;
use serde_json::{Value, json};

pub use pulls::PullRequest;

use super::{ScriptedRegistry, Seen, reply};

/// Requests in an hour without a token.
const REQUESTS: u64 = 60;
/// When there are more: 2026-12-01T00:00:00Z.
const RESET: &str = "1796083200";

/// GitHub with some repositories.
pub struct GitHub {
    /// api.github.com.
    pub api: ScriptedRegistry,
    /// raw.githubusercontent.com.
    pub raw: ScriptedRegistry,
    state: Arc<Mutex<State>>,
}

struct State {
    repositories: BTreeMap<String, Repository>,
    pulls: Vec<PullRequest>,
    token: String,
    left: u64,
    /// Who may be asked for a review.
    collaborators: Vec<String>,
}

#[derive(Default)]
struct Repository {
    releases: Vec<Value>,
    /// By ref and path.
    files: BTreeMap<String, String>,
    default_branch: String,
}

impl GitHub {
    /// Starts it without repositories; this is the token of someone who may do everything.
    pub async fn start(token: &str) -> Self {
        let state = State {
            repositories: BTreeMap::new(),
            pulls: Vec::new(),
            token: token.to_owned(),
            left: REQUESTS,
            collaborators: Vec::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let (for_api, for_raw) = (state.clone(), state.clone());
        let api = ScriptedRegistry::start(move |seen| for_api.lock().unwrap().api(seen)).await;
        let raw = ScriptedRegistry::start(move |seen| for_raw.lock().unwrap().raw(seen)).await;
        Self { api, raw, state }
    }

    /// Adds a release, newer than those that are there.
    pub fn release(&self, repository: &str, tag: &str, prerelease: bool, draft: bool) {
        let release = json!({
            "id": 1, "tag_name": tag, "target_commitish": "main", "name": tag, "draft": draft, "prerelease": prerelease,
            "created_at": "2026-09-01T10:00:00Z", "published_at": "2026-09-01T10:00:00Z", "assets": [], "body": "Notes",
        });
        self.change(|state| state.repository(repository).releases.insert(0, release));
    }

    /// Adds a file as it is at a tag.
    pub fn file(&self, repository: &str, tag: &str, path: &str, text: &str) {
        let key = format!("refs/tags/{tag}/{path}");
        self.change(|state| state.repository(repository).files.insert(key, text.to_owned()));
    }

    /// Names the default branch of a repository.
    pub fn default_branch(&self, repository: &str, branch: &str) {
        self.change(|state| branch.clone_into(&mut state.repository(repository).default_branch));
    }

    /// Lets these users be asked for reviews. Teams always may.
    pub fn collaborators(&self, users: &[&str]) {
        self.change(|state| state.collaborators = users.iter().map(|user| (*user).to_owned()).collect());
    }

    /// Sets how many requests are left in this hour.
    pub fn leave(&self, requests: u64) {
        self.change(|state| state.left = requests);
    }

    /// All pull requests, oldest first.
    pub fn pulls(&self) -> Vec<PullRequest> {
        self.change(|state| state.pulls.clone())
    }

    /// Closes a pull request, or merges it.
    pub fn close(&self, number: usize, is_merged: bool) {
        self.change(|state| {
            let pull = &mut state.pulls[number - 1];
            "closed".clone_into(&mut pull.state);
            pull.is_merged = is_merged;
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }
}

impl State {
    fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }

    fn is_authorized(&self, seen: &Seen) -> bool {
        seen.header("authorization") == Some(&format!("Bearer {}", self.token))
    }

    fn api(&mut self, seen: &Seen) -> Response {
        if seen.header("user-agent").is_none() {
            return reply(
                403,
                &[],
                "Request forbidden by administrative rules. Please make sure your request has a User-Agent header",
            );
        }
        let is_authorized = self.is_authorized(seen);
        if seen.header("authorization").is_some() && !is_authorized {
            return self.answer(seen, 401, &json!({ "message": "Bad credentials", "status": "401" }), None);
        }
        if self.left == 0 {
            let message = "API rate limit exceeded for 192.0.2.1. (But here's the good news: Authenticated requests get a higher rate limit.)";
            return self.answer(seen, 403, &json!({ "message": message }), None);
        }
        let path = seen.target.split('?').next().unwrap_or_default();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (name, rest) = match parts[..] {
            ["repos", owner, name, ref rest @ ..] => (format!("{owner}/{name}"), rest),
            // As the links to next pages name it.
            ["repositories", number, ref rest @ ..] => (self.numbered(number), rest),
            _ => return self.not_found(seen),
        };
        if !self.repositories.contains_key(&name) {
            return self.not_found(seen);
        }
        match (seen.method.as_str(), rest) {
            ("GET", ["releases"]) => self.releases(seen, &name, is_authorized),
            ("GET", ["releases", "latest"]) => {
                let releases = &self.repository(&name).releases;
                let latest =
                    releases.iter().find(|of| of["draft"] == false && of["prerelease"] == false).cloned();
                match latest {
                    Some(latest) => self.answer(seen, 200, &latest, None),
                    None => self.not_found(seen),
                }
            }
            ("GET", []) => {
                let branch = self.repository(&name).default_branch.clone();
                self.answer(seen, 200, &json!({ "full_name": name, "default_branch": branch }), None)
            }
            (_, ["pulls", ..]) => self.pulls(seen, &name, rest),
            _ => self.not_found(seen),
        }
    }

    fn releases(&mut self, seen: &Seen, name: &str, is_authorized: bool) -> Response {
        let number =
            |parameter, default| seen.query(parameter).and_then(|n| n.parse().ok()).unwrap_or(default);
        let (page, size): (usize, usize) = (number("page", 1), number("per_page", 30).min(100));
        let shown = |release: &&Value| is_authorized || release["draft"] == false;
        let all: Vec<Value> = self.repository(name).releases.iter().filter(shown).cloned().collect();
        let id = self.repositories.keys().position(|other| other == name).unwrap();
        let host = seen.header("host").unwrap();
        let to = |page: usize, relation: &str| {
            format!(
                "<http://{host}/repositories/{id}/releases?per_page={size}&page={page}>; rel=\"{relation}\""
            )
        };
        let last = all.len().div_ceil(size).max(1);
        let link = (page < last).then(|| format!("{}, {}", to(page + 1, "next"), to(last, "last")));
        let shown: Vec<Value> = all.into_iter().skip((page - 1) * size).take(size).collect();
        self.answer(seen, 200, &Value::from(shown), link.as_deref())
    }

    fn numbered(&self, number: &str) -> String {
        let at = number.parse().unwrap_or(usize::MAX);
        self.repositories.keys().nth(at).cloned().unwrap_or_default()
    }

    fn not_found(&mut self, seen: &Seen) -> Response {
        self.answer(seen, 404, &json!({ "message": "Not Found", "status": "404" }), None)
    }

    fn answer(&mut self, seen: &Seen, status: u16, body: &Value, link: Option<&str>) -> Response {
        let body = body.to_string();
        let etag = format!("W/\"{}\"", imgop_registry::reference::Digest::of(body.as_bytes()).as_str());
        let is_known = status == 200 && seen.header("if-none-match") == Some(&etag);
        if !(is_known && self.is_authorized(seen)) {
            self.left = self.left.saturating_sub(1);
        }
        let (limit, left) = (REQUESTS.to_string(), self.left.to_string());
        let mut headers = vec![
            ("content-type", "application/json; charset=utf-8"),
            ("x-ratelimit-limit", &limit),
            ("x-ratelimit-remaining", &left),
            ("x-ratelimit-reset", RESET),
            ("etag", &etag),
        ];
        headers.extend(link.map(|link| ("link", link)));
        if is_known { reply(304, &headers, "") } else { reply(status, &headers, body) }
    }

    fn raw(&self, seen: &Seen) -> Response {
        let path = seen.target.trim_start_matches('/');
        let mut parts = path.splitn(3, '/');
        let name = [parts.next().unwrap_or_default(), parts.next().unwrap_or_default()].join("/");
        let file = self.repositories.get(&name).and_then(|of| of.files.get(parts.next().unwrap_or_default()));
        let headers = [("content-type", "text/plain; charset=utf-8")];
        match file {
            Some(text) => reply(200, &headers, text.clone()),
            None => reply(404, &headers, "404: Not Found"),
        }
    }
}
