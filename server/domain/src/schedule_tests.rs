use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn calendar(cron: &str, zone: &str) -> Calendar {
    Calendar::parse(cron, zone).unwrap()
}

fn upcoming(cron: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
    let times = calendar(cron, zone).upcoming(at(from), count);
    let text = |at: &DateTime<Utc>| at.format("%m-%dT%H:%MZ").to_string();
    times.iter().map(text).collect()
}

fn grace() -> Duration {
    Duration::minutes(10)
}

#[test]
fn patterns_words_and_zones_are_read_and_faults_name_their_field() {
    for cron in [
        "* * * * *",
        "*/5 2-4 * * MON-FRI",
        "0 0 L * *",
        "30 6 * JAN,JUL SUN",
        "@daily",
        "@Hourly",
        " 0 0 1 1 * ",
    ] {
        assert!(Calendar::parse(cron, "Europe/Berlin").is_ok(), "{cron}");
    }
    for cron in [
        "",
        "* * * *",
        "0 * * * * *",
        "* * * * * 2030",
        "60 * * * *",
        "x",
        "@reboot",
        "@every_minute",
        "0 0 * * FUNDAY",
        "٣ * * * *",
        "0 0 1 1 @daily",
    ] {
        let fault = Calendar::parse(cron, "UTC").unwrap_err();
        assert_eq!(fault.field(), "cron", "{cron}");
        assert!(fault.to_string().contains("five fields"), "{fault}");
    }
    assert!(Calendar::parse(&"1,".repeat(200), "UTC").is_err());
    for zone in ["", "Mars/Olympus", "Europe", "+02:00", "../../etc/passwd"] {
        let fault = Calendar::parse("@daily", zone).unwrap_err();
        assert_eq!(fault.field(), "time_zone", "{zone}");
    }
}

#[test]
fn a_pattern_that_never_comes_is_found_out_soon() {
    let begun = std::time::Instant::now();
    let never = calendar("0 0 30 2 *", "Europe/Berlin");
    assert_eq!(never.next_after(at("2026-01-01T00:00:00Z")), None);
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    let leap = upcoming("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", 1);
    assert_eq!(leap, ["02-29T00:00Z"]);
}

#[test]
fn a_fixed_time_in_the_spring_gap_runs_right_after_it() {
    // Berlin goes from 02:00 to 03:00 on 29 March 2026 (01:00Z).
    let times = upcoming("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", 3);
    assert_eq!(times, ["03-28T01:30Z", "03-29T01:00Z", "03-30T00:30Z"]);
}

#[test]
fn a_fixed_time_in_the_autumn_repeat_runs_once() {
    // Berlin goes from 03:00 back to 02:00 on 25 October 2026 (01:00Z).
    let times = upcoming("30 2 * * *", "Europe/Berlin", "2026-10-23T12:00:00Z", 3);
    assert_eq!(times, ["10-24T00:30Z", "10-25T00:30Z", "10-26T01:30Z"]);
    let times = upcoming("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", 2);
    assert_eq!(times, ["11-01T05:30Z", "11-02T06:30Z"]);
}

#[test]
fn a_pattern_of_every_so_often_leaves_out_no_half_hour_in_either_night() {
    for from in ["2026-03-29T00:00:00Z", "2026-10-25T00:00:00Z"] {
        let times = calendar("*/30 * * * *", "Europe/Berlin").upcoming(at(from), 8);
        for (index, time) in times.iter().enumerate() {
            let wanted = at(from) + Duration::minutes(30 * (i64::try_from(index).unwrap() + 1));
            assert_eq!(*time, wanted);
        }
    }
}

#[test]
fn what_comes_next_always_lies_ahead() {
    for cron in [
        "* * * * *",
        "*/7 1-3 * * *",
        "15 2 * * *",
        "0 */2 * * *",
        "30 0 L * *",
    ] {
        for zone in [
            "Europe/Berlin",
            "America/New_York",
            "Australia/Lord_Howe",
            "Africa/Casablanca",
        ] {
            let calendar = calendar(cron, zone);
            for from in ["2026-03-01T00:00:00Z", "2026-10-01T00:00:00Z"] {
                let mut time = at(from);
                let end = time + Duration::days(40);
                while time < end {
                    let next = calendar.next_after(time);
                    time = next.unwrap_or_else(|| panic!("{cron} in {zone} ends after {time}"));
                }
            }
        }
    }
}

#[test]
fn what_is_due_runs_once_and_then_no_more() {
    let calendar = calendar("0 * * * *", "UTC");
    let decided = at("2026-05-01T11:30:00Z");
    let before = calendar.due(decided, at("2026-05-01T11:59:59Z"), grace());
    assert_eq!((before.run, before.decided_until), (None, decided));
    let due = calendar.due(decided, at("2026-05-01T12:00:00.2Z"), grace());
    let noon = at("2026-05-01T12:00:00Z");
    assert_eq!(
        (due.run, &due.missed, due.decided_until),
        (Some(noon), &None, noon)
    );
    let again = calendar.due(noon, at("2026-05-01T12:00:30Z"), grace());
    assert_eq!((again.run, again.missed), (None, None));
}

#[test]
fn after_a_day_of_standstill_one_run_at_most_is_made_up_for() {
    let hourly = calendar("0 * * * *", "UTC");
    let (down, up) = (at("2026-05-01T12:00:00Z"), at("2026-05-02T12:05:00Z"));
    let due = hourly.due(down, up, grace());
    assert_eq!(
        due.run,
        Some(at("2026-05-02T12:00:00Z")),
        "within the grace"
    );
    let missed = due.missed.unwrap();
    assert_eq!((missed.count, missed.more), (23, false));
    assert_eq!(missed.first, at("2026-05-01T13:00:00Z"));
    assert_eq!(missed.last, at("2026-05-02T11:00:00Z"));

    let due = hourly.due(down, at("2026-05-02T12:30:00Z"), grace());
    assert_eq!(due.run, None, "the grace is over");
    assert_eq!(due.missed.unwrap().count, 24);
    assert_eq!(due.decided_until, at("2026-05-02T12:00:00Z"));

    let due = calendar("* * * * *", "UTC").due(down, down + Duration::days(30), grace());
    let missed = due.missed.unwrap();
    assert!(missed.more && missed.count < 1100, "{missed:?}");
    assert_eq!(due.run, Some(down + Duration::days(30)));
}

#[test]
fn a_clock_that_is_set_back_makes_nothing_due_and_silences_nothing() {
    let hourly = calendar("0 * * * *", "UTC");
    let decided = at("2026-05-01T12:00:00Z");
    let back = at("2026-04-30T08:30:00Z");
    let due = hourly.due(decided, back, grace());
    assert_eq!((due.run, due.missed, due.decided_until), (None, None, back));
    let due = hourly.due(back, at("2026-04-30T09:00:01Z"), grace());
    assert_eq!(due.run, Some(at("2026-04-30T09:00:00Z")));
}

#[test]
fn a_clock_that_leaps_forward_is_as_a_standstill() {
    let daily = calendar("0 3 * * *", "Europe/Berlin");
    let due = daily.due(
        at("2026-06-01T12:00:00Z"),
        at("2026-06-08T12:00:00Z"),
        grace(),
    );
    assert_eq!(due.run, None);
    assert_eq!(due.missed.map(|missed| missed.count), Some(7));
}
