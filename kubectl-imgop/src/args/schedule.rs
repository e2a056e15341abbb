//! When an object is reconciled, for every kind that is reconciled again and again.

use clap::Args;

/// How often, and whether at all.
#[derive(Debug, Clone, Default, Args)]
pub struct ScheduleArgs {
    /// How often to check the source (OnceByTag and Recurrent), such as 30s, 5m, 1h30m or 1d; 5m by
    /// default
    #[arg(long, value_name = "DURATION")]
    pub frequency: Option<String>,

    #[command(flatten)]
    pub cron: CronArgs,

    /// Create the Image suspended: no sync starts until it is resumed
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL",
        hide_possible_values = true)]
    pub suspend: Option<bool>,
}

/// At which times.
#[derive(Debug, Clone, Default, Args)]
pub struct CronArgs {
    /// At which times, in place of --frequency: cron's five fields (minute, hour, day of the month, month, day of the week),
    /// such as '0 3 * * *', or one of @hourly, @daily, @weekly, @monthly and @yearly
    #[arg(long, value_name = "CRON", conflicts_with = "frequency")]
    pub schedule: Option<String>,

    /// Time zone of --schedule, such as Europe/Berlin; UTC by default
    #[arg(long, value_name = "ZONE", requires = "schedule")]
    pub time_zone: Option<String>,
}

impl ScheduleArgs {
    /// Returns the first flag that is given.
    pub fn first(&self) -> Option<&'static str> {
        let given = [("--frequency", self.frequency.is_some()), ("--suspend", self.suspend.is_some())];
        let given = given.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag);
        given.or_else(|| self.cron.schedule.as_ref().map(|_| "--schedule"))
    }

    /// Returns the flag that says when, if one is given.
    pub fn recurrence(&self) -> Option<&'static str> {
        let of_schedule = self.cron.schedule.as_ref().map(|_| "--schedule");
        self.frequency.as_ref().map(|_| "--frequency").or(of_schedule)
    }
}
