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

    /// Image with helm in its PATH, 3 or 4, for `updates` of ImageMirrors that look for the images in what charts' templates
    /// make (imagesFrom: Template). It runs in Jobs of the ImageMirror's namespace, beside `BUILDER_IMAGE`. If empty, these
    /// updates are refused; others need no Helm.
    #[arg(long, env = "HELM_IMAGE", default_value = "")]
    pub helm_image: String,
}
