//! What the containers of a build may do. Buildah makes mounts and user ids of its own; each tier gets that in another
//! way, none of them with rights on the node but [`BuildTier::Privileged`].

use k8s_openapi::api::core::v1::{Capabilities, SeccompProfile, SecurityContext};

use crate::config::BuildTier;
use crate::jobs::template::runtime_default;

/// What a RUN is given, as root of a user namespace. Buildah fails where one of them is missing.
const OF_RUN: [&str; 11] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
/// What Buildah needs for mounts, where no seccomp profile allows them by themselves.
const MOUNTS: &str = "SYS_ADMIN";
/// The user that newuidmap gives more ids to.
const USER: i64 = 1000;

/// Returns whether a pod shares the node's users; false gives it a user namespace.
pub(super) fn host_users(tier: BuildTier) -> Option<bool> {
    match tier {
        BuildTier::A1 | BuildTier::A2 => Some(false),
        BuildTier::B | BuildTier::Privileged => None,
    }
}

/// Returns the user of the containers, which in a user namespace is root there alone.
pub(super) fn user(tier: BuildTier) -> i64 {
    match tier {
        BuildTier::A1 | BuildTier::A2 | BuildTier::Privileged => 0,
        BuildTier::B => USER,
    }
}

/// Returns the security context of the containers that run Buildah. `profile` is the seccomp profile on the nodes.
pub(super) fn context(tier: BuildTier, profile: &str) -> SecurityContext {
    let on_node =
        || SeccompProfile { type_: "Localhost".to_owned(), localhost_profile: Some(profile.to_owned()) };
    let root = SecurityContext {
        run_as_user: Some(0),
        run_as_group: Some(0),
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(only(&OF_RUN)),
        seccomp_profile: Some(runtime_default()),
        ..SecurityContext::default()
    };
    match tier {
        BuildTier::A1 => {
            let with_mounts: Vec<&str> = OF_RUN.into_iter().chain([MOUNTS]).collect();
            SecurityContext { capabilities: Some(only(&with_mounts)), ..root }
        }
        BuildTier::A2 => SecurityContext { seccomp_profile: Some(on_node()), ..root },
        BuildTier::B => SecurityContext {
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            // newuidmap has its capabilities from its file.
            allow_privilege_escalation: Some(true),
            capabilities: Some(only(&["SETGID", "SETUID"])),
            seccomp_profile: Some(on_node()),
            ..root
        },
        BuildTier::Privileged => SecurityContext {
            privileged: Some(true),
            run_as_user: Some(0),
            run_as_group: Some(0),
            ..SecurityContext::default()
        },
    }
}

fn only(names: &[&str]) -> Capabilities {
    Capabilities {
        drop: Some(vec!["ALL".to_owned()]),
        add: Some(names.iter().map(|name| (*name).to_owned()).collect()),
    }
}
