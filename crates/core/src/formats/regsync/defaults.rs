//! What regsync says of a step, or of all steps by `defaults`, besides source, target and tags.

use crate::api::Frequency;
use crate::api::Referrers;
use crate::formats::yaml::Fields;
use crate::formats::{FormatError, Problem, Settings};
use crate::schedule::CronSchedule;

/// Fields that steps and defaults have and an `ImageMirror` has not.
const OF_BOTH: [(&str, &str); 12] = [
    (
        "backup",
        "the tag that is replaced is not kept under another name; set overwrite: IfMissing of the target, or immutable tags at the registry",
    ),
    ("ratelimit", "the agent leaves Docker Hub's pulls for others by its own settings"),
    ("digestTags", "referrers: All copies signatures and the like, under their tags too"),
    ("referrerFilters", "all referrers are copied, or none"),
    ("referrerSource", "referrers are looked for at the source"),
    ("referrerTarget", "referrers are copied to the destination"),
    ("referrerSlow", "how referrers are listed; the registry decides that"),
    ("fastCheck", "a tag whose digest is the same is never looked at further"),
    ("forceRecursive", "kubectl imgop mirror verify finds what is missing below a tag"),
    ("includeExternal", "layers that are elsewhere are not copied"),
    ("mediaTypes", "whatever a tag shows is copied"),
    ("hooks", "commands around a step; events of the Images and webhooks of the agent tell what is done"),
];

const OF_DEFAULTS: [(&str, &str); 6] = [
    ("parallel", "how many copies run at once is a setting of the agent"),
    ("blobLimit", "a setting of the agent"),
    ("cacheCount", "the agent has its own cache"),
    ("cacheTime", "the agent has its own cache"),
    ("skipDockerConfig", "credentials come from Secrets only"),
    ("userAgent", "the agent names itself to registries"),
];

/// What a step says that an `ImageMirror` says of all its entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Common {
    pub(super) interval: Option<String>,
    pub(super) schedule: Option<String>,
    pub(super) platforms: Option<Vec<String>>,
    pub(super) referrers: Option<bool>,
}

impl Common {
    /// Reads what a step says, or `defaults`.
    pub(super) fn read(fields: &mut Fields, notes: &mut Vec<FormatError>) -> Result<Self, FormatError> {
        notes.extend(fields.not_carried(&OF_BOTH)?);
        let interval = fields.text("interval")?.filter(|(_, text)| text != "0");
        let interval = interval.and_then(|(line, text)| match frequency(&text) {
            Ok(text) => Some(text),
            Err(problem) => {
                notes.push(fields.error(line, "interval", problem));
                None
            }
        });
        let schedule = fields.text("schedule")?.filter(|(_, text)| !text.is_empty());
        let schedule = schedule.and_then(|(line, text)| match CronSchedule::parse(&text) {
            Ok(_) => Some(text),
            Err(error) => {
                notes.push(fields.error(line, "schedule", Problem::NotCarried(format!("{text:?}: {error}"))));
                None
            }
        });
        let referrers = fields.bool("referrers")?;
        Ok(Self { interval, schedule, platforms: None, referrers })
    }

    /// Returns the fields of `defaults`.
    pub(super) fn of_defaults(mut fields: Fields, notes: &mut Vec<FormatError>) -> Result<Self, FormatError> {
        notes.extend(fields.not_carried(&OF_DEFAULTS)?);
        let common = Self::read(&mut fields, notes)?;
        fields.finish()?;
        Ok(common)
    }

    /// Returns what holds for a step that says this.
    pub(super) fn or(self, defaults: &Self) -> Self {
        let (schedule, interval) = match (self.schedule, self.interval) {
            (None, None) => (defaults.schedule.clone(), defaults.interval.clone()),
            (Some(schedule), _) => (Some(schedule), None),
            (None, interval) => (None, interval),
        };
        Self { interval, schedule, referrers: self.referrers.or(defaults.referrers), ..self }
    }

    /// Returns it as fields of an `ImageMirror`.
    pub(super) fn settings(self) -> Settings {
        Settings {
            frequency: self.interval.filter(|_| self.schedule.is_none()),
            schedule: self.schedule,
            platforms: self.platforms.unwrap_or_default(),
            referrers: if self.referrers == Some(true) { Referrers::All } else { Referrers::None },
        }
    }
}

/// Returns a duration of Go as a frequency.
fn frequency(text: &str) -> Result<String, Problem> {
    // Go writes an hour as 1h0m0s.
    let text = text.strip_suffix("0s").filter(|rest| rest.ends_with(['m', 'h'])).unwrap_or(text);
    let text = text.strip_suffix("0m").filter(|rest| rest.ends_with('h')).unwrap_or(text);
    match text.parse::<Frequency>() {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(Problem::NotCarried(format!("{text:?}: {error}"))),
    }
}
