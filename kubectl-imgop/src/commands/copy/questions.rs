//! The questions about an Image, in their order. Each answer is written into the arguments that stand for it.

use std::rc::Rc;

use futures::FutureExt as _;
use imgop_core::api::{Frequency, Mode, Side};
use imgop_core::schedule::CronSchedule;
use imgop_core::selection::{Filter, Version, select};
use imgop_registry::reference::Tag;

use super::CopyArgs;
use super::context::{Context, Tags, repository};
use super::search::OfRegistries;
use super::typing::{DestinationTyping, SourceTyping, VersionTyping};
use super::{plan, tls_questions};
use crate::cli_error::CliError;
use crate::output::text::count;
use crate::prompts::dialog::Question;
use crate::prompts::{Answer, Below, Row, Terminal, TypedQuestion, Typing};

/// Up to how many tags single ones can be left out.
const MAX_LEFT_OUT: usize = 500;

/// What is answered so far.
#[derive(Clone)]
pub struct Draft {
    /// The arguments.
    pub args: CopyArgs,
    /// What proposals come from.
    pub context: Rc<Context>,
    /// Whether the plan is confirmed, or refused.
    pub is_confirmed: Option<bool>,
    /// The name that the plan has shown.
    pub planned_name: Option<String>,
    /// The tags that the version selects, where they are known.
    selected: Rc<[Tag]>,
}

impl Draft {
    /// Begins with what is given.
    pub fn new(args: CopyArgs, context: Context) -> Self {
        let context = Rc::new(context);
        Self { args, context, is_confirmed: None, planned_name: None, selected: Rc::new([]) }
    }

    fn version(&self) -> Option<Version> {
        let (_, version) = self.args.source.as_deref().and_then(split)?;
        version.or_else(|| self.args.image.versions.clone())?.parse().ok()
    }

    fn has_selector(&self) -> bool {
        self.version().is_some_and(|version| version.is_selector())
    }

    /// Returns where the source goes by default.
    fn by_default(&self) -> Option<Row> {
        let (defaults, namespace) = (self.context.defaults.as_ref()?, self.context.answering.namespace()?);
        let (source, _) = repository(self.args.source.as_deref()?)?;
        let value = defaults.prefix.repository(namespace, source.path()).ok()?.to_string();
        Some(Row { value, note: format!("the default destination of {}", defaults.origin) })
    }

    /// Returns the Secret that Images of the namespace use for the registry of a side.
    fn usual_secret(&self, side: Side) -> Option<String> {
        let (place, _) = repository(self.args.reference(side)?)?;
        self.context.used.iter().find_map(|used| {
            let endpoint = used.spec.endpoint(side);
            let (there, _) = repository(endpoint.name)?;
            let secret = endpoint.credentials.as_ref()?.secret_name.clone();
            (there.host() == place.host()).then_some(secret)
        })
    }
}

/// Returns the name of a reference as it is typed, and its version.
fn split(written: &str) -> Option<(String, Option<String>)> {
    let (_, name) = repository(written)?;
    let version = written.get(name.len() + 1..).filter(|version| !version.is_empty());
    Some((name, version.map(str::to_owned)))
}

/// Returns whether a reference has a version.
pub fn has_version(written: &str) -> bool {
    split(written).is_some_and(|(_, version)| version.is_some())
}

/// The questions.
pub const QUESTIONS: [Question<Draft>; 12] = [
    Question {
        argument: "SOURCE",
        is_required: true,
        is_open: |draft| draft.args.source.is_none(),
        ask: |draft, terminal| ask_source(draft, terminal).boxed_local(),
    },
    Question {
        argument: "--source-tls",
        is_required: false,
        is_open: |draft| tls_questions::is_open(draft, Side::Source),
        ask: |draft, terminal| tls_questions::ask(draft, terminal, Side::Source).boxed_local(),
    },
    Question {
        argument: "--source-credentials",
        is_required: false,
        is_open: |draft| {
            let endpoints = &draft.args.image.endpoints;
            let is_given = endpoints.source_credentials.is_some() || endpoints.source_use_aws_irsa.is_some();
            !is_given && draft.usual_secret(Side::Source).is_some()
        },
        ask: |draft, terminal| ask_secret(draft, terminal, Side::Source).boxed_local(),
    },
    Question {
        argument: "the version of SOURCE (or --versions)",
        is_required: true,
        is_open: |draft| {
            let source = draft.args.source.as_deref();
            !source.is_some_and(has_version) && !draft.args.image.has_versions()
        },
        ask: |draft, terminal| ask_version(draft, terminal).boxed_local(),
    },
    Question {
        argument: "--exclude",
        is_required: false,
        is_open: |draft| {
            draft.args.image.exclude.is_empty()
                && draft.has_selector()
                && (2..=MAX_LEFT_OUT).contains(&draft.selected.len())
        },
        ask: |draft, terminal| ask_left_out(draft, terminal).boxed_local(),
    },
    Question {
        argument: "--platforms",
        is_required: false,
        is_open: |draft| draft.args.image.platforms.is_empty() && !draft.selected.is_empty(),
        ask: |draft, terminal| ask_platforms(draft, terminal).boxed_local(),
    },
    Question {
        argument: "DESTINATION",
        is_required: true,
        is_open: |draft| draft.args.destination.is_none(),
        ask: |draft, terminal| ask_destination(draft, terminal).boxed_local(),
    },
    Question {
        argument: "--destination-tls",
        is_required: false,
        is_open: |draft| tls_questions::is_open(draft, Side::Destination),
        ask: |draft, terminal| tls_questions::ask(draft, terminal, Side::Destination).boxed_local(),
    },
    Question {
        argument: "--destination-credentials",
        is_required: false,
        is_open: |draft| {
            let endpoints = &draft.args.image.endpoints;
            let is_given =
                endpoints.destination_credentials.is_some() || endpoints.destination_use_aws_irsa.is_some();
            !is_given && !draft.context.secrets.is_empty()
        },
        ask: |draft, terminal| ask_secret(draft, terminal, Side::Destination).boxed_local(),
    },
    Question {
        argument: "--mode",
        is_required: false,
        is_open: |draft| {
            draft.args.image.mode.is_none() && !matches!(draft.version(), Some(Version::Digest(_)))
        },
        ask: |draft, terminal| ask_mode(draft, terminal).boxed_local(),
    },
    Question {
        argument: "--frequency",
        is_required: false,
        is_open: |draft| {
            let is_repeated = matches!(draft.args.image.mode, Some(Mode::OnceByTag | Mode::Recurrent));
            is_repeated && draft.args.image.schedule.recurrence().is_none()
        },
        ask: |draft, terminal| ask_recurrence(draft, terminal).boxed_local(),
    },
    Question {
        argument: "",
        is_required: false,
        is_open: |draft| draft.is_confirmed.is_none(),
        ask: |draft, terminal| plan::confirm(draft, terminal).boxed_local(),
    },
];

async fn ask_source(draft: &mut Draft, terminal: &Terminal) -> Result<Answer<()>, CliError> {
    let context = Rc::clone(&draft.context);
    let search = OfRegistries { registries: &context.registries, hosts: context.searched.clone() };
    let typing = SourceTyping::new(&context.used, &search);
    let answer = TypedQuestion { prompt: "Copy from", initial: "", typing: &typing }.ask(terminal).await?;
    let Answer::Given(source) = answer else { return Ok(Answer::Back) };
    draft.args.source = Some(source);
    tls_questions::probe(draft, terminal, Side::Source).await?;
    Ok(Answer::Given(()))
}

/// Reads the tags of the source, and says so meanwhile.
async fn tags(draft: &Draft, terminal: &Terminal) -> Result<Tags, CliError> {
    let source = draft.args.source.as_deref().unwrap_or_default();
    terminal.draw(&[format!("Reading the tags of {source} …")], 0)?;
    let tags = draft.context.tags(&draft.args, Side::Source).await;
    terminal.draw(&[String::new()], 0)?;
    if let Err(unread) = &tags {
        draft.context.ui.warning(&format!("the tags are not known: {}", unread.error.message));
    }
    Ok(tags)
}

async fn ask_version(draft: &mut Draft, terminal: &Terminal) -> Result<Answer<()>, CliError> {
    let tags = tags(draft, terminal).await?.ok();
    let candidates = draft.args.image.allow_candidate_release.unwrap_or_default();
    let typing = VersionTyping { tags: tags.clone(), candidates };
    let answer =
        TypedQuestion { prompt: "Version or pattern", initial: "", typing: &typing }.ask(terminal).await?;
    Ok(answer.map(|version| {
        draft.selected = match (version.parse::<Version>(), tags) {
            (Ok(version), Some(tags)) => {
                select(&version, candidates, &Filter::default(), &tags, 0).tags.into()
            }
            _ => Rc::new([]),
        };
        // What reads as a tag stands behind the source, as everywhere; the rest would not be read there.
        let is_plain = version.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        match draft.args.source.as_mut().filter(|_| is_plain) {
            Some(source) => *source = format!("{source}:{version}"),
            None => draft.args.image.versions = Some(version),
        }
    }))
}

async fn ask_left_out(draft: &mut Draft, terminal: &Terminal) -> Result<Answer<()>, CliError> {
    let tags: Vec<String> = draft.selected.iter().map(Tag::to_string).collect();
    let prompt = format!("{} selected; leave any out?", count(tags.len(), "tag"));
    let answer = terminal.choose_some(&prompt, &tags).await?;
    Ok(answer.map(|chosen| {
        draft.args.image.exclude = chosen.iter().map(|i| as_expression(&tags[*i])).collect();
        let kept = draft.selected.iter().enumerate().filter(|(i, _)| !chosen.contains(i));
        draft.selected = kept.map(|(_, tag)| tag.clone()).collect();
    }))
}

/// Returns the regular expression that matches one tag: of its characters only the dot means something else.
fn as_expression(tag: &str) -> String {
    tag.replace('.', r"\.")
}

async fn ask_platforms(draft: &mut Draft, terminal: &Terminal) -> Result<Answer<()>, CliError> {
    let Some(newest) = draft.selected.first().cloned() else { return Ok(Answer::Given(())) };
    let ways = [
        "All platforms".to_owned(),
        format!("Some of those of {newest} (reads its manifest, which is a pull)"),
    ];
    match terminal.choose("Platforms", &ways, 0).await? {
        Answer::Back => return Ok(Answer::Back),
        Answer::Given(0) => return Ok(Answer::Given(())),
        Answer::Given(_) => {}
    }
    let manifest = draft.context.manifest(&draft.args, &newest).await;
    let platforms = manifest.and_then(|manifest| match manifest {
        Some(manifest) if manifest.is_index() => {
            let entries = manifest.platforms().map_err(|error| error.to_string())?;
            Ok(entries.iter().map(|entry| entry.platform.to_string()).collect::<Vec<_>>())
        }
        Some(_) => Err(format!("{newest} is an image of one platform")),
        None => Err(format!("the source has no {newest} any more")),
    });
    let mut platforms = match platforms {
        Ok(platforms) => platforms,
        Err(why) => {
            draft.context.ui.warning(&format!("all platforms are copied: {why}"));
            return Ok(Answer::Given(()));
        }
    };
    platforms.sort();
    platforms.dedup();
    platforms.retain(|platform| platform != "unknown/unknown");
    let answer = terminal.choose_some("Platforms to copy", &platforms).await?;
    Ok(answer
        .map(|chosen| draft.args.image.platforms = chosen.iter().map(|i| platforms[*i].clone()).collect()))
}

async fn ask_destination(draft: &mut Draft, terminal: &Terminal) -> Result<Answer<()>, CliError> {
    let args = draft.args.clone();
    let typing = DestinationTyping::new(&args, &draft.context.used, draft.by_default());
    let initial = typing.proposed.first().map_or(String::new(), |row| row.value.clone());
    let answer =
        TypedQuestion { prompt: "Copy to", initial: &initial, typing: &typing }.ask(terminal).await?;
    let Answer::Given(destination) = answer else { return Ok(Answer::Back) };
    draft.args.destination = Some(destination);
    tls_questions::probe(draft, terminal, Side::Destination).await?;
    Ok(Answer::Given(()))
}

async fn ask_secret(draft: &mut Draft, terminal: &Terminal, side: Side) -> Result<Answer<()>, CliError> {
    let usual = draft.usual_secret(side);
    let mut secrets = draft.context.secrets.clone();
    // One that may not be listed is known from an Image.
    secrets.extend(usual.clone().filter(|usual| !secrets.contains(usual)));
    let default =
        usual.and_then(|usual| secrets.iter().position(|secret| *secret == usual)).map_or(0, |i| i + 1);
    let items: Vec<String> = std::iter::once("none".to_owned())
        .chain(secrets.iter().map(|name| format!("Secret {name}")))
        .collect();
    let answer = terminal.choose(&format!("Credentials for the {side}"), &items, default).await?;
    Ok(answer.map(|chosen| {
        let secret = chosen.checked_sub(1).map(|i| secrets[i].clone());
        match side {
            Side::Source => draft.args.image.endpoints.source_credentials = secret,
            Side::Destination => draft.args.image.endpoints.destination_credentials = secret,
        }
    }))
}

async fn ask_mode(draft: &mut Draft, terminal: &Terminal) -> Result<Answer<()>, CliError> {
    let modes = [
        (Mode::OneShot, "OneShot: once"),
        (Mode::OnceByTag, "OnceByTag: each tag once, and tags that appear later"),
        (Mode::Recurrent, "Recurrent: again whenever a tag shows something else"),
    ];
    let items = modes.map(|(_, text)| text.to_owned());
    let answer = terminal.choose("When", &items, usize::from(draft.has_selector())).await?;
    Ok(answer.map(|chosen| draft.args.image.mode = Some(modes[chosen].0)))
}

/// A frequency or a schedule: what their flags take.
struct RecurrenceTyping;

/// Returns whether a text is to be a schedule: a frequency has one word, which begins with a number.
fn is_schedule(typed: &str) -> bool {
    typed.starts_with('@') || typed.contains(' ')
}

impl Typing for RecurrenceTyping {
    fn below(&self, _: &str) -> Below {
        let note = "such as 30s, 5m, 1h30m or 1d, or a schedule such as 0 3 * * * or @daily";
        Below { note: note.to_owned(), rows: Vec::new() }
    }

    fn check(&self, typed: &str) -> Result<(), String> {
        if is_schedule(typed) {
            CronSchedule::parse(typed).map(drop).map_err(|error| error.to_string())
        } else {
            typed.parse::<Frequency>().map(drop).map_err(|error| error.to_string())
        }
    }
}

async fn ask_recurrence(draft: &mut Draft, terminal: &Terminal) -> Result<Answer<()>, CliError> {
    let (prompt, initial) = ("Check the source every", Frequency::DEFAULT_TEXT);
    let answer = TypedQuestion { prompt, initial, typing: &RecurrenceTyping }.ask(terminal).await?;
    let schedule = &mut draft.args.image.schedule;
    Ok(answer.map(|typed| {
        let field = if is_schedule(&typed) { &mut schedule.cron.schedule } else { &mut schedule.frequency };
        *field = Some(typed);
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_that_is_left_out_is_matched_as_it_is() {
        let filter = Filter::new(&[], &[as_expression("1.2.3-a_b")], None).unwrap();
        assert!(filter.excluded_by("1.2.3-a_b").is_some() && filter.excluded_by("1x2.3-a_b").is_none());
    }

    #[test]
    fn the_version_of_a_source_is_split_off_as_it_is_typed() {
        assert_eq!(split("nginx:1.27"), Some(("nginx".into(), Some("1.27".into()))));
        assert_eq!(split("r.example.com:5000/nginx"), Some(("r.example.com:5000/nginx".into(), None)));
    }
}
