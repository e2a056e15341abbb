//! How an endpoint is reached: with what its object names in its own namespace, and with what administrators lend.

use std::sync::Arc;

use imgop_core::access::{AccessPolicy, Borrower, Decision, Grant};
use imgop_core::api::{EndpointRef, RegistryAction, TlsMode};
use imgop_core::creation::{Creation, CreationRefusal};
use imgop_registry::credentials::{CA_KEY, DOCKER_CONFIG_KEY, SecretData, SecretDataError, from_secret_data};
use imgop_registry::reference::Repository;
use imgop_registry::{Access, Allowances, Tls};

use super::lent_secrets::lent_credential;
use super::{AccessError, AccessResolver, Resolved, Versions, aws};
use crate::cluster::Freshness;
use crate::cluster::api_error::ApiCause;
use crate::cluster::secrets::{MAX_VALUE_BYTES, SecretContent, is_name};
use crate::config::given_credentials::GivenCredentials;

/// An endpoint of an object, and what it is used for.
#[derive(Debug, Clone, Copy)]
pub struct EndpointUse<'a> {
    /// The namespace of the object; Secrets are read in no other one for it.
    pub namespace: &'a str,
    /// Where the spec has the endpoint: `source`, `registries[2]`.
    pub field: &'a str,
    /// The repository.
    pub repository: &'a Repository,
    /// What the spec says of it.
    pub endpoint: EndpointRef<'a>,
    /// What is done there.
    pub action: RegistryAction,
    /// What may be lent to it.
    pub lending: Lending,
}

/// What may be lent to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lending {
    /// All that administrators lend: its Jobs run where tenants have no rights.
    All,
    /// Where registries and token servers may be, which is no secret: its Jobs run code of its namespace.
    Reach,
}

/// The Secrets of an endpoint, as they were read: with credentials and with certificates.
type Read = [Option<Arc<SecretContent>>; 2];

impl AccessResolver<'_> {
    /// Reads what an endpoint of an object names, in no namespace but the object's own, and adds what administrators
    /// lend it. Asks no registry.
    ///
    /// # Errors
    /// Also where administrators let the namespace not write to the repository, and where that is not known.
    pub async fn resolve(&self, of: EndpointUse<'_>, freshness: Freshness) -> Result<Resolved, AccessError> {
        let policy = self.policies.current()?;
        let grant = self.grant(&policy, of, freshness).await?;
        let mut resolved = match grant.filter(|_| of.lending == Lending::All) {
            Some(grant) => self.resolve_lent(of, &policy, grant, freshness).await?,
            None => match self.given(of) {
                Some(given) => self.resolve_given(of, given, freshness).await?,
                None => self.resolve_own(of, freshness).await?,
            },
        };
        if let Some(grant) = grant {
            let (servers, addresses) = (grant.token_servers.clone(), grant.addresses.clone());
            resolved.access.allowances = Allowances::new(servers, addresses);
        }
        Ok(resolved)
    }

    /// Returns an error unless a namespace may write to a repository.
    pub async fn may_push(
        &self,
        namespace: &str,
        field: &str,
        repository: &Repository,
        freshness: Freshness,
    ) -> Result<(), AccessError> {
        let of = EndpointUse {
            namespace,
            field,
            repository,
            endpoint: EndpointRef {
                name: "",
                credentials: None,
                use_aws_irsa: false,
                tls: &super::DEFAULT_TLS,
            },
            action: RegistryAction::Push,
            lending: Lending::Reach,
        };
        let policy = self.policies.current()?;
        self.grant(&policy, of, freshness).await.map(|_| ())
    }

    /// Returns an error unless an administrator lets a namespace have a repository created as this says, by the AWS
    /// identity that is lent for it, or by a role of it, and lets it have others' policies changed where it asks for that.
    pub async fn may_create(
        &self,
        of: EndpointUse<'_>,
        creation: &Creation,
        freshness: Freshness,
    ) -> Result<(), AccessError> {
        let policy = self.policies.current()?;
        let grant = self.grant(&policy, of, freshness).await?;
        let Some(refusal) = creation.refusal(grant.and_then(|grant| grant.aws.as_ref())) else {
            return Ok(());
        };
        let (repository, or) = (of.repository, "leave create out and create the repository by hand");
        let problem = match refusal {
            CreationRefusal::NoRole(role) => format!(
                "no administrator lends the role {role} for {repository} to this namespace; ask for a \
                 RegistryAccess that names it in aws.roles, or {or}"
            ),
            CreationRefusal::NoAdoption => format!(
                "no administrator lets this namespace change the policies of repositories of others, as adopt asks for; \
                 leave adopt out, or ask for a RegistryAccess that lends the AWS identity for {repository} with \
                 aws.adoptRepositories"
            ),
            CreationRefusal::NoIdentity => format!(
                "no administrator lets this namespace create {repository}; ask for a RegistryAccess that lends the AWS \
                 identity for it with aws.createRepositories, or {or}"
            ),
        };
        Err(AccessError::CreationNotAllowed { field: of.field.to_owned(), problem })
    }

    /// Returns what lends to an endpoint.
    async fn grant<'p>(
        &self,
        policy: &'p AccessPolicy,
        of: EndpointUse<'_>,
        freshness: Freshness,
    ) -> Result<Option<&'p Grant>, AccessError> {
        if !policy.governs(of.repository, of.action).map_err(super::policies::PolicyFault::from)? {
            return Ok(None);
        }
        let labels = self.policies.labels(of.namespace, freshness).await?;
        let borrower = Borrower { namespace: of.namespace, labels: &labels };
        let decision = policy.decide(borrower, of.repository, of.action);
        match decision.map_err(super::policies::PolicyFault::from)? {
            Decision::Granted { grant, also } => {
                if !also.is_empty() {
                    tracing::debug!(
                        kind = "RegistryAccess",
                        name = grant.name,
                        others = ?also,
                        "several RegistryAccesses fit alike; the first lends"
                    );
                }
                Ok(Some(grant))
            }
            Decision::NotSelected { scope } if of.action == RegistryAction::Push => {
                Err(AccessError::DestinationNotAllowed { field: of.field.to_owned(), scope })
            }
            Decision::Ungoverned | Decision::NotSelected { .. } => Ok(None),
        }
    }

    /// Returns the credentials of the agent's own variables for an endpoint of its own namespace that names none.
    fn given(&self, of: EndpointUse<'_>) -> Option<&GivenCredentials> {
        let EndpointUse { endpoint, repository, action, .. } = of;
        let is_own = of.namespace == self.agent_namespace && of.lending == Lending::All;
        let is_open = endpoint.credentials.is_none() && !endpoint.use_aws_irsa;
        let given = self.given.iter().find(|given| given.action == action)?;
        Some(given).filter(|given| is_own && is_open && given.registry.is_same_place(repository.host()))
    }

    async fn resolve_given(
        &self,
        of: EndpointUse<'_>,
        given: &GivenCredentials,
        freshness: Freshness,
    ) -> Result<Resolved, AccessError> {
        let mut resolved = Resolved { is_lent: true, ..self.resolve_own(of, freshness).await? };
        resolved.access.credential = Some(given.credential.clone());
        resolved.versions.secrets.push(format!("lent {}", given.variables));
        Ok(resolved)
    }

    async fn resolve_own(&self, of: EndpointUse<'_>, freshness: Freshness) -> Result<Resolved, AccessError> {
        let EndpointUse { namespace, field, repository, endpoint, .. } = of;
        let read = self.read_own(of, freshness).await?;
        let access = access(&read, repository, mode(endpoint.tls.mode)).map_err(|error| {
            let (fields, names) = named(of);
            let which = usize::from(error.concerns_ca());
            let secret = names[which].unwrap_or_default().to_owned();
            AccessError::Unusable { field: fields[which].clone(), secret, problem: error.to_string() }
        })?;
        let secrets = read.iter().flatten().map(|content| content.version.clone()).collect();
        let versions = Versions { secrets, tokens: Vec::new() };
        let mut resolved = Resolved { access, versions, is_lent: false };
        if endpoint.use_aws_irsa {
            aws::add_credential(self, namespace, field, repository.host(), freshness, &mut resolved).await?;
        }
        Ok(resolved)
    }

    /// Reads the Secrets that a spec names for an endpoint.
    async fn read_own(&self, of: EndpointUse<'_>, freshness: Freshness) -> Result<Read, AccessError> {
        let (fields, names) = named(of);
        let mut read = [None, None];
        for (which, key) in [DOCKER_CONFIG_KEY, CA_KEY].into_iter().enumerate() {
            let (Some(name), named_by) = (names[which], &fields[which]) else { continue };
            let content = self.read(of.namespace, named_by, name, freshness).await?;
            if let Some(problem) = too_long(&content, key) {
                let (field, secret) = (named_by.clone(), name.to_owned());
                return Err(AccessError::Unusable { field, secret, problem });
            }
            read[which] = Some(content);
        }
        Ok(read)
    }

    /// Resolves an endpoint that something is lent to. What the spec says goes before what is lent, but for how a
    /// connection is secured over which lent credentials go.
    async fn resolve_lent(
        &self,
        of: EndpointUse<'_>,
        policy: &AccessPolicy,
        grant: &Grant,
        freshness: Freshness,
    ) -> Result<Resolved, AccessError> {
        let EndpointUse { field, repository, endpoint, .. } = of;
        let lends_aws = endpoint.use_aws_irsa && grant.aws.is_some();
        let secret = grant.secret_name.as_deref();
        let secret = secret.filter(|_| endpoint.credentials.is_none() && !endpoint.use_aws_irsa);
        let tls = grant.tls.as_ref().filter(|_| endpoint.tls.is_default());
        let lends_credential = secret.is_some() || lends_aws;
        if !lends_credential && tls.is_none() {
            return self.resolve_own(of, freshness).await;
        }
        if lends_credential && !endpoint.tls.is_default() {
            return Err(AccessError::TlsOfLent { field: field.to_owned() });
        }
        let own = EndpointUse {
            endpoint: EndpointRef { use_aws_irsa: !lends_aws && endpoint.use_aws_irsa, ..endpoint },
            ..of
        };
        let mut resolved = Resolved { is_lent: true, ..self.resolve_own(own, freshness).await? };
        let unusable = |problem: String| AccessError::LentUnusable {
            field: field.to_owned(),
            host: repository.host().clone(),
            problem,
        };
        if let Some(name) = secret {
            let content =
                self.read_lent(name, freshness).await.map_err(|error| error.or_unusable(&unusable))?;
            let credential = lent_credential(&content, policy, repository).map_err(unusable)?;
            resolved.access.credential = Some(credential);
            resolved.versions.secrets.push(format!("lent {}", content.version));
        }
        if let Some(tls) = tls {
            resolved.access.tls = mode(tls.mode);
            if let (TlsMode::Verify, Some(name)) = (tls.mode, &tls.ca_secret_name) {
                let content =
                    self.read_lent(name, freshness).await.map_err(|error| error.or_unusable(&unusable))?;
                let pem = content
                    .value(CA_KEY)
                    .ok_or_else(|| unusable(format!("its Secret has no key {CA_KEY}")))?;
                resolved.access.tls = Tls::Verify { extra_ca_pem: Some(pem.to_vec()) };
                resolved.versions.secrets.push(format!("lent {}", content.version));
            }
        }
        if lends_aws {
            aws::add_lent_credential(self, field, repository.host(), freshness, &mut resolved).await?;
        }
        Ok(resolved)
    }

    async fn read(
        &self,
        namespace: &str,
        field: &str,
        name: &str,
        freshness: Freshness,
    ) -> Result<Arc<SecretContent>, AccessError> {
        if !is_name(name) {
            let problem = "no Secret can have this name: lower-case letters, digits, - and . only".to_owned();
            let (field, secret) = (field.to_owned(), name.to_owned());
            return Err(AccessError::Unusable { field, secret, problem });
        }
        self.secrets.get(namespace, name, freshness).await.map_err(|error| match error.cause {
            ApiCause::NotFound => AccessError::Missing { field: field.to_owned(), secret: name.to_owned() },
            ApiCause::MissingRight(_) | ApiCause::Forbidden(_) => {
                AccessError::Forbidden { secret: name.to_owned() }
            }
            _ => AccessError::Api(error),
        })
    }
}

/// Returns the fields in which a spec names the two Secrets of an endpoint, and what it names.
fn named(of: EndpointUse<'_>) -> ([String; 2], [Option<&str>; 2]) {
    let EndpointUse { field, endpoint, .. } = of;
    let fields = [format!("{field}.credentials.secretName"), format!("{field}.tls.caSecretName")];
    let verifies = endpoint.tls.mode == TlsMode::Verify;
    let names = [
        endpoint.credentials.map(|named| named.secret_name.as_str()),
        endpoint.tls.ca_secret_name.as_deref().filter(|_| verifies),
    ];
    (fields, names)
}

fn mode(mode: TlsMode) -> Tls {
    match mode {
        TlsMode::Verify => Tls::default(),
        TlsMode::SkipVerify => Tls::SkipVerify,
        TlsMode::PlainHttp => Tls::PlainHttp,
    }
}

pub(super) fn too_long(content: &SecretContent, key: &str) -> Option<String> {
    content.too_long(key).map(|bytes| {
        format!(
            "its key {key} has {bytes} bytes; at most {MAX_VALUE_BYTES} are read, so name a Secret with what this \
             registry needs alone"
        )
    })
}

/// Returns what the Secrets with credentials and with certificates give.
fn access([credentials, ca]: &Read, repository: &Repository, mode: Tls) -> Result<Access, SecretDataError> {
    let of_credentials = |key: &str| credentials.as_ref().and_then(|content| content.value(key));
    let of_ca = |key: &str| ca.as_ref().and_then(|content| content.value(key));
    let data = SecretData {
        credentials: credentials.is_some().then_some(&of_credentials),
        ca: ca.is_some().then_some(&of_ca),
    };
    from_secret_data(data, repository, mode)
}

#[cfg(test)]
mod tests;
