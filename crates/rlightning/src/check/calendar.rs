//! Texts that are no dates or times for certain. Forms other than the usual ones are left to the server.

use sql::ddl::TypeKind;

/// How a session judges dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dates {
    /// ALLOW_INVALID_DATES: every month has 31 days.
    pub any_day: bool,
    /// Zero dates and zero parts are taken.
    pub zeros: bool,
}

impl Default for Dates {
    /// As the importer's own sessions.
    fn default() -> Self {
        Self { any_day: true, zeros: true }
    }
}

/// Whether a column of this type may take the text.
pub fn takes(kind: &TypeKind, text: &[u8], dates: &Dates) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let text = text.trim();
    if *kind == TypeKind::Time && text.is_empty() {
        return true;
    }
    let is_moment = matches!(kind, TypeKind::Date | TypeKind::DateTime | TypeKind::Timestamp);
    // `T` stands between date and time; no server reads another letter.
    let has_letter = text.bytes().any(|byte| byte.is_ascii_alphabetic() && !byte.eq_ignore_ascii_case(&b'T'));
    if is_moment && (has_letter || !text.bytes().any(|byte| byte.is_ascii_digit())) {
        return false;
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
        return false;
    }
    match kind {
        TypeKind::Date | TypeKind::DateTime | TypeKind::Timestamp => {
            moment(kind == &TypeKind::Timestamp, text, dates)
        }
        TypeKind::Time => duration(text),
        TypeKind::Year => {
            text.parse::<i64>().map_or(!text.is_empty(), |year| matches!(year, 0..=99 | 1901..=2155))
        }
        _ => true,
    }
}

/// Whether a column of this type may take the number.
pub fn takes_number(kind: &TypeKind, number: i64, dates: &Dates) -> bool {
    if *kind == TypeKind::Time {
        let (minute, second) = (number.unsigned_abs() / 100 % 100, number.unsigned_abs() % 100);
        // Larger ones may be a date with its time.
        return number.unsigned_abs() > 8_385_959 || (minute < 60 && second < 60);
    }
    if number == 0 {
        return dates.zeros;
    }
    // 240131, 20240131 and the same with a time; the years 70 to 99 are of the last century.
    let date = match number {
        101..=691_231 => number + 20_000_000,
        700_101..=991_231 => number + 19_000_000,
        10_000_101..=99_991_231 => number,
        991_232..=10_000_100 | 101_000_000.. => return true,
        _ => return false,
    };
    let part = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
    let text = format!("{:04}-{:02}-{:02}", part(date / 10_000), part(date / 100 % 100), part(date % 100));
    moment(*kind == TypeKind::Timestamp, &text, dates)
}

/// Numbers between separators; `None` for another form.
fn numbers<const N: usize>(text: &str, separator: char) -> Option<[u32; N]> {
    let mut parts = text.split(separator);
    let mut out = [0; N];
    for slot in &mut out {
        let part = parts.next()?;
        if part.is_empty() || part.len() > 4 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *slot = part.parse().ok()?;
    }
    parts.next().is_none().then_some(out)
}

fn moment(is_timestamp: bool, text: &str, dates: &Dates) -> bool {
    let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, ""));
    // 20240131, 24/1/31 and the like: the server's business.
    let Some([year, month, day]) = numbers::<3>(date, '-') else { return true };
    if date.find('-') != Some(4) {
        return true;
    }
    let all_zero = (year, month, day) == (0, 0, 0);
    let zeros = month == 0 || day == 0;
    if month > 12 || day > 31 || (zeros && !dates.zeros) {
        return false;
    }
    // A TIMESTAMP takes no day that is none, whatever the mode.
    if (is_timestamp || !dates.any_day) && !all_zero {
        if is_timestamp && zeros {
            return false;
        }
        if day > days_of(year, month) {
            return false;
        }
    }
    // Whatever the time zone is.
    if is_timestamp && !all_zero && !(1969..=2038).contains(&year) {
        return false;
    }
    time.is_empty() || clock(time)
}

fn days_of(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

fn clock(text: &str) -> bool {
    let text = text.split('.').next().unwrap_or(text);
    match numbers::<3>(text, ':').or_else(|| numbers::<2>(text, ':').map(|[hour, minute]| [hour, minute, 0]))
    {
        Some([hour, minute, second]) => hour < 24 && minute < 60 && second < 60,
        None => true,
    }
}

fn duration(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    // MySQL refuses 838:59:59.9, MariaDB takes it.
    let (text, _) = text.split_once('.').unwrap_or((text, ""));
    match numbers::<3>(text, ':') {
        Some([hour, minute, second]) => hour <= 838 && minute < 60 && second < 60,
        None => true,
    }
}
