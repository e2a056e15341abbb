//! What a check says, and how it is shown.

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli_error::{CliError, Kind};
use crate::output::table::Table;

/// Whether something is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// It is.
    Ok,
    /// It is not known: this user may not look, or was not asked to.
    Unknown,
    /// It works, but not as well as it could, or not for everything.
    Warn,
    /// Something does not work.
    Fail,
}

impl Verdict {
    /// Returns the word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Unknown => "UNKNOWN",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What was looked at, such as crd or registry.
    pub area: &'static str,
    /// Which one.
    pub name: String,
    /// Whether it is as it should be.
    pub result: Verdict,
    /// What was found.
    pub message: String,
    /// Commands or changes that repair it, the likeliest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repair: Vec<String>,
}

impl Check {
    /// Returns a check with this verdict.
    pub fn new(
        area: &'static str,
        name: impl Into<String>,
        result: Verdict,
        message: impl Into<String>,
    ) -> Self {
        Self { area, name: name.into(), result, message: message.into(), repair: Vec::new() }
    }

    /// Returns one that found nothing wrong.
    pub fn ok(area: &'static str, name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(area, name, Verdict::Ok, message)
    }

    /// Returns one that found what does not work.
    pub fn fail(area: &'static str, name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(area, name, Verdict::Fail, message)
    }

    /// Returns one that could not look. What the user may not see is no fault; anything else is.
    pub fn unseen(area: &'static str, name: impl Into<String>, error: &CliError) -> Self {
        let verdict = if error.kind == Kind::Forbidden { Verdict::Unknown } else { Verdict::Fail };
        let check = Self::new(area, name, verdict, error.message.clone());
        error
            .hints
            .iter()
            .filter(|_| verdict == Verdict::Fail)
            .fold(check, |check, hint| check.repaired(hint))
    }

    /// Adds what repairs it.
    #[must_use]
    pub fn repaired(mut self, by: impl Into<String>) -> Self {
        self.repair.push(by.into());
        self
    }
}

/// Returns the checks as a table.
pub fn table(checks: &[Check]) -> Table {
    let mut table = Table::new(["CHECK", "NAME", "RESULT", "MESSAGE"]);
    for Check { area, name, result, message, repair } in checks {
        let words = |by: &String| {
            if by.starts_with("kubectl ") { format!("; to repair: {by}") } else { format!("; {by}") }
        };
        let repair: Vec<String> = repair.iter().map(words).collect();
        table.row([
            (*area).to_owned(),
            name.clone(),
            result.word().to_owned(),
            format!("{message}{}", repair.concat()),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_may_not_see_is_no_fault() {
        let unseen = |kind: Kind| {
            let error = CliError { kind, ..CliError::failed("no").hinted("ask") };
            let check = Check::unseen("agent", "a", &error);
            (check.result, check.repair.len())
        };
        assert_eq!(unseen(Kind::Forbidden), (Verdict::Unknown, 0));
        assert_eq!(unseen(Kind::Failed), (Verdict::Fail, 1));
    }

    #[test]
    fn each_problem_says_what_repairs_it() {
        let checks = [
            Check::ok("crd", "images.skopeo.io", "as in this version"),
            Check::fail("namespace", "ci", "not enabled").repaired("kubectl imgop enable ci"),
        ];
        let lines: Vec<String> = table(&checks).lines(true).into_iter().map(|line| line.text).collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        CHECK       NAME               RESULT   MESSAGE
        crd         images.skopeo.io   OK       as in this version
        namespace   ci                 FAIL     not enabled; to repair: kubectl imgop enable ci
        ");
    }
}
