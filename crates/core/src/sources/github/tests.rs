use super::pages::limited_until;
use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn a_refusal_for_want_of_requests_names_when_they_are_taken_again() {
    let now = at(1_000);
    let answer = Answer { status: 403, remaining: Some(0), reset: Some(4_600), ..Answer::default() };
    assert_eq!(limited_until(&answer, now), Some(at(4_600)));
    let answer = Answer { status: 429, retry_after: Some(30), ..Answer::default() };
    assert_eq!(limited_until(&answer, now), Some(at(1_030)));
    let body = br#"{"message":"You have exceeded a secondary rate limit."}"#.to_vec();
    let answer = Answer { status: 403, remaining: Some(50), body, ..Answer::default() };
    assert_eq!(limited_until(&answer, now), Some(at(1_060)));
    let answer = Answer { status: 403, remaining: Some(50), ..Answer::default() };
    assert_eq!(limited_until(&answer, now), None);
    let answer = Answer { status: 404, remaining: Some(0), ..Answer::default() };
    assert_eq!(limited_until(&answer, now), None);
}

#[test]
fn a_repository_is_an_owner_and_a_name() {
    assert_eq!("a-b/c.d_e".parse::<GithubRepository>().unwrap().to_string(), "a-b/c.d_e");
    for bad in ["", "a", "a/", "/b", "a/b/c", "a/..", "a b/c", "a/b?c", "./b"] {
        assert!(bad.parse::<GithubRepository>().is_err(), "{bad}");
    }
}

#[test]
fn a_token_goes_to_the_host_for_raw_files_of_the_same_github_only() {
    let is_same = |api: &str, raw: &str| {
        GithubUrls { api: api.parse().unwrap(), raw: raw.parse().unwrap() }.is_raw_of_api()
    };
    assert!(is_same("https://api.github.com", "https://raw.githubusercontent.com"));
    assert!(is_same("https://git.corp/api/v3", "https://git.corp/raw"));
    assert!(!is_same("https://git.corp/api/v3", "https://raw.githubusercontent.com"));
}
