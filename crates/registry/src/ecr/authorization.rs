//! Tokens of ECR's API: `GetAuthorizationToken`.
//!
//! Sources: Amazon ECR API Reference, "`GetAuthorizationToken`", and the same of ECR Public.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::call::Call;

/// No account is named: a token is good for every registry of the region that we may use.
pub(super) const GET: Call<'static> = Call { operation: "GetAuthorizationToken", body: "{}" };
/// The user name of every token.
const USERNAME: &str = "AWS";

/// The password of the user `AWS`, and when it ends.
#[derive(Debug)]
pub(super) struct Authorization {
    pub(super) password: SecretString,
    pub(super) expires_at: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    authorization_data: OneOrMany,
}

/// A list with one token; ECR Public gives the token itself.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Data>),
    One(Data),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    authorization_token: SecretString,
    /// Seconds of the epoch, with a fraction.
    expires_at: f64,
}

/// Reads the answer; none if it is no token.
pub(super) fn read(body: &[u8]) -> Option<Authorization> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let data = match answer.authorization_data {
        OneOrMany::Many(list) => list.into_iter().next()?,
        OneOrMany::One(data) => data,
    };
    let text = String::from_utf8(STANDARD.decode(data.authorization_token.expose_secret()).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    #[expect(clippy::cast_possible_truncation, reason = "what is out of range is no timestamp")]
    let expires_at = Timestamp::from_second(data.expires_at as i64).ok()?;
    let is_whole = username == USERNAME && !password.is_empty();
    is_whole.then(|| Authorization { password: password.into(), expires_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_password_of_the_user_aws() {
        let answer = |token: &str, end: &str| {
            let token = STANDARD.encode(token);
            read(format!(r#"{{"authorizationData":[{{"authorizationToken":"{token}","expiresAt":{end},"proxyEndpoint":"https://x"}}]}}"#).as_bytes())
        };
        let read = answer("AWS:a:b", "1.7e9").unwrap();
        assert_eq!(read.password.expose_secret(), "a:b");
        assert_eq!(read.expires_at.as_second(), 1_700_000_000);
        for (token, end) in
            [("AWS:", "1"), ("a:b", "1"), ("AWS", "1"), ("AWS:x", "1e300"), ("AWS:x", "\"soon\"")]
        {
            assert!(answer(token, end).is_none(), "{token} {end}");
        }
        assert!(super::read(br#"{"authorizationData":[]}"#).is_none());
    }
}
