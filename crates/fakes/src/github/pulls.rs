//! Pull requests.

use axum::response::Response;
use serde_json::{Value, json};

use super::{Seen, State};

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number, from 1.
    pub number: usize,
    /// The repository.
    pub repository: String,
    /// The branch that it proposes.
    pub head: String,
    /// The branch that it is for.
    pub base: String,
    /// The title.
    pub title: String,
    /// The text.
    pub body: String,
    /// `open` or `closed`.
    pub state: String,
    /// Whether it was merged.
    pub is_merged: bool,
    /// Users that were asked for a review.
    pub reviewers: Vec<String>,
    /// Teams that were.
    pub team_reviewers: Vec<String>,
}

impl PullRequest {
    fn shown(&self) -> Value {
        let users: Vec<Value> = self.reviewers.iter().map(|user| json!({ "login": user })).collect();
        json!({
            "number": self.number, "state": self.state, "title": self.title, "body": self.body,
            "html_url": format!("https://github.com/{}/pull/{}", self.repository, self.number),
            "merged_at": self.is_merged.then_some("2026-09-02T10:00:00Z"),
            "head": { "ref": self.head }, "base": { "ref": self.base }, "requested_reviewers": users,
        })
    }
}

impl State {
    pub(super) fn pulls(&mut self, seen: &Seen, repository: &str, rest: &[&str]) -> Response {
        if !self.is_authorized(seen) {
            return self.answer(seen, 401, &json!({ "message": "Requires authentication" }), None);
        }
        let sent: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
        match (seen.method.as_str(), rest) {
            ("GET", ["pulls"]) => self.listed(seen, repository),
            ("POST", ["pulls"]) => self.create(seen, repository, &sent),
            ("POST", ["pulls", number, "requested_reviewers"]) => self.request(seen, number, &sent),
            _ => self.not_found(seen),
        }
    }

    fn listed(&mut self, seen: &Seen, repository: &str) -> Response {
        let owner = repository.split('/').next().unwrap_or_default();
        let decoded = |name: &str| seen.query(name).map(|text| text.replace("%3A", ":").replace("%2F", "/"));
        let (head, base, state) = (decoded("head"), decoded("base"), decoded("state"));
        let is_listed = |pull: &&PullRequest| {
            pull.repository == repository
                && head.as_ref().is_none_or(|head| *head == format!("{owner}:{}", pull.head))
                && base.as_ref().is_none_or(|base| *base == pull.base)
                && (state.as_deref() == Some("all") || pull.state == state.as_deref().unwrap_or("open"))
        };
        // Newest first.
        let listed: Vec<Value> = self.pulls.iter().rev().filter(is_listed).map(PullRequest::shown).collect();
        self.answer(seen, 200, &Value::from(listed), None)
    }

    fn create(&mut self, seen: &Seen, repository: &str, sent: &Value) -> Response {
        let text = |name: &str| sent[name].as_str().unwrap_or_default().to_owned();
        let (head, base) = (text("head"), text("base"));
        if self.pulls.iter().any(|pull| pull.state == "open" && pull.head == head && pull.base == base) {
            let message = format!("A pull request already exists for {repository}:{head}.");
            let errors = json!([{ "resource": "PullRequest", "code": "custom", "message": message }]);
            return self.answer(
                seen,
                422,
                &json!({ "message": "Validation Failed", "errors": errors }),
                None,
            );
        }
        let pull = PullRequest {
            number: self.pulls.len() + 1,
            repository: repository.to_owned(),
            head,
            base,
            title: text("title"),
            body: text("body"),
            state: "open".to_owned(),
            is_merged: false,
            reviewers: Vec::new(),
            team_reviewers: Vec::new(),
        };
        let shown = pull.shown();
        self.pulls.push(pull);
        self.answer(seen, 201, &shown, None)
    }

    fn request(&mut self, seen: &Seen, number: &str, sent: &Value) -> Response {
        let texts = |name: &str| -> Vec<String> {
            sent[name].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let (reviewers, team_reviewers) = (texts("reviewers"), texts("team_reviewers"));
        if reviewers.iter().any(|user| !self.collaborators.contains(user)) {
            let message = "Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a collaborator of the repository.";
            return self.answer(seen, 422, &json!({ "message": message }), None);
        }
        let at = number.parse().unwrap_or(0_usize).wrapping_sub(1);
        let Some(pull) = self.pulls.get_mut(at) else { return self.not_found(seen) };
        pull.reviewers.extend(reviewers);
        pull.team_reviewers.extend(team_reviewers);
        let shown = pull.shown();
        self.answer(seen, 201, &shown, None)
    }
}
