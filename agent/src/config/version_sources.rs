//! Where new versions are announced.

use clap::Args;
use reqwest::Url;

/// Where new versions are announced.
#[derive(Debug, Clone, Args)]
pub struct VersionSourceSettings {
    /// Address of GitHub's REST API, for `updates` of ImageMirrors; that of GitHub Enterprise ends in `/api/v3/`.
    #[arg(long, env = "GITHUB_API_URL", default_value = "https://api.github.com/")]
    pub github_api_url: Url,

    /// Address of GitHub's host for raw files.
    #[arg(long, env = "GITHUB_RAW_URL", default_value = "https://raw.githubusercontent.com/")]
    pub github_raw_url: Url,
}
