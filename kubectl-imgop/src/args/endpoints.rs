//! How the registries on both sides are reached, for every kind that has a source and a destination.

use clap::Args;
use imgop_core::api::{Side, Tls, TlsMode};

use crate::kinds::object_name::parse_name;

/// Credentials and TLS of both sides.
#[derive(Debug, Clone, Default, Args)]
pub struct EndpointArgs {
    /// Secret (kubernetes.io/dockerconfigjson) with the credentials for the source
    #[arg(long, help_heading = "Registries", alias = "src-credentials", value_name = "SECRET")]
    pub source_credentials: Option<String>,

    /// Secret (kubernetes.io/dockerconfigjson) with the credentials for the destination
    #[arg(long, help_heading = "Registries", alias = "dest-credentials", value_name = "SECRET")]
    pub destination_credentials: Option<String>,

    /// Reach the source, an Amazon ECR registry, by the agent's AWS identity (preview and verify: by that of
    /// this machine)
    #[arg(long, help_heading = "Registries", num_args = 0..=1, require_equals = true,
        default_missing_value = "true", value_name = "BOOL", hide_possible_values = true)]
    pub source_use_aws_irsa: Option<bool>,

    /// Reach the destination, an Amazon ECR registry, by the agent's AWS identity (preview and verify: by that
    /// of this machine)
    #[arg(long, help_heading = "Registries", num_args = 0..=1, require_equals = true,
        default_missing_value = "true", value_name = "BOOL", hide_possible_values = true)]
    pub destination_use_aws_irsa: Option<bool>,

    /// How to secure the connection to the source
    #[arg(long, help_heading = "Registries", value_enum, ignore_case = true, value_name = "MODE")]
    pub source_tls: Option<TlsMode>,

    /// How to secure the connection to the destination
    #[arg(long, help_heading = "Registries", value_enum, ignore_case = true, value_name = "MODE")]
    pub destination_tls: Option<TlsMode>,

    /// Secret whose key ca.crt holds additional CA certificates (PEM) for the source
    #[arg(long, help_heading = "Registries", value_name = "SECRET")]
    pub source_ca_secret: Option<String>,

    /// Secret whose key ca.crt holds additional CA certificates (PEM) for the destination
    #[arg(long, help_heading = "Registries", value_name = "SECRET")]
    pub destination_ca_secret: Option<String>,
}

impl EndpointArgs {
    /// Returns how a flag secures the connection to a side.
    pub fn tls(&self, side: Side) -> Option<TlsMode> {
        match side {
            Side::Source => self.source_tls,
            Side::Destination => self.destination_tls,
        }
    }

    /// Returns the Secret with the CA certificates of a side.
    pub fn ca_secret(&self, side: Side) -> Option<&str> {
        match side {
            Side::Source => self.source_ca_secret.as_deref(),
            Side::Destination => self.destination_ca_secret.as_deref(),
        }
    }

    /// Secures the connection to a side. Returns whether that is new.
    pub fn secure(&mut self, side: Side, tls: &Tls) -> bool {
        let before = (self.tls(side).unwrap_or_default(), self.ca_secret(side).map(str::to_owned));
        let (mode, secret) = match side {
            Side::Source => (&mut self.source_tls, &mut self.source_ca_secret),
            Side::Destination => (&mut self.destination_tls, &mut self.destination_ca_secret),
        };
        // What is the default needs no flag.
        *mode = (tls.mode != TlsMode::default()).then_some(tls.mode);
        secret.clone_from(&tls.ca_secret_name);
        before != (tls.mode, tls.ca_secret_name.clone())
    }

    /// Returns the flags of one side alone.
    pub fn of_side(&self, side: Side) -> Self {
        match side {
            Side::Source => Self {
                source_credentials: self.source_credentials.clone(),
                source_use_aws_irsa: self.source_use_aws_irsa,
                source_tls: self.source_tls,
                source_ca_secret: self.source_ca_secret.clone(),
                ..Self::default()
            },
            Side::Destination => Self {
                destination_credentials: self.destination_credentials.clone(),
                destination_use_aws_irsa: self.destination_use_aws_irsa,
                destination_tls: self.destination_tls,
                destination_ca_secret: self.destination_ca_secret.clone(),
                ..Self::default()
            },
        }
    }

    /// Returns the first flag that is given and stands for a field which an object has itself. How the
    /// connections are secured is not among them: that may differ for this machine.
    pub fn first_of_a_spec(&self) -> Option<&'static str> {
        let given = [
            ("--source-credentials", self.source_credentials.is_some()),
            ("--destination-credentials", self.destination_credentials.is_some()),
            ("--source-use-aws-irsa", self.source_use_aws_irsa.is_some()),
            ("--destination-use-aws-irsa", self.destination_use_aws_irsa.is_some()),
            ("--source-ca-secret", self.source_ca_secret.is_some()),
            ("--destination-ca-secret", self.destination_ca_secret.is_some()),
        ];
        given.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag)
    }

    /// Returns what is wrong with the names of Secrets. What was given may be a credential, so it is not
    /// printed.
    pub fn secret_problems(&self) -> Vec<String> {
        let of_credentials = "kubectl create secret docker-registry NAME";
        let of_ca = "kubectl create secret generic NAME --from-file=ca.crt=FILE";
        let given = [
            ("--source-credentials", &self.source_credentials, of_credentials),
            ("--destination-credentials", &self.destination_credentials, of_credentials),
            ("--source-ca-secret", &self.source_ca_secret, of_ca),
            ("--destination-ca-secret", &self.destination_ca_secret, of_ca),
        ];
        let problem = |(flag, name, command): (&str, &Option<String>, &str)| {
            let is_wrong = name.as_ref().is_some_and(|name| parse_name(name).is_err());
            is_wrong.then(|| format!("{flag}: this is not the name of a Secret; create one with: {command}"))
        };
        given.into_iter().filter_map(problem).collect()
    }
}
