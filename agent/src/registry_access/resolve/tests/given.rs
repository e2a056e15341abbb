//! Credentials of the agent's own variables.

use super::*;
use crate::config::given_credentials::GivenCredentials;

/// Which user an endpoint has that names no credentials, and whether its Jobs run in a tenant's namespace.
async fn user_of(namespace: &str, host: &str, action: RegistryAction, lending: Lending) -> String {
    let variable = |name: &str| match name {
        "CREDS_DESTINATION_USERNAME" => Some("robot".to_owned()),
        "CREDS_DESTINATION_PASSWORD" => Some("hunter2".to_owned()),
        _ => None,
    };
    let given = GivenCredentials::read(variable, Some(&HOST.parse().unwrap())).unwrap();
    let (client, _) = api_server(|_| refusal(404, "NotFound", "not found"));
    let resolving = Resolving::new(&client, &[]).given(given);
    let repository = format!("{host}/team-a/app").parse().unwrap();
    let tls = TlsSpec::default();
    let endpoint = EndpointRef { name: "", credentials: None, use_aws_irsa: false, tls: &tls };
    let field = "destination";
    let of = EndpointUse { namespace, field, repository: &repository, endpoint, action, lending };
    let reached = resolving.resolver().resolve(of, Freshness::Cached).await.unwrap();
    assert_eq!(
        reached.is_lent,
        reached.access.credential.is_some(),
        "it is in no Job of a tenant's namespace"
    );
    user(&reached).to_owned()
}

#[tokio::test]
async fn they_go_to_the_agents_own_namespace_and_to_the_registry_and_the_side_that_they_are_for() {
    let (own, push, all) = ("imgop-system", RegistryAction::Push, Lending::All);
    assert_eq!(user_of(own, HOST, push, all).await, "robot");
    assert_eq!(user_of(own, "Registry.example.com:443", push, all).await, "robot");
    assert_eq!(user_of("team-a", HOST, push, all).await, "-");
    assert_eq!(user_of(own, "registry.example.com.evil.test", push, all).await, "-");
    assert_eq!(user_of(own, HOST, RegistryAction::Pull, all).await, "-");
    assert_eq!(user_of(own, HOST, push, Lending::Reach).await, "-", "its Jobs run code of the namespace");
}
