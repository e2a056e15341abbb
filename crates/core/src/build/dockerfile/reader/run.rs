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

/// What a mount may be given, whatever its type.
const OPTIONS: [&str; 25] = [
    "type",
    "target",
    "destination",
    "dst",
    "source",
    "src",
    "from",
    "rw",
    "readwrite",
    "ro",
    "readonly",
    "id",
    "sharing",
    "mode",
    "uid",
    "gid",
    "required",
    "size",
    "tmpfs-size",
    "tmpfs-mode",
    "tmpcopyup",
    "z",
    "relabel",
    "bind-propagation",
    "bind-nonrecursive",
];

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
        let options: Vec<(String, &str)> = value
            .split(',')
            .map(|option| option.split_once('=').unwrap_or((option, "")))
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        let option = |name: &str| options.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
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
        for (name, _) in &options {
            self.check_option(flag, kind, name);
        }
        let from = option("from").map(|from| self.located(from, flag.start..flag.end));
        let required = matches!(option("required"), Some("" | "true" | "1"));
        let position = self.position(flag.start);
        let target = option("target").or_else(|| option("dst")).or_else(|| option("destination"));
        let file_name = target.and_then(|target| target.rsplit('/').next());
        let id = option("id").or(file_name).map(str::to_owned);
        Some(Mount { kind, from, id, required, position })
    }

    fn check_option(&mut self, flag: &Flag, kind: MountKind, name: &str) {
        match (kind, name) {
            (MountKind::Ssh, "type") => {
                let fix = "mount a key with type=secret";
                self.unsupported(flag.start, None, "a build has no SSH agent to mount", fix);
            }
            (MountKind::Secret, "env") => {
                let fix = "mount it as a file and read that";
                self.unsupported(flag.start, None, "Buildah has no secrets as variables of a RUN", fix);
            }
            _ if !OPTIONS.contains(&name) => {
                let message = format!("a mount has no {name:.40}");
                self.invalid(
                    flag.start,
                    message,
                    "write it as --mount=type=bind,from=stage,source=/a,target=/b",
                );
            }
            _ => {}
        }
    }
}
