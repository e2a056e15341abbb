//! Hosts of Amazon ECR.

use std::fmt;

use super::RegistryHost;

/// The domains of registries by AWS partition (amazon-ecr-credential-helper, "ecr-login/api/client.go").
const DOMAINS: [&str; 7] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "c2s.ic.gov",
    "sc2s.sgov.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
];

/// The domains of registries that answer over IPv6 too, and of their API (AWS General Reference,
/// "Amazon ECR endpoints and quotas").
const DUAL_STACK: [(&str, &str); 2] =
    [("on.aws", "api.aws"), ("on.amazonwebservices.com.cn", "api.amazonwebservices.com.cn")];

/// ECR Public is one registry for all accounts, and its API is in one region alone (Amazon ECR Public
/// User Guide, "Registry authentication").
const PUBLIC: &str = "public.ecr.aws";
const PUBLIC_REGION: &str = "us-east-1";

/// A registry of Amazon ECR; its name contains the account and the region of its tokens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EcrHost {
    /// None for ECR Public.
    account: Option<String>,
    region: String,
    api_host: String,
}

impl EcrHost {
    /// Parses a host: `<account>.dkr.ecr[-fips].<region>.<domain>`, or `dkr-ecr` for registries
    /// with two stacks. `public.ecr.aws` is one too; `None` for every other host.
    pub fn of(host: &RegistryHost) -> Option<Self> {
        let text = host.as_str().strip_suffix(":443").unwrap_or(host.as_str());
        if text == PUBLIC {
            let api_host = format!("api.ecr-public.{PUBLIC_REGION}.amazonaws.com");
            return Some(Self { account: None, region: PUBLIC_REGION.to_owned(), api_host });
        }
        let (account, rest) = text.split_once('.')?;
        let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        let (is_dual, rest) = match rest.strip_prefix("dkr.ecr") {
            Some(rest) => (false, rest),
            None => (true, rest.strip_prefix("dkr-ecr")?),
        };
        let fips = rest.strip_prefix("-fips");
        let (region, domain) = fips.unwrap_or(rest).strip_prefix('.')?.split_once('.')?;
        let name = if fips.is_some() { "ecr-fips" } else { "ecr" };
        let api_host = if is_dual {
            let (_, api) = DUAL_STACK.iter().find(|(registries, _)| *registries == domain)?;
            format!("{name}.{region}.{api}")
        } else {
            let domain = DOMAINS.iter().find(|known| **known == domain)?;
            // `api.ecr` is what endpoints within a private network answer for.
            let name = if fips.is_some() { name } else { "api.ecr" };
            format!("{name}.{region}.{domain}")
        };
        let is_one = is_account && is_region(region);
        is_one.then(|| Self { account: Some(account.to_owned()), region: region.to_owned(), api_host })
    }

    /// Returns the twelve digits of the account that the registry belongs to; none for ECR Public.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// Whether this is ECR Public, which serves anonymous pulls.
    pub fn is_public(&self) -> bool {
        self.account.is_none()
    }

    /// Returns the region of its tokens: `eu-west-1`.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Returns the host of ECR's API for this registry.
    pub fn api_host(&self) -> &str {
        &self.api_host
    }
}

/// Whether this looks like a region: `eu-west-3`, `us-iso-east-1`, `eusc-de-east-1`. Another label would
/// make the host of another service: `s3`.
fn is_region(label: &str) -> bool {
    let words: Vec<&str> = label.split('-').collect();
    let is_name = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    match words.as_slice() {
        [area, names @ .., number] => {
            // The sovereign cloud of Europe is the one area of four letters.
            (area.len() == 2 && is_name(area) || *area == "eusc")
                && !names.is_empty()
                && names.iter().all(is_name)
                && !number.is_empty()
                && number.bytes().all(|b| b.is_ascii_digit())
        }
        _ => false,
    }
}

impl fmt::Display for EcrHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.account {
            Some(account) => write!(f, "account {account}, region {}", self.region),
            None => write!(f, "ECR Public, region {}", self.region),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(host: &str) -> Option<String> {
        let host = EcrHost::of(&host.parse().unwrap())?;
        Some(format!("{} {} {}", host.account().unwrap_or("public"), host.region(), host.api_host()))
    }

    #[test]
    fn b11_the_region_is_that_of_the_host() {
        for (host, expected) in [
            (
                "123456789012.dkr.ecr.eu-west-3.amazonaws.com",
                "123456789012 eu-west-3 api.ecr.eu-west-3.amazonaws.com",
            ),
            (
                "123456789012.dkr.ecr.us-east-1.amazonaws.com:443",
                "123456789012 us-east-1 api.ecr.us-east-1.amazonaws.com",
            ),
            (
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
                "123456789012 cn-north-1 api.ecr.cn-north-1.amazonaws.com.cn",
            ),
            (
                "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
                "123456789012 us-gov-west-1 ecr-fips.us-gov-west-1.amazonaws.com",
            ),
            ("123456789012.dkr-ecr.eu-west-3.on.aws", "123456789012 eu-west-3 ecr.eu-west-3.api.aws"),
            (
                "123456789012.dkr-ecr-fips.us-east-2.on.aws",
                "123456789012 us-east-2 ecr-fips.us-east-2.api.aws",
            ),
            (
                "123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
                "123456789012 cn-north-1 ecr.cn-north-1.api.amazonwebservices.com.cn",
            ),
            (
                "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu",
                "123456789012 eusc-de-east-1 api.ecr.eusc-de-east-1.amazonaws.eu",
            ),
            ("public.ecr.aws", "public us-east-1 api.ecr-public.us-east-1.amazonaws.com"),
        ] {
            assert_eq!(of(host).as_deref(), Some(expected), "{host}");
        }
    }

    #[test]
    fn no_other_host_is_one_of_ecr() {
        for host in [
            "gallery.ecr.aws",
            "12345678901.dkr.ecr.eu-west-3.amazonaws.com",
            "a23456789012.dkr.ecr.eu-west-3.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-3.amazonaws.com:5000",
            "123456789012.dkr.ecr.eu-west-3.amazonaws.com.evil.example",
            "123456789012.dkr.ecr.eu.west.amazonaws.com",
            "123456789012.dkr.ecr.amazonaws.com",
            "123456789012.dkr.ecr.s3.amazonaws.com",
            "123456789012.dkr.ecr.s3-eu-west-3.amazonaws.com",
            "123456789012.dkr.ecr.execute-api.amazonaws.com",
            "123456789012.dkr.ecr.eu-west.amazonaws.com",
            "123456789012.dkr.ecr.eu-3.amazonaws.com",
            "123456789012.dkr.ecr.eu--3.amazonaws.com",
            "123456789012.dkr-ecr.s3.on.aws",
            "123456789012.dkr.ecr-x.eu-west-3.amazonaws.com",
            "123456789012.dkr-ecr.eu-west-3.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-3.on.aws",
            "x.123456789012.dkr.ecr.eu-west-3.amazonaws.com",
            "docker.io",
        ] {
            assert_eq!(of(host), None, "{host}");
        }
    }

    proptest::proptest! {
        /// Whoever creates an Image chooses the host; signed requests go to AWS alone.
        #[test]
        fn requests_go_to_domains_of_aws_alone(
            account in "[0-9]{12}",
            kind in r"dkr[.-]ecr(-fips)?",
            label in "[a-z]{2}(-[a-z]{1,6}){1,2}-[0-9]{1,2}|[a-z0-9.-]{1,20}",
            domain in proptest::prop_oneof![
                proptest::sample::select(DOMAINS.to_vec()),
                proptest::sample::select(DUAL_STACK.map(|(registries, _)| registries).to_vec()),
            ],
        ) {
            let host = format!("{account}.{kind}.{label}.{domain}");
            if let Ok(host) = host.parse::<RegistryHost>() && let Some(ecr) = EcrHost::of(&host) {
                let ends = DOMAINS.iter().chain(DUAL_STACK.iter().map(|(_, api)| api));
                let mut before = ends.filter_map(|end| ecr.api_host().strip_suffix(&format!(".{end}")));
                let names: Vec<&str> = before.next().unwrap_or_default().split('.').collect();
                let region = names.last().copied().unwrap_or_default();
                proptest::prop_assert_eq!(region, ecr.region(), "{}", ecr.api_host());
                proptest::prop_assert!(is_region(region), "{}", ecr.api_host());
                proptest::prop_assert!(matches!(names[..names.len() - 1],
                    ["api", "ecr"] | ["ecr" | "ecr-fips"]), "{}", ecr.api_host());
            }
        }
    }
}
