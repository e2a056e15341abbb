//! `build` without arguments: it asks, shows what would be built, and submits what is confirmed.

use std::path::Path;
use std::rc::Rc;

use futures::FutureExt as _;
use imgop_core::api::ImageBuilder;

use super::draft::Draft;
use super::source::{Source, missing};
use super::spec::tag_problem;
use super::{BuildArgs, check, submit};
use crate::cli_error::{CliError, Outcome};
use crate::cluster::{Cluster, ConnectionArgs};
use crate::kinds::{Erased, read};
use crate::output::Ui;
use crate::prompts::dialog::{Question, ask_all};
use crate::prompts::{Answer, Below, Row, Terminal, TypedQuestion, Typing};

/// Platforms that are proposed.
const PLATFORMS: [&str; 4] = ["linux/amd64", "linux/arm64", "linux/arm/v7", "linux/s390x"];

/// What is answered so far.
#[derive(Clone)]
struct Answers {
    args: BuildArgs,
    context: Rc<Proposals>,
    asked_platforms: bool,
    asked_credentials: bool,
    is_confirmed: Option<bool>,
}

/// What proposals come from.
struct Proposals {
    ui: Ui,
    connection: ConnectionArgs,
    /// Folders with a Dockerfile.
    folders: Vec<Row>,
    /// References that ImageBuilders of the namespace write.
    tags: Vec<Row>,
    /// Secrets with credentials for registries.
    secrets: Vec<String>,
}

/// The questions.
const QUESTIONS: [Question<Answers>; 5] = [
    Question {
        argument: "PATH, URL or -",
        is_required: true,
        is_open: |answers| !answers.args.has_place(),
        ask: |answers, terminal| ask_place(answers, terminal).boxed_local(),
    },
    Question {
        argument: "--tag",
        is_required: true,
        is_open: |answers| answers.args.builder.tags.is_empty(),
        ask: |answers, terminal| ask_tag(answers, terminal).boxed_local(),
    },
    Question {
        argument: "--platform",
        is_required: false,
        is_open: |answers| answers.args.builder.platforms.is_empty() && !answers.asked_platforms,
        ask: |answers, terminal| ask_platforms(answers, terminal).boxed_local(),
    },
    Question {
        argument: "--credentials",
        is_required: false,
        is_open: |answers| {
            let is_given = answers.args.builder.credentials.is_some() || answers.asked_credentials;
            !is_given && !answers.context.secrets.is_empty()
        },
        ask: |answers, terminal| ask_credentials(answers, terminal).boxed_local(),
    },
    Question {
        argument: "",
        is_required: false,
        is_open: |answers| answers.is_confirmed.is_none(),
        ask: |answers, terminal| confirm(answers, terminal).boxed_local(),
    },
];

/// Asks for what is missing, submits it unless that is refused, and shows the same without questions.
pub async fn ask(ui: Ui, args: &BuildArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    // A program that logs in may ask first.
    let cluster = connection.connect().await?;
    let context = Rc::new(Proposals {
        ui,
        connection: connection.clone(),
        folders: folders(Path::new(".")),
        tags: used_tags(&cluster).await,
        secrets: cluster.credential_secrets().await,
    });
    let mut answers = Answers {
        args: args.clone(),
        context,
        asked_platforms: false,
        asked_credentials: false,
        is_confirmed: None,
    };
    let terminal = Terminal::open()?;
    ask_all(&QUESTIONS, &mut answers, &terminal).await?;
    drop(terminal);
    let args = answers.args;
    ui.note(&format!("The same without questions:\n  {}{}\n", args.command_line(), cluster.place()));
    if answers.is_confirmed != Some(true) {
        ui.note("Nothing was submitted.");
        return Ok(Outcome::NotReady);
    }
    Box::pin(submit::run(ui, &args, Draft::read(&args)?, connection)).await
}

/// Returns the folders that have a Dockerfile: this one, and those in it.
fn folders(here: &Path) -> Vec<Row> {
    let row = |value: String| Row { value, note: "has a Dockerfile".to_owned() };
    let mut below: Vec<String> = std::fs::read_dir(here)
        .map(|entries| entries.flatten().filter(|entry| has_dockerfile(&entry.path())).collect::<Vec<_>>())
        .unwrap_or_default()
        .iter()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    below.sort();
    let here = has_dockerfile(here).then(|| ".".to_owned());
    here.into_iter().chain(below).map(row).collect()
}

fn has_dockerfile(folder: &Path) -> bool {
    ["Dockerfile", "Containerfile"].iter().any(|name| folder.join(name).is_file())
}

async fn used_tags(cluster: &Cluster) -> Vec<Row> {
    let found = cluster.list(Erased::<ImageBuilder>::REF, false, None).await.unwrap_or_default();
    let builders = found.iter().filter_map(|found| read::<ImageBuilder>(&found.object).ok());
    let row = |builder: ImageBuilder| Row {
        value: format!("{}:{}", builder.spec.image.name, builder.spec.image.version),
        note: format!("imagebuilder/{}", builder.metadata.name.unwrap_or_default()),
    };
    builders.map(row).collect()
}

/// Rows that are narrowed by what is typed, and a check.
struct Narrowed<'a> {
    rows: &'a [Row],
    note: &'static str,
    check: &'a dyn Fn(&str) -> Result<(), String>,
}

impl Typing for Narrowed<'_> {
    fn below(&self, typed: &str) -> Below {
        let rows = self.rows.iter().filter(|row| row.value.contains(typed)).cloned().collect();
        Below { note: self.note.to_owned(), rows }
    }

    fn check(&self, typed: &str) -> Result<(), String> {
        (self.check)(typed)
    }
}

async fn ask_place(answers: &mut Answers, terminal: &Terminal) -> Result<Answer<()>, CliError> {
    let context = Rc::clone(&answers.context);
    let builder = answers.args.builder.clone();
    let check = |typed: &str| {
        let source = if typed == "-" { Err(missing()) } else { Source::of(Some(typed), &builder) };
        source.and_then(|source| source.dockerfile(builder.file.as_deref())).map(drop).map_err(|e| e.message)
    };
    let note = "a folder with a Dockerfile, or a git repository: https://host/app.git#ref:dir";
    let typing = Narrowed { rows: &context.folders, note, check: &check };
    let answer = TypedQuestion { prompt: "Build", initial: "", typing: &typing }.ask(terminal).await?;
    Ok(answer.map(|place| answers.args.place = Some(place)))
}

async fn ask_tag(answers: &mut Answers, terminal: &Terminal) -> Result<Answer<()>, CliError> {
    let context = Rc::clone(&answers.context);
    let check = |typed: &str| tag_problem(typed).map_or(Ok(()), Err);
    let note = "repository and tag, such as registry.example.com/team/app:1.4";
    let typing = Narrowed { rows: &context.tags, note, check: &check };
    let answer = TypedQuestion { prompt: "Push to", initial: "", typing: &typing }.ask(terminal).await?;
    Ok(answer.map(|tag| answers.args.builder.tags = vec![tag]))
}

async fn ask_platforms(answers: &mut Answers, terminal: &Terminal) -> Result<Answer<()>, CliError> {
    let items = PLATFORMS.map(str::to_owned);
    let answer = terminal.choose_some("For which platforms; none for that of the nodes", &items).await?;
    Ok(answer.map(|chosen| {
        answers.args.builder.platforms = chosen.iter().map(|i| PLATFORMS[*i].to_owned()).collect();
        answers.asked_platforms = true;
    }))
}

async fn ask_credentials(answers: &mut Answers, terminal: &Terminal) -> Result<Answer<()>, CliError> {
    let secrets = answers.context.secrets.clone();
    let items: Vec<String> = std::iter::once("none".to_owned()).chain(secrets.iter().cloned()).collect();
    let answer = terminal.choose("Secret with the credentials to push with", &items, 0).await?;
    Ok(answer.map(|chosen| {
        answers.args.builder.credentials = chosen.checked_sub(1).and_then(|i| secrets.get(i).cloned());
        answers.asked_credentials = true;
    }))
}

/// Shows what would be built, and asks.
async fn confirm(answers: &mut Answers, terminal: &Terminal) -> Result<Answer<()>, CliError> {
    let ui = answers.context.ui;
    terminal.draw(&["Looking at the Dockerfile and its base images …".to_owned()], 0)?;
    let draft = Draft::read(&answers.args);
    terminal.draw(&[String::new()], 0)?;
    let is_good = match draft {
        Ok(draft) => {
            let checked =
                check::of_draft(ui.aside(), &answers.args, &draft, &answers.context.connection).await?;
            checked == Outcome::Done
        }
        Err(error) => {
            ui.warned(&error);
            false
        }
    };
    let answer = terminal.confirm("Build it?", is_good).await?;
    Ok(answer.map(|is_confirmed| answers.is_confirmed = Some(is_confirmed)))
}
