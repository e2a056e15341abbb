//! Ages as kubectl writes them.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Returns the time since then, such as `5m12s` or `3d4h`; `<none>` without a time.
pub fn since(time: Option<&Time>, now: Timestamp) -> String {
    time.map_or_else(|| "<none>".to_owned(), |time| human(now.as_second() - time.0.as_second()))
}

/// Returns how long ago something was, and when; nothing without a time.
pub fn ago(time: Option<&Time>, now: Timestamp) -> String {
    time.map(|time| format!("{} ago ({})", since(Some(time), now), time.0)).unwrap_or_default()
}

/// Returns the time until then, such as `in 40s`, or `now` when it has passed.
pub fn until(time: &Time, now: Timestamp) -> String {
    let seconds = time.0.as_second() - now.as_second();
    if seconds <= 0 { "now".to_owned() } else { format!("in {}", human(seconds)) }
}

/// A port of `duration.HumanDuration` of k8s.io/apimachinery, so that ages read as in `kubectl get`.
pub fn human(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        // Clocks may differ by a second.
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

fn two(large: i64, large_unit: &str, small: i64, small_unit: &str) -> String {
    match small {
        0 => format!("{large}{large_unit}"),
        _ => format!("{large}{large_unit}{small}{small_unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_kubectls() {
        let (minute, hour, day, year) = (60, 3600, 86_400, 365 * 86_400);
        // The cases of duration_test.go.
        for (seconds, text) in [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (1, "1s"),
            (70, "70s"),
            (2 * minute - 1, "119s"),
            (2 * minute, "2m"),
            (2 * minute + 1, "2m1s"),
            (2 * minute + 10, "2m10s"),
            (10 * minute - 1, "9m59s"),
            (10 * minute, "10m"),
            (10 * minute + 1, "10m"),
            (3 * hour - 1, "179m"),
            (3 * hour, "3h"),
            (3 * hour + minute, "3h1m"),
            (8 * hour - 1, "7h59m"),
            (8 * hour, "8h"),
            (8 * hour + 59 * minute, "8h"),
            (2 * day - 1, "47h"),
            (2 * day, "2d"),
            (2 * day + hour, "2d1h"),
            (8 * day - 1, "7d23h"),
            (8 * day, "8d"),
            (8 * day + 23 * hour, "8d"),
            (2 * year - 1, "729d"),
            (2 * year, "2y"),
            (2 * year + day, "2y1d"),
            (3 * year, "3y"),
            (4 * year + day, "4y1d"),
            (8 * year - 1, "7y364d"),
            (8 * year, "8y"),
            (8 * year + 364 * day, "8y"),
            (9 * year, "9y"),
        ] {
            assert_eq!(human(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn an_absent_time_is_none_and_a_past_retry_is_now() {
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let then = Time("2026-01-01T00:00:20Z".parse().unwrap());
        assert_eq!(since(None, now), "<none>");
        assert_eq!(since(Some(&then), now), "40s");
        assert_eq!(until(&then, now), "now");
        assert_eq!(until(&Time("2026-01-01T00:03:00Z".parse().unwrap()), now), "in 2m");
    }
}
