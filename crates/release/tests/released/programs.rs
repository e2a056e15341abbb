//! The programs for Linux run anywhere.

use std::path::PathBuf;

use crate::{VERSION, given, run};

fn program(triple: &str, profile: &str, name: &str) -> PathBuf {
    given("IMGOP_PROGRAMS").join(triple).join(profile).join(name)
}

const LINUX: [(&str, &str); 2] = [
    ("x86_64-unknown-linux-gnu", "qemu-x86_64-static"),
    ("aarch64-unknown-linux-gnu", "qemu-aarch64-static"),
];

#[test]
fn no_program_for_linux_needs_a_library() {
    for (triple, _) in LINUX {
        for (profile, name) in
            [("plugin", "kubectl-imgop"), ("release", "imgop-agent"), ("release", "imgop-step")]
        {
            let program = program(triple, profile, name);
            let headers = run("readelf", &["--program-headers".as_ref(), program.as_os_str()]);
            assert!(headers.contains("LOAD"), "{triple} {name}: {headers}");
            assert!(!headers.contains("INTERP"), "{triple} {name}: {headers}");
        }
    }
}

#[test]
fn the_plugin_runs_on_both_processors() {
    for (triple, emulator) in LINUX {
        let plugin = program(triple, "plugin", "kubectl-imgop");
        let printed = run(emulator, &[plugin.as_os_str(), "version".as_ref(), "--client".as_ref()]);
        assert!(printed.starts_with(&format!("Client: v{VERSION}")), "{triple}: {printed}");
    }
}

#[test]
fn the_agent_runs_on_both_processors() {
    for (triple, emulator) in LINUX {
        let agent = program(triple, "release", "imgop-agent");
        let printed = run(emulator, &[agent.as_os_str(), "--version".as_ref()]);
        assert!(printed.contains(VERSION), "{triple}: {printed}");
    }
}
