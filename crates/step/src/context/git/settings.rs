//! The configuration with which git runs, and no other.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::credentials::Credentials;
use crate::{Failed, Places};

/// Writes the configuration and returns its file.
pub fn write(credentials: Option<&Credentials>, stall: Duration, places: &Places) -> Result<PathBuf, Failed> {
    let path = places.scratch().join("gitconfig");
    fs::write(&path, text(credentials, stall)).map_err(|error| Failed::at("write", &path, &error))?;
    Ok(path)
}

/// Returns the configuration. What a repository brings along, such as attributes that name filters and hooks of a
/// template, finds nothing here that it could start.
fn text(credentials: Option<&Credentials>, stall: Duration) -> String {
    let mut text = format!(
        "[core]\n\thooksPath = /dev/null\n\tattributesFile = /dev/null\n\tfsmonitor = false\n\tsymlinks = true\n\
         [init]\n\ttemplateDir =\n\tdefaultBranch = imgop\n\
         [protocol]\n\tallow = never\n\tversion = 2\n\
         [protocol \"http\"]\n\tallow = always\n[protocol \"https\"]\n\tallow = always\n[protocol \"ssh\"]\n\tallow = always\n\
         [http]\n\tfollowRedirects = initial\n\tlowSpeedLimit = 1\n\tlowSpeedTime = {}\n\
         [safe]\n\tdirectory = *\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n[transfer]\n\tbundleURI = false\n\
         [credential]\n\thelper =\n",
        stall.as_secs().max(1)
    );
    if let Some(helper) = credentials.and_then(Credentials::helper) {
        let _ = write!(text, "[credential \"{}\"]\n\thelper = {}\n", helper.origin, quoted(&helper.command));
    }
    text
}

/// Returns a value of a configuration as git reads it back.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_runs_with_this_configuration() {
        insta::assert_snapshot!(text(None, Duration::from_mins(1)), @r##"
        [core]
        	hooksPath = /dev/null
        	attributesFile = /dev/null
        	fsmonitor = false
        	symlinks = true
        [init]
        	templateDir =
        	defaultBranch = imgop
        [protocol]
        	allow = never
        	version = 2
        [protocol "http"]
        	allow = always
        [protocol "https"]
        	allow = always
        [protocol "ssh"]
        	allow = always
        [http]
        	followRedirects = initial
        	lowSpeedLimit = 1
        	lowSpeedTime = 60
        [safe]
        	directory = *
        [gc]
        	auto = 0
        [maintenance]
        	auto = false
        [transfer]
        	bundleURI = false
        [credential]
        	helper =
        "##);
    }
}
