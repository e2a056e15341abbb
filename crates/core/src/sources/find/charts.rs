//! The images of charts: which version is meant, where its files are, and what is in them. Helm is asked only for what it
//! makes of templates, and for charts of this machine.

use imgop_registry::RegistryError;
use imgop_registry::reference::{Reference, Repository, Tag};
use url::Url;

use super::Finder;
use crate::sources::charts::{
    ChartError, ChartFiles, ChartImages, ChartLocation, ChartRun, HelmCharts, ImageTier, Index, IndexedChart,
    OCI, chart_files, chosen, images_in, images_of_annotations, images_of_values, is_exact, tag_of,
    version_of,
};
use crate::sources::fetch::{ArtifactPart, Fetch, FetchError, Get};
use crate::sources::{Found, Update};

/// What `Chart.yaml` and the archive are in a registry.
const CONFIG_TYPE: &str = "application/vnd.cncf.helm.config.v1+json";
const ARCHIVE_TYPE: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// Where a chart's files are.
enum Place<'i> {
    /// Helm finds them.
    WithHelm,
    /// In a repository with an index, whose address this is.
    Indexed(&'i IndexedChart, &'i Url),
    /// In a registry.
    Registry(Repository, Tag),
}

/// A repository and its index.
struct Indexed {
    address: Url,
    index: Index,
}

impl<F: Fetch> Finder<'_, F> {
    pub(super) async fn charts(&self, source: &HelmCharts, update: &Update) -> Result<Found, ChartError> {
        let mut images = ChartImages::default();
        let indexed = self.indexed(source).await?;
        for run in source.runs() {
            let found = self.chart(&run, source, indexed.as_ref()).await;
            images.add(found.map_err(|error| ChartError { chart: run.chart.clone(), error })?);
        }
        Ok(images.of_entries(update, &source.denylist))
    }

    async fn chart(
        &self,
        run: &ChartRun,
        source: &HelmCharts,
        indexed: Option<&Indexed>,
    ) -> Result<ChartImages, FetchError> {
        let place = self.place(run, source, indexed).await?;
        let mut images = ChartImages::default();
        if source.images_from.contains(&ImageTier::Template) {
            let rendered = self.fetch.render(&place.exact(run)).await?;
            images.add(images_in(&rendered, source.is_loose).map_err(unreadable)?);
        }
        if source.images_from.contains(&ImageTier::Values) || matches!(place, Place::WithHelm) {
            if source.has_files_read() {
                let archive = self.archive(&place, run).await?;
                let _memory = self.fetch.memory().await;
                let files = chart_files(&archive, &self.charts).map_err(unreadable)?;
                images.add(images_of(&files, source)?);
            }
        } else if source.images_from.contains(&ImageTier::Annotation) {
            images.add(self.listed(&place).await?.loosened(source.is_loose));
        }
        Ok(images)
    }

    /// Returns the index of the charts' repository, if they have one and something is to be read of it.
    async fn indexed(&self, source: &HelmCharts) -> Result<Option<Indexed>, ChartError> {
        let ChartLocation::Repository(address) = &source.location else { return Ok(None) };
        if !is_place_needed::<F>(source) {
            return Ok(None);
        }
        let failed = |error| ChartError { chart: "repository".to_owned(), error };
        let names: Vec<&str> = source.charts.iter().map(|chart| chart.name.as_str()).collect();
        let parsed = Url::parse(address).map_err(|error| failed(unreadable(error)))?;
        let url = below(&parsed, "index.yaml").map_err(failed)?;
        let bytes = self.document(url, None, self.charts.index_bytes).await.map_err(failed)?;
        let text = String::from_utf8(bytes).map_err(|_| failed(unreadable("index.yaml is no UTF-8")))?;
        let _memory = self.fetch.memory().await;
        let index = Index::read(&text, &names);
        let index = index.map_err(|why| failed(unreadable(format!("index.yaml: {why}"))))?;
        Ok(Some(Indexed { address: parsed, index }))
    }

    /// Finds out where the version of a chart is that is asked for.
    async fn place<'i>(
        &self,
        run: &ChartRun,
        source: &HelmCharts,
        indexed: Option<&'i Indexed>,
    ) -> Result<Place<'i>, FetchError> {
        if !is_place_needed::<F>(source) {
            return Ok(Place::WithHelm);
        }
        match &source.location {
            ChartLocation::Directory(_) => Ok(Place::WithHelm),
            ChartLocation::Oci => self.in_registry(run).await,
            ChartLocation::Repository(_) => {
                let Indexed { address, index } =
                    indexed.ok_or_else(|| unreadable("its repository is not known"))?;
                let all = index.versions(&run.chart);
                let versions: Vec<&str> = all.iter().map(|chart| chart.version.as_str()).collect();
                let version = version(run, &versions)?;
                let chart = all.iter().find(|chart| chart.version == version);
                let chart = chart.ok_or_else(|| no_version(run))?;
                Ok(Place::Indexed(chart, address))
            }
        }
    }

    async fn in_registry<'i>(&self, run: &ChartRun) -> Result<Place<'i>, FetchError> {
        let (repository, tag) = reference(&run.chart)?;
        let exact = run.version.as_deref().filter(|version| is_exact(version)).map(tag_of);
        if let Some(tag) = tag.or(exact) {
            return Ok(Place::Registry(repository, parsed(&tag)?));
        }
        let tags = self.fetch.tags(&repository).await.map_err(of_registry)?;
        let versions: Vec<String> = tags.iter().filter_map(|tag| version_of(tag.as_str())).collect();
        let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
        let tag = parsed(&tag_of(version(run, &versions)?))?;
        Ok(Place::Registry(repository, tag))
    }

    /// Returns the images that a chart lists where that is at hand without its archive.
    async fn listed(&self, place: &Place<'_>) -> Result<ChartImages, FetchError> {
        match place {
            Place::WithHelm => Ok(ChartImages::default()),
            Place::Indexed(chart, _) => chart.images().map_err(unreadable),
            Place::Registry(repository, tag) => {
                let limit = usize::try_from(self.charts.file_bytes).unwrap_or(usize::MAX);
                let config = self.part(repository, tag, CONFIG_TYPE, limit, false).await?;
                let metadata =
                    String::from_utf8(config).map_err(|_| unreadable("its metadata is no UTF-8"))?;
                images_of_annotations(&ChartFiles { metadata, ..ChartFiles::default() }).map_err(unreadable)
            }
        }
    }

    /// Returns the archive of a chart, with its subcharts.
    async fn archive(&self, place: &Place<'_>, run: &ChartRun) -> Result<Vec<u8>, FetchError> {
        let limit = self.charts.archive_bytes;
        match place {
            Place::WithHelm => self.fetch.packed(run, limit).await,
            Place::Registry(repository, tag) => self.part(repository, tag, ARCHIVE_TYPE, limit, false).await,
            Place::Indexed(chart, repository) => {
                let url = chart.url.as_ref().ok_or_else(|| unreadable("index.yaml has no address of it"))?;
                if url.starts_with(OCI) {
                    let (repository, tag) = reference(url)?;
                    let tag = parsed(&tag.unwrap_or_else(|| tag_of(&chart.version)))?;
                    self.part(&repository, &tag, ARCHIVE_TYPE, limit, true).await
                } else {
                    self.document(below(repository, url)?, Some(repository), limit).await
                }
            }
        }
    }

    /// Returns a document. `named_by` is the repository whose index names it, unless a spec does.
    async fn document(
        &self,
        url: Url,
        named_by: Option<&Url>,
        max_bytes: usize,
    ) -> Result<Vec<u8>, FetchError> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let name = url.path().rsplit('/').next().unwrap_or_default().to_owned();
        let named_by = named_by.cloned();
        let request = Get { url, accept: "*/*", etag: None, is_for_github: false, named_by, max_bytes };
        let answer = self.fetch.get(&request).await?;
        match answer.status {
            200 => Ok(answer.body),
            404 => Err(FetchError(format!("{host} has no {name}"))),
            status => Err(FetchError(format!("{host} answered {status} for {name}"))),
        }
    }

    async fn part(
        &self,
        repository: &Repository,
        tag: &Tag,
        media_type: &str,
        max_bytes: usize,
        is_named_by_index: bool,
    ) -> Result<Vec<u8>, FetchError> {
        let part = ArtifactPart { repository, tag, media_type, max_bytes, is_named_by_index };
        let part = self.fetch.artifact_part(&part).await;
        part.map_err(of_registry)?
            .ok_or_else(|| FetchError(format!("{repository}:{tag} is no chart, or not there")))
    }
}

impl Place<'_> {
    /// Returns the run of Helm for this version, if it is known.
    fn exact(&self, run: &ChartRun) -> ChartRun {
        let version = match self {
            Self::WithHelm => return run.clone(),
            Self::Indexed(chart, _) => Some(chart.version.clone()),
            Self::Registry(_, tag) => version_of(tag.as_str()),
        };
        ChartRun { version, is_devel: false, ..run.clone() }
    }
}

impl ChartImages {
    /// Returns the same without what the older tool leaves out, if it is the one.
    fn loosened(mut self, is_loose: bool) -> Self {
        if is_loose {
            self.images.retain(|(repository, tag)| tag != "latest" && !repository.starts_with("rancher/"));
            self.notes.clear();
        }
        self
    }
}

/// Whether the version of charts, and where it is, has to be found out here.
fn is_place_needed<F: Fetch>(source: &HelmCharts) -> bool {
    F::RENDERS_EXACT_VERSIONS || source.has_files_read()
}

fn images_of(charts: &[ChartFiles], source: &HelmCharts) -> Result<ChartImages, FetchError> {
    let mut images = ChartImages::default();
    for chart in charts {
        for tier in &source.images_from {
            let found = match tier {
                ImageTier::Values => images_of_values(chart),
                ImageTier::Annotation => images_of_annotations(chart),
                ImageTier::Template => continue,
            };
            images.add(found.map_err(unreadable)?.loosened(source.is_loose));
        }
    }
    Ok(images)
}

/// Returns which of these versions is meant.
fn version<'v>(run: &ChartRun, versions: &[&'v str]) -> Result<&'v str, FetchError> {
    let chosen = chosen(versions, run.version.as_deref(), run.is_devel).map_err(unreadable)?;
    chosen.ok_or_else(|| no_version(run))
}

fn no_version(run: &ChartRun) -> FetchError {
    FetchError(match &run.version {
        Some(version) => format!("it is not there in a version {version}"),
        None if run.is_devel => "it is not there".to_owned(),
        None => "it is not there, or in pre-releases alone".to_owned(),
    })
}

/// Reads `oci://HOST/PATH`, with or without a tag.
fn reference(address: &str) -> Result<(Repository, Option<String>), FetchError> {
    let name = address.strip_prefix(OCI).ok_or_else(|| {
        FetchError(format!(
            "{address:?} is no chart of a registry, or its repository is missing; write oci://HOST/PATH"
        ))
    })?;
    let Reference { repository, version } = name.parse::<Reference>().map_err(unreadable)?;
    Ok((repository, version))
}

fn parsed(tag: &str) -> Result<Tag, FetchError> {
    tag.parse::<Tag>().map_err(unreadable)
}

/// Returns the address of something of a repository: whole as it is, or below the repository's own.
fn below(repository: &Url, path: &str) -> Result<Url, FetchError> {
    let mut base = repository.clone();
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    let mut url = base.join(path).map_err(unreadable)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(FetchError(format!("{path:?} is neither of http nor of https")));
    }
    // Such as a token of the repository.
    if url.query().is_none() && url.origin() == repository.origin() {
        url.set_query(repository.query());
    }
    Ok(url)
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it on")]
fn of_registry(error: RegistryError) -> FetchError {
    FetchError(error.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it on")]
fn unreadable(error: impl ToString) -> FetchError {
    FetchError(error.to_string())
}
