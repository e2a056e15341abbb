//! `kubectl imgop build`.

mod apply;
mod check;
mod destination;
mod dialog;
mod draft;
mod live;
mod local_context;
mod outcome;
mod pushed_context;
mod secrets;
mod source;
mod spec;
mod standard_input;
mod steps;
mod submit;
mod unpacked_archive;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use imgop_core::build::dockerfile::BuildahVersion;

use crate::args::{BuilderArgs, OtherBuildersArgs, SubmitArgs, Words};
use crate::cli_error::{CliError, Outcome};
use crate::cluster::{ConnectionArgs, TimeLimit};
use crate::kinds::object_name::parse_new_name;
use crate::output::Ui;
use crate::output::documents::ObjectFormat;
use crate::output::text::shell_word;
use crate::prompts::can_ask;
use crate::registry::local_access::LocalCredentialArgs;
use draft::Draft;

/// Build an image in the cluster from a Dockerfile, and push it
///
/// It creates or updates an ImageBuilder, follows the build, and prints the digest. Running it again with the same
/// arguments and files builds nothing. Files come from a folder of this machine, after its ignore file was applied;
/// from git, by a URL as docker takes it (https://host/app.git#ref:dir); or from a ConfigMap. With - the standard input
/// is read: a Dockerfile, and there are no files; or a tar archive of the folder, plain or compressed with gzip.
///
/// A folder of up to 700 KiB in 256 files without links is sent as a ConfigMap: empty folders are left out then, and
/// permissions become 0644, or 0755 where the owner may execute. Any other one, of up to 1 GiB, is pushed to the
/// repository of the image by its digest, with the registry credentials of this machine (docker login).
///
/// Without --name the ImageBuilder is named after the repository: registry.example.com/team/api:1.4 is built by
/// the ImageBuilder api, whatever the tag is.
#[expect(clippy::doc_markdown, reason = "a terminal prints this, with the URL as it is typed")]
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  \
    A folder of this machine, for two platforms:\n    \
    kubectl imgop build . -t registry.example.com/team/api:1.4 --platform linux/amd64,linux/arm64\n  \
    A branch, built again whenever it or a base image changes:\n    \
    kubectl imgop build https://git.example.com/api.git#main -t r.example.com/api:main \\\n      \
    --rebuild-on Source,BaseImage\n  \
    Only the checks: the Dockerfile, its base images, and what would be pushed where:\n    \
    kubectl imgop build . -t registry.example.com/team/api:1.4 --check\n\n\
    Exit codes: 0 built, 1 failed, 2 wrong usage, 130 Ctrl-C: the build goes on then.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct BuildArgs {
    /// Folder of this machine, URL of a git repository, or - for a Dockerfile or a tar archive on the standard input
    #[arg(value_name = "PATH|URL|-")]
    place: Option<String>,

    #[command(flatten)]
    builder: BuilderArgs,

    /// Name of the ImageBuilder
    #[arg(long, value_parser = parse_new_name)]
    name: Option<String>,

    /// Build every step anew, though nothing has changed
    #[arg(long, conflicts_with = "cache")]
    no_cache: bool,

    /// Build again though nothing has changed; base images are looked up for every build
    #[arg(long)]
    pull: bool,

    /// Check the Dockerfile and its base images, and build nothing
    #[arg(long)]
    check: bool,

    /// Return once the ImageBuilder is submitted
    #[arg(long, conflicts_with_all = ["iidfile", "metadata_file"])]
    detach: bool,

    /// Print only the digest
    #[arg(short, long)]
    quiet: bool,

    /// How to show what goes on
    #[arg(long, value_enum, env = "BUILDKIT_PROGRESS", default_value = "auto")]
    progress: Progress,

    /// Write the digest to this file
    #[arg(long, value_name = "FILE")]
    iidfile: Option<PathBuf>,

    /// Write digest and name of the image to this file, as BuildKit does
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<PathBuf>,

    /// How long to wait for the build; 0 means no limit
    #[arg(long, value_name = "DURATION", default_value = "0")]
    timeout: TimeLimit,

    #[command(flatten)]
    submit: SubmitArgs,

    /// Print the ImageBuilder in this format: json, yaml or name
    #[arg(short, long, value_name = "FORMAT", value_parser = parse_output)]
    output: Option<ObjectFormat>,

    /// Version of Buildah that the Dockerfile is checked for
    #[arg(long, value_name = "VERSION", default_value = "1.28")]
    buildah_version: BuildahVersion,

    #[command(flatten)]
    others: OtherBuildersArgs,

    #[command(flatten)]
    local: LocalCredentialArgs,

    /// File with additional CA certificates (PEM) for the registries that this machine reaches
    #[arg(long, value_name = "FILE", help_heading = "Registries")]
    ca_file: Option<PathBuf>,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Progress {
    /// The current step of each platform on a terminal, else as plain
    Auto,
    /// What the build logs, line by line
    Plain,
    /// As auto
    Tty,
    /// Nothing
    Quiet,
    /// The format of `BuildKit`, which is not offered
    #[value(hide = true)]
    Rawjson,
}

/// Builds.
pub async fn run(ui: Ui, args: &BuildArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    args.others.check(ui)?;
    if args.progress == Progress::Rawjson {
        return Err(CliError::usage("--progress: rawjson is BuildKit's own; use plain"));
    }
    let args = &destination::with_default(ui, args, connection).await?;
    let is_complete = args.has_place() && !args.builder.tags.is_empty();
    // A document is for a program to read, which cannot answer.
    if !is_complete && !args.check && args.output.is_none() && args.submit.dry_run.is_none() && can_ask(ui) {
        return Box::pin(dialog::ask(ui, args, connection)).await;
    }
    let draft = Draft::read(args)?;
    if args.check {
        return Box::pin(check::of_draft(ui, args, &draft, connection)).await;
    }
    Box::pin(submit::run(ui, args, draft, connection)).await
}

impl BuildArgs {
    /// Whether it is known where files come from.
    fn has_place(&self) -> bool {
        self.place.is_some() || self.builder.git.is_some() || self.builder.config_map.is_some()
    }

    /// Returns a command that builds the same without questions.
    fn command_line(&self) -> String {
        // All fields by name: one that is added is added here too. What is only for a check, a dry run or a document
        // is never asked for, nor what other builders take and this one ignores.
        let Self {
            place,
            builder,
            name,
            no_cache,
            pull,
            check: _,
            detach,
            quiet,
            progress,
            iidfile,
            metadata_file,
            timeout,
            submit,
            output: _,
            buildah_version: _,
            others: _,
            local: _,
            ca_file: _,
        } = self;
        let mut words = Words::default();
        builder.write(&mut words);
        words.value("--name", name.as_ref());
        for (flag, is_given) in [
            ("--no-cache", no_cache),
            ("--pull", pull),
            ("--detach", detach),
            ("--quiet", quiet),
            ("--force-conflicts", &submit.force_conflicts),
        ] {
            words.switch(flag, is_given.then_some(true));
        }
        words.choice("--progress", Some(progress).filter(|progress| **progress != Progress::Auto));
        words.value("--iidfile", iidfile.as_ref().map(|file| file.display().to_string()).as_ref());
        words
            .value("--metadata-file", metadata_file.as_ref().map(|file| file.display().to_string()).as_ref());
        words.value("--timeout", Some(timeout).filter(|timeout| timeout.limit().is_some()));
        let words = place.iter().cloned().chain(words.into_words());
        let words: Vec<String> = words.map(|word| shell_word(&word)).collect();
        format!("kubectl imgop build {}", words.join(" "))
    }

    /// Whether nothing but the digest is printed.
    fn is_quiet(&self) -> bool {
        self.quiet || self.progress == Progress::Quiet
    }
}

/// Reads `-o`, which other builders have for files of the image.
fn parse_output(text: &str) -> Result<ObjectFormat, &'static str> {
    ObjectFormat::from_str(text, true).map_err(|_| {
        "the image goes to the registry of --tag; this is the format in which the ImageBuilder is printed: json, yaml \
         or name"
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        build: BuildArgs,
    }

    #[test]
    fn the_same_without_questions_has_every_flag_that_was_given() {
        let line = "app --tag r.example.com/a:1 --name web --no-cache --pull --quiet --progress plain --iidfile id \
                    --metadata-file m.json --timeout 90s";
        let words = std::iter::once("build").chain(line.split_whitespace());
        let build = CommandLine::try_parse_from(words).map_err(|error| error.to_string());
        assert_eq!(build.unwrap().build.command_line(), format!("kubectl imgop build {line}"));
    }
}
