//! What goes on in a build, as lines.

use std::collections::BTreeMap;
use std::time::Duration;

use imgop_core::api::{ImageBuilder, ImageBuilderStatus, PlatformState, PlatformStatus};
use tokio::time::sleep;

use crate::cluster::Cluster;
use crate::kinds::ObjectRef;
use crate::output::Ui;

/// How often the status is read.
const INTERVAL: Duration = Duration::from_secs(2);
/// How many lines of a Dockerfile stand around the one that failed.
const AROUND: usize = 2;

/// What was shown of each platform.
#[derive(Debug, Default)]
pub struct Shown(BTreeMap<String, String>);

impl Shown {
    /// Returns a line for each platform of which something is new.
    pub fn news(&mut self, status: &ImageBuilderStatus) -> Vec<String> {
        let mut lines = Vec::new();
        for part in &status.platforms {
            let line = line(part);
            if self.0.get(&part.platform) != Some(&line) {
                lines.push(line.clone());
                self.0.insert(part.platform.clone(), line);
            }
        }
        lines
    }
}

fn line(part: &PlatformStatus) -> String {
    let what = match (part.state, &part.step, &part.message) {
        (PlatformState::Pending, ..) => "waits for room".to_owned(),
        (PlatformState::Running, Some(step), _) => step.clone(),
        (PlatformState::Running, None, _) => "runs".to_owned(),
        (PlatformState::Built, ..) => format!("built {}", part.digest.as_deref().unwrap_or_default()),
        (PlatformState::Failed, step, message) => {
            let reason = part.reason.as_deref().unwrap_or("failed");
            // A message names the step itself.
            let why = message.as_deref().or(step.as_deref());
            why.map_or_else(|| reason.to_owned(), |why| format!("{reason}: {why}"))
        }
        (PlatformState::Unknown, ..) => "is in a state that this version does not know".to_owned(),
    };
    let emulated = if part.emulated { " (emulated)" } else { "" };
    format!("[{}{emulated}] {what}", part.platform)
}

/// Prints what is new until it is dropped. Why nothing may be read is reported by the wait beside it.
pub async fn print(ui: Ui, cluster: &Cluster, object: &ObjectRef) {
    let mut shown = Shown::default();
    loop {
        sleep(INTERVAL).await;
        if let Ok(Some(builder)) = cluster.api::<ImageBuilder>().get_opt(&object.name).await {
            let status = builder.status.unwrap_or_default();
            // The parts of an earlier build are no news.
            if status.build.is_some() {
                shown.news(&status).iter().for_each(|line| ui.note(line));
            }
        }
    }
}

/// Returns the lines of a Dockerfile around one, which is marked.
pub fn excerpt(text: &str, line: usize) -> String {
    let first = line.saturating_sub(AROUND).max(1);
    let lines = text.lines().enumerate().skip(first - 1).take(line + AROUND + 1 - first);
    let lines = lines.map(|(index, text)| {
        let mark = if index + 1 == line { ">>>" } else { "   " };
        format!("{mark} {:>4} | {text}\n", index + 1)
    });
    lines.collect()
}

/// Returns the line that a step names: `RUN make (line 7)`.
pub fn line_of(step: &str) -> Option<usize> {
    let (_, number) = step.strip_suffix(')')?.rsplit_once("(line ")?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(platform: &str, state: PlatformState, step: Option<&str>) -> PlatformStatus {
        PlatformStatus {
            platform: platform.into(),
            state,
            step: step.map(str::to_owned),
            ..PlatformStatus::default()
        }
    }

    #[test]
    fn a_platform_has_a_line_when_something_is_new() {
        let mut shown = Shown::default();
        let mut status = ImageBuilderStatus {
            platforms: vec![
                part("linux/amd64", PlatformState::Running, None),
                part("linux/arm64", PlatformState::Pending, None),
            ],
            ..ImageBuilderStatus::default()
        };
        assert_eq!(shown.news(&status), ["[linux/amd64] runs", "[linux/arm64] waits for room"]);
        status.platforms[0] = part("linux/amd64", PlatformState::Running, Some("RUN make (line 7)"));
        assert_eq!(shown.news(&status), ["[linux/amd64] RUN make (line 7)"]);
        assert!(shown.news(&status).is_empty());
        let failed = part("linux/amd64", PlatformState::Failed, Some("RUN make (line 7)"));
        let message = Some("line 7: `RUN make` exited with 2".to_owned());
        status.platforms[0] = PlatformStatus { reason: Some("StepFailed".into()), message, ..failed };
        assert_eq!(shown.news(&status), ["[linux/amd64] StepFailed: line 7: `RUN make` exited with 2"]);
    }

    #[test]
    fn the_line_that_failed_is_marked() {
        let text = "FROM a\nRUN one\nRUN two\nRUN three\nRUN four\nRUN five\n";
        insta::assert_snapshot!(excerpt(text, 3), @"
               1 | FROM a
               2 | RUN one
        >>>    3 | RUN two
               4 | RUN three
               5 | RUN four
        ");
        insta::assert_snapshot!(excerpt(text, 1), @"
        >>>    1 | FROM a
               2 | RUN one
               3 | RUN two
        ");
        assert_eq!(excerpt(text, 9), "");
        assert_eq!(line_of("RUN make (line 7)"), Some(7));
        assert_eq!(line_of("RUN echo line 5 (line 7)"), Some(7));
        assert_eq!(line_of("RUN ./deadline x (line 9)"), Some(9));
        assert_eq!(line_of("RUN echo (line 5)(line 7)"), Some(7));
        assert_eq!(line_of("RUN echo line 5"), None);
    }
}
