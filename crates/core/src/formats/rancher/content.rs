//! A configuration in the words of an `ImageMirror`, and back.

use super::{Config, Entry, Exclusion, Read, Schema, Source, Target, TargetKey};
use crate::api::{ImageMirrorSpec, MirrorEntry, MirrorTarget};
use crate::formats::content::once;
use crate::formats::{Content, FormatError, Problem};
use crate::inventory::{FileEntry, Names};

const SECRET: &str = "credentials; put them into a Secret and name it in targets[].credentials";
const PASSWORD: &str =
    "a password that no variable of the environment has; it is in no way back to this file either";
const CONCURRENT: &str =
    "the agent adapts to what a registry bears; an administrator's RegistryAccess can limit it";

impl Read {
    pub(in crate::formats) fn into_content(self) -> Content {
        let Self { config, warnings: mut notes } = self;
        let targets = config.repositories.iter().map(|target| MirrorTarget {
            repository: target.base_url.clone(),
            default: target.is_default,
            ..MirrorTarget::default()
        });
        let mut targets: Vec<MirrorTarget> = targets.collect();
        // Credentials may make several of one.
        let mut seen = std::collections::BTreeSet::new();
        targets.retain(|target| seen.insert(target.repository.clone()));
        let mut entries = Vec::with_capacity(config.entries.len());
        for (at, entry) in config.entries.iter().enumerate() {
            let note = |problem: Problem| FormatError {
                line: entry.line,
                field: format!("{}[{at}]", config.schema.list()),
                problem,
            };
            if entry.tags.is_empty() {
                notes.push(note(Problem::NotCarried("an entry without tags".to_owned())));
                continue;
            }
            let taken = config.named_targets(entry);
            // Where only targets are named that narrow down to none; without any default target it is a mistake.
            let is_nowhere = !entry.targets.is_empty() && taken.is_empty();
            if taken != entry.targets {
                let text = "with Target, TargetRepositories only narrows down: those that are no target are left out";
                notes.push(note(Problem::Changed(text.to_owned())));
            }
            entries.push(FileEntry { line: entry.line, entry: entry.mirrored_to(taken, is_nowhere) });
        }
        Content { targets, entries, notes, ..Content::default() }
    }
}

impl Config {
    /// Returns those of the targets that an entry names which it goes to.
    fn named_targets(&self, entry: &Entry) -> Vec<String> {
        let takes = |name: &&String| {
            self.repositories.iter().any(|target| target.base_url == **name && target.takes(entry))
        };
        entry.targets.iter().filter(takes).cloned().collect()
    }

    /// Returns the configuration of an `ImageMirror`. Its repositories are those of `like`, where that has one of the
    /// same `BaseUrl`, with what a mirror does not say: credentials, and how fields are named.
    ///
    /// # Errors
    /// What a configuration cannot say, with the field of the spec.
    pub fn of_mirror(
        spec: &ImageMirrorSpec,
        entries: &[FileEntry],
        like: Option<Self>,
    ) -> Result<Self, String> {
        let names = Names::read(&spec.naming).map_err(|(field, error)| format!("naming.{field}: {error}"))?;
        let like =
            like.unwrap_or(Self { schema: Schema::Artifacts, entries: Vec::new(), repositories: Vec::new() });
        let key = like.repositories.first().map_or(TargetKey::DefaultTarget, |target| target.key);
        let mut repositories = like.repositories;
        repositories.retain(|known| spec.targets.iter().any(|target| target.repository == known.base_url));
        for target in &spec.targets {
            match repositories.iter_mut().find(|known| known.base_url == target.repository) {
                Some(known) => known.is_default = target.default,
                None => repositories.push(Target::of_mirror(target, key)),
            }
        }
        let entry = |FileEntry { line, entry }: &FileEntry| Entry::of_mirror(*line, entry, &names);
        let entries = entries.iter().map(entry).collect::<Result<_, _>>()?;
        Ok(Self { schema: like.schema, entries, repositories })
    }

    /// Returns what its repositories say and an `ImageMirror` does not.
    pub fn not_carried(&self) -> Vec<FormatError> {
        let notes = self.repositories.iter().enumerate().flat_map(|(at, target)| {
            let said = [
                ("Username", !target.username.is_empty(), SECRET),
                ("Password", !target.password.is_empty(), SECRET),
                ("Password", !target.password.is_empty() && !is_variable(&target.password), PASSWORD),
                ("RepoAuth", target.repo_auth, "tokens are always of one repository"),
                ("ReqConcurrent", target.req_concurrent > 0, CONCURRENT),
            ];
            let said = said.into_iter().filter(|(_, is_said, _)| *is_said);
            said.map(move |(name, _, problem)| FormatError {
                line: target.line,
                field: format!("Repositories[{at}].{name}"),
                problem: Problem::NotCarried(problem.to_owned()),
            })
        });
        once(notes.collect())
    }

    /// Returns the same without entries and without what may be a password: only variables of the environment stay.
    #[must_use]
    pub fn without_entries(&self) -> Self {
        let mut config = Self { entries: Vec::new(), ..self.clone() };
        for target in &mut config.repositories {
            if !is_variable(&target.password) {
                target.password.clear();
            }
        }
        config
    }
}

/// Whether a template is nothing but a variable of the environment: `{{ env "HUB_PASSWORD" }}`.
fn is_variable(template: &str) -> bool {
    let name = || {
        let inner = template.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
        inner.strip_prefix("env")?.trim_start().strip_prefix('"')?.strip_suffix('"')
    };
    let is_letter = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    name().is_some_and(|name| !name.is_empty() && name.bytes().all(is_letter))
}

impl Target {
    fn of_mirror(target: &MirrorTarget, key: TargetKey) -> Self {
        Self {
            line: 0,
            base_url: target.repository.clone(),
            registry: target.repository.split('/').next().unwrap_or_default().to_owned(),
            username: String::new(),
            password: String::new(),
            is_default: target.default,
            key,
            repo_auth: false,
            req_concurrent: 0,
        }
    }
}

impl Entry {
    fn mirrored_to(&self, targets: Vec<String>, is_nowhere: bool) -> MirrorEntry {
        let (excluded, excluded_tags) = match &self.exclusion {
            Exclusion::Unset => (false, Vec::new()),
            Exclusion::All(all) => (*all, Vec::new()),
            Exclusion::Tags(tags) => (false, tags.clone()),
        };
        MirrorEntry {
            source: self.source.as_str().to_owned(),
            tags: self.tags.clone(),
            excluded_tags,
            excluded: excluded || is_nowhere,
            target_name: self.target_name.clone(),
            targets,
        }
    }

    fn of_mirror(line: usize, entry: &MirrorEntry, names: &Names) -> Result<Self, String> {
        let problem = |error: String| format!("{}: {error}", entry.source);
        let source = Source::parse(&entry.source).map_err(problem)?;
        for tag in &entry.tags {
            if tag.parse::<imgop_registry::reference::Tag>().is_err() {
                return Err(problem(format!("{tag:?} is no plain tag, and config.yaml has nothing else")));
            }
        }
        let name = match &entry.target_name {
            Some(name) => name.clone(),
            None => names.name(&entry.source).map_err(|error| problem(error.to_string()))?,
        };
        let exclusion = match entry.excluded_tags.as_slice() {
            _ if entry.excluded => Exclusion::All(true),
            [] => Exclusion::Unset,
            tags => Exclusion::Tags(tags.to_vec()),
        };
        Ok(Self {
            line,
            target_name: Some(name).filter(|name| *name != source.default_name()),
            source,
            tags: entry.tags.clone(),
            exclusion,
            targets: entry.targets.clone(),
        })
    }
}
