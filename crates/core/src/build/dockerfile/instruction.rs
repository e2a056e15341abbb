//! Instructions, parsed as far as a plan needs them.

use std::fmt;
use std::ops::Range;

use super::Position;

/// The name of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the instruction of that name in Docker's reference")]
pub enum Keyword {
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
}

impl Keyword {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Add,
        Self::Arg,
        Self::Cmd,
        Self::Copy,
        Self::Entrypoint,
        Self::Env,
        Self::Expose,
        Self::From,
        Self::Healthcheck,
        Self::Label,
        Self::Maintainer,
        Self::Onbuild,
        Self::Run,
        Self::Shell,
        Self::Stopsignal,
        Self::User,
        Self::Volume,
        Self::Workdir,
    ];

    /// Returns the instruction of this name, in capitals or not.
    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|keyword| keyword.as_str().eq_ignore_ascii_case(name))
    }

    /// Returns it as it is written in a Dockerfile.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Arg => "ARG",
            Self::Cmd => "CMD",
            Self::Copy => "COPY",
            Self::Entrypoint => "ENTRYPOINT",
            Self::Env => "ENV",
            Self::Expose => "EXPOSE",
            Self::From => "FROM",
            Self::Healthcheck => "HEALTHCHECK",
            Self::Label => "LABEL",
            Self::Maintainer => "MAINTAINER",
            Self::Onbuild => "ONBUILD",
            Self::Run => "RUN",
            Self::Shell => "SHELL",
            Self::Stopsignal => "STOPSIGNAL",
            Self::User => "USER",
            Self::Volume => "VOLUME",
            Self::Workdir => "WORKDIR",
        }
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// Its name.
    pub keyword: Keyword,
    /// Where it begins.
    pub position: Position,
    /// The whole of it in one line, without here-documents, as steps of a build are shown.
    pub text: String,
    /// Where it is in the file.
    pub(super) span: Range<usize>,
    pub(super) detail: Detail,
}

/// What an instruction says that a plan needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Detail {
    From(Box<From>),
    Arg(Vec<Assignment>),
    Env(Vec<Assignment>),
    /// `--from` of a COPY.
    Copy(Option<Located>),
    /// `--mount`s of a RUN.
    Run(Vec<Mount>),
    Onbuild(Box<Instruction>),
    /// Nothing.
    Plain,
}

/// `FROM --platform=… image AS name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct From {
    pub(super) image: Located,
    pub(super) platform: Option<Located>,
    pub(super) name: Option<String>,
}

/// A text as it is written, and where the word is that it is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Located {
    pub(super) text: String,
    pub(super) position: Position,
    /// Where the whole word is in the file.
    pub(super) word: Range<usize>,
}

/// `name=value` as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) name: String,
    pub(super) value: Option<String>,
}

/// `--mount=type=…` of a RUN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) kind: MountKind,
    /// The stage or image of `from=`.
    pub(super) from: Option<Located>,
    /// All that stands behind `--mount=`, without quotes.
    pub(super) value: String,
    /// The id of a secret.
    pub(super) id: Option<String>,
    /// Whether RUN fails without the secret.
    pub(super) required: bool,
    pub(super) position: Position,
}

/// The type of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MountKind {
    Bind,
    Cache,
    Tmpfs,
    Secret,
    Ssh,
}
