//! An agent whose wall clock jumps while it works. It is built to load libraries, of which one (libfaketime) shows it
//! the time that a file says; the clock that only goes forward is the machine's.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use imgop_tests::elected_agents::{DEADLINE, ElectedAgents, LEADS, WAITS};
use imgop_tests::{programs, wait};
use tokio::process::Command;

/// How far the clock of the first agent is ahead, one after the other: two hours back, eight forward, eleven days forward, and
/// back again. It is never before the API server's certificate.
const HOURS_AHEAD: [i64; 4] = [1, 9, 273, 2];

/// Where Debian has the library.
fn library() -> anyhow::Result<PathBuf> {
    let folder = Path::new("/usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH));
    let library = folder.join("faketime/libfaketime.so.1");
    ensure!(library.exists(), "{} is not there: apt-get install libfaketime", library.display());
    Ok(library)
}

/// The agent, with the time that a file says.
fn with_clock(program: &Path, file: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(program);
    command
        .env("LD_PRELOAD", library()?)
        .env("FAKETIME_TIMESTAMP_FILE", file)
        .envs([("FAKETIME_NO_CACHE", "1"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")]);
    Ok(command)
}

fn set(file: &Path, hours: i64) -> anyhow::Result<()> {
    // Never half written.
    let new = file.with_extension("new");
    std::fs::write(&new, format!("+{hours}h\n"))?;
    Ok(std::fs::rename(new, file)?)
}

#[tokio::test]
async fn an_agent_whose_clock_jumps_leads_on_and_none_whose_clock_is_wrong_takes_its_lease()
-> anyhow::Result<()> {
    let program = tokio::task::spawn_blocking(programs::dynamic_agent).await??;
    let case = ElectedAgents::new().await?;
    let (first_clock, second_clock) =
        (case.server.folder().join("first-clock"), case.server.folder().join("second-clock"));
    set(&first_clock, 3)?;
    // By its clock the Lease has run out long ago, whatever the first one writes.
    set(&second_clock, 5_000)?;
    let first = case.agent_of("first", &with_clock(&program, &first_clock)?)?;
    first.says(LEADS, DEADLINE).await?;
    let second = case.agent_of("second", &with_clock(&program, &second_clock)?)?;
    second.says(WAITS, DEADLINE).await?;
    for hours in HOURS_AHEAD {
        set(&first_clock, hours)?;
        wait::poll("the Lease is renewed at the new time", DEADLINE, || async {
            let renewed = case.lease().await?.renew_time.context("no time in the Lease")?.0;
            let ahead = renewed.duration_since(jiff::Timestamp::now()).as_secs();
            Ok((ahead - hours * 3600).abs().le(&60).then_some(()))
        })
        .await?;
        let name = format!("after-{hours}");
        case.create(&name).await?;
        case.has_status(&name).await?;
        // Longer than a Lease lasts, by how often it is renewed.
        let version = || async { anyhow::Ok(case.lease().await?.renew_time) };
        for _ in 0..6 {
            let before = version().await?;
            wait::poll("the Lease is renewed", DEADLINE, || async {
                Ok((version().await? != before).then_some(()))
            })
            .await?;
        }
        assert_eq!(
            (case.holder().await?.as_str(), case.lease().await?.lease_transitions),
            ("first", Some(0))
        );
    }
    first.says(LEADS, DEADLINE).await?;
    second.says(WAITS, DEADLINE).await?;
    Ok(())
}
