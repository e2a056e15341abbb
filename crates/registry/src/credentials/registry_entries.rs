//! Credentials by registry: a YAML list of entries, in the form of k8s-copycat's
//! `registryCredentials`.
//!
//! ```yaml
//! - registry: quay.io/team
//!   username: robot
//!   passwordEnv: QUAY_PASSWORD
//! - registry: "*.corp.example"
//!   registryAliases: [corp.example]
//!   tokenEnv: CORP_TOKEN
//! ```
//!
//! An entry without wildcards comes before one with them, then the longest, then the first.

use std::cmp::Reverse;
use std::fmt;

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::Credential;
use super::glob::RegistryGlob;
use crate::reference::RegistryHost;
use crate::text::clean;

/// The fields of an entry.
const FIELDS: [&str; 8] = [
    "registry",
    "registryAliases",
    "username",
    "usernameEnv",
    "password",
    "passwordEnv",
    "token",
    "tokenEnv",
];

/// The key under which k8s-copycat's configuration has the list.
const COPYCATS_KEY: &str = "registryCredentials";

/// The entries of a file.
#[derive(Debug, Clone, Default)]
pub struct RegistryEntries {
    /// The best match first.
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    glob: RegistryGlob,
    credential: Credential,
}

/// Why a file with entries cannot be used. No value of an entry is quoted, and no name of a variable:
/// users mix up the two.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntriesError {
    /// Not YAML.
    #[error("it is not YAML: line {line}, column {column}")]
    Yaml {
        /// Where, from 1.
        line: u64,
        /// Where, from 1.
        column: u64,
    },
    /// YAML that is something else.
    #[error("it is no list of entries with registry, username and password, or token")]
    NoList,
    /// An entry that cannot be used.
    #[error("{entry}: {field}: {problem}")]
    Entry {
        /// Which.
        entry: EntryName,
        /// Its field, as written in the file.
        field: String,
        /// What is wrong with it.
        problem: EntryProblem,
    },
}

/// Which entry: its place in the file from 1, and its registry where it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryName {
    place: usize,
    registry: Option<String>,
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {}", self.place)?;
        self.registry.iter().try_for_each(|registry| write!(f, " ({registry})"))
    }
}

/// What is wrong with a field of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryProblem {
    /// There is no such field.
    #[error("there is no such field; the fields are {}", FIELDS.join(", "))]
    UnknownField,
    /// A number, a list or something else.
    #[error("it is not text; put quotes around it")]
    NoText,
    /// Not a registry, and no pattern for registries.
    #[error("it is no registry such as quay.io, quay.io/team or *.corp.example")]
    NoRegistry,
    /// There is no credential.
    #[error("it is missing; give username and password, or token")]
    Missing,
    /// A token besides a user name or a password.
    #[error("it does not go with username and password; leave one of them out")]
    TokenAndPassword,
    /// The environment does not have the variable.
    #[error("the environment variable that it names is not set")]
    NotSet,
}

impl RegistryEntries {
    /// Parses a file; `env` returns the values of environment variables. One unusable entry fails the whole
    /// file: left out silently, it would turn into anonymous requests.
    pub fn parse(bytes: &[u8], env: impl Fn(&str) -> Option<String>) -> Result<Self, EntriesError> {
        let text = std::str::from_utf8(bytes).map_err(|_| EntriesError::NoList)?;
        let document: Value = serde_saphyr::from_str(text).map_err(|error| {
            let at = error.location();
            EntriesError::Yaml { line: at.map_or(1, |at| at.line()), column: at.map_or(1, |at| at.column()) }
        })?;
        let list = match document {
            Value::Object(mut fields) => fields.remove(COPYCATS_KEY).unwrap_or(Value::Bool(false)),
            other => other,
        };
        let list = match list {
            Value::Array(list) => list,
            Value::Null => Vec::new(),
            _ => return Err(EntriesError::NoList),
        };
        let mut entries = Vec::new();
        for (index, entry) in list.iter().enumerate() {
            let Value::Object(fields) = entry else { return Err(EntriesError::NoList) };
            Fields { place: index + 1, given: fields, env: &env }.read(&mut entries)?;
        }
        // The sort is stable: of two that are equally specific, the first in the file stays the first.
        entries.sort_by_key(|entry| (!entry.glob.is_exact(), Reverse(entry.glob.length())));
        Ok(Self { entries })
    }

    /// Returns the credential for a repository: that of the most specific entry.
    pub fn credential(&self, host: &RegistryHost, path: &str) -> Option<Credential> {
        self.entries.iter().find(|entry| entry.glob.matches(host, path)).map(|entry| entry.credential.clone())
    }
}

/// One entry of the file.
struct Fields<'a, F> {
    place: usize,
    given: &'a Map<String, Value>,
    env: &'a F,
}

impl<F: Fn(&str) -> Option<String>> Fields<'_, F> {
    /// Adds the entry, once for each of its names.
    fn read(&self, entries: &mut Vec<Entry>) -> Result<(), EntriesError> {
        if let Some(key) = self.given.keys().find(|key| !FIELDS.contains(&key.as_str())) {
            // Only what looks like the name of a field is repeated.
            let is_name = key.len() <= 20 && key.bytes().all(|b| b.is_ascii_alphabetic());
            return Err(self.error(if is_name { key } else { "…" }, EntryProblem::UnknownField));
        }
        let credential = self.credential()?;
        let registry = self.text("registry")?.unwrap_or_default();
        let aliases = match self.given.get("registryAliases") {
            None | Some(Value::Null) => [].as_slice(),
            Some(Value::Array(aliases)) => aliases.as_slice(),
            Some(_) => return Err(self.error("registryAliases", EntryProblem::NoRegistry)),
        };
        let aliases = aliases.iter().map(|alias| ("registryAliases", alias.as_str().unwrap_or_default()));
        for (field, name) in std::iter::once(("registry", registry)).chain(aliases) {
            let glob =
                RegistryGlob::parse(name).ok_or_else(|| self.error(field, EntryProblem::NoRegistry))?;
            entries.push(Entry { glob, credential: credential.clone() });
        }
        Ok(())
    }

    fn credential(&self) -> Result<Credential, EntriesError> {
        let is_given = |field: &str| self.given.get(field).is_some_and(|v| !v.is_null() && v != "");
        let basic = ["username", "usernameEnv", "password", "passwordEnv"];
        let token = ["token", "tokenEnv"].into_iter().find(|field| is_given(field));
        if let Some(field) = token {
            if basic.into_iter().any(is_given) {
                return Err(self.error(field, EntryProblem::TokenAndPassword));
            }
            return Ok(Credential::RegistryToken(self.value("token", "tokenEnv")?.into()));
        }
        let username = self.value("username", "usernameEnv")?;
        let password: SecretString = self.value("password", "passwordEnv")?.into();
        Ok(Credential::Basic { username, password })
    }

    /// Returns the value of a variable that is set and not empty, else the text of the field itself.
    fn value(&self, literal: &'static str, variable: &'static str) -> Result<String, EntriesError> {
        let named = self.text(variable)?;
        if let Some(value) = named.and_then(self.env).filter(|value| !value.is_empty()) {
            return Ok(value);
        }
        match self.text(literal)? {
            Some(value) => Ok(value.to_owned()),
            None if named.is_some() => Err(self.error(variable, EntryProblem::NotSet)),
            None => Err(self.error(literal, EntryProblem::Missing)),
        }
    }

    /// Returns the text of a field; `None` if it is absent or empty.
    fn text(&self, field: &'static str) -> Result<Option<&str>, EntriesError> {
        match self.given.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(self.error(field, EntryProblem::NoText)),
        }
    }

    fn error(&self, field: &str, problem: EntryProblem) -> EntriesError {
        // Shown only where it is a registry: a password may be in the wrong field.
        let registry = self.given.get("registry").and_then(Value::as_str);
        let registry = registry.filter(|text| RegistryGlob::parse(text).is_some());
        let registry = registry.map(|text| clean(text, &[]));
        EntriesError::Entry {
            entry: EntryName { place: self.place, registry },
            field: field.to_owned(),
            problem,
        }
    }
}

#[cfg(test)]
mod tests;
