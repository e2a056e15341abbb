//! Tokens of ECR from each of AWS's sources, against fakes that check signatures.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_types::os_shim_internal::{Env, Fs};
use futures::future::join_all;
use imgop_registry::Credential;
use imgop_registry::ecr::{EcrProblem, EcrSettings, EcrTokens};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use tracing::instrument::WithSubscriber as _;

use imgop_fakes::FakeAws;
use imgop_fakes::aws::{POD_TOKEN, WEB_TOKEN};

const SOURCE: &str = "111111111111.dkr.ecr.eu-west-3.amazonaws.com";
const DESTINATION: &str = "222222222222.dkr.ecr.ap-southeast-2.amazonaws.com";
const ANY_AGE: Duration = Duration::MAX;

/// A clock that a test moves.
#[derive(Clone)]
struct Clock(Arc<AtomicI64>);

impl Clock {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_795_000_000)))
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::Relaxed)).unwrap()
    }

    fn after(&self, minutes: i64) -> Timestamp {
        self.now() + SignedDuration::from_mins(minutes)
    }

    fn pass(&self, minutes: i64) {
        self.0.fetch_add(minutes * 60, Ordering::Relaxed);
    }
}

/// Tokens in an environment of their own.
fn tokens(aws: &FakeAws, clock: &Clock, variables: &[(&str, &str)], files: &[(&str, &str)]) -> EcrTokens {
    let address = aws.address();
    let mut all = vec![("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_ENDPOINT_URL_STS", address.as_str())];
    all.extend(variables);
    let (env, fs, clock) = (Env::from_slice(&all), Fs::from_slice(files), clock.clone());
    EcrTokens::new(EcrSettings {
        system_proxy: false,
        endpoint: Some(aws.address()),
        chain: Arc::new(move |loader| loader.env(env.clone()).fs(fs.clone())),
        now: Arc::new(move || clock.now()),
        ..EcrSettings::of_environment("test", |_| None)
    })
}

async fn password(tokens: &EcrTokens, host: &str, max_age: Duration) -> Result<String, String> {
    match tokens.credential(&host.parse().unwrap(), max_age).await {
        Ok(Some(found)) => match found.credential {
            Credential::Basic { username, password } => {
                assert_eq!(username, "AWS");
                Ok(password.expose_secret().to_owned())
            }
            other => Err(format!("{other:?}")),
        },
        Ok(None) => Err("no host of ECR".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

const KEYS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "AKIASTATIC"), ("AWS_SECRET_ACCESS_KEY", "static-secret")];

#[tokio::test]
async fn b11_each_side_has_the_token_of_its_own_region() {
    let clock = Clock::new();
    let aws = FakeAws::start(clock.after(720)).await;
    // The region of the environment is that of STS, not that of the registries.
    let variables = [KEYS[0], KEYS[1], ("AWS_REGION", "us-east-1")];
    let tokens = tokens(&aws, &clock, &variables, &[]);
    assert_eq!(password(&tokens, SOURCE, ANY_AGE).await.as_deref(), Ok("eu-west-3-AKIASTATIC-0"));
    assert_eq!(password(&tokens, DESTINATION, ANY_AGE).await.as_deref(), Ok("ap-southeast-2-AKIASTATIC-1"));
}

#[tokio::test]
async fn ecr_public_gives_tokens_of_its_own_service_and_only_region() {
    let clock = Clock::new();
    let aws = FakeAws::start(clock.after(720)).await;
    let variables = [KEYS[0], KEYS[1], ("AWS_REGION", "eu-west-3")];
    let tokens = tokens(&aws, &clock, &variables, &[]);
    assert_eq!(password(&tokens, "public.ecr.aws", ANY_AGE).await.as_deref(), Ok("us-east-1-AKIASTATIC-0"));
}

#[tokio::test]
async fn a_web_identity_assumes_its_role() {
    let clock = Clock::new();
    let aws = FakeAws::start(clock.after(720)).await;
    let variables = [
        ("AWS_ROLE_ARN", "arn:aws:iam::111111111111:role/imgop"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token"),
    ];
    let tokens = tokens(&aws, &clock, &variables, &[("/var/run/token", WEB_TOKEN)]);
    assert_eq!(password(&tokens, SOURCE, ANY_AGE).await.as_deref(), Ok("eu-west-3-ASIAWEB-0"));
}

#[tokio::test]
async fn a_profile_with_a_web_identity_assumes_its_role() {
    let clock = Clock::new();
    let aws = FakeAws::start(clock.after(720)).await;
    let profile =
        "[profile team]\nrole_arn = arn:aws:iam::111111111111:role/imgop\nweb_identity_token_file = /token\n";
    let files = [("/config", profile), ("/token", WEB_TOKEN)];
    let tokens = tokens(&aws, &clock, &[("AWS_PROFILE", "team"), ("AWS_CONFIG_FILE", "/config")], &files);
    assert_eq!(password(&tokens, SOURCE, ANY_AGE).await.as_deref(), Ok("eu-west-3-ASIAWEB-0"));
}

#[tokio::test]
async fn pod_identity_is_shown_its_token() {
    let clock = Clock::new();
    let aws = FakeAws::start(clock.after(720)).await;
    let address = format!("{}/v1/credentials", aws.address());
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", address.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/token"),
    ];
    let tokens = tokens(&aws, &clock, &variables, &[("/token", POD_TOKEN)]);
    assert_eq!(password(&tokens, SOURCE, ANY_AGE).await.as_deref(), Ok("eu-west-3-ASIAPOD-0"));
}

#[tokio::test]
async fn without_credentials_no_request_is_sent() {
    let clock = Clock::new();
    let aws = FakeAws::start(clock.after(720)).await;
    let tokens = tokens(&aws, &clock, &[], &[]);
    let error = tokens.credential(&SOURCE.parse().unwrap(), ANY_AGE).await.unwrap_err();
    assert_eq!(error.problem, EcrProblem::NoCredentials);
    insta::assert_snapshot!(error, @"no token for 111111111111.dkr.ecr.eu-west-3.amazonaws.com (account 111111111111, region eu-west-3): there are no AWS credentials: none in the environment, a profile, a web identity (IRSA), a pod identity or the machine's metadata");
    assert!(aws.server.seen().is_empty());
    assert!(tokens.credential(&"quay.io".parse().unwrap(), ANY_AGE).await.unwrap().is_none());
}

#[tokio::test]
async fn a_token_serves_all_registries_of_its_region_until_half_an_hour_before_its_end() {
    let clock = Clock::new();
    let aws = FakeAws::start(clock.after(720)).await;
    let tokens = tokens(&aws, &clock, &KEYS, &[]);
    let other_account = SOURCE.replace("1111", "3333");
    let hosts = [SOURCE, other_account.as_str()].repeat(10);
    let all = join_all(hosts.iter().map(|host| password(&tokens, host, ANY_AGE))).await;
    assert!(all.iter().all(|one| one.as_deref() == Ok("eu-west-3-AKIASTATIC-0")), "{all:?}");
    clock.pass(689);
    assert_eq!(password(&tokens, SOURCE, ANY_AGE).await.as_deref(), Ok("eu-west-3-AKIASTATIC-0"));
    assert_eq!(aws.tokens_asked(), 1);
    clock.pass(1);
    aws.give(clock.after(720));
    assert_eq!(password(&tokens, SOURCE, ANY_AGE).await.as_deref(), Ok("eu-west-3-AKIASTATIC-1"));
}

#[tokio::test]
async fn who_wants_to_be_sure_has_a_new_token() {
    let clock = Clock::new();
    let aws = FakeAws::start(clock.after(720)).await;
    let tokens = tokens(&aws, &clock, &KEYS, &[]);
    let age = Duration::from_mins(10);
    assert_eq!(password(&tokens, SOURCE, age).await.as_deref(), Ok("eu-west-3-AKIASTATIC-0"));
    clock.pass(10);
    assert_eq!(password(&tokens, SOURCE, age).await.as_deref(), Ok("eu-west-3-AKIASTATIC-0"));
    clock.pass(1);
    assert_eq!(password(&tokens, SOURCE, age).await.as_deref(), Ok("eu-west-3-AKIASTATIC-1"));
    // What is still good is used where no new one is given.
    aws.refuse(400, r#"{"__type":"AccessDeniedException","message":"no"}"#);
    clock.pass(11);
    assert_eq!(password(&tokens, SOURCE, age).await.as_deref(), Ok("eu-west-3-AKIASTATIC-1"));
}

#[tokio::test]
async fn a_refusal_is_reported_with_registry_account_and_region_and_not_repeated_at_once() {
    let clock = Clock::new();
    let aws = FakeAws::start(clock.after(720)).await;
    aws.refuse(
        400,
        r#"{"__type":"AccessDeniedException","message":"User: arn:aws:iam::111111111111:user/x is not authorized to perform: ecr:GetAuthorizationToken on resource: * because no identity-based policy allows it"}"#,
    );
    let tokens = tokens(&aws, &clock, &KEYS, &[]);
    let all = join_all((0..20).map(|_| password(&tokens, SOURCE, ANY_AGE))).await;
    insta::assert_snapshot!(all[0].as_ref().unwrap_err(), @"no token for 111111111111.dkr.ecr.eu-west-3.amazonaws.com (account 111111111111, region eu-west-3): AWS gives no token (HTTP 400): AccessDeniedException: User: arn:aws:iam::111111111111:user/x is not authorized to perform: ecr:GetAuthorizationToken on resource: * because no identity-based policy allows it");
    assert!(all.iter().all(Result::is_err));
    assert_eq!(aws.tokens_asked(), 1);
    clock.pass(1);
    aws.give(clock.after(720));
    assert_eq!(password(&tokens, SOURCE, ANY_AGE).await.as_deref(), Ok("eu-west-3-AKIASTATIC-0"));
}

#[tokio::test]
async fn what_may_pass_is_retried_and_then_reported() {
    let clock = Clock::new();
    let aws = FakeAws::start(clock.after(720)).await;
    aws.refuse(400, r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#);
    let tokens = tokens(&aws, &clock, &KEYS, &[]);
    let error = password(&tokens, SOURCE, ANY_AGE).await.unwrap_err();
    assert!(error.ends_with("(HTTP 400): ThrottlingException: Rate exceeded"), "{error}");
    assert_eq!(aws.tokens_asked(), 3);
}

#[tokio::test]
async fn a_role_that_may_not_be_assumed_is_reported_in_the_words_of_aws_and_shows_no_token() {
    let clock = Clock::new();
    let aws = FakeAws::start(clock.after(720)).await;
    let variables = [
        ("AWS_ROLE_ARN", "arn:aws:iam::111111111111:role/other"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token"),
    ];
    let tokens = tokens(&aws, &clock, &variables, &[("/var/run/token", "hunter2-token")]);
    let error = password(&tokens, SOURCE, ANY_AGE).await.unwrap_err();
    assert!(error.contains("Not authorized to perform sts:AssumeRoleWithWebIdentity"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    assert_eq!(aws.tokens_asked(), 0);
    // Another text each time would be written into a status each time.
    clock.pass(2);
    let before = aws.server.seen().len();
    assert_eq!(password(&tokens, SOURCE, ANY_AGE).await.unwrap_err(), error);
    assert!(aws.server.seen().len() > before, "it was asked again");
}

/// Collects everything that is logged, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        span.record(&mut self.clone());
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

impl tracing::field::Visit for Log {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        writeln!(self.0.lock().unwrap(), "{field}: {value:?}").unwrap();
    }
}

#[tokio::test]
async fn no_secret_of_aws_is_logged_at_any_level() {
    let clock = Clock::new();
    let aws = FakeAws::start(clock.after(720)).await;
    let variables = [
        ("AWS_ROLE_ARN", "arn:aws:iam::111111111111:role/imgop"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token"),
    ];
    let tokens = tokens(&aws, &clock, &variables, &[("/var/run/token", WEB_TOKEN)]);
    let log = Log::default();
    let found = async {
        tracing::trace!("the log is at work");
        password(&tokens, SOURCE, ANY_AGE).await
    };
    assert!(found.with_subscriber(log.clone()).await.is_ok());
    let text = log.0.lock().unwrap().clone();
    assert!(text.contains("the log is at work"), "{text}");
    for secret in [WEB_TOKEN, "web-secret", "web-session", "eu-west-3-ASIAWEB"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn a_wrong_secret_key_is_refused_and_not_shown() {
    let clock = Clock::new();
    let aws = FakeAws::start(clock.after(720)).await;
    let variables = [("AWS_ACCESS_KEY_ID", "AKIASTATIC"), ("AWS_SECRET_ACCESS_KEY", "hunter2")];
    let tokens = tokens(&aws, &clock, &variables, &[]);
    let error = password(&tokens, SOURCE, ANY_AGE).await.unwrap_err();
    assert!(error.contains("InvalidSignatureException") && !error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn an_endpoint_without_tls_is_taken_on_this_machine_alone() {
    let clock = Clock::new();
    let aws = FakeAws::start(clock.after(720)).await;
    let _ = &aws;
    for endpoint in ["http://ecr.example", "ftp://127.0.0.1", "nowhere"] {
        let tokens = EcrTokens::new(EcrSettings::of_environment("test", |name| {
            (name == "AWS_ENDPOINT_URL_ECR").then(|| endpoint.to_owned())
        }));
        let error = tokens.credential(&SOURCE.parse().unwrap(), ANY_AGE).await.unwrap_err();
        assert!(matches!(error.problem, EcrProblem::Settings(_)), "{error}");
    }
    assert!(aws.server.seen().is_empty());
}
