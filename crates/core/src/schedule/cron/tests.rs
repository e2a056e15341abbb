use std::time::Duration;

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::schedule::time_zones;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn schedule(text: &str, zone: &str) -> CronSchedule {
    CronSchedule::parse(text).unwrap().in_zone(zone).unwrap()
}

/// The times between two times.
fn times(text: &str, zone: &str, from: &str, until: &str) -> String {
    let (schedule, mut last) = (schedule(text, zone), at(from));
    let next = || {
        last = schedule.next(last);
        Some(last).filter(|time| *time <= at(until))
    };
    let zone = crate::schedule::time_zone::time_zone(zone).unwrap();
    let local = |time: Timestamp| time.to_zoned(zone.clone()).strftime("%d %H:%M%:z").to_string();
    std::iter::from_fn(next).take(100).map(local).collect::<Vec<_>>().join(", ")
}

#[test]
fn schedules_are_read_as_cron_writes_them() {
    let day = |text| times(text, "UTC", "2026-11-21T12:00:00Z", "2026-11-22T12:00:00Z");
    assert_eq!(day("0 3 * * *"), "22 03:00+00:00");
    assert_eq!(day(" 0\t3  * * *\n"), "22 03:00+00:00");
    assert_eq!(day("05 03 22 nov Sun"), "22 03:05+00:00");
    assert_eq!(day("*/20 18 * * SAT"), "21 18:00+00:00, 21 18:20+00:00, 21 18:40+00:00");
    assert_eq!(day("5/30 18 * * 6"), "21 18:05+00:00, 21 18:35+00:00");
    assert_eq!(
        day("0 16-20/2,22 * * MON-FRI,6"),
        "21 16:00+00:00, 21 18:00+00:00, 21 20:00+00:00, 21 22:00+00:00"
    );
    assert_eq!(day("0 0 * * 7"), day("0 0 * * SAT-SUN"));
    assert_eq!(day("0 0 1 * SUN"), "22 00:00+00:00", "one of both days is enough");
    let next = |text| CronSchedule::parse(text).unwrap().next(at("2026-11-21T12:00:00Z")).to_string();
    let named = ["@hourly", "@DAILY", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"].map(next);
    insta::assert_snapshot!(named.join("\n"), @"
    2026-11-21T13:00:00Z
    2026-11-22T00:00:00Z
    2026-11-22T00:00:00Z
    2026-11-22T00:00:00Z
    2026-12-01T00:00:00Z
    2027-01-01T00:00:00Z
    2027-01-01T00:00:00Z
    ");
    assert_eq!(next("0 0 29 2 *"), "2028-02-29T00:00:00Z");
}

/// The days of June 2026, which begins on a Monday.
fn days_of_june(days: &str) -> String {
    let days = times(&format!("0 0 {days}"), "UTC", "2026-05-31T12:00:00Z", "2026-06-30T12:00:00Z");
    days.split(", ").map(|day| &day[..2]).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_step_without_an_end_counts_to_saturday_and_no_further() {
    assert_eq!(days_of_june("* * 1/2"), days_of_june("* * 1,3,5"));
    assert_eq!(days_of_june("* * MON/2"), days_of_june("* * 1,3,5"));
    assert_eq!(days_of_june("* * FRI/1"), days_of_june("* * FRI,SAT"));
    assert_eq!(days_of_june("* * SUN/3"), days_of_june("* * SUN,WED,SAT"));
    assert_eq!(days_of_june("* * SAT/2"), "06 13 20 27");
    assert_eq!(days_of_june("* * 7/2"), "07 14 21 28");
    assert_eq!(days_of_june("* * 5-7/2"), days_of_june("* * FRI,SUN"));
    assert_eq!(days_of_june("29/1 * *"), "29 30");
}

#[test]
fn a_star_with_a_step_of_one_and_one_in_a_list_are_stars() {
    for star in ["*", "*/1", "*,1", "3,*/1"] {
        assert_eq!(days_of_june(&format!("15 * {star}")), "15", "{star}");
        assert_eq!(days_of_june(&format!("{star} * MON")), "01 08 15 22 29", "{star}");
    }
    // A larger step names days: one of both fields is enough.
    assert_eq!(days_of_june("*/10 * SUN"), "01 07 11 14 21 28");
}

#[test]
fn what_is_no_schedule_is_refused_with_the_part_and_the_fix() {
    let refused = |text: &str| CronSchedule::parse(text).unwrap_err().to_string();
    let told = [
        "",
        "0 3 * *",
        "0 0 3 * * *",
        "@reboot",
        "@every 5m",
        "5m",
        "TZ=Europe/Berlin 0 3 * * *",
        "60 3 * * *",
        "0 24 * * *",
        "0 3 0 * *",
        "0 3 * 13 *",
        "0 3 * * 8",
        "0 3 * * MONDAY",
        "0 3 * JANFEB *",
        "0 3 L * *",
        "0 3 ? * *",
        "*/0 * * * *",
        "0 */24 * * *",
        "1,,2 * * * *",
        "0 3 * * FRI-MON",
        "30-10 * * * *",
        "0 3 1 * ５",
        "0 0 30 2 *",
        "0 0 31 2,4,6,9,11 *",
    ]
    .map(refused);
    insta::assert_snapshot!(told.join("\n"), @r###"
    "" is not a schedule; write five fields (minute, hour, day of the month, month, day of the week), such as 0 3 * * * or */15 8-18 * * MON-FRI, or one of @hourly, @daily, @weekly, @monthly and @yearly
    "0 3 * *" is not a schedule; write five fields (minute, hour, day of the month, month, day of the week), such as 0 3 * * * or */15 8-18 * * MON-FRI, or one of @hourly, @daily, @weekly, @monthly and @yearly
    "0 0 3 * * *" is not a schedule; write five fields (minute, hour, day of the month, month, day of the week), such as 0 3 * * * or */15 8-18 * * MON-FRI, or one of @hourly, @daily, @weekly, @monthly and @yearly
    "@reboot" is not a schedule; write five fields (minute, hour, day of the month, month, day of the week), such as 0 3 * * * or */15 8-18 * * MON-FRI, or one of @hourly, @daily, @weekly, @monthly and @yearly
    "@every 5m" is a period and no schedule; leave schedule out and write it as frequency, such as 30s, 5m or 1h30m
    "5m" is a period and no schedule; leave schedule out and write it as frequency, such as 30s, 5m or 1h30m
    "TZ=Europe/Berlin 0 3 * * *" holds a time zone; write it as timeZone, and schedule without it
    "60" is no minute; write * or numbers from 0 to 59, ranges of them such as 1-5, lists such as 1,3 and steps such as */2
    "24" is no hour; write * or numbers from 0 to 23, ranges of them such as 1-5, lists such as 1,3 and steps such as */2
    "0" is no day of the month; write * or numbers from 1 to 31, ranges of them such as 1-5, lists such as 1,3 and steps such as */2
    "13" is no month; write * or numbers from 1 to 12, or JAN to DEC, ranges of them such as 1-5, lists such as 1,3 and steps such as */2
    "8" is no day of the week; write * or numbers from 0 to 7 (0 and 7 are Sunday), or SUN to SAT, ranges of them such as 1-5, lists such as 1,3 and steps such as */2
    "MONDAY" is no day of the week; write * or numbers from 0 to 7 (0 and 7 are Sunday), or SUN to SAT, ranges of them such as 1-5, lists such as 1,3 and steps such as */2
    "JANFEB" is no month; write * or numbers from 1 to 12, or JAN to DEC, ranges of them such as 1-5, lists such as 1,3 and steps such as */2
    "L" is no day of the month; write * or numbers from 1 to 31, ranges of them such as 1-5, lists such as 1,3 and steps such as */2
    "?" is no day of the month; write * or numbers from 1 to 31, ranges of them such as 1-5, lists such as 1,3 and steps such as */2
    "*/0" is no minute; write * or numbers from 0 to 59, ranges of them such as 1-5, lists such as 1,3 and steps such as */2
    "*/24" is no hour; write * or numbers from 0 to 23, ranges of them such as 1-5, lists such as 1,3 and steps such as */2
    "" is no minute; write * or numbers from 0 to 59, ranges of them such as 1-5, lists such as 1,3 and steps such as */2
    "FRI-MON" ends before it begins; write the day of the week as two ranges with a comma between them
    "30-10" ends before it begins; write the minute as two ranges with a comma between them
    "５" is no day of the week; write * or numbers from 0 to 7 (0 and 7 are Sunday), or SUN to SAT, ranges of them such as 1-5, lists such as 1,3 and steps such as */2
    "0 0 30 2 *" never comes: no month that it names has such a day; name another day of the month
    "0 0 31 2,4,6,9,11 *" never comes: no month that it names has such a day; name another day of the month
    "###);
}

#[test]
fn a_schedule_that_comes_in_some_months_or_on_days_of_the_week_comes() {
    for text in ["0 0 31 * *", "0 0 30 2,3 *", "0 0 30 2 MON", "0 0 28-31 2 *", "0 0 29 2 *"] {
        assert!(CronSchedule::parse(text).is_ok(), "{text}");
    }
}

/// What the clock skips comes right after the gap, and what it shows twice comes once.
#[test]
fn changes_of_the_clock_skip_no_time_and_repeat_none() {
    let berlin_spring = |text| times(text, "Europe/Berlin", "2026-03-28T23:30:00Z", "2026-03-29T03:00:00Z");
    assert_eq!(berlin_spring("30 2 * * *"), "29 03:00+02:00");
    assert_eq!(berlin_spring("*/15 2 * * *"), "29 03:00+02:00", "all of them at once");
    assert_eq!(berlin_spring("0 2,3 * * *"), "29 03:00+02:00");
    assert_eq!(berlin_spring("0 1,4 * * *"), "29 01:00+01:00, 29 04:00+02:00", "and nothing else moves");
    assert_eq!(berlin_spring("0 * * * *"), "29 01:00+01:00, 29 03:00+02:00, 29 04:00+02:00, 29 05:00+02:00");
    let berlin_autumn = |text| times(text, "Europe/Berlin", "2026-10-24T23:30:00Z", "2026-10-25T03:00:00Z");
    assert_eq!(berlin_autumn("30 2 * * *"), "25 02:30+02:00");
    assert_eq!(berlin_autumn("0,30 2 * * *"), "25 02:00+02:00, 25 02:30+02:00");
    assert_eq!(berlin_autumn("0 3 * * *"), "25 03:00+01:00");
    let every_hour = "25 02:00+02:00, 25 02:00+01:00, 25 03:00+01:00, 25 04:00+01:00";
    assert_eq!(berlin_autumn("0 * * * *"), every_hour, "or an hour would be without one");
    assert_eq!(berlin_autumn("0 0-23 * * *"), every_hour);

    let new_york = |text, from, until| times(text, "America/New_York", from, until);
    let spring = new_york("15 2 * * *", "2026-03-08T05:30:00Z", "2026-03-09T07:00:00Z");
    assert_eq!(spring, "08 03:00-04:00, 09 02:15-04:00");
    let autumn = new_york("15 1 * * *", "2026-11-01T04:30:00Z", "2026-11-02T07:00:00Z");
    assert_eq!(autumn, "01 01:15-04:00, 02 01:15-05:00");

    let lord_howe = |text, from, until| times(text, "Australia/Lord_Howe", from, until);
    let spring = lord_howe("15 2 * * *", "2026-10-03T14:00:00Z", "2026-10-05T00:00:00Z");
    assert_eq!(spring, "04 02:30+11:00, 05 02:15+11:00", "the gap is half an hour");
    let autumn = lord_howe("45 1 * * *", "2026-04-04T13:30:00Z", "2026-04-06T00:00:00Z");
    assert_eq!(autumn, "05 01:45+11:00, 06 01:45+10:30");
    let quarters = lord_howe("*/15 * * * *", "2026-04-04T14:40:00Z", "2026-04-04T15:30:00Z");
    assert_eq!(quarters, "05 01:45+11:00, 05 01:30+10:30, 05 01:45+10:30, 05 02:00+10:30");

    // Standard time is summer time there, and Ramadan is not.
    let casablanca = |text, from, until| times(text, "Africa/Casablanca", from, until);
    let back = casablanca("30 2 * * *", "2026-02-14T23:30:00Z", "2026-02-16T12:00:00Z");
    assert_eq!(back, "15 02:30+01:00, 16 02:30+00:00");
    let ahead = casablanca("30 2 * * *", "2026-03-21T23:30:00Z", "2026-03-23T12:00:00Z");
    assert_eq!(ahead, "22 03:00+01:00, 23 02:30+01:00");
}

#[test]
fn a_day_that_a_zone_skipped_ends_nothing() {
    let apia = times("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", "2011-12-31T20:00:00Z");
    assert_eq!(apia, "29 12:00-10:00, 31 00:00+14:00, 31 12:00+14:00");
}

#[test]
fn the_last_time_is_none_that_is_to_come() {
    let last = |text, until: &str| schedule(text, "Europe/Berlin").last(at(until)).unwrap().to_string();
    assert_eq!(last("0 3 * * *", "2026-11-21T02:00:00Z"), "2026-11-21T02:00:00Z");
    assert_eq!(last("0 3 * * *", "2026-11-21T01:59:59Z"), "2026-11-20T02:00:00Z");
    assert_eq!(last("0 0 29 2 *", "2026-11-21T00:00:00Z"), "2024-02-28T23:00:00Z");
    assert_eq!(last("*/30 * * * *", "2026-10-25T01:10:00Z"), "2026-10-25T01:00:00Z", "the second 02:00");
    assert_eq!(last("30 2 * * *", "2026-03-29T01:00:00Z"), "2026-03-29T01:00:00Z", "right after the gap");
}

/// A field of a schedule that can be read.
fn field(min: u8, max: u8) -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => Just("*".to_owned()),
        3 => (min..=max).prop_map(|value| value.to_string()),
        1 => (min..=max, 1..=max).prop_map(|(from, step)| format!("{from}/{step}")),
        1 => (1..=max).prop_map(|step| format!("*/{step}")),
        2 => (min..=max, min..=max).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
    ];
    proptest::collection::vec(part, 1..3).prop_map(|parts| parts.join(","))
}

fn fields() -> impl Strategy<Value = String> {
    let fields = (field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7));
    fields.prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"))
}

fn zone() -> impl Strategy<Value = &'static str> {
    const CHANGING: &[&str] =
        &["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"];
    prop_oneof![
        proptest::sample::select(CHANGING),
        proptest::sample::select(time_zones().collect::<Vec<_>>())
    ]
}

proptest! {
    #[test]
    fn the_next_time_is_later_and_every_one_after_it_too(
        text in fields(), zone in zone(), start in 0i64..4_000_000_000, millis in 0i32..1000,
    ) {
        let Ok(schedule) = CronSchedule::parse(&text) else { return Ok(()) };
        let schedule = schedule.in_zone(zone).unwrap();
        let mut last = Timestamp::new(start, millis * 1_000_000).unwrap();
        for _ in 0..20 {
            let next = schedule.next(last);
            prop_assert!(next > last, "{next} is not after {last}");
            prop_assert!(next < Timestamp::MAX, "it comes again");
            prop_assert!(next.subsec_nanosecond() == 0);
            let between = last + (next.duration_since(last) / 2);
            prop_assert_eq!(schedule.next(between), next, "nothing is skipped from between two");
            prop_assert_eq!(schedule.last(next), Some(next));
            prop_assert_eq!(schedule.last(next - Duration::from_millis(1)).max(Some(last)), Some(last).max(schedule.last(last)));
            last = next;
        }
    }

    #[test]
    fn where_the_clock_does_not_change_times_are_those_that_the_fields_name(text in fields(), start in 0i64..4_000_000_000) {
        let Ok(schedule) = CronSchedule::parse(&text) else { return Ok(()) };
        let start = Timestamp::from_second(start).unwrap();
        let next = schedule.next(start);
        let matches = |time: Timestamp| schedule.cron.is_time_matching(&TimeZone::UTC.to_datetime(time)).unwrap();
        prop_assert!(matches(next));
        let mut minute = Timestamp::from_second(start.as_second() / 60 * 60 + 60).unwrap();
        for _ in 0..200 {
            if minute >= next { break }
            prop_assert!(!matches(minute), "{minute} was left out");
            minute += Duration::from_mins(1);
        }
    }

    #[test]
    fn any_text_is_a_schedule_or_refused_without_a_panic(text in "([0-9*/,@a-zA-Z-]{0,8} ?){0,7}|.{0,60}") {
        if let Ok(schedule) = CronSchedule::parse(&text) {
            let _ = schedule.next(Timestamp::UNIX_EPOCH);
        }
    }

    #[test]
    fn any_text_is_a_time_zone_or_refused_without_a_panic(text in ".{0,60}") {
        let _ = CronSchedule::parse("@daily").unwrap().in_zone(&text);
    }
}

#[test]
fn the_ends_of_the_calendar_are_no_panic() {
    let daily = schedule("@daily", "Europe/Berlin");
    assert_eq!(daily.next(Timestamp::MIN).to_string(), "1970-01-01T23:00:00Z");
    assert_eq!(
        (daily.next(LATEST + Duration::from_secs(1)), daily.last(Timestamp::MIN)),
        (Timestamp::MAX, None)
    );
    assert!(daily.next(LATEST) < Timestamp::MAX && daily.last(LATEST).is_some());
}
