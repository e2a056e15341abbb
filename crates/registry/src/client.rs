//! The calls: list tags, look up, read and write manifests.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};
use tokio::time::Instant;
use url::Url;

use super::access::{Fingerprint, TlsKey};
use super::address::host;
use super::bulk;
use super::created;
use super::error::{Failure, Operation, Reason, RegistryError, Unreachable};
use super::exchange::{Answer, Call};
use super::link::next_page;
use super::manifest::{ACCEPT, Descriptor, Manifest};
use super::pulls::RateLimit;
use super::refusal::{is_registrys_not_found, refusal};
use super::requests::RequestCount;
use super::session::Session;
use super::shared_lists::{ListKey, SharedTags};
use super::tag_list::TagSet;
use super::transport::Transport;
use super::{Access, Credential, Settings, Tls};
use crate::reference::Tag;
use crate::reference::{Digest, ManifestRef, RegistryHost, Repository};

/// Bytes of answers whose body says nothing.
pub(super) const MAX_OTHER_BYTES: usize = 64 << 10;
/// Registries that nobody uses at the moment are forgotten beyond this number.
const MOST_SESSIONS: usize = 4096;

/// All registries that this process speaks to: connections, tokens and request budgets.
///
/// There is one for a process, or the limits that registries set would be shared with nobody.
/// Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Registries(Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) transport: Transport,
    pub(super) bulk: bulk::Memory,
    pub(super) created: created::Memory,
    sessions: Mutex<HashMap<(RegistryHost, TlsKey), Arc<Session>>>,
}

/// One repository, reached with one credential.
#[derive(Debug, Clone)]
pub struct RepositoryClient {
    pub(super) shared: Arc<Shared>,
    /// Absent, with the reason, when the settings are wrong; each call then says so.
    session: Result<Arc<Session>, Failure>,
    pub(super) repository: Repository,
    pub(super) tls: TlsKey,
    credential: Option<Credential>,
}

impl Registries {
    /// Nothing is connected yet. Installs ring for TLS if the process has not chosen a provider.
    pub fn new(settings: Settings) -> Self {
        // An error means that there is a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let transport = Transport::new(settings);
        Self(Arc::new(Shared {
            transport,
            bulk: bulk::Memory::default(),
            created: created::Memory::default(),
            sessions: Mutex::default(),
        }))
    }

    /// A client for one repository. Tokens and connections are shared with all others of its registry.
    pub fn repository(&self, repository: &Repository, access: &Access) -> RepositoryClient {
        RepositoryClient {
            shared: self.0.clone(),
            session: self.session(repository.host(), &access.tls),
            repository: repository.clone(),
            tls: access.tls.key(),
            credential: access.credential.clone(),
        }
    }

    /// How many requests each host has had, by status code.
    pub fn requests(&self) -> Vec<RequestCount> {
        self.0.transport.requests.counts()
    }

    /// What each host last said about its limit on pulls, as long as that is believed; Docker Hub does.
    pub fn rate_limits(&self) -> BTreeMap<String, RateLimit> {
        self.0.transport.pulls.limits()
    }

    fn session(&self, host: &RegistryHost, tls: &Tls) -> Result<Arc<Session>, Failure> {
        let mut sessions = self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (host.clone(), tls.key());
        if let Some(session) = sessions.get(&key) {
            return Ok(session.clone());
        }
        let session = Arc::new(Session::new(host, tls, &self.0.transport)?);
        if sessions.len() >= MOST_SESSIONS {
            sessions.retain(|_, session| Arc::strong_count(session) > 1);
        }
        sessions.insert(key, session.clone());
        Ok(session)
    }
}

impl RepositoryClient {
    /// All tags, sorted by name. The list is complete, or it is an error.
    ///
    /// Names that the specification forbids are left out.
    pub async fn tags(&self) -> Result<Vec<Tag>, RegistryError> {
        self.list().await.map_err(|failure| self.error(Operation::ListTags, failure))
    }

    /// All tags, as a list of at most [`Settings::tag_list_ttl`] ago told them; none if there is no
    /// such repository.
    pub async fn shared_tags(&self) -> Result<SharedTags, RegistryError> {
        self.share().await.map_err(|failure| self.error(Operation::ListTags, failure))
    }

    /// Whether [`Self::shared_tags`] is worth asking for one tag: it may answer without asking the
    /// registry, or its answer will serve others and is no more than one page.
    pub fn prefers_shared_tags(&self) -> bool {
        let shared_for = self.shared.transport.settings.tag_list_ttl;
        let is_cheap = |session: &Arc<Session>| session.lists.is_cheap(&self.list_key(), shared_for);
        !shared_for.is_zero() && self.session.as_ref().is_ok_and(is_cheap)
    }

    /// Lets nobody share a list from before: somebody wants to know what is there now. Whether the
    /// repository has a referrers API is doubted as well.
    pub fn invalidate_tag_lists(&self) {
        self.lists_are_old();
        if let Ok(session) = &self.session {
            session.referrers_apis.forget(self.repository.path());
        }
    }

    fn lists_are_old(&self) {
        if let Ok(session) = &self.session {
            session.lists.written(self.repository.path());
        }
    }

    fn list_key(&self) -> ListKey {
        (self.repository.path().to_owned(), self.identity())
    }

    /// What the registry says about a manifest; `None` if it has none, or no such repository.
    ///
    /// This is a HEAD, which Docker Hub does not count as a pull. Only a registry that does not tell
    /// the digest is asked for the manifest itself.
    pub async fn head(&self, what: &ManifestRef) -> Result<Option<Descriptor>, RegistryError> {
        self.look_up(what).await.map_err(|failure| self.error(Operation::Head(what.clone()), failure))
    }

    /// The manifest, its digest computed from what was received; `None` if there is none.
    pub async fn manifest(&self, what: &ManifestRef) -> Result<Option<Manifest>, RegistryError> {
        self.read(what).await.map_err(|failure| self.error(Operation::Get(what.clone()), failure))
    }

    /// Writes a manifest under a tag or under its digest. What it refers to must be there already.
    pub async fn put_manifest(&self, what: &ManifestRef, manifest: &Manifest) -> Result<(), RegistryError> {
        let outcome = self.write(what, manifest).await;
        // Also after an error: what broke off may have been written.
        self.lists_are_old();
        outcome.map_err(|failure| self.error(Operation::Put(what.clone()), failure))
    }

    /// For whom the registry counts.
    pub(super) fn identity(&self) -> Option<Fingerprint> {
        self.credential.as_ref().map(Credential::fingerprint)
    }

    async fn share(&self) -> Result<SharedTags, Failure> {
        let session = self.session()?;
        let list = async || match self.list().await {
            Err(failure) if failure.reason == Reason::RepositoryNotFound => Ok(Vec::new()),
            outcome => outcome,
        };
        session.lists.get(self.list_key(), self.shared.transport.settings.tag_list_ttl, list).await
    }

    async fn list(&self) -> Result<Vec<Tag>, Failure> {
        let settings = &self.shared.transport.settings;
        let mut tags = TagSet::new(settings.max_tags);
        let mut seen = HashSet::new();
        let mut bytes_left = settings.max_list_bytes;
        let (mut page, mut answer) = self.first_page(bytes_left).await?;
        let began = Instant::now();
        loop {
            if answer.status != StatusCode::OK {
                return Err(self.refusal(&answer));
            }
            let before = tags.len();
            tags.add_page(&answer.body).map_err(|failure| failure.with_status(answer.status))?;
            bytes_left -= answer.body.len();
            seen.insert(page);
            let Some(next) = next_page(&answer.url, &answer.headers)? else { break };
            // It may be large, and the next one is waited for.
            drop(answer);
            if tags.len() == before || seen.contains(&next) {
                return Err(Failure::protocol("the pages of the tag list go round in circles"));
            }
            if seen.len() >= settings.max_pages {
                let detail = format!("the tag list has more than {} pages", settings.max_pages);
                return Err(Failure::new(Reason::TooLarge { limit: settings.max_pages }, detail));
            }
            if began.elapsed() >= settings.list_timeout {
                let detail = format!("the tag list has no end after {} s", settings.list_timeout.as_secs());
                return Err(Failure::new(Reason::Unreachable(Unreachable::Timeout), detail));
            }
            answer = self.page(next.clone(), bytes_left).await?;
            page = next;
        }
        if tags.invalid > 0 {
            tracing::debug!(repository = %self.repository, dropped = tags.invalid, "names that are no tags");
        }
        Ok(tags.into_vec())
    }

    /// The first page. Docker Hub answers with everything at once unless it is asked for pages, and
    /// some registries refuse a page of 1,000.
    async fn first_page(&self, limit: usize) -> Result<(Url, Answer), Failure> {
        let whole = self.url("tags/list")?;
        let mut page = whole.clone();
        if !self.repository.host().is_docker_hub() {
            page.set_query(Some("n=1000"));
        }
        let mut answer = self.page(page.clone(), limit).await?;
        if answer.status == StatusCode::BAD_REQUEST && page != whole {
            page = whole;
            answer = self.page(page.clone(), limit).await?;
        }
        if is_registrys_not_found(&answer) {
            let failure = self.refusal(&answer);
            return Err(Failure { reason: Reason::RepositoryNotFound, ..failure });
        }
        Ok((page, answer))
    }

    async fn page(&self, page: Url, limit: usize) -> Result<Answer, Failure> {
        let most = self.shared.transport.settings.max_list_bytes;
        self.send(Call::get(page, limit), "pull").await.map_err(|failure| match failure.reason {
            Reason::TooLarge { .. } => {
                let detail = format!("the tag list has more than {most} bytes");
                Failure { reason: Reason::TooLarge { limit: most }, detail, ..failure }
            }
            _ => failure,
        })
    }

    async fn look_up(&self, what: &ManifestRef) -> Result<Option<Descriptor>, Failure> {
        let mut call = Call::get(self.manifest_url(what)?, MAX_OTHER_BYTES);
        call.method = Method::HEAD;
        call.accept = Some(ACCEPT);
        let answer = self.send(call, "pull").await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            _ => return Err(self.refusal(&answer)),
        }
        let told = told_digest(&answer)?;
        let digest = match (told, what) {
            (Some(told), ManifestRef::Digest(asked)) if told != *asked => return Err(lie(asked, &told)),
            (Some(told), _) => told,
            (None, ManifestRef::Digest(asked)) => asked.clone(),
            (None, ManifestRef::Tag(_)) => return self.read(what).await.map(|m| m.map(Descriptor::from)),
        };
        let media_type = media_type(&answer).unwrap_or_default().to_owned();
        let size = answer.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
        Ok(Some(Descriptor { digest, media_type, size }))
    }

    pub(super) async fn read(&self, what: &ManifestRef) -> Result<Option<Manifest>, Failure> {
        let limit = self.shared.transport.settings.max_manifest_bytes;
        let mut call = Call::get(self.manifest_url(what)?, limit);
        call.accept = Some(ACCEPT);
        self.shared.transport.pulls.may_read(&host(&call.url), self.identity())?;
        let answer = self.send(call, "pull").await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            _ => return Err(self.refusal(&answer)),
        }
        let manifest = Manifest::received(media_type(&answer), answer.body.clone())?;
        let asked = if let ManifestRef::Digest(asked) = what { Some(asked.clone()) } else { None };
        for claim in [told_digest(&answer)?, asked].into_iter().flatten() {
            if claim != manifest.digest {
                return Err(lie(&claim, &manifest.digest));
            }
        }
        Ok(Some(manifest))
    }

    async fn write(&self, what: &ManifestRef, manifest: &Manifest) -> Result<(), Failure> {
        if let ManifestRef::Digest(digest) = what
            && *digest != manifest.digest
        {
            return Err(lie(digest, &manifest.digest));
        }
        let mut call = Call::get(self.manifest_url(what)?, MAX_OTHER_BYTES);
        call.method = Method::PUT;
        let media_type = HeaderValue::from_str(&manifest.media_type)
            .map_err(|_| Failure::new(Reason::Settings, "the media type is no header value"))?;
        call.body = Some((media_type, manifest.bytes.clone()));
        let answer = self.send(call, "pull,push").await?;
        if !answer.status.is_success() {
            return Err(self.refusal(&answer));
        }
        match told_digest(&answer)? {
            Some(told) if told != manifest.digest => Err(lie(&manifest.digest, &told)),
            _ => Ok(()),
        }
    }

    pub(super) async fn send(&self, call: Call, actions: &str) -> Result<Answer, Failure> {
        self.send_scoped(call, &format!("repository:{}:{actions}", self.repository.path())).await
    }

    pub(super) async fn send_scoped(&self, call: Call, scopes: &str) -> Result<Answer, Failure> {
        self.session()?.send(&self.shared.transport, self.credential.as_ref(), scopes, call).await
    }

    pub(super) fn session(&self) -> Result<&Arc<Session>, Failure> {
        self.session.as_ref().map_err(Clone::clone)
    }

    pub(super) fn url(&self, tail: &str) -> Result<Url, Failure> {
        let session = self.session()?;
        session.url(&format!("{}/{tail}", self.repository.path()))
    }

    fn manifest_url(&self, what: &ManifestRef) -> Result<Url, Failure> {
        self.url(&format!("manifests/{what}"))
    }

    pub(super) fn refusal(&self, answer: &Answer) -> Failure {
        refusal(answer, &self.credential.as_ref().map(Credential::secrets).unwrap_or_default())
    }

    pub(super) fn error(&self, operation: Operation, failure: Failure) -> RegistryError {
        RegistryError::new(&self.repository, operation, failure)
    }
}

impl From<Manifest> for Descriptor {
    fn from(manifest: Manifest) -> Self {
        let size = u64::try_from(manifest.bytes.len()).ok();
        Self { digest: manifest.digest, media_type: manifest.media_type, size }
    }
}

/// `Docker-Content-Digest`, which is only a claim.
fn told_digest(answer: &Answer) -> Result<Option<Digest>, Failure> {
    let Some(value) = answer.headers.get("docker-content-digest") else { return Ok(None) };
    let digest = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    digest.map(Some).ok_or_else(|| Failure::protocol("the digest in the answer is no SHA-256 digest"))
}

pub(super) fn media_type(answer: &Answer) -> Option<&str> {
    let text = answer.headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or_default().trim())
}

fn lie(expected: &Digest, found: &Digest) -> Failure {
    Failure::protocol(format!("the digest should be {expected} and is {found}"))
}
