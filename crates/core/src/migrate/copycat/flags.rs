//! copycat's flags, which are arguments of its container.

use std::collections::BTreeMap;

use super::{CopycatInput, Made, settings};
use crate::migrate::manager_flags::why_not_carried;

/// Flags that are true or false, with the settings and the variables that say the same.
const SWITCHES: [(&str, &str, &str); 2] =
    [("--dry-run", "dryRun", "DRY_RUN"), ("--dry-pull", "dryPull", "DRY_PULL")];
/// Flags that go before every other place where their settings stand.
const VALUES: [(&str, &str); 2] =
    [("--metrics-bind-address", "METRICS_ADDR"), ("--zap-log-level", "logLevel")];

/// What flags say of settings.
pub(super) type Flagged = BTreeMap<&'static str, (&'static str, String)>;

/// Returns the settings that flags say, each with its flag and its value, and says what becomes of all other flags.
pub(super) fn flags(input: &CopycatInput, made: &mut Made) -> Flagged {
    let mut flagged = Flagged::new();
    for (name, value) in &input.flags {
        if let Some((flag, setting)) = VALUES.into_iter().find(|(flag, _)| flag == name) {
            flagged.insert(setting, (flag, value.trim().to_owned()));
        } else if let Some(switch) = SWITCHES.into_iter().find(|(flag, ..)| flag == name) {
            let (flag, setting, _) = switch;
            if is_on(switch, value, input, made) {
                flagged.insert(setting, (flag, "true".to_owned()));
            }
        } else {
            made.not_carried(name, why_not_carried(name).unwrap_or("copycat has no such flag"));
        }
    }
    flagged.retain(|_, (_, value)| !value.is_empty());
    flagged
}

/// Returns whether a flag switches something on, and says why if it does not.
fn is_on(
    (flag, setting, variable): (&str, &str, &str),
    value: &str,
    input: &CopycatInput,
    made: &mut Made,
) -> bool {
    if input.env.get(variable).is_some_and(|value| !value.trim().is_empty()) {
        made.not_carried(flag, format!("the variable {variable} goes before it"));
        return false;
    }
    let switched = as_bool(value);
    if switched.is_none() {
        made.unusable(flag, format!("{value:?} is neither true nor false"));
    }
    if switched == Some(false) && is_on_in_file(setting, input) {
        made.not_carried(flag, format!("false switches nothing off: {setting} of the file stays"));
    } else if switched == Some(false) {
        made.kept(flag, "false is what it is without the flag");
    }
    switched == Some(true)
}

/// Returns whether the file switches something on.
fn is_on_in_file(setting: &str, input: &CopycatInput) -> bool {
    let Some(value) = input.file.as_ref().and_then(|file| file.get(setting)) else { return false };
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    settings::as_bool(text.trim()) == Some(true)
}

/// Reads what Go's flags take for true and false.
fn as_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::migrate::{CopycatInput, MigratedCopycat, migrate_copycat};

    fn migrate(flags: &[(&str, &str)], env: &[(&str, &str)], file: &serde_json::Value) -> MigratedCopycat {
        let map = |all: &[(&str, &str)]| {
            all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let input = CopycatInput {
            file: Some(file.clone()),
            env: map(env),
            flags: map(flags),
            ..CopycatInput::default()
        };
        migrate_copycat(&input)
    }

    fn said(migrated: &MigratedCopycat) -> String {
        migrated.changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_switch_is_on_by_every_word_that_go_takes_for_true_and_off_by_those_for_false() {
        let nothing = serde_json::json!({ "dryRun": false });
        for (value, is_on) in
            [("1", true), ("t", true), ("T", true), ("TRUE", true), ("true", true), ("True", true)]
                .into_iter()
                .chain(["0", "f", "F", "FALSE", "false", "False"].map(|value| (value, false)))
        {
            for (flag, mode) in [("--dry-run", "Observe"), ("--dry-pull", "Plan")] {
                let migrated = migrate(&[(flag, value)], &[], &nothing);
                let made = migrated.object["spec"]["mode"].as_str();
                assert_eq!(made, is_on.then_some(mode), "{flag}={value}");
                let is_off_said = said(&migrated)
                    .contains(&format!("{flag} carried: false is what it is without the flag"));
                assert_eq!(is_off_said, !is_on, "{flag}={value}");
            }
        }
        let migrated = migrate(&[("--dry-run", "yes")], &[], &nothing);
        assert!(said(&migrated).contains("--dry-run cannot be used: \"yes\" is neither true nor false"));
    }

    #[test]
    fn what_the_file_switches_on_is_said_to_stay_where_a_flag_is_false() {
        for on in [serde_json::json!(true), serde_json::json!("Yes"), serde_json::json!(1)] {
            let file = serde_json::json!({ "dryRun": on });
            let migrated = migrate(&[("--dry-run", "false"), ("--dry-pull", "false")], &[], &file);
            assert_eq!(migrated.object["spec"]["mode"], "Observe", "{file}");
            let said = said(&migrated);
            for line in [
                "--dry-run not carried: false switches nothing off: dryRun of the file stays",
                "--dry-pull carried: false is what it is without the flag",
            ] {
                assert!(said.contains(line), "{line}: {said}");
            }
        }
    }

    #[test]
    fn a_variable_goes_before_a_switch_and_a_switch_before_the_file() {
        let switch = [("--dry-run", "true")];
        let file = serde_json::json!({ "dryRun": false });
        assert_eq!(migrate(&switch, &[("DRY_RUN", "")], &file).object["spec"]["mode"], "Observe");
        let migrated = migrate(&switch, &[("DRY_RUN", "0")], &file);
        assert_eq!(migrated.object["spec"].get("mode"), None);
        assert!(said(&migrated).contains("--dry-run not carried: the variable DRY_RUN goes before it"));
    }

    #[test]
    fn every_other_flag_is_a_setting_of_the_agent_or_it_is_said_why_not() {
        let flags = [
            ("--leader-elect", "true"),
            ("--zap-encoder", "console"),
            ("--zap-log-level", "debug"),
            ("--health-probe-bind-address", ":8081"),
            ("--metrics-bind-address", ":9090"),
            ("--verbose", "true"),
        ];
        let file = serde_json::json!({ "logLevel": "warn" });
        let migrated = migrate(&flags, &[("METRICS_ADDR", ":8080")], &file);
        assert_eq!((&*migrated.agent["LISTEN"], &*migrated.agent["RUST_LOG"]), ("0.0.0.0:9090", "debug"));
        let said = said(&migrated);
        for line in [
            "--leader-elect not carried: of several agents one works, always",
            "--zap-encoder not carried: it is the agent's setting RUST_LOG",
            "--health-probe-bind-address not carried: metrics and health are answered at one address",
            "--verbose not carried: copycat has no such flag",
            "METRICS_ADDR carried: the value of --metrics-bind-address, which goes before METRICS_ADDR",
            "logLevel carried: the value of --zap-log-level, which goes before the file",
        ] {
            assert!(said.contains(line), "{line}: {said}");
        }
    }
}
