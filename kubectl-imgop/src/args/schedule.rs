//! When an object is reconciled, for every kind that is reconciled again and again.

use clap::Args;

/// How often, and whether at all.
#[derive(Debug, Clone, Default, Args)]
pub struct ScheduleArgs {
    /// How often to check the source (OnceByTag and Recurrent), such as 30s, 5m, 1h30m or 1d; 5m by
    /// default
    #[arg(long, value_name = "DURATION")]
    pub frequency: Option<String>,

    /// Create the Image suspended: no sync starts until it is resumed
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL",
        hide_possible_values = true)]
    pub suspend: Option<bool>,
}

impl ScheduleArgs {
    /// Returns the first flag that is given.
    pub fn first(&self) -> Option<&'static str> {
        let given = [("--frequency", self.frequency.is_some()), ("--suspend", self.suspend.is_some())];
        given.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag)
    }
}
