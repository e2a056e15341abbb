//! Explains the API server's errors: what they mean, and what to do about them.

use kube::Error;
use kube::client::AuthError;
use kube::core::Status;

use crate::cli_error::{CliError, root_cause};
use crate::kinds::{AnyKind, KindRef};

/// What was asked of the API server.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    verb: &'a str,
    resource: &'a str,
    server: &'a str,
    flags: &'a str,
    kind: Option<KindRef>,
    name: Option<&'a str>,
    namespace: Option<&'a str>,
    all_namespaces: bool,
}

impl<'a> Call<'a> {
    /// A verb as in RBAC, a resource with its group, and the address of the API server.
    pub fn new(verb: &'a str, resource: &'a str, server: &'a str) -> Self {
        Self {
            verb,
            resource,
            server,
            flags: "",
            kind: None,
            name: None,
            namespace: None,
            all_namespaces: false,
        }
    }

    /// By these flags of the connection, ` --context x`: a command that is proposed needs them too.
    #[must_use]
    pub fn with(mut self, flags: &'a str) -> Self {
        self.flags = flags;
        self
    }

    /// For objects of one of imgop's kinds.
    #[must_use]
    pub fn of_kind(mut self, kind: KindRef) -> Self {
        self.kind = Some(kind);
        self
    }

    /// In all namespaces.
    #[must_use]
    pub fn in_all_namespaces(mut self) -> Self {
        self.all_namespaces = true;
        self
    }

    /// On an object of a namespace, or on all of them.
    #[must_use]
    pub fn on(mut self, name: Option<&'a str>, namespace: &'a str) -> Self {
        (self.name, self.namespace) = (name, Some(namespace));
        self
    }

    fn can_i(&self, verb: &str) -> String {
        format!("kubectl auth can-i {verb} {}{}", self.resource, self.place())
    }

    fn place(&self) -> String {
        let namespace = match self.namespace {
            _ if self.all_namespaces => " -A".to_owned(),
            Some(namespace) => format!(" -n {namespace}"),
            None => String::new(),
        };
        namespace + self.flags
    }
}

/// Returns what a failed call means.
pub fn explain(error: &Error, call: &Call<'_>) -> CliError {
    match error {
        Error::Api(status) => refused(status, call),
        Error::Auth(auth) => cannot_log_in(auth),
        Error::HyperError(_) | Error::Service(_) => unreachable(&root_cause(error), call),
        Error::SerdeError(why) => CliError::failed(format!("the API server's answer cannot be read: {why}"))
            .hinted("the CRD may be of another version of imgop; kubectl imgop version shows both"),
        other => CliError::failed(format!("cannot {} {}: {}", call.verb, call.resource, root_cause(other))),
    }
}

/// Returns the command that installs this version of imgop in the cluster that these flags lead to.
pub fn install_command(flags: &str) -> String {
    const MANIFEST: &str =
        concat!(env!("CARGO_PKG_REPOSITORY"), "/raw/v", env!("CARGO_PKG_VERSION"), "/manifests/install.yaml");
    format!("kubectl apply --server-side -f {MANIFEST}{flags}")
}

fn refused(status: &Status, call: &Call<'_>) -> CliError {
    let refusal = CliError::failed(message(status, call));
    match status.code {
        401 => CliError::failed("the API server does not accept your credentials")
            .hinted("log in again, or choose another --context or --user"),
        403 => {
            let verb = refused_verb(&status.message).unwrap_or(call.verb);
            refusal.hinted(format!(
                "ask an administrator of the cluster for the permission; to check: {}",
                call.can_i(verb)
            ))
        }
        404 => not_found(status, call),
        409 => refusal.hinted("other managers own these fields; --force-conflicts takes them over"),
        _ => refusal,
    }
}

/// Returns the verb that the API server refused: an apply needs `patch`, and `create` too for a new object.
fn refused_verb(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once(" cannot ")?;
    rest.split_once(" resource ").map(|(verb, _)| verb)
}

/// Explains a 404: either the object does not exist, or its namespace, or the kind as a whole.
fn not_found(status: &Status, call: &Call<'_>) -> CliError {
    let details = status.details.as_ref();
    let (kind, name) = details.map_or(("", ""), |d| (d.kind.as_str(), d.name.as_str()));
    if kind == "namespaces" {
        return CliError::failed(format!("there is no namespace {name}"))
            .hinted(format!("kubectl create namespace {name}{}", call.flags));
    }
    match (name.is_empty(), call.name, call.namespace, call.kind) {
        (false, Some(name), Some(namespace), kind) => {
            let error =
                CliError::failed(format!("{} {name:?} not found in namespace {namespace}", call.resource));
            match kind {
                Some(_) => error.hinted(format!("kubectl imgop list{} shows those that exist", call.place())),
                None => error,
            }
        }
        (_, _, _, Some(kind)) => CliError::failed(format!(
            "this cluster has no {}s: the custom resource {} is not installed",
            kind.title(),
            call.resource
        ))
        .hinted(format!("install imgop with: {}", install_command(call.flags))),
        _ => CliError::failed(message(status, call)),
    }
}

/// Returns the server's message, or each of its causes on a line where there are several.
fn message(status: &Status, call: &Call<'_>) -> String {
    let causes = status.details.iter().flat_map(|d| &d.causes);
    let lines: Vec<String> = causes
        .filter(|cause| !cause.message.is_empty())
        .map(|cause| match cause.field.as_str() {
            "" | "<nil>" => cause.message.clone(),
            field => format!("{field}: {}", cause.message),
        })
        .collect();
    let object = call.kind.map_or_else(|| call.resource.to_owned(), <dyn AnyKind>::title);
    match (status.code, lines.len()) {
        (422, 1) => format!("the API server rejects the {object}: {}", lines.concat()),
        (422, 2..) => format!("the API server rejects the {object}:\n  {}", lines.join("\n  ")),
        _ if status.message.is_empty() => format!("the API server answers HTTP {}", status.code),
        _ => status.message.clone(),
    }
}

fn cannot_log_in(error: &AuthError) -> CliError {
    // What a program of the kubeconfig printed may hold a token.
    let why = match error {
        AuthError::AuthExecRun { cmd, out } => format!("{cmd:?} ended with {}", out.status),
        other => other.to_string(),
    };
    CliError::failed(format!("cannot log in to the cluster: {why}"))
        .hinted("log in again, or choose another --context or --user")
}

fn unreachable(why: &str, call: &Call<'_>) -> CliError {
    CliError::failed(format!("cannot reach the API server at {}: {why}", call.server))
        .hinted("check the cluster with kubectl cluster-info, or choose another one with --context")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::DEFAULT_KIND;

    fn explained(status: serde_json::Value, call: Call<'_>) -> String {
        let status: Status = serde_json::from_value(status).unwrap();
        let error = explain(&Error::Api(status.boxed()), &call);
        format!("{}\n{}", error.message, error.hints.join("\n"))
    }

    fn create() -> Call<'static> {
        Call::new("create", "images.skopeo.io", "https://10.0.0.1:6443/")
            .of_kind(DEFAULT_KIND)
            .on(Some("argocd"), "ci")
    }

    #[test]
    fn a_missing_object_differs_from_a_missing_kind() {
        let object = json!({ "code": 404, "reason": "NotFound", "message": "images.skopeo.io \"argocd\" not found",
            "details": { "name": "argocd", "group": "skopeo.io", "kind": "images" } });
        insta::assert_snapshot!(explained(object, create()), @r#"
        images.skopeo.io "argocd" not found in namespace ci
        kubectl imgop list -n ci shows those that exist
        "#);
        let kind = json!({ "code": 404, "reason": "NotFound", "message": "404 page not found" });
        insta::assert_snapshot!(explained(kind, create()), @"
        this cluster has no Images: the custom resource images.skopeo.io is not installed
        install imgop with: kubectl apply --server-side -f https://github.com/imgop/imgop/raw/v0.1.0/manifests/install.yaml
        ");
        let namespace = json!({ "code": 404, "reason": "NotFound", "message": "namespaces \"ci\" not found",
            "details": { "name": "ci", "kind": "namespaces" } });
        insta::assert_snapshot!(explained(namespace, create()), @"
        there is no namespace ci
        kubectl create namespace ci
        ");
    }

    #[test]
    fn a_missing_permission_comes_with_the_command_that_checks_the_refused_verb() {
        let status = json!({ "code": 403, "reason": "Forbidden",
            "message": "images.skopeo.io \"argocd\" is forbidden: User \"eve\" cannot create resource \"images\" in API group \"skopeo.io\" in the namespace \"ci\"" });
        insta::assert_snapshot!(explained(status, create()), @r#"
        images.skopeo.io "argocd" is forbidden: User "eve" cannot create resource "images" in API group "skopeo.io" in the namespace "ci"
        ask an administrator of the cluster for the permission; to check: kubectl auth can-i create images.skopeo.io -n ci
        "#);
        let patch = json!({ "code": 403, "reason": "Forbidden",
            "message": "images.skopeo.io \"argocd\" is forbidden: User \"eve\" cannot patch resource \"images\" in API group \"skopeo.io\" in the namespace \"ci\"" });
        let named = explained(patch, create());
        assert!(named.ends_with("kubectl auth can-i patch images.skopeo.io -n ci"), "{named}");
        let status = json!({ "code": 403, "reason": "Forbidden", "message": "no" });
        insta::assert_snapshot!(explained(status.clone(), create().with(" --context prod --as eve")), @"
        no
        ask an administrator of the cluster for the permission; to check: kubectl auth can-i create images.skopeo.io -n ci --context prod --as eve
        ");
        let everywhere = Call::new("list", "images.skopeo.io", "").in_all_namespaces();
        insta::assert_snapshot!(explained(status, everywhere), @"
        no
        ask an administrator of the cluster for the permission; to check: kubectl auth can-i list images.skopeo.io -A
        ");
    }

    #[test]
    fn every_field_that_the_server_rejects_is_named() {
        let status = json!({ "code": 422, "reason": "Invalid", "message": "Image.skopeo.io \"x\" is invalid: [...]",
            "details": { "name": "x", "causes": [
                { "reason": "FieldValueInvalid", "message": "Invalid value: \"\": must not be empty", "field": "spec.source.version" },
                { "reason": "FieldValueInvalid", "message": "Invalid value: \"5\": must be whole numbers", "field": "spec.frequency" } ] } });
        insta::assert_snapshot!(explained(status, create()), @r#"
        the API server rejects the Image:
          spec.source.version: Invalid value: "": must not be empty
          spec.frequency: Invalid value: "5": must be whole numbers
        "#);
    }
}
