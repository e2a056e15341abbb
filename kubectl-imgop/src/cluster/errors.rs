//! Explains the API server's errors: what they mean, and what to do about them.

use kube::Error;
use kube::client::AuthError;
use kube::core::Status;

use crate::cli_error::{CliError, Kind, root_cause};
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

    fn is_of_cluster(&self) -> bool {
        self.kind.is_some_and(|kind| !kind.is_namespaced())
    }

    fn place(&self) -> String {
        let namespace = match self.namespace {
            _ if self.is_of_cluster() => String::new(),
            _ if self.all_namespaces => " -A".to_owned(),
            Some(namespace) => format!(" -n {namespace}"),
            None => String::new(),
        };
        namespace + self.flags
    }
}

/// Returns what a failed call means.
pub fn explain(error: &Error, call: &Call<'_>) -> CliError {
    if let Some(auth) = auth_error(error) {
        return cannot_log_in(auth);
    }
    match error {
        Error::Api(status) => refused(status, call),
        Error::HyperError(_) | Error::Service(_) => unreachable(&root_cause(error), call),
        Error::SerdeError(why) => CliError::failed(format!("the API server's answer cannot be read: {why}"))
            .hinted("the CRD may be of another version of imgop; kubectl imgop version shows both"),
        other => CliError::failed(format!("cannot {} {}: {}", call.verb, call.resource, root_cause(other))),
    }
}

/// Returns whether a call that failed in this way fails again: a refusal, or a login that does not succeed.
pub fn is_final(error: &Error) -> bool {
    let is_refused = matches!(error, Error::Api(status) if matches!(status.code, 401 | 403 | 404));
    is_refused || auth_error(error).is_some()
}

/// Returns why the login failed, if that is the error. Tokens are refreshed within a request, whose error then
/// holds it in a box.
fn auth_error(error: &Error) -> Option<&AuthError> {
    match error {
        Error::Auth(auth) => Some(auth),
        Error::Service(service) => {
            let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(service.as_ref());
            while let Some(error) = cause {
                if let Some(auth) = error.downcast_ref() {
                    return Some(auth);
                }
                cause = error.source();
            }
            None
        }
        _ => None,
    }
}

/// Returns the command that installs imgop in the cluster that these flags lead to.
pub fn how_to_install(flags: &str) -> String {
    format!("kubectl imgop install{flags}")
}

fn refused(status: &Status, call: &Call<'_>) -> CliError {
    let kind = if matches!(status.code, 401 | 403) { Kind::Forbidden } else { Kind::Failed };
    let refusal = CliError { kind, ..CliError::failed(message(status, call)) };
    match status.code {
        401 => CliError { kind, ..CliError::failed("the API server does not accept your credentials") }
            .hinted("log in again, or choose another --context or --user"),
        // Quotas, namespaces that end and admission webhooks refuse with 403 too, whatever one may do.
        403 => match refused_verb(&status.message) {
            Some(verb) => refusal.hinted(format!(
                "ask an administrator of the cluster for the permission; to check: {}",
                call.can_i(verb)
            )),
            None => refusal,
        },
        404 => not_found(status, call),
        409 if is_between_managers(status) => {
            refusal.hinted("other managers own these fields; --force-conflicts takes them over")
        }
        _ => refusal,
    }
}

/// Returns the verb that the API server refused: an apply needs `patch`, and `create` too for a new object.
fn refused_verb(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once(" cannot ")?;
    rest.split_once(" resource ").map(|(verb, _)| verb)
}

/// Returns whether an apply was refused because of fields that other managers own.
fn is_between_managers(status: &Status) -> bool {
    status.details.iter().flat_map(|details| &details.causes).any(|c| c.reason == "FieldManagerConflict")
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
            let place =
                if call.is_of_cluster() { String::new() } else { format!(" in namespace {namespace}") };
            let error = CliError::failed(format!("{} {name:?} not found{place}", call.resource));
            match kind {
                Some(kind) => {
                    let which = if call.is_of_cluster() {
                        " ".to_owned() + &kind.resource().plural
                    } else {
                        String::new()
                    };
                    error.hinted(format!("kubectl imgop list{which}{} shows those that exist", call.place()))
                }
                None => error,
            }
        }
        (_, _, _, Some(kind)) => CliError::failed(format!(
            "this cluster has no {}s: the custom resource {} is not installed",
            kind.title(),
            call.resource
        ))
        .hinted(format!("to install imgop: {}", how_to_install(call.flags))),
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

/// Returns why there is no login. What a program of the kubeconfig printed, and with which environment it ran,
/// may hold a token, so only what is known to hold none is shown.
fn cannot_log_in(error: &AuthError) -> CliError {
    let why = match error {
        AuthError::AuthExecRun { out, .. } => {
            format!("the program that the kubeconfig names for it (exec) ended with {}", out.status)
        }
        AuthError::AuthExecStart(why) => {
            format!("the program that the kubeconfig names for it (exec) does not start: {why}")
        }
        AuthError::ReadTokenFile(why, path) => format!("cannot read {}: {why}", path.display()),
        AuthError::MissingCommand => "the kubeconfig names no command (exec)".to_owned(),
        AuthError::ExecMissingClusterInfo => {
            "the kubeconfig has no cluster for its program (provideClusterInfo)".to_owned()
        }
        AuthError::ExecPluginFailed | AuthError::AuthExecParse(_) | AuthError::AuthExec(_) => {
            "the program that the kubeconfig names for it (exec) printed no usable credential".to_owned()
        }
        AuthError::InvalidBasicAuth(_) | AuthError::InvalidBearerToken(_) => {
            "the credential has characters that cannot be sent".to_owned()
        }
        _ => "the kubeconfig's user cannot be used".to_owned(),
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
    use crate::kinds::{DEFAULT_KIND, LISTED_KINDS};

    fn explained(status: serde_json::Value, call: Call<'_>) -> String {
        let status: Status = serde_json::from_value(status).unwrap();
        let error = explain(&Error::Api(status.boxed()), &call);
        format!("{}\n{}", error.message, error.hints.join("\n"))
    }

    #[test]
    fn an_object_of_the_cluster_is_missing_in_no_namespace() {
        let object = json!({ "code": 404, "reason": "NotFound", "message": "not found",
            "details": { "name": "corp", "group": "imgop.io", "kind": "registryaccesses" } });
        let call = Call::new("get", "registryaccesses.imgop.io", "").of_kind(LISTED_KINDS[4]);
        insta::assert_snapshot!(explained(object, call.on(Some("corp"), "ci")), @r#"
        registryaccesses.imgop.io "corp" not found
        kubectl imgop list registryaccesses shows those that exist
        "#);
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
        to install imgop: kubectl imgop install
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
        let status = json!({ "code": 403, "reason": "Forbidden",
            "message": "User \"eve\" cannot create resource \"images\"" });
        insta::assert_snapshot!(explained(status, create().with(" --context prod --as eve")), @r#"
        User "eve" cannot create resource "images"
        ask an administrator of the cluster for the permission; to check: kubectl auth can-i create images.skopeo.io -n ci --context prod --as eve
        "#);
        let status = json!({ "code": 403, "reason": "Forbidden",
            "message": "User \"eve\" cannot list resource \"images\" at the cluster scope" });
        let everywhere = Call::new("list", "images.skopeo.io", "").in_all_namespaces();
        insta::assert_snapshot!(explained(status, everywhere), @r#"
        User "eve" cannot list resource "images" at the cluster scope
        ask an administrator of the cluster for the permission; to check: kubectl auth can-i list images.skopeo.io -A
        "#);
    }

    #[test]
    fn a_refusal_that_is_no_missing_permission_comes_without_advice_on_permissions() {
        for message in [
            "images.skopeo.io \"argocd\" is forbidden: exceeded quota: images, requested: count/images=1",
            "images.skopeo.io \"argocd\" is forbidden: unable to create new content in namespace ci because it is being terminated",
            "admission webhook \"policy.example.com\" denied the request: this registry is not allowed",
        ] {
            let status = json!({ "code": 403, "reason": "Forbidden", "message": message });
            assert_eq!(explained(status, create()), format!("{message}\n"));
        }
    }

    #[test]
    fn only_a_conflict_between_managers_can_be_forced() {
        let conflict = |reason: &str| {
            json!({ "code": 409, "reason": "Conflict", "message": "Apply failed",
                "details": { "causes": [{ "reason": reason, "message": "", "field": ".spec.mode" }] } })
        };
        assert!(explained(conflict("FieldManagerConflict"), create()).contains("--force-conflicts"));
        assert_eq!(explained(conflict("ResourceVersionConflict"), create()), "Apply failed\n");
        let stored = json!({ "code": 409, "reason": "Conflict", "message": "the object has been modified" });
        assert_eq!(explained(stored, create()), "the object has been modified\n");
    }

    #[cfg(unix)]
    #[test]
    fn what_a_program_for_logging_in_printed_is_never_shown_however_its_failure_arrives() {
        use std::os::unix::process::ExitStatusExt as _;
        let failure = || {
            let out = std::process::Output {
                status: std::process::ExitStatus::from_raw(256),
                stdout: b"hunter2".to_vec(),
                stderr: b"hunter2".to_vec(),
            };
            AuthError::AuthExecRun { cmd: "TOKEN=\"hunter2\" login".to_owned(), out: Box::new(out) }
        };
        for error in [Error::Auth(failure()), Error::Service(Box::new(failure()))] {
            assert!(is_final(&error));
            let explained = explain(&error, &create());
            assert!(!explained.message.contains("hunter2"), "{explained}");
            insta::allow_duplicates!(
                insta::assert_snapshot!(explained, @"cannot log in to the cluster: the program that the kubeconfig names for it (exec) ended with exit status: 1")
            );
        }
        let printed = Error::Auth(AuthError::AuthExec("hunter2".to_owned()));
        assert!(!explain(&printed, &create()).message.contains("hunter2"));
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
