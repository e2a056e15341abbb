//! `kubectl imgop mirror export`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use imgop_core::formats::images_list::{ImagesList, Line};
use imgop_core::formats::{Format, fields_left_out, regsync, skopeo_sync};
use imgop_core::inventory::{Inventory, Row};

use super::file::write_whole;
use super::subject::{Source, Subject};
use crate::cli_error::{CliError, Outcome};
use crate::output::Ui;
use crate::output::text::count;

/// Write what a file says in the format of another tool
///
/// Of rancher's config.yaml, regsync.yaml is written byte for byte as its own tool generates it. FILE may also be an
/// ImageMirror. What the other format cannot say is named on stderr.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kubectl imgop mirror export config.yaml --format regsync > regsync.yaml\n  \
    kubectl imgop mirror export config.yaml --format regsync | diff regsync.yaml -\n  \
    kubectl imgop mirror export mirror.yaml --format rancher > config.yaml")]
pub struct ExportArgs {
    /// File to read; - reads stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Format to write
    #[arg(long, value_enum)]
    format: ExportFormat,

    /// Format to read, where the file does not tell
    #[arg(long, value_enum, value_name = "FORMAT")]
    from: Option<Format>,

    /// How regsync names itself to registries; by default as rancher's tool writes it
    #[arg(long, value_name = "NAME")]
    user_agent: Option<String>,

    /// Folder in which hosts.toml is written, which containerd's settings name; otherwise all are printed
    #[arg(long, value_name = "FOLDER")]
    output_dir: Option<PathBuf>,

    /// Replace a hosts.toml that is there with other content
    #[arg(long, requires = "output_dir")]
    force: bool,
}

/// Formats that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    /// Configuration of regsync
    Regsync,
    /// Rancher's config.yaml
    Rancher,
    /// Lines of source, target and tag
    ImagesList,
    /// The YAML of skopeo sync
    SkopeoSync,
    /// containerd's hosts.toml, by which nodes ask the targets first
    #[value(name = "hosts.toml")]
    HostsToml,
}

/// Prints a file in another format.
pub fn run(ui: Ui, args: &ExportArgs) -> Result<Outcome, CliError> {
    let subject = Subject::read(&args.file, args.from)?;
    subject.warn(ui);
    let text = match args.format {
        ExportFormat::Rancher => {
            name_left_out(ui, &subject, Format::Rancher);
            subject.config()?.formatted()
        }
        ExportFormat::Regsync => exported_regsync(ui, &subject, args.user_agent.as_deref())?,
        ExportFormat::ImagesList => {
            name_left_out(ui, &subject, Format::ImagesList);
            images_list(subject.inventory()?.rows())?
        }
        ExportFormat::SkopeoSync => exported_skopeo_sync(ui, &subject)?,
        ExportFormat::HostsToml => return hosts(ui, &subject, args.output_dir.as_deref(), args.force),
    };
    ui.data(&text)?;
    Ok(Outcome::Done)
}

/// Returns regsync.yaml: with credentials where rancher's configuration has templates for them.
fn exported_regsync(ui: Ui, subject: &Subject, user_agent: Option<&str>) -> Result<String, CliError> {
    let is_rancher = match &subject.source {
        Source::File(format, _) => *format == Format::Rancher,
        Source::Mirror(mirror, _) => {
            mirror.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(super::subject::RANCHER))
        }
    };
    if is_rancher {
        name_left_out(ui, subject, Format::Rancher);
        return Ok(subject.config()?.regsync(user_agent));
    }
    let inventory: Inventory = subject.inventory()?;
    name_left_out(ui, subject, Format::Regsync);
    name_excluded(ui, &inventory);
    ui.warning("not carried: credentials; regsync takes those of docker, or add creds");
    Ok(regsync::written(inventory.rows(), user_agent.unwrap_or("imgop")))
}

/// Says which fields a format has not.
fn name_left_out(ui: Ui, subject: &Subject, format: Format) {
    let (spec, _) = subject.spec();
    let fields = fields_left_out(&spec, format);
    if !fields.is_empty() {
        ui.warning(&format!("not carried: {}; this format has no such fields", fields.join(", ")));
    }
}

/// Says which tags are copied although they are excluded.
fn name_excluded(ui: Ui, inventory: &Inventory) {
    for reference in inventory.excluded_of_versions() {
        ui.warning(&format!(
            "not carried: {reference} is excluded from a pattern or range, and is copied here"
        ));
    }
}

/// Writes `hosts.toml` for each registry that images come from, or prints them, each below its path.
fn hosts(ui: Ui, subject: &Subject, folder: Option<&Path>, force: bool) -> Result<Outcome, CliError> {
    let hosts = subject.inventory()?.containerd_hosts();
    for (source, destination) in &hosts.uncovered {
        ui.warning(&format!(
            "not covered: {source} at {destination}: containerd replaces the registry and what stands before the path, \
             and this is another path"
        ));
    }
    for registry in &hosts.needs_ca {
        ui.warning(&format!("{registry}: nodes need its certificate too; add ca = \"PATH\" to its hosts"));
    }
    if hosts.files.is_empty() {
        return Err(CliError::failed(
            "no repository keeps its path at a target; name them so with naming.template {path} or {registry}/{path}",
        ));
    }
    let Some(folder) = folder else {
        for (registry, text) in &hosts.files {
            ui.data(&format!("# {registry}/hosts.toml\n{text}"))?;
        }
        return Ok(Outcome::Done);
    };
    let files: Vec<(PathBuf, &str)> = hosts
        .files
        .iter()
        .map(|(registry, text)| (folder.join(registry).join("hosts.toml"), text.as_str()))
        .collect();
    if !force {
        files.iter().try_for_each(|(path, text)| check_replaced(path, text))?;
    }
    for (path, text) in files {
        let written = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        let written = written.and_then(|()| write_whole(&path, text));
        written.map_err(|error| CliError::failed(format!("cannot write {}: {error}", path.display())))?;
        ui.note(&format!("{} written", path.display()));
    }
    Ok(Outcome::Done)
}

/// Fails if a file is there with other content: whoever administers the nodes may have written it.
fn check_replaced(path: &Path, text: &str) -> Result<(), CliError> {
    let is_other = match std::fs::read(path) {
        Ok(there) => there != text.as_bytes(),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    };
    if !is_other {
        return Ok(());
    }
    let what = format!("{} is there with other content, so nothing is written", path.display());
    Err(CliError::failed(what).hinted("--force replaces it; without --output-dir all files are printed"))
}

fn images_list(rows: Vec<Row>) -> Result<String, CliError> {
    let lines = rows.into_iter().enumerate().map(|(at, row)| {
        let problem = || {
            CliError::failed(format!("{} is no plain tag, and an images-list has nothing else", row.source))
        };
        let (source, tag) = row.source.rsplit_once(':').ok_or_else(problem)?;
        let target = row.destination.strip_suffix(&format!(":{tag}")).ok_or_else(problem)?;
        Ok(Line {
            number: at + 1,
            source: source.to_owned(),
            target: target.strip_prefix("docker.io/").unwrap_or(target).to_owned(),
            tag: tag.to_owned(),
        })
    });
    Ok(ImagesList::of(lines.collect::<Result<_, CliError>>()?).formatted())
}

fn exported_skopeo_sync(ui: Ui, subject: &Subject) -> Result<String, CliError> {
    let inventory: Inventory = subject.inventory()?;
    let rows = inventory.rows();
    let written = skopeo_sync::written(&rows).map_err(|error| CliError::failed(error.to_string()))?;
    ui.warning("not carried: targets; skopeo sync takes one as an argument");
    let renamed = rows.iter().filter(|row| name_of(&row.source) != name_of(&row.destination)).count();
    if renamed > 0 {
        let tags = count(renamed, "tag");
        ui.warning(&format!(
            "not carried: the names of {tags} at their targets; skopeo sync keeps the source's"
        ));
    }
    name_left_out(ui, subject, Format::SkopeoSync);
    name_excluded(ui, &inventory);
    for problem in &written.not_carried {
        ui.warning(&format!("not carried: {problem}"));
    }
    Ok(written.text)
}

/// Returns the last part of a reference's repository.
fn name_of(reference: &str) -> &str {
    let last = reference.split('@').next().and_then(|name| name.rsplit('/').next()).unwrap_or_default();
    last.split(':').next().unwrap_or_default()
}
