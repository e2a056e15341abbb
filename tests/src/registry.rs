//! The test registries, seen from outside: what is in them, and what they were asked.

mod attach;

pub use attach::entries;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use imgop_registry::reference::Digest;
use reqwest::header::ACCEPT;
use reqwest::{Method, Response, StatusCode, Url};
use serde_json::Value;
use tokio::process::Command;

use crate::connect::use_ring;
use crate::environment::Environment;
use crate::testbed_scripts;
use crate::wait;

/// Every kind of manifest; a registry converts those that are not named.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// A registry of the test cluster.
///
/// It is asked by plain requests and not by imgop's own client, so that a mistake there is not
/// repeated here.
#[derive(Debug, Clone)]
pub struct Registry {
    address: String,
    scheme: &'static str,
    login: Option<(String, String)>,
    http: reqwest::Client,
    log: PathBuf,
    /// None where nothing is kept on disk.
    storage: Option<PathBuf>,
    skopeo: Vec<String>,
}

/// A place in a registry's access log.
#[derive(Debug, Clone, Copy)]
pub struct Mark(usize);

/// A request as the registry logged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `HEAD`, `PUT` …
    pub method: String,
    /// With the query.
    pub path: String,
    /// What it answered.
    pub status: u16,
}

impl Registry {
    /// The registry to copy from.
    pub fn source(environment: &Environment) -> anyhow::Result<Self> {
        let storage = environment.folder.join("registries/source");
        let open = Self::open(&environment.source_registry, &environment.source_registry_log)?;
        Ok(Self { storage: Some(storage), ..open })
    }

    /// The registry that has the referrers API, to copy from and to.
    pub fn with_referrers(environment: &Environment) -> anyhow::Result<Self> {
        Self::open(&environment.referrers_registry, &environment.referrers_registry_log)
    }

    /// A registry that speaks plain HTTP to anyone.
    pub fn open(address: &str, log: &Path) -> anyhow::Result<Self> {
        use_ring();
        Ok(Self {
            address: address.to_owned(),
            scheme: "http",
            login: None,
            http: reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?,
            log: log.to_owned(),
            storage: None,
            skopeo: vec!["--SIDE-tls-verify=false".to_owned()],
        })
    }

    /// The registry to copy to.
    pub fn target(environment: &Environment) -> anyhow::Result<Self> {
        use_ring();
        let ca = reqwest::Certificate::from_pem(&std::fs::read(&environment.target_ca)?)?;
        let password = std::fs::read_to_string(&environment.target_password_file)?;
        Ok(Self {
            address: environment.target_registry.clone(),
            scheme: "https",
            login: Some((environment.target_username.clone(), password.trim_end().to_owned())),
            http: reqwest::Client::builder()
                .no_proxy()
                .tls_certs_only([ca])
                .timeout(Duration::from_secs(30))
                .build()?,
            log: environment.target_registry_log.clone(),
            storage: Some(environment.folder.join("registries/target")),
            skopeo: vec![
                format!("--SIDE-authfile={}", environment.target_authfile.display()),
                format!("--SIDE-cert-dir={}", environment.target_cert_dir.display()),
            ],
        })
    }

    /// `host:port/path`, as it stands in a spec.
    pub fn repository(&self, path: &str) -> String {
        format!("{}/{path}", self.address)
    }

    /// Pushes a small image for two platforms per tag and says the digest of each. Another salt
    /// gives the same tags other content. Only registries that speak plain HTTP take this.
    pub async fn fill(
        &self,
        path: &str,
        tags: &[&str],
        salt: &str,
    ) -> anyhow::Result<BTreeMap<String, Digest>> {
        let output = Command::new(testbed_scripts().join("fill-registry"))
            .args([&self.address, path])
            .args(tags)
            .args(["--salt", salt])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .await?;
        ensure!(output.status.success(), "fill-registry failed: {}", output.status);
        String::from_utf8(output.stdout)?
            .lines()
            .map(|line| {
                let (tag, digest) = line.split_once(' ').with_context(|| format!("no digest in {line:?}"))?;
                Ok((tag.to_owned(), digest.parse()?))
            })
            .collect()
    }

    /// The digest of a tag; none when the registry has no such tag.
    pub async fn digest(&self, path: &str, tag: &str) -> anyhow::Result<Option<Digest>> {
        let response = self.ask(Method::HEAD, &format!("{path}/manifests/{tag}")).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let response = response.error_for_status()?;
        let digest = response.headers().get("docker-content-digest").context("no digest in the answer")?;
        Ok(Some(digest.to_str()?.parse()?))
    }

    /// The tags of a repository in order; none when there is no such repository.
    pub async fn tags(&self, path: &str) -> anyhow::Result<Vec<String>> {
        let response = self.ask(Method::GET, &format!("{path}/tags/list")).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        let list: TagList = serde_json::from_slice(&response.error_for_status()?.bytes().await?)?;
        let mut tags = list.tags.unwrap_or_default();
        tags.sort();
        Ok(tags)
    }

    /// Every tag of a repository with its digest.
    pub async fn digests(&self, path: &str) -> anyhow::Result<BTreeMap<String, Digest>> {
        let mut digests = BTreeMap::new();
        for tag in self.tags(path).await? {
            let digest = self.digest(path, &tag).await?.with_context(|| format!("{tag} is listed only"))?;
            digests.insert(tag, digest);
        }
        Ok(digests)
    }

    /// Copies a tag from a registry to this one, as a user without imgop would.
    pub async fn take(
        &self,
        path: &str,
        tag: &str,
        from: &Self,
        from_path: &str,
        from_tag: &str,
    ) -> anyhow::Result<()> {
        let side = |flags: &[String], side: &str| -> Vec<String> {
            flags.iter().map(|flag| flag.replace("SIDE", side)).collect()
        };
        let output = Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests"])
            .args(side(&from.skopeo, "src"))
            .args(side(&self.skopeo, "dest"))
            .arg(format!("docker://{}:{from_tag}", from.repository(from_path)))
            .arg(format!("docker://{}:{tag}", self.repository(path)))
            .stdin(Stdio::null())
            .output()
            .await
            .context("skopeo does not start")?;
        ensure!(output.status.success(), "skopeo: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Loses what a tag names: the tag is still listed, and asking for it is answered with 404.
    pub async fn lose_manifest(&self, path: &str, tag: &str) -> anyhow::Result<()> {
        let digest = self.digest(path, tag).await?.with_context(|| format!("{path} has no tag {tag}"))?;
        let revisions = format!("docker/registry/v2/repositories/{path}/_manifests/revisions/sha256");
        let storage = self.storage.as_ref().context("it keeps nothing on disk")?;
        std::fs::remove_file(storage.join(revisions).join(digest.hex()).join("link"))?;
        ensure!(self.digest(path, tag).await?.is_none(), "the registry still has {tag}");
        Ok(())
    }

    /// Loses a layer of a tag for linux/amd64: its manifest is still there, and a copy of it fails.
    pub async fn lose_layer(&self, path: &str, tag: &str) -> anyhow::Result<()> {
        let image = self.platform(path, tag, "amd64").await?;
        let layer = image["layers"][1]["digest"].as_str().context("no second layer")?;
        self.ask(Method::DELETE, &format!("{path}/blobs/{layer}")).await?.error_for_status()?;
        Ok(())
    }

    /// The manifest of a tag for one architecture.
    pub async fn platform(&self, path: &str, tag: &str, architecture: &str) -> anyhow::Result<Value> {
        let index = self.manifest(path, tag).await?;
        let digest = index["manifests"]
            .as_array()
            .and_then(|all| all.iter().find(|one| one["platform"]["architecture"] == architecture))
            .and_then(|one| one["digest"].as_str())
            .with_context(|| format!("{tag} has no image for {architecture}: {index}"))?;
        self.manifest(path, digest).await
    }

    /// Whether everything that a manifest names can be fetched.
    pub async fn has_blobs_of(&self, path: &str, manifest: &Value) -> anyhow::Result<bool> {
        let layers = manifest["layers"].as_array().context("no layers")?;
        for blob in layers.iter().chain([&manifest["config"]]) {
            let digest = blob["digest"].as_str().context("no digest")?;
            if !self.ask(Method::HEAD, &format!("{path}/blobs/{digest}")).await?.status().is_success() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A manifest, by tag or by digest.
    pub async fn manifest(&self, path: &str, reference: &str) -> anyhow::Result<Value> {
        let response = self.ask(Method::GET, &format!("{path}/manifests/{reference}")).await?;
        Ok(serde_json::from_slice(&response.error_for_status()?.bytes().await?)?)
    }

    /// Deletes what a tag names, and with it every tag that names the same.
    pub async fn delete(&self, path: &str, tag: &str) -> anyhow::Result<()> {
        let digest = self.digest(path, tag).await?.with_context(|| format!("{path} has no tag {tag}"))?;
        self.ask(Method::DELETE, &format!("{path}/manifests/{digest}")).await?.error_for_status()?;
        Ok(())
    }

    /// A place in the access log behind everything that was answered before.
    pub async fn mark(&self) -> anyhow::Result<Mark> {
        // A line is written shortly after its answer, and lines stand in the order of the answers
        // closely enough: when a request that only this makes is there, so are those before it.
        static MARKS: AtomicUsize = AtomicUsize::new(0);
        let sign = format!("imgop-mark-{}-{}/", std::process::id(), MARKS.fetch_add(1, Ordering::Relaxed));
        // A process of an earlier day may have had the same number.
        let from = self.log_text()?.len();
        self.ask(Method::HEAD, &format!("{sign}tags/list")).await?;
        wait::poll(&format!("{sign} is logged"), Duration::from_secs(10), || async {
            Ok(line_end(&self.log_text()?, from, &sign).map(Mark))
        })
        .await
    }

    /// What the registry was asked about a repository between two marks.
    pub fn requests(&self, path: &str, from: Mark, to: Mark) -> anyhow::Result<Vec<Request>> {
        let text = self.log_text()?;
        let lines = text.get(from.0..to.0).context("the access log became shorter")?;
        let prefix = format!("/v2/{path}/");
        let of_others = |line: &&str| !is_of_filling(line, &self.address);
        let requests = lines.lines().filter(of_others).filter_map(read_line);
        Ok(requests.filter(|r| r.path.starts_with(&prefix)).collect())
    }

    fn log_text(&self) -> anyhow::Result<String> {
        let bytes =
            std::fs::read(&self.log).with_context(|| format!("no access log {}", self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn url(&self, path: &str) -> anyhow::Result<Url> {
        Ok(Url::parse(&format!("{}://{}/v2/{path}", self.scheme, self.address))?)
    }

    async fn ask(&self, method: Method, path: &str) -> anyhow::Result<Response> {
        let mut request = self.http.request(method, self.url(path)?).header(ACCEPT, MANIFESTS);
        if let Some((user, password)) = &self.login {
            request = request.basic_auth(user, Some(password));
        }
        Ok(request.send().await?)
    }
}

/// Where the first line with this ends that stands behind a place.
fn line_end(text: &str, from: usize, sign: &str) -> Option<usize> {
    let at = from + text.get(from..)?.find(sign)?;
    Some(at + text[at..].find('\n')? + 1)
}

#[derive(serde::Deserialize)]
struct TagList {
    tags: Option<Vec<String>>,
}

/// Reads a line in Apache's combined format:
/// `10.0.0.1 - - [21/Nov/2026:10:52:33 +0000] "GET /v2/ HTTP/1.1" 200 2 "" "skopeo/1.9.3"`.
/// Whether a line is of Skopeo on this machine: what fills a repository for another test looks whether this one has its
/// blobs. Jobs have addresses of their own.
fn is_of_filling(line: &str, registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    line.split(' ').next() == Some(host) && line.contains("\"skopeo/")
}

fn read_line(line: &str) -> Option<Request> {
    let mut quoted = line.split('"').skip(1);
    let (request, answer) = (quoted.next()?, quoted.next()?);
    let mut request = request.split(' ');
    Some(Request {
        method: request.next()?.to_owned(),
        path: request.next()?.to_owned(),
        status: answer.split_whitespace().next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fills_repositories_is_told_from_jobs() {
        let line = |from: &str, agent: &str| {
            format!(r#"{from} - - [29] "HEAD /v2/a/blobs/b HTTP/1.1" 200 0 "" "{agent}""#)
        };
        let is_of_filling = |from, agent| is_of_filling(&line(from, agent), "10.244.0.1:5000");
        assert!(is_of_filling("10.244.0.1", "skopeo/1.9.3"));
        assert!(!is_of_filling("10.244.0.164", "skopeo/1.9.3") && !is_of_filling("10.244.0.1", "imgop/0.1"));
    }

    #[test]
    fn a_sign_is_looked_for_behind_what_was_logged_before_and_only_as_a_whole_line() {
        let log =
            "HEAD /v2/mark-1-1/tags\nHEAD /v2/mark-1-10/tags\nHEAD /v2/mark-1-1/tags\nHEAD /v2/mark-1-2/";
        assert_eq!(line_end(log, 0, "mark-1-1/"), Some(23));
        assert_eq!(line_end(log, 23, "mark-1-1/"), Some(70));
        assert_eq!(line_end(log, 70, "mark-1-1/"), None);
        assert_eq!(line_end(log, 0, "mark-1-2/"), None, "it is not whole yet");
    }

    #[test]
    fn a_line_of_the_access_log_is_read() {
        let line =
            r#"10.244.0.1 - - [21/Nov/2026:10:52:33 +0000] "GET /v2/a/tags/list?n=1 HTTP/1.1" 404 2 "" "x""#;
        let read = read_line(line).unwrap();
        assert_eq!(
            (read.method.as_str(), read.path.as_str(), read.status),
            ("GET", "/v2/a/tags/list?n=1", 404)
        );
        assert_eq!(read_line("listening on [::]:5000"), None);
    }
}
