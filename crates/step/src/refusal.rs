//! What Buildah and Skopeo say of registries, as reasons.

use std::thread;
use std::time::Duration;

use imgop_core::build::BuildFailure;
use imgop_core::text::last_bytes;
use imgop_registry::{backoff, printable};

use crate::Failed;

/// Bytes of such a text that are shown. The cause stands at its end.
const MAX_SHOWN: usize = 600;

/// What a program says went wrong between it and a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What follows.
    pub reason: BuildFailure,
    /// The end of the text, printable.
    pub text: String,
    /// Whether the same call may succeed a little later.
    pub may_pass: bool,
}

/// Texts of containers/image and docker/distribution, in lower case, from the most telling one to the least.
const SAID: [(&str, BuildFailure, bool); 29] = [
    ("no space left on device", BuildFailure::OutOfDisk, false),
    ("potentially insufficient uids or gids", BuildFailure::IdRangeTooSmall, false),
    ("toomanyrequests", BuildFailure::RegistryRateLimited, true),
    ("too many requests", BuildFailure::RegistryRateLimited, true),
    ("status code 429", BuildFailure::RegistryRateLimited, true),
    ("unauthorized", BuildFailure::RegistryUnauthorized, false),
    ("authentication required", BuildFailure::RegistryUnauthorized, false),
    ("invalid username/password", BuildFailure::RegistryUnauthorized, false),
    // Not the "permission denied" of a file.
    ("denied: ", BuildFailure::RegistryUnauthorized, false),
    ("resource is denied", BuildFailure::RegistryUnauthorized, false),
    ("403 (forbidden)", BuildFailure::RegistryUnauthorized, false),
    ("status code 403", BuildFailure::RegistryUnauthorized, false),
    ("manifest unknown", BuildFailure::BaseImageNotFound, false),
    // A repository that another controller creates may come a little later.
    ("name unknown", BuildFailure::BaseImageNotFound, true),
    ("name_unknown", BuildFailure::BaseImageNotFound, true),
    ("500 internal server error", BuildFailure::RegistryUnreachable, true),
    ("502 bad gateway", BuildFailure::RegistryUnreachable, true),
    ("503 service unavailable", BuildFailure::RegistryUnreachable, true),
    ("504 gateway", BuildFailure::RegistryUnreachable, true),
    ("status code 5", BuildFailure::RegistryUnreachable, true),
    ("received unexpected http status", BuildFailure::RegistryUnreachable, true),
    ("server gave http response to https client", BuildFailure::RegistryUnreachable, false),
    ("x509:", BuildFailure::RegistryUnreachable, false),
    ("certificate", BuildFailure::RegistryUnreachable, false),
    ("no such host", BuildFailure::RegistryUnreachable, true),
    ("connection re", BuildFailure::RegistryUnreachable, true),
    ("timeout", BuildFailure::RegistryUnreachable, true),
    (": eof", BuildFailure::RegistryUnreachable, true),
    ("unexpected eof", BuildFailure::RegistryUnreachable, true),
];

/// How often a call is tried, and how long it is waited between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How often at most.
    pub tries: u32,
    /// The first pause; each is twice as long as the one before.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl Patience {
    /// Calls until it succeeds, fails in a way that does not pass, or was tried often enough. An error of the outer
    /// kind ends it at once.
    pub fn retry<T>(
        &self,
        mut call: impl FnMut() -> Result<Result<T, Refusal>, Failed>,
    ) -> Result<Result<T, Refusal>, Failed> {
        let mut tried = 0;
        loop {
            let ended = call()?;
            tried += 1;
            match ended {
                Err(refusal) if refusal.may_pass && tried < self.tries => {
                    thread::sleep(backoff(self.first_pause, self.longest_pause, tried - 1));
                }
                ended => return Ok(ended),
            }
        }
    }
}

impl Refusal {
    /// Reads the errors of a program; `otherwise` is the reason of a text that is not known.
    pub fn read(errors: &str, otherwise: BuildFailure) -> Self {
        let lower = errors.to_lowercase();
        let known = SAID.iter().find(|(text, ..)| lower.contains(text));
        let (reason, may_pass) =
            known.map_or((otherwise, true), |(_, reason, may_pass)| (*reason, *may_pass));
        Self { reason, may_pass, text: shown(errors) }
    }
}

/// Returns the last line of a program's errors without time and level.
fn shown(errors: &str) -> String {
    let line = errors.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
    let line = line.rsplit_once("msg=").map_or(line, |(_, text)| text.trim_matches('"'));
    let line = line.strip_prefix("Error: ").unwrap_or(line);
    last_bytes(&printable(line), MAX_SHOWN).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(errors: &str) -> (BuildFailure, bool) {
        let refusal = Refusal::read(errors, BuildFailure::PushFailed);
        (refusal.reason, refusal.may_pass)
    }

    #[test]
    fn what_registries_refuse_is_not_tried_again_and_what_they_cannot_just_now_is() {
        for (text, expected) in [
            (
                "writing blob: uploading: unauthorized: authentication required",
                (BuildFailure::RegistryUnauthorized, false),
            ),
            ("requested access to the resource is denied", (BuildFailure::RegistryUnauthorized, false)),
            (
                "reading manifest 1 in r/x: manifest unknown: manifest unknown",
                (BuildFailure::BaseImageNotFound, false),
            ),
            (
                "reading manifest 1 in r/x: name unknown: repository name not known to registry",
                (BuildFailure::BaseImageNotFound, true),
            ),
            (
                "toomanyrequests: You have reached your pull rate limit",
                (BuildFailure::RegistryRateLimited, true),
            ),
            (
                "received unexpected HTTP status: 500 Internal Server Error",
                (BuildFailure::RegistryUnreachable, true),
            ),
            ("dial tcp: lookup r.example: no such host", (BuildFailure::RegistryUnreachable, true)),
            ("http: server gave HTTP response to HTTPS client", (BuildFailure::RegistryUnreachable, false)),
            ("write /work/storage/x: no space left on device", (BuildFailure::OutOfDisk, false)),
            ("open /work/x: permission denied", (BuildFailure::PushFailed, true)),
            ("something new", (BuildFailure::PushFailed, true)),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn what_may_pass_is_tried_again_until_it_was_tried_often_enough() {
        let patience = Patience { tries: 3, first_pause: Duration::ZERO, longest_pause: Duration::ZERO };
        for (text, tries) in [("503 Service Unavailable", 3), ("unauthorized", 1)] {
            let mut calls = 0;
            let ended = patience.retry(|| {
                calls += 1;
                Ok(Err::<(), _>(Refusal::read(text, BuildFailure::PushFailed)))
            });
            assert!(ended.unwrap().is_err());
            assert_eq!(calls, tries, "{text}");
        }
    }

    #[test]
    fn only_the_cause_is_shown_and_nothing_that_may_be_a_credential() {
        let errors = "Getting image source signatures\n\
                      time=\"2026-01-01T00:00:00Z\" level=fatal msg=\"copying: Get https://u:p@r.example/v2/?token=x: EOF\"\n";
        let refusal = Refusal::read(errors, BuildFailure::PushFailed);
        assert_eq!(refusal.text, "copying: Get https://r.example/v2/ EOF");
    }
}
