use super::*;

fn cause(code: u16, reason: &str, message: &str) -> ApiCause {
    ApiCause::of(&kube::Error::Api(Box::new(Status::failure(message, reason).with_code(code))))
}

#[test]
fn only_rbac_says_that_a_right_is_missing() {
    for verb in ["get", "create", "update", "list", "delete"] {
        let said = format!(
            "secrets \"imgop-aws-1\" is forbidden: User \"system:serviceaccount:imgop:agent\" cannot {verb} \
             resource \"secrets\" in API group \"\" in the namespace \"team-a\""
        );
        assert!(matches!(cause(403, "Forbidden", &said), ApiCause::MissingRight(_)), "{verb}");
    }
    let quota = "secrets \"imgop-aws-1\" is forbidden: exceeded quota: few, requested: secrets=1";
    assert!(
        matches!(cause(403, "Forbidden", quota), ApiCause::Forbidden(said) if said.contains("exceeded quota: few"))
    );
    let ends = "secrets \"imgop-aws-1\" is forbidden: unable to create new content in namespace team-a \
                because it is being terminated";
    assert_eq!(cause(403, "Forbidden", ends), ApiCause::NamespaceTerminating);
    let policy = "admission webhook \"policy.example.com\" denied the request: no Secrets here";
    assert!(matches!(cause(403, "Forbidden", policy), ApiCause::Forbidden(_)));
}

#[test]
fn what_may_succeed_later_is_told_from_what_does_not() {
    let is_transient = |code, reason, message| {
        ApiError { verb: "create", object: "Job \"a\"".into(), cause: cause(code, reason, message) }
            .is_transient()
    };
    let webhook = "Internal error occurred: failed calling webhook \"x.example.com\"";
    assert!(is_transient(500, "InternalError", webhook));
    assert!(is_transient(503, "ServiceUnavailable", "apiserver is shutting down"));
    assert!(is_transient(429, "TooManyRequests", "too many requests"));
    assert!(is_transient(409, "Conflict", "Operation cannot be fulfilled on resourcequotas \"few\""));
    assert!(!is_transient(413, "RequestEntityTooLarge", "etcdserver: request is too large"));
    assert!(!is_transient(422, "Invalid", "spec.template: Invalid value"));
    assert!(!is_transient(404, "NotFound", "namespaces \"team-a\" not found"));
    assert!(!is_transient(403, "Forbidden", "exceeded quota"));
}

#[test]
fn messages_are_printable_short_and_without_credentials() {
    assert_eq!(printable("a\u{1b}[31mred\u{7}\n\tb"), "a [31mred b");
    assert_eq!(printable("get https://user:pw@host/v2/?token=abc failed"), "get https://host/v2/ failed");
    let long = format!("{}é the end", "é".repeat(1000));
    assert_eq!(printable("https://host?token=abc a\u{202e}b"), "https://host ab");
    let short = printable(&long);
    assert!(short.len() <= MAX_MESSAGE && short.ends_with("the end"));
}

#[test]
fn what_is_logged_of_a_failed_watch_is_the_api_servers_message_alone() {
    let message = "images.skopeo.io is forbidden: User \"agent\" cannot watch resource \"images\"";
    let status = || Box::new(Status::failure(message, "Forbidden").with_code(403));
    let expected = format!("the agent has no right to: {message}");
    for error in [
        watcher::Error::InitialListFailed(kube::Error::Api(status())),
        watcher::Error::WatchStartFailed(kube::Error::Api(status())),
        watcher::Error::WatchFailed(kube::Error::Api(status())),
        watcher::Error::WatchError(status()),
    ] {
        assert_eq!(ApiCause::of_watch(&error).to_string(), expected);
    }
}
