//! The updates of a spec, parsed.

use std::time::Duration;

use crate::api::{
    ChartSource, ChartTier, GithubReleases, HelmChartSource, MirrorUpdate, RegistryTagsSource, TakenTags,
    UpdateMode, UpdatedEntry,
};
use crate::formats::rancher::Source;
use crate::inventory::error::{InventoryError, InventoryProblem, Place};
use crate::inventory::read::report;
use crate::sources::{
    Chart, ChartLocation, Constraint, EntryRef, Environment, GithubFile, GithubRelease, GithubRepository,
    HelmCharts, ImageTier, Pick, RegistryTags, ReleaseRule, TagRegex, Update, VersionSource,
};
use crate::time::parse_duration;

/// Charts that all updates of a spec may have rendered, each in each of its versions with each of its environments.
const MAX_RENDERINGS: usize = 64;

/// An update of an `ImageMirror` that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorUpdateRequest {
    /// What is looked for.
    pub update: Update,
    /// What becomes of what is found.
    pub mode: UpdateMode,
    /// How long lies between two looks.
    pub period: Duration,
    /// The Secret whose token goes to GitHub.
    pub token_secret: Option<String>,
}

impl MirrorUpdateRequest {
    /// Reads the updates of a spec.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub fn read_all(updates: &[MirrorUpdate]) -> Result<Vec<Self>, InventoryError> {
        let mut problems = Vec::new();
        let read = updates.iter().enumerate().map(|(i, update)| {
            let place = Place::Spec(format!("updates[{i}]"));
            read(update, &place, &mut problems)
        });
        let read: Vec<Self> = read.collect::<Vec<_>>().into_iter().flatten().collect();
        let renderings: usize = read.iter().map(Self::renderings).sum();
        if renderings > MAX_RENDERINGS {
            let message = format!(
                "charts are looked at {renderings} times, by version and environment, and {MAX_RENDERINGS} is the most; make \
                 several ImageMirrors of it"
            );
            report(&mut problems, &Place::Spec("updates".to_owned()), message);
        }
        if problems.is_empty() { Ok(read) } else { Err(InventoryError { problems }) }
    }

    fn renderings(&self) -> usize {
        match &self.update.source {
            VersionSource::HelmChart(charts) => charts.runs().len(),
            _ => 0,
        }
    }
}

fn read(
    update: &MirrorUpdate,
    place: &Place,
    problems: &mut Vec<InventoryProblem>,
) -> Option<MirrorUpdateRequest> {
    let (source, token_secret) = source(update, &place.field("from"), problems)?;
    let may_be_any = matches!(source, VersionSource::GithubFile(_) | VersionSource::HelmChart(_));
    if update.entries.is_empty() && !may_be_any {
        report(problems, &place.field("entries"), "there is none; name the entries that receive the tags");
        return None;
    }
    let entries = update.entries.iter().enumerate();
    let entries =
        entries.map(|(i, entry)| entry_ref(entry, &place.field(&format!("entries[{i}]")), problems));
    let entries: Vec<EntryRef> = entries.collect::<Vec<_>>().into_iter().flatten().collect();
    let Ok(period) = parse_duration(&update.frequency) else {
        report(problems, &place.field("frequency"), "write whole numbers with s, m, h, d or w, such as 6h");
        return None;
    };
    let entries = Some(entries).filter(|entries| !entries.is_empty());
    let mode = update.mode;
    let update = Update { name: update.name.clone(), source, entries, reviewers: Vec::new() };
    Some(MirrorUpdateRequest { update, mode, period, token_secret })
}

/// Reads where versions are announced, and the Secret that is needed there.
fn source(
    update: &MirrorUpdate,
    place: &Place,
    problems: &mut Vec<InventoryProblem>,
) -> Option<(VersionSource, Option<String>)> {
    let from = &update.from;
    match (&from.github_release, &from.github_file, &from.registry, &from.helm_chart) {
        (Some(release), None, None, None) => {
            let (repository, rule) = releases(&release.releases, &place.field("githubRelease"), problems)?;
            let is_latest_only = release.latest_only;
            let source = VersionSource::GithubRelease(GithubRelease { repository, is_latest_only, rule });
            Some((source, release.releases.token_secret_name.clone()))
        }
        (None, Some(file), None, None) => {
            let (repository, rule) = releases(&file.releases, &place.field("githubFile"), problems)?;
            let source = VersionSource::GithubFile(GithubFile { repository, path: file.path.clone(), rule });
            Some((source, file.releases.token_secret_name.clone()))
        }
        (None, None, Some(tags), None) => Some((registry(tags, place, problems)?, None)),
        (None, None, None, Some(charts)) => Some((helm_chart(charts, place, problems)?, None)),
        _ => {
            report(problems, place, "it must have one of githubRelease, githubFile, registry and helmChart");
            None
        }
    }
}

fn entry_ref(entry: &UpdatedEntry, place: &Place, problems: &mut Vec<InventoryProblem>) -> Option<EntryRef> {
    match Source::parse(&entry.source) {
        Ok(source) => Some(EntryRef { source, target_name: entry.target_name.clone() }),
        Err(message) => {
            report(problems, &place.field("source"), message);
            None
        }
    }
}

fn releases(
    of: &GithubReleases,
    place: &Place,
    problems: &mut Vec<InventoryProblem>,
) -> Option<(GithubRepository, ReleaseRule)> {
    let regex = regex(of.version_regex.as_deref(), &place.field("versionRegex"), problems)?;
    let constraint = match of.version_constraint.as_deref().map(str::parse::<Constraint>).transpose() {
        Ok(constraint) => constraint,
        Err(error) => {
            report(problems, &place.field("versionConstraint"), error);
            return None;
        }
    };
    let repository = GithubRepository { owner: of.owner.clone(), name: of.repository.clone() };
    Some((repository, ReleaseRule { regex, constraint, ..ReleaseRule::default() }))
}

fn registry(
    tags: &RegistryTagsSource,
    place: &Place,
    problems: &mut Vec<InventoryProblem>,
) -> Option<VersionSource> {
    let place = place.field("registry.versionFilter");
    let filter = regex(tags.version_filter.as_deref(), &place, problems)?;
    let pick = match tags.take {
        TakenTags::All => Pick::All,
        TakenTags::Latest => Pick::Latest,
        TakenTags::LatestEntry => Pick::LatestEntry,
        TakenTags::LatestRevision => Pick::LatestRevision,
    };
    Some(VersionSource::Registry(RegistryTags { filter, pick, is_each: tags.each }))
}

fn helm_chart(
    source: &HelmChartSource,
    place: &Place,
    problems: &mut Vec<InventoryProblem>,
) -> Option<VersionSource> {
    let place = place.field("helmChart");
    let before = problems.len();
    for (i, chart) in source.charts.iter().enumerate() {
        let place = place.field(&format!("charts[{i}]"));
        if chart.name.starts_with("oci://") == source.repository.is_some() {
            let message =
                "it is a name where repository is given, and else an address that begins with oci://";
            report(problems, &place.field("name"), message);
        }
        let additional = chart.additional_versions.iter().enumerate();
        let additional = additional.map(|(j, version)| (format!("additionalVersions[{j}]"), version));
        for (field, version) in
            chart.version.iter().map(|version| ("version".to_owned(), version)).chain(additional)
        {
            if let Err(error) = version.parse::<Constraint>() {
                report(problems, &place.field(&field), error);
            }
        }
    }
    if problems.len() > before {
        return None;
    }
    let location = source.repository.clone().map_or(ChartLocation::Oci, ChartLocation::Repository);
    let charts = source.charts.iter().map(|of| chart(of, source.kube_version.as_ref()));
    Some(VersionSource::HelmChart(HelmCharts {
        location,
        charts: charts.collect(),
        denylist: source.image_denylist.clone(),
        images_from: source.images_from.iter().map(|tier| tier_of(*tier)).collect(),
        is_loose: false,
    }))
}

fn chart(of: &ChartSource, kube_version: Option<&String>) -> Chart {
    let environment = |name: &str, values: &[String]| Environment {
        name: name.to_owned(),
        values: values.to_vec(),
        kube_version: kube_version.cloned(),
    };
    let mut environments: Vec<Environment> =
        of.environments.iter().map(|of| environment(&of.name, &of.set)).collect();
    if environments.is_empty() {
        environments.push(environment("", &[]));
    }
    Chart {
        name: of.name.clone(),
        environments,
        version: of.version.clone(),
        additional_versions: of.additional_versions.clone(),
        is_devel: of.devel,
    }
}

fn tier_of(tier: ChartTier) -> ImageTier {
    match tier {
        ChartTier::Annotation => ImageTier::Annotation,
        ChartTier::Values => ImageTier::Values,
        ChartTier::Template => ImageTier::Template,
    }
}

/// Returns nothing where there is a problem, and nothing in what it returns where there is no expression.
#[expect(clippy::option_option, reason = "a problem is not the same as no expression")]
fn regex(
    text: Option<&str>,
    place: &Place,
    problems: &mut Vec<InventoryProblem>,
) -> Option<Option<TagRegex>> {
    match text.map(str::parse::<TagRegex>).transpose() {
        Ok(regex) => Some(regex),
        Err(error) => {
            report(problems, place, error);
            None
        }
    }
}
