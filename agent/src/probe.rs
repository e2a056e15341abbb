//! `imgop-agent probe`: asks registries from where this runs, and prints what they answer. The plugin starts it in a pod of
//! its user's namespace. It needs neither settings nor the API server, and has no credential.

use std::ffi::OsString;

use futures::future::join_all;
use imgop_core::probe::{PROBE, Target};
use imgop_registry::{Registries, Settings};

/// Returns the arguments of a probe, if that is what the process is to do.
pub fn arguments(all: impl IntoIterator<Item = OsString>) -> Option<Vec<OsString>> {
    let mut arguments = all.into_iter().skip(1);
    arguments.next().filter(|first| first == PROBE)?;
    Some(arguments.collect())
}

/// Asks all registries at once. Returns their answers as JSON, a line each.
///
/// # Errors
/// If an argument is no target.
pub async fn run(arguments: &[OsString]) -> anyhow::Result<String> {
    let targets: Vec<Target> = arguments
        .iter()
        .map(|argument| serde_json::from_str(&argument.to_string_lossy()))
        .collect::<Result<_, _>>()?;
    let settings = Settings {
        user_agent: concat!("imgop-agent/", env!("CARGO_PKG_VERSION")).to_owned(),
        ..Settings::default()
    };
    let registries = Registries::new(settings);
    let answers = join_all(targets.iter().map(|target| target.probe(&registries))).await;
    let mut lines = String::new();
    for answer in &answers {
        lines.push_str(&serde_json::to_string(answer)?);
        lines.push('\n');
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use imgop_core::probe::{Answer, Outcome};

    use super::*;

    #[tokio::test]
    async fn each_registry_has_a_line_and_an_argument_that_is_none_is_an_error() {
        let words =
            ["imgop-agent", "probe", r#"{"repository":"registry.invalid/a"}"#, r#"{"repository":"?"}"#];
        let targets = arguments(words.map(OsString::from)).unwrap();
        let printed = run(&targets).await.unwrap();
        let answers: Vec<Answer> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            answers.iter().map(|a| a.outcome).collect::<Vec<_>>(),
            [Outcome::UnknownHost, Outcome::Failed]
        );
        assert!(run(&[OsString::from("quay.io")]).await.is_err());
        assert_eq!(arguments(["imgop-agent", "--max-jobs=1"].map(OsString::from)), None);
    }
}
