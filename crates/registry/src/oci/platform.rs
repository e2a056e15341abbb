//! Platforms, and which of them are selected.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest word of a platform.
const MAX_PLATFORM_WORD: usize = 64;

/// A platform (OCI image-spec, "image-index.md": `platform`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
pub struct Platform {
    /// `linux`, `windows`, …
    pub os: String,
    /// `amd64`, `arm64`, …
    pub architecture: String,
    /// `v7`, `v8`, …
    #[serde(default)]
    pub variant: Option<String>,
    /// The version of Windows that an image needs.
    #[serde(default, rename = "os.version")]
    pub os_version: Option<String>,
}

/// `os/architecture` or `os/architecture/variant`, such as `linux/arm64/v8`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlatformSelector {
    os: String,
    architecture: String,
    variant: Option<String>,
}

/// The platforms to copy; an empty set selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Platforms(BTreeSet<PlatformSelector>);

/// A text that is no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no platform; write os/architecture or os/architecture/variant in lower case, such as linux/amd64 \
     or linux/arm/v7"
)]
pub struct PlatformError(String);

impl FromStr for PlatformSelector {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || PlatformError(text.chars().take(100).collect());
        let is_word = |word: &str| {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
            word.bytes().next().is_some_and(plain)
                && word.bytes().all(|b| plain(b) || matches!(b, b'.' | b'_' | b'-'))
        };
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts.as_slice() {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => return Err(error()),
        };
        if !is_word(os) || !is_word(architecture) || variant.is_some_and(|variant| !is_word(variant)) {
            return Err(error());
        }
        Ok(Self {
            os: (*os).to_owned(),
            architecture: (*architecture).to_owned(),
            variant: variant.map(|variant| (*variant).to_owned()),
        })
    }
}

impl TryFrom<String> for PlatformSelector {
    type Error = PlatformError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PlatformSelector> for String {
    fn from(platform: PlatformSelector) -> Self {
        platform.to_string()
    }
}

impl fmt::Display for PlatformSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

impl Platform {
    /// Whether it names what an image runs on, in plain words.
    pub(crate) fn is_named(&self) -> bool {
        let has_both = !self.os.is_empty() && !self.architecture.is_empty();
        has_both && !self.is_unknown() && self.is_plain()
    }

    /// Whether it is made of plain words: users read them, and whoever made the image wrote them.
    pub(super) fn is_plain(&self) -> bool {
        let is_word = |word: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
            word.len() <= MAX_PLATFORM_WORD && word.bytes().all(plain)
        };
        let others = [&self.variant, &self.os_version].into_iter().flatten();
        is_word(&self.os) && is_word(&self.architecture) && others.into_iter().all(|word| is_word(word))
    }

    /// Whether it stands for no platform, as that of attestations does.
    pub(super) fn is_unknown(&self) -> bool {
        self.os == "unknown" || self.architecture == "unknown"
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

impl PlatformSelector {
    /// Returns the operating system: `linux`.
    pub fn os(&self) -> &str {
        &self.os
    }

    /// Returns the architecture: `arm64`.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// Returns the variant: `v7`.
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }

    /// Returns the same platform as it is usually written: `linux/arm64` for `linux/aarch64/v8`, `linux/arm/v7` for
    /// `linux/arm`.
    #[must_use]
    pub fn normalized(&self) -> Self {
        let (architecture, variant) = normalized(&self.architecture, self.variant.as_deref());
        let is_usual = matches!((architecture, variant), (_, "") | ("amd64", "v1") | ("arm64", "v8"));
        let variant = (!is_usual).then(|| variant.to_owned());
        Self { os: self.os.clone(), architecture: architecture.to_owned(), variant }
    }

    /// Whether it names just this platform: without a variant, that with the usual one.
    pub fn names(&self, platform: &Platform) -> bool {
        let named = normalized(&self.architecture, self.variant.as_deref());
        self.os == platform.os && named == normalized(&platform.architecture, platform.variant.as_deref())
    }

    /// Whether it selects this platform. Without a variant it selects any variant.
    pub fn matches(&self, platform: &Platform) -> bool {
        let (architecture, variant) = normalized(&self.architecture, self.variant.as_deref());
        let (other, others_variant) = normalized(&platform.architecture, platform.variant.as_deref());
        let is_any_variant = self.variant.is_none() && variant == normalized(architecture, None).1;
        self.os == platform.os && architecture == other && (is_any_variant || variant == others_variant)
    }
}

/// Returns an architecture and its variant under the names that images use: arm64 and arm64/v8 are the same,
/// as are arm and arm/v7, and amd64 and amd64/v1 (containerd/platforms, "database.go": normalizeArch).
fn normalized<'a>(architecture: &'a str, variant: Option<&'a str>) -> (&'a str, &'a str) {
    match (architecture, variant.unwrap_or_default()) {
        ("i386" | "386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "" | "v1") => ("amd64", "v1"),
        ("x86_64" | "x86-64", variant) => ("amd64", variant),
        ("aarch64" | "arm64", "" | "8" | "v8") => ("arm64", "v8"),
        ("aarch64", variant) => ("arm64", variant),
        ("armhf", _) | ("arm", "" | "7" | "v7") => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "8") => ("arm", "v8"),
        other => other,
    }
}

impl Platforms {
    /// Parses a list. Order and repetitions do not matter.
    pub fn parse(texts: &[String]) -> Result<Self, PlatformError> {
        texts.iter().map(|text| text.parse()).collect::<Result<_, _>>().map(Self)
    }

    /// Whether all platforms are selected.
    pub fn selects_all(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this platform is selected.
    pub fn selects(&self, platform: &Platform) -> bool {
        self.selects_all() || self.0.iter().any(|selector| selector.matches(platform))
    }
}

/// Each once, sorted: `linux/amd64,linux/arm64`. Empty for all.
impl fmt::Display for Platforms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, platform) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "," };
            write!(f, "{separator}{platform}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platforms(texts: &[&str]) -> Result<Platforms, PlatformError> {
        Platforms::parse(&texts.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    fn platform(text: &str) -> Platform {
        let mut parts = text.split('/').map(str::to_owned);
        let (os, architecture) = (parts.next().unwrap(), parts.next().unwrap());
        Platform { os, architecture, variant: parts.next(), os_version: None }
    }

    #[test]
    fn a_platform_without_a_variant_selects_every_variant() {
        for (wanted, there, is_selected) in [
            ("linux/amd64", "linux/amd64", true),
            ("linux/amd64", "linux/amd64/v3", true),
            ("linux/amd64", "windows/amd64", false),
            ("linux/arm", "linux/arm/v6", true),
            ("linux/arm/v7", "linux/arm/v6", false),
            ("linux/arm/v7", "linux/arm", true),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/arm64/v8", "linux/arm64/v9", false),
            ("linux/amd64/v1", "linux/amd64", true),
            ("linux/arm", "linux/arm64", false),
            ("linux/arm64/v8", "linux/arm64/8", true),
            ("linux/arm64", "linux/aarch64", true),
            ("linux/arm/v7", "linux/arm/7", true),
            ("linux/amd64/v1", "linux/x86_64", true),
            ("linux/amd64/v1", "linux/amd64/v2", false),
            ("linux/386", "linux/i386", true),
        ] {
            let selected = platforms(&[wanted]).unwrap();
            assert_eq!(selected.selects(&platform(there)), is_selected, "{wanted} {there}");
        }
        assert!(platforms(&[]).unwrap().selects(&platform("plan9/mips")));
    }

    #[test]
    fn a_platform_has_one_usual_spelling() {
        for (text, usual) in [
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/x86_64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/riscv64", "linux/riscv64"),
        ] {
            let platform: PlatformSelector = text.parse().unwrap();
            assert_eq!(platform.normalized().to_string(), usual);
            assert_eq!(platform.normalized().normalized(), platform.normalized());
        }
    }

    #[test]
    fn the_usual_variant_is_named_without_one() {
        for (named, there, is_named) in [
            ("linux/arm", "linux/arm/v7", true),
            ("linux/arm", "linux/arm/v6", false),
            ("linux/amd64", "linux/amd64", true),
            ("linux/amd64", "linux/amd64/v3", false),
            ("linux/arm64/v9", "linux/arm64/v9", true),
            ("linux/arm64", "windows/arm64", false),
        ] {
            assert_eq!(
                named.parse::<PlatformSelector>().unwrap().names(&platform(there)),
                is_named,
                "{named} {there}"
            );
        }
    }

    #[test]
    fn a_list_has_one_form_whatever_its_order() {
        let one = platforms(&["linux/arm64", "linux/amd64", "linux/amd64"]).unwrap();
        assert_eq!(one.to_string(), "linux/amd64,linux/arm64");
        assert_eq!(platforms(&["linux/amd64", "linux/arm64"]).unwrap(), one);
    }

    #[test]
    fn other_texts_are_no_platforms() {
        for bad in [
            "",
            "amd64",
            "linux/",
            "/amd64",
            "linux/arm/v7/x",
            "Linux/amd64",
            "linux/amd64,x",
            "a b/c",
            "-/a",
        ] {
            assert!(platforms(&[bad]).is_err(), "{bad:?}");
        }
        insta::assert_snapshot!(platforms(&["amd64"]).unwrap_err(), @r#""amd64" is no platform; write os/architecture or os/architecture/variant in lower case, such as linux/amd64 or linux/arm/v7"#);
    }

    proptest::proptest! {
        #[test]
        fn what_is_read_is_written_back_and_any_text_is_read_without_a_panic(text in "[a-z0-9/._-]{0,24}|[ -~]{0,24}") {
            if let Ok(read) = text.parse::<PlatformSelector>() {
                proptest::prop_assert_eq!(read.to_string(), text);
            }
        }
    }
}
