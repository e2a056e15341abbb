//! Pull requests of GitHub: its REST API.

use std::time::Duration;

use imgop_core::sources::{GithubRepository, Proposal, Reviewer};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use url::Url;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A repository of GitHub, with the right to change it.
pub struct Github {
    client: Client,
    api: Url,
    token: SecretString,
    repository: GithubRepository,
}

/// A pull request.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PullRequest {
    pub number: u64,
    pub html_url: String,
    pub state: State,
    /// When it was merged, if it was.
    #[serde(default)]
    pub merged_at: Option<String>,
    #[serde(default)]
    pub requested_reviewers: Vec<serde::de::IgnoredAny>,
}

/// What became of a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Open,
    Closed,
}

/// Why GitHub was of no use.
#[derive(Debug, thiserror::Error)]
pub enum GithubError {
    /// No client can be made.
    #[error("GitHub cannot be asked: {0}")]
    Client(String),
    /// No answer.
    #[error("GitHub does not answer: {0}")]
    NoAnswer(String),
    /// It refuses.
    #[error("GitHub answered {status}{}", if message.is_empty() { String::new() } else { format!(": {message}") })]
    Refused {
        /// The status.
        status: StatusCode,
        /// What it says.
        message: String,
    },
}

#[derive(Deserialize)]
struct Repository {
    default_branch: String,
}

#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    message: String,
}

impl Github {
    /// Returns a client for a repository.
    pub fn new(api: Url, repository: GithubRepository, token: SecretString) -> Result<Self, GithubError> {
        let client = Client::builder()
            .user_agent(concat!("kubectl-imgop/", env!("CARGO_PKG_VERSION")))
            .timeout(TIMEOUT)
            // The token goes nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .build();
        let client = client.map_err(|error| GithubError::Client(error.to_string()))?;
        Ok(Self { client, api, token, repository })
    }

    /// Returns the repository.
    pub fn repository(&self) -> &GithubRepository {
        &self.repository
    }

    /// Returns the branch that pull requests are for.
    pub async fn default_branch(&self) -> Result<String, GithubError> {
        let repository: Repository = answer(self.request(Method::GET, &[])?).await?;
        Ok(repository.default_branch)
    }

    /// Returns the pull requests of a branch for another, open and closed ones.
    pub async fn pull_requests(&self, branch: &str, base: &str) -> Result<Vec<PullRequest>, GithubError> {
        let head = format!("{}:{branch}", self.repository.owner);
        let request = self.request(Method::GET, &["pulls"])?;
        answer(request.query(&[("head", head.as_str()), ("base", base), ("state", "all")])).await
    }

    /// Makes a pull request of a branch that was pushed.
    pub async fn create(&self, proposal: &Proposal, base: &str) -> Result<PullRequest, GithubError> {
        let body = json!({
            "base": base, "head": proposal.branch, "title": proposal.title, "body": proposal.body,
            "maintainer_can_modify": true,
        });
        answer(self.request(Method::POST, &["pulls"])?.json(&body)).await
    }

    /// Asks for reviews.
    pub async fn request_reviews(&self, number: u64, reviewers: &[Reviewer]) -> Result<(), GithubError> {
        let (mut users, mut teams) = (Vec::new(), Vec::new());
        for reviewer in reviewers {
            match reviewer {
                Reviewer::User(user) => users.push(user),
                Reviewer::Team { team, .. } => teams.push(team),
            }
        }
        let body = json!({ "reviewers": users, "team_reviewers": teams });
        let request = self.request(Method::POST, &["pulls", &number.to_string(), "requested_reviewers"])?;
        answer::<serde::de::IgnoredAny>(request.json(&body)).await.map(drop)
    }

    fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, GithubError> {
        let mut url = self.api.clone();
        let no_base = || GithubError::Client(format!("{} is no address of an API", self.api));
        let mut segments = url.path_segments_mut().map_err(|()| no_base())?;
        segments.pop_if_empty().extend(["repos", &self.repository.owner, &self.repository.name]).extend(path);
        drop(segments);
        let request = self.client.request(method, url).bearer_auth(self.token.expose_secret());
        Ok(request
            .header("accept", "application/vnd.github+json")
            .header("x-github-api-version", "2022-11-28"))
    }
}

async fn answer<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, GithubError> {
    // The address names what is asked for; the cause says why there is no answer.
    let no_answer =
        |error: reqwest::Error| GithubError::NoAnswer(crate::cli_error::root_cause(&error.without_url()));
    let response = request.send().await.map_err(no_answer)?;
    let status = response.status();
    if status.is_success() {
        return response.json().await.map_err(no_answer);
    }
    let refusal: Refusal = response.json().await.unwrap_or_default();
    let details =
        refusal.errors.into_iter().map(|detail| detail.message).filter(|message| !message.is_empty());
    let said: Vec<String> =
        std::iter::once(refusal.message).filter(|text| !text.is_empty()).chain(details).collect();
    Err(GithubError::Refused { status, message: imgop_registry::printable(&said.join("; ")) })
}
