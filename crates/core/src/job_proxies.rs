//! The proxies of Jobs: the agent's own, unless its settings name others. What Jobs have of them stands in their
//! environment, which whoever may see pods reads; so none has a password. The agent gives them to its Jobs, and the plugin
//! to the pod with which it asks registries from the cluster.

use std::collections::BTreeMap;

/// What says that there is none.
const NONE: &str = "none";

/// The proxies of Jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    http: Option<String>,
    https: Option<String>,
    no_proxy: Option<String>,
}

/// Why the agent's own proxy cannot be that of Jobs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{variable} has a user or a password, and whoever may see the pods of Jobs would read it there: set {setting} to a \
     proxy without one, or to none for no proxy"
)]
pub struct ProxyError {
    variable: &'static str,
    setting: &'static str,
}

/// What settings say in place of the agent's own proxies; empty where they say nothing.
#[derive(Debug, Clone, Copy)]
pub struct InPlaceOfOwn<'a> {
    /// `JOB_HTTP_PROXY`.
    pub http: &'a str,
    /// `JOB_HTTPS_PROXY`.
    pub https: &'a str,
    /// `JOB_NO_PROXY`.
    pub no_proxy: &'a str,
}

impl Proxies {
    /// Returns the proxies of Jobs; `variable` returns those of the agent's own environment.
    ///
    /// # Errors
    /// If the agent's own proxy has a password and no setting names another one.
    pub fn new(
        settings: InPlaceOfOwn<'_>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ProxyError> {
        let own = |name: &'static str| {
            let is_set = |name: &str| variable(name).filter(|value| !value.is_empty());
            is_set(name).or_else(|| is_set(&name.to_lowercase())).map(|value| (name, value))
        };
        let proxy = |setting: &'static str, value: &str, name: &'static str| match value {
            NONE => Ok(None),
            "" => match own(name).or_else(|| own("ALL_PROXY")) {
                Some((variable, value)) if has_credentials(&value) => Err(ProxyError { variable, setting }),
                found => Ok(found.map(|(_, value)| value)),
            },
            value => Ok(Some(value.to_owned())),
        };
        let http = proxy("JOB_HTTP_PROXY", settings.http, "HTTP_PROXY")?;
        let https = proxy("JOB_HTTPS_PROXY", settings.https, "HTTPS_PROXY")?;
        let no_proxy = match settings.no_proxy {
            NONE => None,
            "" => own("NO_PROXY").map(|(_, value)| value),
            value => Some(value.to_owned()),
        };
        let has_proxy = http.is_some() || https.is_some();
        Ok(Self { http, https, no_proxy: no_proxy.filter(|_| has_proxy) })
    }

    /// Returns the variables that programs read, each in both spellings: curl, and with it git, reads `http_proxy` in
    /// small letters only.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let all = [("HTTP_PROXY", &self.http), ("HTTPS_PROXY", &self.https), ("NO_PROXY", &self.no_proxy)];
        let given = all.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
        given
            .flat_map(|(name, value)| [(name.to_owned(), value.clone()), (name.to_lowercase(), value)])
            .collect()
    }
}

/// Reads a proxy. It is not quoted where it is wrong.
///
/// # Errors
/// If it has a user or a password.
pub fn parse_proxy(text: &str) -> Result<String, String> {
    if has_credentials(text) {
        return Err(
            "it must not have a user or a password, which whoever may see the pods of Jobs would read"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// Returns whether the address of a proxy has a user or a password.
fn has_credentials(proxy: &str) -> bool {
    proxy.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAYS_NOTHING: InPlaceOfOwn<'static> = InPlaceOfOwn { http: "", https: "", no_proxy: "" };

    fn proxies(settings: InPlaceOfOwn<'_>, own: &[(&str, &str)]) -> Result<String, String> {
        let variable =
            |name: &str| own.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        let made = Proxies::new(settings, variable).map_err(|error| error.to_string())?;
        let of_small =
            made.environment().into_iter().filter(|(name, _)| name.starts_with(char::is_lowercase));
        Ok(of_small.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn jobs_have_the_agents_own_proxies_unless_settings_say_another_one() {
        let own = [("HTTPS_PROXY", "http://proxy:3128"), ("no_proxy", ".svc,10.0.0.0/8")];
        let of = |settings| proxies(settings, &own).unwrap();
        assert_eq!(of(SAYS_NOTHING), "https_proxy=http://proxy:3128 no_proxy=.svc,10.0.0.0/8");
        assert_eq!(
            of(InPlaceOfOwn { https: "http://other:1", no_proxy: "none", ..SAYS_NOTHING }),
            "https_proxy=http://other:1"
        );
        assert_eq!(of(InPlaceOfOwn { https: "none", ..SAYS_NOTHING }), "");
        assert_eq!(proxies(SAYS_NOTHING, &[]).unwrap(), "");
        let of_all = [("ALL_PROXY", "socks5://p:1")];
        assert_eq!(
            proxies(SAYS_NOTHING, &of_all).unwrap(),
            "http_proxy=socks5://p:1 https_proxy=socks5://p:1"
        );
    }

    #[test]
    fn both_spellings_of_each_variable_are_set() {
        let own = |name: &str| (name == "HTTPS_PROXY").then(|| "http://p:1".to_owned());
        let environment = Proxies::new(SAYS_NOTHING, own).unwrap().environment();
        assert_eq!(environment.into_keys().collect::<Vec<_>>(), ["HTTPS_PROXY", "https_proxy"]);
    }

    #[test]
    fn a_password_of_the_agents_own_proxy_is_never_given_to_jobs_and_not_shown() {
        let own = [("https_proxy", "http://agent:hunter2@proxy:3128")];
        let error = proxies(SAYS_NOTHING, &own).unwrap_err();
        assert!(
            error.starts_with("HTTPS_PROXY has a user or a password") && error.contains("JOB_HTTPS_PROXY")
        );
        assert!(!error.contains("hunter2"));
        let settings = InPlaceOfOwn { https: "http://open:3128", ..SAYS_NOTHING };
        assert_eq!(proxies(settings, &own).unwrap(), "https_proxy=http://open:3128");
        let none = InPlaceOfOwn { https: "none", ..SAYS_NOTHING };
        assert_eq!(proxies(none, &own).unwrap(), "");
    }
}
