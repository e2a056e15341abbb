//! One comparator, and which versions it holds for.

use std::cmp::Ordering;

use semver::Version;

/// An operator and a version, of which numbers may be left open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Comparator {
    pub(super) operator: Operator,
    /// With zeros for the numbers that are open.
    pub(super) version: Version,
    pub(super) open: Open,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Tilde,
    Caret,
}

/// From which number on a version is open: left out, or `x`, `X`, `*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    /// All three are given.
    Nothing,
    Patch,
    Minor,
    Major,
}

impl Comparator {
    /// Whether it names a pre-release, so that pre-releases can match at all.
    pub(super) fn names_prerelease(&self) -> bool {
        !self.version.pre.is_empty()
    }

    /// Whether it holds for a version, pre-releases aside.
    pub(super) fn holds(&self, version: &Version) -> bool {
        let order = version.cmp_precedence(&self.version);
        match self.operator {
            Operator::Equal if self.open == Open::Nothing => order == Ordering::Equal,
            Operator::Equal | Operator::Tilde => self.is_tilde(version, order),
            Operator::NotEqual => self.is_other(version, order),
            Operator::Greater => self.is_greater(version, order),
            Operator::GreaterOrEqual => order != Ordering::Less,
            Operator::Less => order == Ordering::Less,
            Operator::LessOrEqual => self.is_less_or_equal(version, order),
            Operator::Caret => self.is_caret(version, order),
        }
    }

    fn has_same_minor(&self, version: &Version) -> bool {
        (version.major, version.minor) == (self.version.major, self.version.minor)
    }

    fn is_other(&self, version: &Version, order: Ordering) -> bool {
        match self.open {
            Open::Minor => version.major != self.version.major,
            Open::Patch => !self.has_same_minor(version) || version.pre != self.version.pre,
            Open::Nothing | Open::Major => order != Ordering::Equal,
        }
    }

    /// `>1.2` begins with 1.3, and `>1` with 2.
    fn is_greater(&self, version: &Version, order: Ordering) -> bool {
        match self.open {
            Open::Minor => version.major > self.version.major,
            Open::Patch => (version.major, version.minor) > (self.version.major, self.version.minor),
            Open::Nothing | Open::Major => order == Ordering::Greater,
        }
    }

    /// `<=1.2` holds for all of 1.2, and `<=1` for all of 1.
    fn is_less_or_equal(&self, version: &Version, order: Ordering) -> bool {
        match self.open {
            Open::Nothing => order != Ordering::Greater,
            Open::Minor => version.major <= self.version.major,
            Open::Patch | Open::Major => {
                (version.major, version.minor) <= (self.version.major, self.version.minor)
            }
        }
    }

    fn is_tilde(&self, version: &Version, order: Ordering) -> bool {
        let Version { major, minor, patch, .. } = self.version;
        let is_any = (major, minor, patch) == (0, 0, 0) && matches!(self.open, Open::Nothing | Open::Major);
        let is_same = match self.open {
            Open::Minor => version.major == major,
            _ => self.has_same_minor(version),
        };
        order != Ordering::Less && (is_any || is_same)
    }

    /// The first number that is not zero stays.
    fn is_caret(&self, version: &Version, order: Ordering) -> bool {
        let Version { major, minor, patch, .. } = self.version;
        let is_same = if major > 0 || self.open == Open::Minor {
            version.major == major
        } else if minor > 0 || self.open == Open::Patch {
            self.has_same_minor(version)
        } else {
            self.has_same_minor(version) && version.patch == patch
        };
        order != Ordering::Less && is_same
    }
}
