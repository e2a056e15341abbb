//! Packs the plugin for a release. `make release` starts it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Parser;
use imgop_release::pack::{Release, pack};
use imgop_release::target::TARGETS;

/// Pack the plugin for each target that was built, and write krew's manifest of the archives
#[derive(Debug, Parser)]
struct Args {
    /// The folder into which cargo has built
    #[arg(long, value_name = "FOLDER")]
    programs: PathBuf,

    /// The folder that gets the archives and the manifest
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    std::fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let release = Release {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        programs: args.programs,
        repository: Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."),
        out: args.out,
    };
    let packed = pack(&release)?;
    let mut out = std::io::stdout().lock();
    for target in TARGETS {
        let name = target.archive(&release.version);
        let state = if packed.contains(&target) { "packed" } else { "not built, and not in the manifest" };
        writeln!(out, "{name}: {state}")?;
    }
    Ok(())
}
