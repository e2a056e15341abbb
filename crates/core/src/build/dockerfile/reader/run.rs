//! `RUN` and its mounts.

use super::super::Feature;
use super::super::instruction::{Detail, Mount, MountKind};
use super::super::words::Flag;
use super::{FlagRule, Reader};

const RUN: &[FlagRule] = &[
    FlagRule::value("mount"),
    FlagRule::value("network").since(Feature::RunNetwork),
    FlagRule::of_others("security"),
    FlagRule::of_others("device"),
];

/// What every mount may be given.
const OF_ALL: &[&str] = &["type", "target", "dst", "destination"];

/// What mounts of files may be given (buildah's internal/volumes: `GetBindMount`, `GetCacheMount`).
const OF_FILES: &[&str] = &[
    "source",
    "src",
    "from",
    "rw",
    "readwrite",
    "ro",
    "readonly",
    "nosuid",
    "nodev",
    "noexec",
    "shared",
    "rshared",
    "private",
    "rprivate",
    "slave",
    "rslave",
    "bind-propagation",
    "Z",
    "z",
    "U",
];

impl MountKind {
    /// Returns what a mount of this type may be given beside that. Capitals count.
    const fn options(self) -> &'static [&'static str] {
        match self {
            Self::Bind => &["bind-nonrecursive", "consistency", "no-dereference", "relabel"],
            Self::Cache => &["id", "sharing", "mode", "uid", "gid"],
            Self::Tmpfs => &[
                "ro",
                "readonly",
                "rw",
                "nosuid",
                "nodev",
                "noexec",
                "tmpcopyup",
                "tmpfs-mode",
                "tmpfs-size",
            ],
            Self::Secret | Self::Ssh => &["id", "required", "mode", "uid", "gid"],
        }
    }

    fn takes(self, option: &str) -> bool {
        let of_files = if matches!(self, Self::Bind | Self::Cache) { OF_FILES } else { &[] };
        [OF_ALL, of_files, self.options()].iter().any(|known| known.contains(&option))
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Cache => "cache",
            Self::Tmpfs => "tmpfs",
            Self::Secret => "secret",
            Self::Ssh => "ssh",
        }
    }
}

impl Reader<'_> {
    pub(super) fn run(&mut self) -> Detail {
        let flags = self.flags(RUN);
        let mounts = flags.iter().filter(|flag| flag.name == "mount");
        let mounts = mounts.filter_map(|flag| self.mount(flag)).collect();
        if self.rest().trim().is_empty() {
            self.too_little("a command", "write RUN command");
        }
        self.check_json(self.from);
        Detail::Run(mounts)
    }

    fn mount(&mut self, flag: &Flag) -> Option<Mount> {
        let value = flag.value.as_deref()?;
        let options: Vec<(&str, &str)> =
            value.split(',').map(|option| option.split_once('=').unwrap_or((option, ""))).collect();
        // Of several the last one counts.
        let option = |name: &str| options.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let kind = match option("type").unwrap_or("bind") {
            "bind" => MountKind::Bind,
            "cache" => MountKind::Cache,
            "tmpfs" => MountKind::Tmpfs,
            "secret" => MountKind::Secret,
            "ssh" => MountKind::Ssh,
            other => {
                let message = format!("there is no mount of type {other:.40}");
                self.invalid(flag.start, message, "it is bind, cache, tmpfs or secret");
                return None;
            }
        };
        for (name, value) in &options {
            self.check_option(flag, kind, name, value);
        }
        let from = option("from").map(|from| self.located(from, flag.start..flag.end));
        let required = matches!(option("required"), Some("" | "true" | "1"));
        let position = self.position(flag.start);
        let target = option("target").or_else(|| option("dst")).or_else(|| option("destination"));
        let file_name = target.and_then(|target| target.rsplit('/').next());
        let id = option("id").or(file_name).map(str::to_owned);
        Some(Mount { kind, from, value: value.to_owned(), id, required, position })
    }

    fn check_option(&mut self, flag: &Flag, kind: MountKind, name: &str, value: &str) {
        match (kind, name) {
            (MountKind::Ssh, "type") => {
                let fix = "mount a key with type=secret";
                self.unsupported(flag.start, None, "a build has no SSH agent to mount", fix);
            }
            (MountKind::Secret, "env") => {
                let fix = "mount it as a file and read that";
                self.unsupported(flag.start, None, "Buildah has no secrets as variables of a RUN", fix);
            }
            (MountKind::Cache, "sharing") if !matches!(value, "shared" | "locked") => {
                let message = format!("a cache cannot be shared as {value:.40}");
                self.unsupported(
                    flag.start,
                    None,
                    message,
                    "write sharing=locked, or leave it out for shared",
                );
            }
            _ if !kind.takes(name) => {
                let lower = name.to_ascii_lowercase();
                let fix = if kind.takes(&lower) {
                    format!("write it in small letters: {lower:.40}")
                } else if (kind, name) == (MountKind::Tmpfs, "size") {
                    "write it as tmpfs-size".to_owned()
                } else {
                    "write it as --mount=type=bind,from=stage,source=/a,target=/b".to_owned()
                };
                self.invalid(flag.start, format!("a mount of type {} has no {name:.40}", kind.name()), &fix);
            }
            _ => {}
        }
    }
}
