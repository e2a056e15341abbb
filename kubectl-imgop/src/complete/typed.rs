//! What can be read from words that may not be a whole command yet.

use std::path::Path;

use clap::{Parser, ValueEnum as _};
use imgop_core::api::{Side, TlsMode};
use imgop_registry::Tls;

use crate::cluster::ConnectionArgs;
use crate::kinds::{ObjectRef, TypedName};
use crate::registry::local_access::{LocalCredentialArgs, trusting};

/// The flags that lead to a cluster; each takes a value.
const CONNECTION_FLAGS: [&str; 8] =
    ["-n", "--namespace", "--context", "--cluster", "--user", "--kubeconfig", "--as", "--as-group"];

/// Flags that say how registries are reached; each takes a value.
const REGISTRY_FLAGS: [&str; 8] = [
    "--tls",
    "--source-tls",
    "--destination-tls",
    "--ca-file",
    "--source-ca-file",
    "--destination-ca-file",
    "--authfile",
    "--registry-credentials",
];

/// Other flags that take a value and may stand between names.
const OTHER_FLAGS: [&str; 10] = [
    "-o",
    "--output",
    "-l",
    "--selector",
    "--timeout",
    "--for",
    "--tag",
    "--build",
    "--platform",
    "--request-timeout",
];

/// The words that are typed, without the one that is being completed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Typed {
    /// The flags of the connection, with their values.
    connection: Vec<String>,
    /// The flags that say how registries are reached, each with its value.
    registry: Vec<(String, String)>,
    /// Words that are neither flags nor values of flags, without the verb.
    pub names: Vec<String>,
}

impl Typed {
    /// Reads words, the last of which is being completed.
    pub fn before_the_last(mut words: Vec<String>) -> Self {
        words.pop();
        Self::of(words)
    }

    fn of(words: impl IntoIterator<Item = String>) -> Self {
        let mut typed = Self::default();
        let mut plain = Vec::new();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            // `-nci` is `-n ci`.
            if word.len() > 2 && word.starts_with("-n") {
                typed.connection.push(word);
                continue;
            }
            let flag = word.split_once('=').map_or(word.as_str(), |(flag, _)| flag);
            let has_value = flag.len() < word.len();
            if CONNECTION_FLAGS.contains(&flag) {
                let value = if has_value { None } else { words.next() };
                typed.connection.push(word);
                typed.connection.extend(value);
            } else if REGISTRY_FLAGS.contains(&flag) {
                let value = word.split_once('=').map(|(_, value)| value.to_owned()).or_else(|| words.next());
                typed.registry.extend(value.map(|value| (flag.to_owned(), value)));
            } else if OTHER_FLAGS.contains(&flag) {
                if !has_value {
                    words.next();
                }
            } else if !word.starts_with('-') {
                plain.push(word);
            }
        }
        typed.names = plain.split_off(plain.len().min(1));
        typed
    }

    /// Returns the connection that the flags lead to; the default one where they cannot be read.
    pub fn connection(&self) -> ConnectionArgs {
        #[derive(Parser)]
        #[command(no_binary_name = true)]
        struct Flags {
            #[command(flatten)]
            connection: ConnectionArgs,
        }
        Flags::try_parse_from(&self.connection).map(|flags| flags.connection).unwrap_or_default()
    }

    /// Returns how the registry of a side is reached, as far as a flag says so.
    pub fn tls(&self, side: Side) -> Tls {
        let of_side = |name: &str| {
            let (sided, both) = (format!("--{side}-{name}"), format!("--{name}"));
            self.registry.iter().find(|(flag, _)| *flag == sided || *flag == both).map(|(_, value)| value)
        };
        match of_side("tls").and_then(|mode| TlsMode::from_str(mode, true).ok()) {
            Some(TlsMode::PlainHttp) => Tls::PlainHttp,
            Some(TlsMode::SkipVerify) => Tls::SkipVerify,
            mode @ (Some(TlsMode::Verify) | None) => {
                let file = of_side("ca-file").and_then(|file| trusting(Path::new(file)).ok());
                file.unwrap_or(if mode.is_some() { Tls::VerifyEverywhere } else { Tls::default() })
            }
        }
    }

    /// Returns where the credentials of this machine are, by the flags and by the environment.
    pub fn credentials(&self) -> LocalCredentialArgs {
        #[derive(Parser)]
        #[command(no_binary_name = true)]
        struct Flags {
            #[command(flatten)]
            credentials: LocalCredentialArgs,
        }
        let of_credentials = ["--authfile", "--registry-credentials"];
        let given = self.registry.iter().filter(|(flag, _)| of_credentials.contains(&flag.as_str()));
        let given = given.map(|(flag, value)| format!("{flag}={value}"));
        Flags::try_parse_from(given).map(|flags| flags.credentials).unwrap_or_default()
    }

    /// Returns the objects that are named already.
    pub fn objects(&self) -> Vec<TypedName> {
        self.names.iter().filter_map(|name| TypedName::parse(name).ok()).collect()
    }

    /// Returns the same: of the default kind where none is typed.
    pub fn references(&self) -> Vec<ObjectRef> {
        self.objects().iter().map(TypedName::reference).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(words: &str) -> Typed {
        Typed::of(words.split(' ').map(str::to_owned))
    }

    #[test]
    fn the_flags_of_the_connection_are_found_in_what_was_typed() {
        let found = typed("describe -n ci --context=prod --output yaml arg").connection();
        assert_eq!(found.namespace.as_deref(), Some("ci"));
        assert_eq!(typed("-nci").connection().namespace.as_deref(), Some("ci"));
        assert_eq!(typed("-n").connection().namespace, None);
    }

    #[test]
    fn names_are_found_between_flags() {
        assert_eq!(typed("sync -n ci a --no-wait --timeout 5m image/b").names, ["a", "image/b"]);
        assert_eq!(typed("-n ci logs a --tag=1").names, ["a"]);
        assert!(typed("describe").names.is_empty() && typed("-n").names.is_empty());
    }

    #[test]
    fn how_a_registry_is_reached_is_found_in_what_was_typed() {
        assert!(matches!(typed("copy --source-tls plainhttp a").tls(Side::Source), Tls::PlainHttp));
        assert!(matches!(typed("tags --tls=SkipVerify").tls(Side::Source), Tls::SkipVerify));
        assert!(matches!(typed("copy --source-tls PlainHTTP a").tls(Side::Destination), Tls::Verify { .. }));
    }
}
