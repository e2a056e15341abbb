//! Which version of Buildah can do what.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A version of Buildah, without its patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct BuildahVersion {
    /// 1.
    pub major: u32,
    /// 28 of 1.28.2.
    pub minor: u32,
}

/// A text that is no version of Buildah.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no version of Buildah; write it as 1.28.2 or v1.44")]
pub struct BuildahVersionError(String);

impl From<BuildahVersion> for String {
    fn from(version: BuildahVersion) -> Self {
        version.to_string()
    }
}

impl TryFrom<String> for BuildahVersion {
    type Error = BuildahVersionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// What not every version of Buildah can do (buildah's CHANGELOG.md, imagebuilder's dispatchers.go).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Feature {
    /// `RUN <<EOF`.
    HereDocuments,
    /// Lines of 64 KiB or more. An older version takes one for the end of the file, and builds a shorter image.
    LongLines,
    /// `RUN --network`.
    RunNetwork,
    /// `ADD --checksum`.
    AddChecksum,
    /// `ADD https://host/repository.git`.
    AddGit,
    /// `ADD --keep-git-dir`.
    AddKeepGitDir,
    /// `COPY --exclude`, `ADD --exclude`.
    Exclude,
    /// `${NAME#pattern}`, `${NAME%pattern}`, `${NAME/pattern/text}`, `${NAME:?text}`.
    Patterns,
    /// `COPY --parents`.
    Parents,
    /// `HEALTHCHECK --start-interval`.
    StartInterval,
    /// `COPY --link`, `ADD --link`.
    Link,
    /// `FROM --platform` of one stage alone. An older version applies it to later stages too.
    StagePlatform,
}

impl Feature {
    /// Returns the first version that can do it.
    pub const fn since(self) -> BuildahVersion {
        let minor = match self {
            Self::RunNetwork => 30,
            Self::HereDocuments | Self::LongLines | Self::AddChecksum => 33,
            Self::AddGit | Self::AddKeepGitDir | Self::Exclude | Self::Patterns => 38,
            Self::Parents | Self::StartInterval | Self::StagePlatform => 40,
            Self::Link => 41,
        };
        BuildahVersion { major: 1, minor }
    }
}

impl BuildahVersion {
    /// Whether this version can do it.
    pub fn has(self, feature: Feature) -> bool {
        self >= feature.since()
    }
}

impl FromStr for BuildahVersion {
    type Err = BuildahVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || BuildahVersionError(text.chars().take(40).collect());
        let mut parts = text.strip_prefix('v').unwrap_or(text).split('.');
        let mut number = || parts.next().and_then(|part| part.parse().ok()).ok_or_else(error);
        Ok(Self { major: number()?, minor: number()? })
    }
}

impl fmt::Display for BuildahVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_compared_by_its_numbers() {
        let version = |text: &str| text.parse::<BuildahVersion>().unwrap();
        assert!(version("1.28.2") < version("v1.33"));
        assert!(version("1.100") > version("1.44.0"));
        assert!(
            !version("1.28.2").has(Feature::HereDocuments) && version("1.33.0").has(Feature::HereDocuments)
        );
        for bad in ["", "1", "latest", "v", "1.x", "-1.2"] {
            assert!(bad.parse::<BuildahVersion>().is_err(), "{bad}");
        }
    }
}
