//! What keeps rancher's inventories up to date, as `updates` of an `ImageMirror`.

use crate::api::{
    ChartEnvironment, ChartSource, ChartTier, GithubFileSource, GithubReleaseSource, GithubReleases,
    HelmChartSource, MirrorUpdate, RegistryTagsSource, TakenTags, UpdateMode, UpdateSource, UpdatedEntry,
};
use crate::sources::{
    Chart, ChartLocation, EntryRef, GithubRepository, HelmCharts, ImageTier, Pick, RegistryTags, ReleaseRule,
    Taken, Update, VersionSource,
};

/// As often as rancher looks.
const FREQUENCY: &str = "1d";
/// Why there is no update with the same rules.
const RULES: &str = "it selects releases by rules that only retrieve-image-tags has";

/// Returns an update as an `ImageMirror` has it.
///
/// # Errors
/// Why it has none.
pub fn mirror_update(update: &Update) -> Result<MirrorUpdate, &'static str> {
    let from = match &update.source {
        VersionSource::GithubRelease(release) => {
            if release.rule.taken != Taken::Captured {
                return Err(RULES);
            }
            let releases = releases(&release.repository, &release.rule)?;
            let github_release = Some(GithubReleaseSource { releases, latest_only: release.is_latest_only });
            UpdateSource { github_release, ..UpdateSource::default() }
        }
        VersionSource::GithubFile(file) => {
            let releases = releases(&file.repository, &file.rule)?;
            let github_file = Some(GithubFileSource { releases, path: file.path.clone() });
            UpdateSource { github_file, ..UpdateSource::default() }
        }
        VersionSource::Registry(tags) => {
            UpdateSource { registry: Some(registry(tags)), ..UpdateSource::default() }
        }
        VersionSource::HelmChart(charts) => {
            UpdateSource { helm_chart: Some(helm_chart(charts)?), ..UpdateSource::default() }
        }
    };
    Ok(MirrorUpdate {
        name: update.name.clone(),
        from,
        entries: update.entries.iter().flatten().map(updated_entry).collect(),
        mode: UpdateMode::Propose,
        frequency: FREQUENCY.to_owned(),
    })
}

fn updated_entry(entry: &EntryRef) -> UpdatedEntry {
    UpdatedEntry { source: entry.source.as_str().to_owned(), target_name: entry.target_name.clone() }
}

fn releases(repository: &GithubRepository, rule: &ReleaseRule) -> Result<GithubReleases, &'static str> {
    if rule.is_only_semver {
        return Err(RULES);
    }
    Ok(GithubReleases {
        owner: repository.owner.clone(),
        repository: repository.name.clone(),
        version_regex: rule.regex.as_ref().map(|regex| regex.as_str().to_owned()),
        version_constraint: rule.constraint.as_ref().map(ToString::to_string),
        token_secret_name: None,
    })
}

fn helm_chart(charts: &HelmCharts) -> Result<HelmChartSource, &'static str> {
    let repository = match &charts.location {
        ChartLocation::Repository(address) => Some(address.clone()),
        ChartLocation::Oci => None,
        ChartLocation::Directory(_) => {
            return Err("its charts are in a folder; keep it in the file, for kubectl imgop mirror update");
        }
    };
    if charts.is_loose {
        return Err("it takes images of any field, as only retrieve-image-tags does");
    }
    let tier = |tier: &ImageTier| match tier {
        ImageTier::Template => ChartTier::Template,
        ImageTier::Values => ChartTier::Values,
        ImageTier::Annotation => ChartTier::Annotation,
    };
    let first = charts.charts.iter().flat_map(|chart| &chart.environments).next();
    Ok(HelmChartSource {
        repository,
        charts: charts.charts.iter().map(chart_source).collect(),
        images_from: charts.images_from.iter().map(tier).collect(),
        kube_version: first.and_then(|environment| environment.kube_version.clone()),
        image_denylist: charts.denylist.clone(),
    })
}

fn chart_source(chart: &Chart) -> ChartSource {
    let environments = chart.environments.iter().filter(|of| !of.name.is_empty() || !of.values.is_empty());
    let environment =
        environments.map(|of| ChartEnvironment { name: of.name.clone(), set: of.values.clone() });
    ChartSource {
        name: chart.name.clone(),
        version: chart.version.clone(),
        additional_versions: chart.additional_versions.clone(),
        devel: chart.is_devel,
        environments: environment.collect(),
    }
}

fn registry(tags: &RegistryTags) -> RegistryTagsSource {
    RegistryTagsSource {
        version_filter: tags.filter.as_ref().map(|regex| regex.as_str().to_owned()),
        take: match tags.pick {
            Pick::All => TakenTags::All,
            Pick::Latest => TakenTags::Latest,
            Pick::LatestEntry => TakenTags::LatestEntry,
            Pick::LatestRevision => TakenTags::LatestRevision,
        },
        each: tags.is_each,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::MirrorUpdateRequest;
    use crate::sources::autoupdate;

    const FILE: &str = "\
- Name: widget
  GithubRelease:
    Owner: tools
    Repository: widget
    VersionConstraint: '>1.8'
    VersionRegex: ^v(.*)
    Images:
    - SourceImage: quay.io/tools/widget
      TargetImageName: widget
  Reviewers:
  - org/team
- Name: newest
  Registry:
    Images:
    - SourceImage: quay.io/tools/gadget
    Latest: true
    VersionFilter: ^v
  Reviewers:
  - someone
- Name: chart
  HelmLatest:
    HelmRepo: https://charts.example.com
    Images:
    - SourceImage: quay.io/tools/gadget
    Charts:
      gadget:
        plain: []
        debug: [debug=true]
    ImageDenylist: [busybox]
  Reviewers:
  - someone
";

    #[test]
    fn an_update_means_the_same_in_an_image_mirror() {
        let entries = autoupdate::read(FILE).unwrap().entries;
        for update in entries.iter().map(|entry| &entry.update) {
            let there = mirror_update(update).unwrap();
            let mut again = MirrorUpdateRequest::read_all(&[there]).unwrap().remove(0);
            again.update.reviewers.clone_from(&update.reviewers);
            assert_eq!(again.update, *update);
        }
        assert_eq!(entries.len(), 3);
    }
}
