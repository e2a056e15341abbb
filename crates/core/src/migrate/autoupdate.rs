//! What keeps rancher's inventories up to date, as `updates` of an `ImageMirror`.

use crate::api::{
    GithubFileSource, GithubReleaseSource, MirrorUpdate, RegistryTagsSource, TakenTags, UpdateMode,
    UpdateSource, UpdatedEntry,
};
use crate::sources::{EntryRef, GithubRepository, Pick, RegistryTags, ReleaseRule, Update, VersionSource};

/// As often as rancher looks.
const FREQUENCY: &str = "1d";

/// Returns an update as an `ImageMirror` has it.
///
/// # Errors
/// Why it has none.
pub fn mirror_update(update: &Update) -> Result<MirrorUpdate, &'static str> {
    let from = match &update.source {
        VersionSource::GithubRelease(release) => UpdateSource {
            github_release: Some(github_release(&release.repository, release.is_latest_only, &release.rule)?),
            ..UpdateSource::default()
        },
        VersionSource::GithubFile(file) => {
            let release = github_release(&file.repository, false, &file.rule)?;
            let file = GithubFileSource {
                owner: release.owner,
                repository: release.repository,
                path: file.path.clone(),
                version_regex: release.version_regex,
                version_constraint: release.version_constraint,
                token_secret_name: None,
            };
            UpdateSource { github_file: Some(file), ..UpdateSource::default() }
        }
        VersionSource::Registry(tags) => {
            UpdateSource { registry: Some(registry(tags)), ..UpdateSource::default() }
        }
        VersionSource::HelmChart(_) => {
            return Err("the agent runs no Helm; keep it in the file, for kubectl imgop mirror update");
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

fn github_release(
    repository: &GithubRepository,
    latest_only: bool,
    rule: &ReleaseRule,
) -> Result<GithubReleaseSource, &'static str> {
    if rule.is_only_semver || rule.taken != crate::sources::Taken::Captured {
        return Err("it selects releases by rules that only retrieve-image-tags has");
    }
    Ok(GithubReleaseSource {
        owner: repository.owner.clone(),
        repository: repository.name.clone(),
        latest_only,
        version_regex: rule.regex.as_ref().map(|regex| regex.as_str().to_owned()),
        version_constraint: rule.constraint.as_ref().map(ToString::to_string),
        token_secret_name: None,
    })
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
        assert_eq!(entries.len(), 2);
    }
}
