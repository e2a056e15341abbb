//! A file of regsync beside rancher's configuration, of tags that are copied again when they move: `follow` of a mirror.

use std::collections::{BTreeSet, HashMap};

use imgop_registry::reference::Repository;

use crate::api::{ImageMirrorSpec, MirrorEntry, Referrers};
use crate::formats::{Content, FormatError, Problem, Settings};
use crate::inventory::{FileEntry, Names};

/// What such a file does to a mirror, besides its `follow`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Daily {
    /// What of the file is not carried, or otherwise, with its line.
    pub notes: Vec<FormatError>,
    /// Tags that follow their source although the file does not say so, as `SOURCE:TAG`.
    pub also_followed: Vec<String>,
}

/// Makes tags of a mirror follow their source that a file names. Those that no entry has are added.
pub fn follow_daily(spec: &mut ImageMirrorSpec, daily: Content) -> Daily {
    let Content { targets, entries, sources, settings, mut notes } = daily;
    notes.extend(of_settings(&settings));
    for target in targets.iter().filter(|target| target.tls.is_some()) {
        let is_there = |repository: &str| repository.split('/').next() == target.repository.split('/').next();
        for known in
            spec.targets.iter_mut().filter(|known| known.tls.is_none() && is_there(&known.repository))
        {
            known.tls.clone_from(&target.tls);
        }
    }
    for source in sources {
        if !spec.sources.iter().any(|known| known.registry == source.registry) {
            spec.sources.push(source);
        }
    }
    let defaults: Vec<String> = targets.into_iter().map(|target| target.repository).collect();
    let mut known = Known::of(spec);
    let (mut daily, mut follow) = (BTreeSet::new(), BTreeSet::new());
    for FileEntry { line, entry } in entries {
        let place = place(&entry.source);
        daily.extend(entry.tags.iter().map(|tag| (place.clone(), tag.clone())));
        follow.extend(entry.tags.iter().cloned());
        let missing: Vec<String> =
            entry.tags.iter().filter(|tag| !known.has(spec, &place, tag)).cloned().collect();
        if missing.is_empty() {
            continue;
        }
        let references =
            missing.iter().map(|tag| format!("{}:{tag}", entry.source)).collect::<Vec<_>>().join(", ");
        let problem = match known.add(spec, &defaults, &entry, missing) {
            Ok(()) => Problem::Changed(format!("{references}: no entry has it, so it is added")),
            Err(why) => Problem::LeftOut(format!("{references}: {why}")),
        };
        notes.push(FormatError { line, field: String::new(), problem });
    }
    let is_asked = |source: &str, tag: &String| daily.contains(&(place(source), tag.clone()));
    let also = spec.entries.iter().flat_map(|entry| {
        let tags = entry.tags.iter().filter(|tag| follow.contains(*tag) && !is_asked(&entry.source, tag));
        tags.map(|tag| format!("{}:{tag}", entry.source))
    });
    let also_followed = also.collect();
    spec.follow = follow.into_iter().collect();
    Daily { notes, also_followed }
}

/// Returns that what the file says of all its tags is not carried.
fn of_settings(settings: &Settings) -> Option<FormatError> {
    let said = [
        ("interval", settings.frequency.is_some()),
        ("schedule", settings.schedule.is_some()),
        ("platforms", !settings.platforms.is_empty()),
        ("referrers", settings.referrers != Referrers::default()),
    ];
    let said: Vec<&str> = said.into_iter().filter(|(_, is_said)| *is_said).map(|(name, _)| name).collect();
    (!said.is_empty()).then(|| {
        let problem = format!("{}; an ImageMirror has one of each for all its tags", said.join(", "));
        FormatError { line: 1, field: String::new(), problem: Problem::NotCarried(problem) }
    })
}

/// A source repository, however it is written.
fn place(source: &str) -> String {
    source.parse::<Repository>().map_or_else(|_| source.to_owned(), |repository| repository.to_string())
}

/// The entries of a mirror by their sources.
struct Known(HashMap<String, Vec<usize>>);

impl Known {
    fn of(spec: &ImageMirrorSpec) -> Self {
        let mut known: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, entry) in spec.entries.iter().enumerate() {
            known.entry(place(&entry.source)).or_default().push(at);
        }
        Self(known)
    }

    fn of_place<'a>(
        &self,
        spec: &'a ImageMirrorSpec,
        place: &str,
    ) -> impl Iterator<Item = (usize, &'a MirrorEntry)> {
        self.0.get(place).into_iter().flatten().filter_map(|at| Some((*at, spec.entries.get(*at)?)))
    }

    fn has(&self, spec: &ImageMirrorSpec, place: &str, tag: &str) -> bool {
        self.of_place(spec, place).any(|(_, entry)| entry.tags.iter().any(|known| known == tag))
    }

    /// Adds tags to the entry with the source and the name of another one, or makes that entry.
    fn add(
        &mut self,
        spec: &mut ImageMirrorSpec,
        defaults: &[String],
        entry: &MirrorEntry,
        tags: Vec<String>,
    ) -> Result<(), String> {
        let (name, targets) = destinations(spec, defaults, entry)?;
        let place = place(&entry.source);
        let found = self.of_place(spec, &place).find(|(_, known)| effective_name(known) == name);
        let found = found.map(|(at, known)| (at, known.excluded));
        match found {
            Some((_, true)) => Err("its entry says DoNotMirror".to_owned()),
            Some((at, false)) => {
                spec.entries[at].tags.extend(tags);
                Ok(())
            }
            None => {
                let mut new =
                    MirrorEntry { source: entry.source.clone(), tags, targets, ..MirrorEntry::default() };
                if effective_name(&new) != name {
                    new.target_name = Some(name);
                }
                self.0.entry(place).or_default().push(spec.entries.len());
                spec.entries.push(new);
                Ok(())
            }
        }
    }
}

/// Returns the name of an entry at the targets of a mirror, and which of those it goes to; none where it is all default ones.
fn destinations(
    spec: &ImageMirrorSpec,
    defaults: &[String],
    entry: &MirrorEntry,
) -> Result<(String, Vec<String>), String> {
    let of_file = if entry.targets.is_empty() { defaults } else { entry.targets.as_slice() };
    let (mut names, mut targets) = (BTreeSet::new(), BTreeSet::new());
    for target in of_file {
        let whole = format!("{target}/{}", effective_name(entry));
        let below = |known: &str| whole.strip_prefix(known)?.strip_prefix('/').map(str::to_owned);
        let found =
            spec.targets.iter().filter_map(|known| Some((&known.repository, below(&known.repository)?)));
        let (known, name) = found
            .max_by_key(|(known, _)| known.len())
            .ok_or_else(|| format!("it goes to {whole}, which is in no repository of the configuration"))?;
        targets.insert(known.clone());
        names.insert(name);
    }
    let all: BTreeSet<String> =
        spec.targets.iter().filter(|target| target.default).map(|target| target.repository.clone()).collect();
    let targets = if targets == all { Vec::new() } else { targets.into_iter().collect() };
    match Vec::from_iter(names).as_slice() {
        [name] => Ok((name.clone(), targets)),
        _ => Err("it has several names at the repositories of the configuration".to_owned()),
    }
}

fn effective_name(entry: &MirrorEntry) -> String {
    let default = || Names::default().name(&entry.source).unwrap_or_default();
    entry.target_name.clone().unwrap_or_else(default)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::MirrorTarget;
    use crate::formats::{Format, read};

    fn spec() -> ImageMirrorSpec {
        let target = |repository: &str, default| MirrorTarget {
            repository: repository.to_owned(),
            default,
            ..MirrorTarget::default()
        };
        let entry = |source: &str, tags: &[&str]| MirrorEntry {
            source: source.to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            ..MirrorEntry::default()
        };
        ImageMirrorSpec {
            targets: vec![target("docker.io/acme", true), target("r.io/m", true), target("q.io/m", false)],
            entries: vec![
                entry("neuvector/scanner", &["latest", "1"]),
                entry("neuvector/manager", &["1"]),
                entry("x/y", &["latest"]),
            ],
            ..ImageMirrorSpec::default()
        }
    }

    fn followed(sync: &str) -> (ImageMirrorSpec, Daily) {
        let mut spec = spec();
        let daily = follow_daily(&mut spec, read(sync, Format::Regsync).unwrap());
        (spec, daily)
    }

    #[test]
    fn a_tag_of_the_daily_file_that_no_entry_has_is_added_or_named() {
        let step = |source: &str, target: &str| {
            format!("- {{source: '{source}', target: '{target}', type: image}}\n")
        };
        let sync = [
            step("docker.io/neuvector/scanner:latest", "docker.io/acme/mirrored-neuvector-scanner:latest"),
            step("neuvector/manager:nightly", "docker.io/acme/mirrored-neuvector-manager:nightly"),
            step("docker.io/neuvector/updater:latest", "docker.io/acme/mirrored-neuvector-updater:latest"),
            step("neuvector/prober:latest", "q.io/m/prober:latest"),
            step("neuvector/other:latest", "elsewhere.io/m/other:latest"),
        ];
        let (spec, daily) = followed(&format!("sync:\n{}", sync.concat()));
        assert_eq!(spec.follow, ["latest", "nightly"]);
        let entries = spec.entries.iter().map(|entry| {
            format!("{} {:?} {:?} {:?}", entry.source, entry.tags, entry.target_name, entry.targets)
        });
        insta::assert_snapshot!(entries.collect::<Vec<_>>().join("\n"), @r#"
        neuvector/scanner ["latest", "1"] None []
        neuvector/manager ["1", "nightly"] None []
        x/y ["latest"] None []
        docker.io/neuvector/updater ["latest"] None ["docker.io/acme"]
        neuvector/prober ["latest"] Some("prober") ["q.io/m"]
        "#);
        let notes: Vec<String> = daily.notes.iter().map(|note| note.in_file("f")).collect();
        insta::assert_snapshot!(notes.join("\n"), @"
        f:3: changed: neuvector/manager:nightly: no entry has it, so it is added
        f:4: changed: docker.io/neuvector/updater:latest: no entry has it, so it is added
        f:5: changed: neuvector/prober:latest: no entry has it, so it is added
        f:6: not carried: neuvector/other:latest: it goes to elsewhere.io/m/other, which is in no repository of the configuration
        ");
        assert_eq!(daily.also_followed, ["x/y:latest"]);
    }

    #[test]
    fn what_the_daily_file_says_besides_tags_is_carried_or_named() {
        let sync = "creds: [{registry: r.io, tls: insecure, user: u}]\ndefaults: {interval: 1h}\nsync:\n\
            - {source: a/b, target: r.io/m/b, type: repository, tags: {deny: [x]}}\n\
            - {source: x/y:latest, target: r.io/m/y:latest, type: image}\n";
        let (spec, daily) = followed(sync);
        assert!(spec.targets[1].tls.is_some() && spec.targets[0].tls.is_none());
        assert_eq!(spec.sources[0].registry, "r.io");
        let notes: Vec<String> = daily.notes.iter().map(|note| note.in_file("f")).collect();
        insta::assert_snapshot!(notes.join("\n"));
    }
}
