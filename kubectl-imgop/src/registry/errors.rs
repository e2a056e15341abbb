//! Explains registry errors to the user of this machine.

use imgop_core::api::Side;
use imgop_core::copy::ObserveError;
use imgop_registry::reference::RegistryHost;
use imgop_registry::{Reason, Unreachable};

use super::local_access::{Origin, Role};
use crate::cli_error::CliError;
use crate::output::wording::Wording;

/// How the registries were reached.
#[derive(Debug, Clone)]
pub struct ErrorContext {
    /// Whether problems are explained by flags or by fields.
    pub wording: Wording,
    /// Where the access to the source comes from.
    pub source: Origin,
    /// Where the access to the destination comes from.
    pub destination: Origin,
    /// Whether this program copies, and no agent does.
    pub copies_here: bool,
}

/// Returns what a failed observation means, with hints.
pub fn explain(error: &ObserveError, context: &ErrorContext) -> CliError {
    let failed = CliError::failed(context.wording.of(&error.to_string()));
    match error {
        ObserveError::Registry { side, error } => {
            let registry = Registry { side: *side, host: error.repository().host(), context };
            registry.hints(error.reason()).into_iter().fold(failed, CliError::hinted)
        }
        ObserveError::TooManyTags { count, .. } | ObserveError::TooManyNamed { count, .. } => {
            let flag = format!("--max-tags {count}");
            failed.hinted(if context.copies_here {
                format!("to copy all of them: {flag}")
            } else {
                format!("the agent rejects it too; to see the tags anyway: {flag}")
            })
        }
        ObserveError::TooManyReferrers { .. } | ObserveError::Naming(_) | ObserveError::TooSlow { .. } => {
            failed
        }
    }
}

/// How something is set for the agent.
#[derive(Clone, Copy)]
struct Setting {
    /// The flag, without what stands in front of it for a side.
    flag: &'static str,
    /// The field of the registry.
    field: &'static str,
}

const CREDENTIALS: Setting = Setting { flag: "credentials", field: "credentials.secretName" };
const TLS_MODE: Setting = Setting { flag: "tls", field: "tls.mode" };
const CA_SECRET: Setting = Setting { flag: "ca-secret", field: "tls.caSecretName" };

/// The registry that failed.
struct Registry<'a> {
    side: Side,
    host: &'a RegistryHost,
    context: &'a ErrorContext,
}

impl Registry<'_> {
    /// Returns what to set for the agent: a flag, or the field that it becomes.
    fn setting(&self, setting: Setting, value: &str) -> String {
        let Setting { flag, field } = setting;
        let (side, host) = (self.side, self.host);
        match (self.origin().role, self.context.wording) {
            (Role::Alone, _) | (Role::Pushed, Wording::Flags) => format!("--{flag} {value}"),
            (Role::Side | Role::SubmittedSide | Role::MirrorSource | Role::MirrorTarget, Wording::Flags) => {
                format!("--{side}-{flag} {value}")
            }
            (Role::Side | Role::SubmittedSide, Wording::Fields) => format!("spec.{side}.{field}: {value}"),
            (Role::Pushed, Wording::Fields) => format!("spec.image.{field}: {value}"),
            (Role::BaseImages, Wording::Flags) => format!("--registry {host},{flag}={value}"),
            (Role::BaseImages, Wording::Fields) => {
                format!("spec.registries: [{{host: \"{host}\", {}}}]", in_braces(field, value))
            }
            (Role::MirrorSource, Wording::Fields) => {
                format!("spec.sources: [{{registry: \"{host}\", {}}}]", in_braces(field, value))
            }
            (Role::MirrorTarget, Wording::Fields) => {
                format!("{field}: {value} of its entry in spec.targets")
            }
        }
    }

    /// Returns the flag for the certificates that this machine trusts.
    fn ca_flag(&self) -> String {
        match (self.origin().role, self.context.wording) {
            (Role::Alone, _) | (Role::BaseImages | Role::Pushed, Wording::Flags) => "--ca-file".to_owned(),
            // What copies by the specs of files has one flag for both sides.
            (_, Wording::Fields) if self.context.copies_here => "--ca-file".to_owned(),
            _ => format!("--{}-ca-file", self.side),
        }
    }

    fn hints(&self, reason: &Reason) -> Vec<String> {
        let host = self.host;
        match reason {
            Reason::Unauthorized => self.credential_hints(),
            Reason::Forbidden => {
                let permission = match self.side {
                    Side::Source => "pull from",
                    Side::Destination => "pull from and push to",
                };
                vec![format!("the account needs permission to {permission} this repository")]
            }
            Reason::RepositoryNotFound => vec![
                "check the name of the repository; some registries answer the same when credentials are missing"
                    .to_owned(),
            ],
            Reason::RateLimited { retry_after } => {
                let when = retry_after.map(|wait| format!("retry in {} seconds", wait.as_secs()));
                let account = format!("log in for a higher limit: docker login {host}");
                let account = (!self.origin().is_of_secret).then_some(account);
                when.into_iter().chain(account).collect()
            }
            Reason::Unreachable(how) => {
                self.implied_registry().into_iter().chain(self.connection_hints(*how)).collect()
            }
            Reason::Unavailable => vec![self.check_connection()],
            Reason::Rejected
            | Reason::Schema1
            | Reason::Protocol
            | Reason::TooLarge { .. }
            | Reason::Refused
            | Reason::Settings => Vec::new(),
        }
    }

    fn origin(&self) -> &Origin {
        match self.side {
            Side::Source => &self.context.source,
            Side::Destination => &self.context.destination,
        }
    }

    /// Returns hints on a credential that is not accepted, or not given.
    fn credential_hints(&self) -> Vec<String> {
        let (host, origin) = (self.host, self.origin());
        let create = |name: &str| {
            format!(
                "kubectl create secret docker-registry {name} --docker-server={host} --docker-username=… \
                 --docker-password=…"
            )
        };
        let has_flags = origin.role != Role::SubmittedSide;
        let authfile = if has_flags { ", or --authfile FILE" } else { "" };
        let on_this_machine = format!("on this machine: docker login {host}{authfile}");
        match &origin.secret {
            Some(name) if origin.is_of_secret => vec![
                format!(
                    "{host} does not accept the credentials of Secret {name}; delete it, then: {}",
                    create(name)
                ),
                "to try others on this machine: --authfile FILE".to_owned(),
            ]
            .into_iter()
            .take(if has_flags { 2 } else { 1 })
            .collect(),
            _ if !self.concerns_an_agent() => vec![on_this_machine],
            Some(name) => vec![on_this_machine, format!("the agent uses Secret {name}")],
            None => vec![
                on_this_machine,
                format!("for the agent: {}, then {}", create("NAME"), self.setting(CREDENTIALS, "NAME")),
            ],
        }
    }

    /// Returns which registry a name without one means: whoever has left it out never named that host.
    fn implied_registry(&self) -> Option<String> {
        self.host.is_docker_hub().then(|| {
            "a name without a registry, such as acme/app, means docker.io; another registry is written in front: \
             registry.example.com/acme/app"
                .to_owned()
        })
    }

    fn connection_hints(&self, how: Unreachable) -> Vec<String> {
        let host = self.host;
        let tls_mode = |mode: &str| self.setting(TLS_MODE, mode);
        match how {
            Unreachable::Dns => {
                vec!["check the name of the registry; this machine must be able to resolve it".to_owned()]
            }
            Unreachable::Tls => self.certificate_hints(),
            Unreachable::NoTls => {
                let plain = format!("if {host} uses plain HTTP: {}", tls_mode("PlainHTTP"));
                let port = format!("if it uses HTTPS on another port: {host}:PORT");
                if host.as_str().contains(':') { vec![plain] } else { vec![plain, port] }
            }
            Unreachable::WantsTls if host.is_loopback() => {
                let plain = "registries of this machine are asked over plain HTTP, unless a CA or another mode is given";
                [vec![plain.to_owned()], self.certificate_hints()].concat()
            }
            Unreachable::WantsTls => vec![format!("if {host} uses HTTPS, omit {}", tls_mode("PlainHTTP"))],
            Unreachable::Connect | Unreachable::Timeout | Unreachable::Interrupted => {
                vec![self.check_connection()]
            }
        }
    }

    /// Returns hints on a certificate that is not trusted: the CA that is given is the wrong one, or none is
    /// given.
    fn certificate_hints(&self) -> Vec<String> {
        let (host, origin) = (self.host, self.origin());
        let skip = self.setting(TLS_MODE, "SkipVerify");
        let any = format!("to accept any certificate, if the network is trusted: {skip}");
        if let Some(given) = &origin.ca {
            let other = format!("{given} does not contain the CA that signed the certificate of {host}");
            return vec![other, any];
        }
        let on_this_machine = (origin.role != Role::SubmittedSide)
            .then(|| format!("trust the certificate of its CA on this machine: {} FILE", self.ca_flag()));
        let for_the_agent = match &origin.ca_secret {
            _ if !self.concerns_an_agent() => None,
            Some(name) => Some(format!("the agent trusts the CA in Secret {name}, which was not read here")),
            None => Some(format!(
                "for the agent: kubectl create secret generic NAME --from-file=ca.crt=FILE, then {}",
                self.setting(CA_SECRET, "NAME")
            )),
        };
        on_this_machine.into_iter().chain(for_the_agent).chain([any]).collect()
    }

    fn check_connection(&self) -> String {
        let check = format!("check that {} is reachable from this machine", self.host);
        if self.concerns_an_agent() { format!("{check}; the agent may reach it all the same") } else { check }
    }

    /// Returns whether an agent asks the registry too.
    fn concerns_an_agent(&self) -> bool {
        !self.context.copies_here && self.origin().role != Role::Alone
    }
}

/// Returns a field as it stands in an entry of a list: `tls: {mode: PlainHTTP}`.
fn in_braces(field: &str, value: &str) -> String {
    match field.split_once('.') {
        Some((outer, inner)) => format!("{outer}: {{{inner}: {value}}}"),
        None => format!("{field}: {value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hints_with(how: Unreachable, wording: Wording, source_ca: Option<&str>) -> String {
        let repository = "registry.corp:5000/a".parse::<imgop_registry::reference::Repository>().unwrap();
        let source = Origin { ca: source_ca.map(str::to_owned), ..Origin::default() };
        let context = ErrorContext { wording, source, destination: Origin::default(), copies_here: false };
        let registry = Registry { side: Side::Source, host: repository.host(), context: &context };
        registry.hints(&Reason::Unreachable(how)).join("\n")
    }

    fn hints(how: Unreachable, wording: Wording) -> String {
        hints_with(how, wording, None)
    }

    #[test]
    fn a_ca_that_does_not_fit_is_named_instead_of_a_setting_that_is_set_already() {
        insta::assert_snapshot!(hints_with(Unreachable::Tls, Wording::Fields, Some("Secret corp-ca")), @"
        Secret corp-ca does not contain the CA that signed the certificate of registry.corp:5000
        to accept any certificate, if the network is trusted: spec.source.tls.mode: SkipVerify
        ");
    }

    #[test]
    fn a_ca_secret_that_was_not_read_is_not_blamed() {
        let repository = "registry.corp:5000/a".parse::<imgop_registry::reference::Repository>().unwrap();
        let source = Origin { ca_secret: Some("corp-ca".to_owned()), ..Origin::default() };
        let context = ErrorContext {
            wording: Wording::Fields,
            source,
            destination: Origin::default(),
            copies_here: false,
        };
        let registry = Registry { side: Side::Source, host: repository.host(), context: &context };
        insta::assert_snapshot!(registry.hints(&Reason::Unreachable(Unreachable::Tls)).join("\n"), @"
        trust the certificate of its CA on this machine: --source-ca-file FILE
        the agent trusts the CA in Secret corp-ca, which was not read here
        to accept any certificate, if the network is trusted: spec.source.tls.mode: SkipVerify
        ");
    }

    fn hints_where_it_copies(reason: &Reason, host: &str) -> String {
        let repository = format!("{host}/a").parse::<imgop_registry::reference::Repository>().unwrap();
        let (source, destination) = (Origin::default(), Origin::default());
        let context = ErrorContext { wording: Wording::Flags, source, destination, copies_here: true };
        let registry = Registry { side: Side::Destination, host: repository.host(), context: &context };
        registry.hints(reason).join("\n")
    }

    #[test]
    fn where_this_program_copies_no_hint_is_for_an_agent() {
        use Unreachable::{Connect, Tls};
        let reasons = [Reason::Unauthorized, Reason::Unreachable(Connect), Reason::Unreachable(Tls)];
        let hints = reasons.map(|reason| hints_where_it_copies(&reason, "registry.corp:5000"));
        insta::assert_snapshot!(hints.join("\n"), @"
        on this machine: docker login registry.corp:5000, or --authfile FILE
        check that registry.corp:5000 is reachable from this machine
        trust the certificate of its CA on this machine: --destination-ca-file FILE
        to accept any certificate, if the network is trusted: --destination-tls SkipVerify
        ");
    }

    #[test]
    fn where_docker_hub_cannot_be_reached_it_is_said_that_a_name_without_a_registry_means_it() {
        let unresolved = Reason::Unreachable(Unreachable::Dns);
        insta::assert_snapshot!(hints_where_it_copies(&unresolved, "docker.io"), @"
        a name without a registry, such as acme/app, means docker.io; another registry is written in front: registry.example.com/acme/app
        check the name of the registry; this machine must be able to resolve it
        ");
        insta::assert_snapshot!(hints_where_it_copies(&unresolved, "registry.corp:5000"), @"check the name of the registry; this machine must be able to resolve it");
    }

    #[test]
    fn a_registry_of_this_machine_that_wants_tls_is_no_fault_of_a_mode_that_was_never_given() {
        let wants_tls = Reason::Unreachable(Unreachable::WantsTls);
        insta::assert_snapshot!(hints_where_it_copies(&wants_tls, "127.0.0.1:5000"), @"
        registries of this machine are asked over plain HTTP, unless a CA or another mode is given
        trust the certificate of its CA on this machine: --destination-ca-file FILE
        to accept any certificate, if the network is trusted: --destination-tls SkipVerify
        ");
    }

    #[test]
    fn the_access_to_base_images_and_to_what_is_pushed_is_set_by_flags_and_fields_of_a_build() {
        use Unreachable::{NoTls, Tls};
        let repository = "registry.corp:5000/a".parse::<imgop_registry::reference::Repository>().unwrap();
        let hints = |role: Role, wording: Wording, how: Unreachable| {
            let source = Origin { role, ..Origin::default() };
            let context =
                ErrorContext { wording, source, destination: Origin::default(), copies_here: false };
            let registry = Registry { side: Side::Source, host: repository.host(), context: &context };
            registry.hints(&Reason::Unreachable(how)).join("\n")
        };
        insta::assert_snapshot!(hints(Role::BaseImages, Wording::Flags, NoTls), @"if registry.corp:5000 uses plain HTTP: --registry registry.corp:5000,tls=PlainHTTP");
        insta::assert_snapshot!(hints(Role::BaseImages, Wording::Fields, NoTls), @r#"if registry.corp:5000 uses plain HTTP: spec.registries: [{host: "registry.corp:5000", tls: {mode: PlainHTTP}}]"#);
        insta::assert_snapshot!(hints(Role::BaseImages, Wording::Flags, Tls), @"
        trust the certificate of its CA on this machine: --ca-file FILE
        for the agent: kubectl create secret generic NAME --from-file=ca.crt=FILE, then --registry registry.corp:5000,ca-secret=NAME
        to accept any certificate, if the network is trusted: --registry registry.corp:5000,tls=SkipVerify
        ");
        insta::assert_snapshot!(hints(Role::Pushed, Wording::Flags, NoTls), @"if registry.corp:5000 uses plain HTTP: --tls PlainHTTP");
        insta::assert_snapshot!(hints(Role::Pushed, Wording::Fields, NoTls), @"if registry.corp:5000 uses plain HTTP: spec.image.tls.mode: PlainHTTP");
    }

    #[test]
    fn the_access_of_a_mirror_is_set_by_the_fields_that_it_has() {
        let repository = "registry.corp:5000/a".parse::<imgop_registry::reference::Repository>().unwrap();
        let hints = |role: Role| {
            let source = Origin { role, ..Origin::default() };
            let destination = Origin::default();
            let context = ErrorContext { wording: Wording::Fields, source, destination, copies_here: false };
            let registry = Registry { side: Side::Source, host: repository.host(), context: &context };
            registry.hints(&Reason::Unreachable(Unreachable::NoTls)).join("\n")
        };
        insta::assert_snapshot!(hints(Role::MirrorSource), @r#"if registry.corp:5000 uses plain HTTP: spec.sources: [{registry: "registry.corp:5000", tls: {mode: PlainHTTP}}]"#);
        insta::assert_snapshot!(hints(Role::MirrorTarget), @"if registry.corp:5000 uses plain HTTP: tls.mode: PlainHTTP of its entry in spec.targets");
    }

    #[test]
    fn the_likeliest_cause_of_a_failed_connection_comes_first() {
        insta::assert_snapshot!(hints(Unreachable::NoTls, Wording::Flags), @"if registry.corp:5000 uses plain HTTP: --source-tls PlainHTTP");
        insta::assert_snapshot!(hints(Unreachable::WantsTls, Wording::Fields), @"if registry.corp:5000 uses HTTPS, omit spec.source.tls.mode: PlainHTTP");
        insta::assert_snapshot!(hints(Unreachable::Tls, Wording::Flags), @"
        trust the certificate of its CA on this machine: --source-ca-file FILE
        for the agent: kubectl create secret generic NAME --from-file=ca.crt=FILE, then --source-ca-secret NAME
        to accept any certificate, if the network is trusted: --source-tls SkipVerify
        ");
        insta::assert_snapshot!(hints(Unreachable::Tls, Wording::Fields), @"
        trust the certificate of its CA on this machine: --source-ca-file FILE
        for the agent: kubectl create secret generic NAME --from-file=ca.crt=FILE, then spec.source.tls.caSecretName: NAME
        to accept any certificate, if the network is trusted: spec.source.tls.mode: SkipVerify
        ");
    }
}
