//! Which variable has which value where: ARG, ENV, and what builders set by themselves.

use std::collections::BTreeMap;

use imgop_registry::oci::PlatformSelector;

use super::instruction::{Assignment, Detail, Instruction};
use super::substitution::expand;

/// ARGs that need no declaration in a RUN, and end in no image.
pub(super) const PROXIES: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// The values of variables at one place of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    arguments: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
}

/// What is known before the first instruction.
#[derive(Debug)]
pub(super) struct Given<'a> {
    /// The values that ARGs are given.
    pub(super) arguments: &'a BTreeMap<String, String>,
    /// `TARGETPLATFORM` and so on.
    platforms: BTreeMap<String, String>,
}

impl<'a> Given<'a> {
    /// Returns what is known for a platform.
    pub(super) fn new(
        arguments: &'a BTreeMap<String, String>,
        target: &PlatformSelector,
        build: &PlatformSelector,
    ) -> Self {
        let mut platforms = BTreeMap::new();
        for (prefix, platform) in [("TARGET", target), ("BUILD", build)] {
            let parts = [
                ("PLATFORM", platform.to_string()),
                ("OS", platform.os().to_owned()),
                ("ARCH", platform.architecture().to_owned()),
                ("VARIANT", platform.variant().unwrap_or_default().to_owned()),
            ];
            platforms.extend(parts.map(|(name, value)| (format!("{prefix}{name}"), value)));
        }
        Self { arguments, platforms }
    }

    /// Returns the value of a variable that builders set by themselves.
    pub(super) fn automatic(&self, name: &str) -> Option<String> {
        let automatic = self.platforms.get(name)?;
        Some(self.arguments.get(name).unwrap_or(automatic).clone())
    }

    /// Whether a builder sets a variable by itself.
    pub(super) fn is_automatic(&self, name: &str) -> bool {
        self.platforms.contains_key(name)
    }
}

impl Scope {
    /// Returns what FROM sees: the ARGs in front of the first one.
    pub(super) fn of_preamble(preamble: &[Instruction], given: &Given<'_>) -> Self {
        let mut scope = Self::default();
        for instruction in preamble {
            if let Detail::Arg(arguments) = &instruction.detail {
                for argument in arguments {
                    let value = given.arguments.get(&argument.name).cloned();
                    let value = value.or_else(|| scope.expanded(argument.value.as_deref()?, Some(given)));
                    scope.declare(argument, value);
                }
            }
        }
        scope
    }

    /// Returns what the first instruction of a stage sees that builds on a stage with this scope, or on an image.
    pub(super) fn of_stage(base: Option<&Self>) -> Self {
        let environment = base.map(|base| base.environment.clone()).unwrap_or_default();
        Self { arguments: BTreeMap::new(), environment }
    }

    /// Takes an ARG or ENV in.
    pub(super) fn take(&mut self, instruction: &Instruction, preamble: &Self, given: &Given<'_>) {
        match &instruction.detail {
            Detail::Arg(arguments) => {
                for argument in arguments {
                    let name = &argument.name;
                    let value = given.arguments.get(name).cloned();
                    let value = value.or_else(|| self.expanded(argument.value.as_deref()?, None));
                    let global = || preamble.arguments.get(name).cloned();
                    let value = value.or_else(|| {
                        argument.value.is_none().then(|| global().or_else(|| given.automatic(name)))?
                    });
                    self.declare(argument, value);
                }
            }
            Detail::Env(variables) => {
                for variable in variables {
                    let value = variable.value.as_deref().and_then(|value| self.expanded(value, None));
                    self.set(variable, value);
                }
            }
            _ => {}
        }
    }

    /// Returns the value of a variable. ENV goes before ARG.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.environment.get(name).or_else(|| self.arguments.get(name)).cloned()
    }

    fn declare(&mut self, argument: &Assignment, value: Option<String>) {
        match value {
            Some(value) => self.arguments.insert(argument.name.clone(), value),
            None => self.arguments.remove(&argument.name),
        };
    }

    fn set(&mut self, variable: &Assignment, value: Option<String>) {
        match value {
            Some(value) => self.environment.insert(variable.name.clone(), value),
            None => self.environment.remove(&variable.name),
        };
    }

    /// Returns a text with its variables replaced; none if that cannot be known.
    fn expanded(&self, text: &str, given: Option<&Given<'_>>) -> Option<String> {
        let value = |name: &str| self.get(name).or_else(|| given?.automatic(name));
        Some(expand(text, &value).ok()?.text)
    }
}
