//! What a spec leaves open of its destination is filled in.

use std::borrow::Cow;

use imgop_registry::reference::{ReferenceError, Repository};

use super::{Defaults, DefaultsError, Origin};
use crate::api::{BuiltImage, Credentials, Image, ImageBuilder, Tls};

/// What a spec says of its destination.
pub struct OpenDestination<'s> {
    /// The field with the name, as in the spec: `destination.name`.
    pub field: &'static str,
    /// The repository.
    pub name: &'s mut String,
    /// The repository whose path is taken if there is no name.
    pub source: Option<&'s str>,
    /// Other repositories of the same registry, each with a tag or without; those without a slash are tags alone.
    pub others: &'s mut [String],
    /// The Secret with credentials.
    pub credentials: &'s mut Option<Credentials>,
    /// Whether credentials come from AWS.
    pub use_aws_irsa: &'s mut bool,
    /// How the connection is secured.
    pub tls: &'s mut Option<Tls>,
}

/// A kind whose objects put images to a destination.
pub trait WithDestination: Clone {
    /// Returns the repository as written; empty if there is none.
    fn written_destination(&self) -> &str;

    /// Returns the repository that the status reports where the spec leaves some of it open.
    fn reported_destination(&self) -> Option<&str>;

    /// Returns what the spec says of its destination.
    fn destination(&mut self) -> OpenDestination<'_>;
}

impl WithDestination for Image {
    fn written_destination(&self) -> &str {
        &self.spec.destination.name
    }

    fn reported_destination(&self) -> Option<&str> {
        Some(&self.status.as_ref()?.destination.as_ref()?.repository)
    }

    fn destination(&mut self) -> OpenDestination<'_> {
        let destination = &mut self.spec.destination;
        OpenDestination {
            field: "destination.name",
            name: &mut destination.name,
            source: Some(&self.spec.source.name),
            others: &mut [],
            credentials: &mut destination.credentials,
            use_aws_irsa: &mut destination.use_aws_irsa,
            tls: &mut destination.tls,
        }
    }
}

impl WithDestination for ImageBuilder {
    fn written_destination(&self) -> &str {
        &self.spec.image.name
    }

    fn reported_destination(&self) -> Option<&str> {
        let destination = self.status.as_ref()?.destination.as_ref()?;
        destination.defaults_from.is_some().then_some(&destination.repository)
    }

    fn destination(&mut self) -> OpenDestination<'_> {
        let BuiltImage { name, additional_tags, credentials, use_aws_irsa, tls, .. } = &mut self.spec.image;
        OpenDestination {
            field: "image.name",
            name,
            source: None,
            others: additional_tags,
            credentials,
            use_aws_irsa,
            tls,
        }
    }
}

/// What a default added to a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// Whose default it is.
    pub origin: Origin,
    /// The repository, if the spec names none or no registry.
    pub repository: Option<Repository>,
    /// Whether the credentials are the default's.
    pub credentials: bool,
    /// Whether the connection is secured as the default says.
    pub tls: bool,
}

/// An object with a destination.
#[derive(Debug, Clone)]
pub struct Completed<'a, K: Clone> {
    /// The object.
    pub object: Cow<'a, K>,
    /// What was added, if anything was.
    pub completion: Option<Completion>,
}

/// Why an object has no destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IncompleteDestination {
    /// Nothing says where it is.
    #[error(
        "spec.{0} is missing, and no administrator has set a default destination for this namespace; give a repository \
         such as registry.example.com/team/app, or ask for a RegistryAccess with spec.defaultDestination that selects \
         this namespace"
    )]
    NoDefault(&'static str),
    /// There was a default, and there is none any more.
    #[error(
        "spec.{field} is {written:?}, which went to {reported} by the default destination of this namespace, and that is gone; \
         write the registry before it ({reported}, or docker.io/{written}), or ask an administrator for the default"
    )]
    DefaultGone {
        /// As in the spec.
        field: &'static str,
        /// The name without a registry.
        written: String,
        /// Where it went.
        reported: String,
    },
    /// The default cannot be used.
    #[error("spec.{field} names no registry, and the default does not help: {error}")]
    Defaults {
        /// As in the spec.
        field: &'static str,
        /// Why.
        error: DefaultsError,
    },
    /// There cannot be such a repository.
    #[error("spec.{field}: below the default destination of {origin}: {error}")]
    Reference {
        /// As in the spec.
        field: &'static str,
        /// Whose default it is.
        origin: Origin,
        /// Why.
        error: ReferenceError,
    },
}

/// Returns an object with the destination that its status reports, where its spec names no registry: whoever may not read
/// the default knows by that where tags go.
pub fn as_reported<K: WithDestination>(mut object: K) -> K {
    if !Repository::names_registry(object.written_destination())
        && let Some(reported) = object.reported_destination().map(str::to_owned)
    {
        *object.destination().name = reported;
    }
    object
}

/// Returns an object with what its spec leaves open of its destination. A name with a registry stays as it is; the
/// default's credentials and connection go with the default's registry alone.
///
/// # Errors
/// If it names no registry, and no default says which.
pub fn complete<'a, K: WithDestination>(
    object: &'a K,
    namespace: &str,
    defaults: Result<Option<&Defaults>, &DefaultsError>,
) -> Result<Completed<'a, K>, IncompleteDestination> {
    let written = object.written_destination();
    let is_open = !Repository::names_registry(written);
    let unchanged = || Ok(Completed { object: Cow::Borrowed(object), completion: None });
    let defaults = match defaults {
        Ok(Some(defaults)) => defaults,
        Ok(None) | Err(_) if !is_open => return unchanged(),
        // What went to a default must not go to Docker Hub from one moment to the next.
        Ok(None) if !written.is_empty() && object.reported_destination().is_some() => {
            let reported = object.reported_destination().unwrap_or_default().to_owned();
            let (written, field) = (written.to_owned(), object.clone().destination().field);
            return Err(IncompleteDestination::DefaultGone { field, written, reported });
        }
        // Without a default a name without a registry is Docker Hub's, as everywhere.
        Ok(None) if !written.is_empty() => return unchanged(),
        Ok(None) => {
            return Err(IncompleteDestination::NoDefault(object.clone().destination().field));
        }
        Err(error) => {
            let (field, error) = (object.clone().destination().field, error.clone());
            return Err(IncompleteDestination::Defaults { field, error });
        }
    };
    let mut object = object.clone();
    let completion = fill(&mut object.destination(), namespace, defaults)?;
    let is_changed = completion.repository.is_some() || completion.credentials || completion.tls;
    Ok(Completed { object: Cow::Owned(object), completion: Some(completion).filter(|_| is_changed) })
}

/// Fills in what is open.
fn fill(
    open: &mut OpenDestination<'_>,
    namespace: &str,
    defaults: &Defaults,
) -> Result<Completion, IncompleteDestination> {
    let repository = match &*open.name {
        name if Repository::names_registry(name) => None,
        name => below(name, open, namespace, defaults)?,
    };
    if let Some(repository) = &repository {
        *open.name = repository.to_string();
    }
    for other in open.others.iter_mut().filter(|other| other.contains('/')) {
        // Beside a name with a registry it is Docker Hub's, as everywhere.
        if repository.is_some() && !Repository::names_registry(other) {
            *other = format!("{}/{other}", defaults.prefix.of(namespace));
        }
    }
    let is_there =
        open.name.parse::<Repository>().is_ok_and(|at| at.host().is_same_place(defaults.prefix.host()));
    // They are not sent in another way than the administrator has decided.
    let is_secured_so = open.tls.is_none() || *open.tls == defaults.tls;
    let takes_credentials = is_there && is_secured_so && open.credentials.is_none() && !*open.use_aws_irsa;
    if takes_credentials {
        open.credentials.clone_from(&defaults.credentials);
        *open.use_aws_irsa = defaults.use_aws_irsa;
    }
    let takes_tls = is_there && open.tls.is_none() && defaults.tls.is_some();
    if takes_tls {
        open.tls.clone_from(&defaults.tls);
    }
    Ok(Completion {
        origin: defaults.origin.clone(),
        repository,
        credentials: takes_credentials && (defaults.credentials.is_some() || defaults.use_aws_irsa),
        tls: takes_tls,
    })
}

/// Returns the repository of a name without a registry, or of the source if there is no name. What cannot be read is
/// left to those who report it.
fn below(
    name: &str,
    open: &OpenDestination<'_>,
    namespace: &str,
    defaults: &Defaults,
) -> Result<Option<Repository>, IncompleteDestination> {
    let path = match (name, open.source) {
        ("", Some(source)) => source.parse::<Repository>().ok().map(|source| source.path().to_owned()),
        ("", None) => None,
        (name, _) => name.parse::<Repository>().ok().map(|_| name.to_owned()),
    };
    let Some(path) = path else { return Ok(None) };
    let reference = |error| {
        let origin = defaults.origin.clone();
        IncompleteDestination::Reference { field: open.field, origin, error }
    };
    defaults.prefix.repository(namespace, &path).map(Some).map_err(reference)
}
