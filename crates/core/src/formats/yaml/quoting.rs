//! What go-yaml (the copy of yaml.v2 in `sigs.k8s.io/yaml`) takes for another type than text. Source: `resolve.go` there;
//! compared with the real library by a test.

/// Whether go-yaml reads this text as text where it stands without quotes.
pub(crate) fn is_read_as_text(text: &str) -> bool {
    let Some(first) = text.bytes().next() else { return false };
    match first {
        _ if is_word(text) => false,
        b'.' => !is_go_float(text),
        b'+' | b'-' | b'0'..=b'9' => !is_number(text) && !is_date(text),
        _ => true,
    }
}

/// Whether Go's `strconv.ParseFloat` takes it: underscores stand between digits.
fn is_go_float(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let is_between = |at: usize| is_digit(at.checked_sub(1)) && is_digit(at.checked_add(1));
    let are_good = text.match_indices('_').all(|(at, _)| is_between(at));
    let plain = text.replace('_', "");
    are_good
        && plain.parse::<f64>().is_ok_and(f64::is_finite)
        && plain.bytes().any(|byte| byte.is_ascii_digit())
}

/// Words that YAML 1.1 reads as truth values, nothing, not a number or infinite.
fn is_word(text: &str) -> bool {
    const LOWER: [&str; 10] = ["y", "yes", "n", "no", "true", "false", "on", "off", "null", "~"];
    let lower = text.to_ascii_lowercase();
    let is_title = text.chars().skip(1).all(|c| !c.is_ascii_uppercase());
    let is_upper = !text.chars().any(|c| c.is_ascii_lowercase());
    let has_one_case = is_title || is_upper;
    let unsigned = lower.strip_prefix(['+', '-']).unwrap_or(&lower);
    (has_one_case && LOWER.contains(&lower.as_str()))
        || [".nan", ".NaN", ".NAN"].contains(&text)
        || (unsigned == ".inf" && [".inf", ".Inf", ".INF"].contains(&text.trim_start_matches(['+', '-'])))
}

fn is_number(text: &str) -> bool {
    let plain = text.replace('_', "");
    is_integer(&plain) || is_float(&plain)
}

/// Whether Go's `strconv.ParseInt(text, 0, 64)` or `ParseUint` takes it.
fn is_integer(text: &str) -> bool {
    let (is_negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some(_) if lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    let is_digits = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    let limit = if is_negative {
        i64::MIN.unsigned_abs()
    } else if text.starts_with('+') {
        i64::MAX.unsigned_abs()
    } else {
        u64::MAX
    };
    is_digits && u64::from_str_radix(digits, radix).is_ok_and(|value| value <= limit)
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, and not too large for a number.
fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let has_mantissa = match mantissa.split_once('.') {
        Some(("", fraction)) => is_digits(fraction),
        Some((whole, fraction)) => is_digits(whole) && (fraction.is_empty() || is_digits(fraction)),
        None => is_digits(mantissa),
    };
    let has_exponent = exponent.is_none_or(|text| is_digits(text.strip_prefix(['+', '-']).unwrap_or(text)));
    has_mantissa && has_exponent && text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// Whether go-yaml reads this as a date or a time: four digits, `-`, and what its four layouts take.
fn is_date(text: &str) -> bool {
    if text.len() < 5 || !text.bytes().take(4).all(|byte| byte.is_ascii_digit()) || text.as_bytes()[4] != b'-'
    {
        return false;
    }
    let Some(date_ends) = text[5..].find(|c: char| c != '-' && !c.is_ascii_digit()).map(|end| end + 5) else {
        return is_day(text);
    };
    let (date, time) = text.split_at(date_ends);
    let Some((separator, time)) = time.split_at_checked(1) else { return false };
    let has_zone = time.find(['Z', '+', '-']);
    let is_time = match (separator, has_zone) {
        ("T" | "t", Some(zone)) => is_clock(&time[..zone]) && is_zone(&time[zone..]),
        (" ", None) => is_clock(time),
        _ => false,
    };
    is_day(date) && is_time
}

fn is_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let number = |text: &str| (1..=2).contains(&text.len()).then(|| text.parse::<i8>().ok()).flatten();
    let (Ok(year), Some(month), Some(day)) = (year.parse::<i16>(), number(month), number(day)) else {
        return false;
    };
    jiff::civil::Date::new(year, month, day).is_ok()
}

fn is_clock(text: &str) -> bool {
    let (whole, fraction) =
        text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let parts: Vec<&str> = whole.split(':').collect();
    let [hour, minute, second] = parts.as_slice() else { return false };
    let within = |text: &str, end: u8| {
        (1..=2).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && text.parse::<u8>().is_ok_and(|n| n < end)
    };
    let is_fraction =
        fraction.is_none_or(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    within(hour, 24) && within(minute, 60) && within(second, 60) && is_fraction
}

fn is_zone(text: &str) -> bool {
    let Some(offset) = text.strip_prefix(['+', '-']) else { return text == "Z" };
    let Some((hours, minutes)) = offset.split_once(':') else { return false };
    let within = |text: &str, end: u8| text.len() == 2 && text.parse::<u8>().is_ok_and(|n| n <= end);
    within(hours, 24) && within(minutes, 60)
}

/// Whether YAML 1.1 reads this as a number of base 60, such as `1:20`. go-yaml does not, and quotes it for those who do.
pub(super) fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut parts = unsigned.split(':');
    let Some(first) = parts.next() else { return false };
    let is_first = first.starts_with(|c: char| c.is_ascii_digit())
        && first.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let mut rest: Vec<&str> = parts.collect();
    let Some(last) = rest.pop() else { return false };
    let (last, fraction) = last.split_once('.').unwrap_or((last, ""));
    rest.push(last);
    let is_sixtieth = |part: &&str| match part.as_bytes() {
        [unit] | [b'0'..=b'5', unit] => unit.is_ascii_digit(),
        _ => false,
    };
    is_first
        && rest.iter().all(is_sixtieth)
        && fraction.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
}
