//! What is wrong with a spec, whatever its kind: every problem at once, each with its field and the fix.

use std::fmt;

use imgop_registry::reference::{EcrHost, Repository};

use crate::api::{Credentials, EndpointRef, TlsMode};

/// What is wrong with a spec: every problem, each with the field and the fix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SpecError<F: fmt::Debug + fmt::Display> {
    /// At least one.
    pub problems: Vec<SpecProblem<F>>,
}

/// One thing that is wrong with a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecProblem<F> {
    /// The field. It is displayed as in the spec: `source.version`.
    pub field: F,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl<F: fmt::Debug + fmt::Display> fmt::Display for SpecError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}spec.{}: {}", problem.field, problem.message)?;
        }
        Ok(())
    }
}

/// Collects problems, so that a user sees all of them at once.
#[derive(Debug)]
pub(crate) struct Problems<F>(pub(crate) Vec<SpecProblem<F>>);

impl<F> Default for Problems<F> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<F> Problems<F> {
    /// Returns what was read, or notes the problem.
    pub(crate) fn keep<T, E: fmt::Display>(
        &mut self,
        field: impl Into<F>,
        result: Result<T, E>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.report(field, error.to_string());
                None
            }
        }
    }

    /// Notes a problem.
    pub(crate) fn report(&mut self, field: impl Into<F>, message: impl Into<String>) {
        self.0.push(SpecProblem { field: field.into(), message: message.into() });
    }
}

/// The fields of an endpoint that can be wrong by themselves.
pub(crate) struct EndpointFields<F> {
    /// `credentials.secretName`
    pub(crate) secret: F,
    /// `tls.caSecretName`
    pub(crate) ca_secret: F,
    /// `tls`
    pub(crate) tls: F,
}

/// Reports an endpoint whose fields do not go together, or that names what no Secret can be called.
pub(crate) fn check_endpoint<F>(
    endpoint: EndpointRef<'_>,
    fields: EndpointFields<F>,
    problems: &mut Problems<F>,
) {
    if let Some(credentials) = endpoint.credentials {
        problems.keep(fields.secret, secret_name(&credentials.secret_name));
    }
    let Some(ca_secret_name) = &endpoint.tls.ca_secret_name else { return };
    problems.keep(fields.ca_secret, secret_name(ca_secret_name));
    if endpoint.tls.mode != TlsMode::Verify {
        problems.report(fields.tls, "caSecretName goes with mode Verify only; leave one of them out");
    }
}

/// Whether a Secret can have this name, which is not quoted: it may be a password.
pub(crate) fn secret_name(name: &str) -> Result<(), &'static str> {
    if is_object_name(name) { Ok(()) } else { Err("it must be the name of a Secret in the same namespace") }
}

/// Whether an object of Kubernetes can have this name (a DNS subdomain, RFC 1123).
pub(crate) fn is_object_name(name: &str) -> bool {
    let is_end = |byte: Option<u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    name.len() <= 253
        && is_end(name.bytes().next())
        && is_end(name.bytes().last())
        && name.bytes().all(|b| is_end(Some(b)) || matches!(b, b'.' | b'-'))
}

/// Whether credentials of AWS make sense for an endpoint that asks for them.
pub(crate) fn aws_credentials(
    repository: Option<&Repository>,
    credentials: Option<&Credentials>,
) -> Result<(), &'static str> {
    if repository.is_some_and(|repository| EcrHost::of(repository.host()).is_none()) {
        return Err(
            "it goes with registries of Amazon ECR only, such as 123456789012.dkr.ecr.eu-west-3.amazonaws.com; \
             leave it out, or name a Secret in credentials",
        );
    }
    if credentials.is_some() {
        return Err("it does not go with credentials; leave one of them out");
    }
    Ok(())
}
