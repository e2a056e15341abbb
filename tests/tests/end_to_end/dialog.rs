//! The questions of `kubectl imgop copy`, on a terminal and a real cluster.

use imgop_terminal::{CTRL_C, CTRL_U, DOWN, ENTER, Terminal};
use imgop_tests::tenant::{CA_SECRET, PUSH_SECRET, Tenant, with_tenant};

/// Answers all questions but the last one.
fn answer(tenant: &Tenant) -> anyhow::Result<Terminal> {
    let ca = format!("--destination-ca-secret={CA_SECRET}");
    let arguments = ["copy", "--source-tls=PlainHTTP", &ca, "--wait", "--timeout=5m"];
    let mut terminal = Terminal::start(&tenant.kubectl.imgop_command(&arguments)?, 120);
    let path = tenant.path("busybox");
    terminal.answer("Copy from", &format!("{}{ENTER}", tenant.cluster.source.repository(&path)));
    terminal.wait_for_question("Version or pattern");
    terminal.press("v1.0.x");
    terminal.wait_for("v1.0.x selects 3 of 4 tags");
    terminal.press(ENTER);
    // Newest first: the second one is left out.
    terminal.answer("leave any out?", &format!("{DOWN} {ENTER}"));
    terminal.answer("Platforms", ENTER);
    terminal.answer("Copy to", &format!("{CTRL_U}{}{ENTER}", tenant.cluster.target.repository(&path)));
    terminal.wait_for_question("Credentials for the destination");
    terminal.wait_for(&format!("Secret {PUSH_SECRET}"));
    terminal.press(&format!("{DOWN}{ENTER}"));
    terminal.answer("When", ENTER);
    terminal.answer("Check the source every", ENTER);
    terminal.wait_for_question("Copy 2 tags?");
    Ok(terminal)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_is_copied_and_the_printed_command_changes_nothing() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let path = tenant.path("busybox");
        tenant.cluster.source.fill(&path, &["v1.0.0", "v1.0.1", "v1.0.2", "v2.0.0"], "").await?;
        let left = tokio::task::block_in_place(|| {
            let mut terminal = answer(tenant)?;
            terminal.press("y");
            anyhow::Ok(terminal.end())
        })?;
        assert_eq!((left.code, left.is_restored), (0, true), "{}", left.text);
        assert_eq!(tenant.cluster.target.tags(&path).await?, ["v1.0.0", "v1.0.2"], "{}", left.text);

        let text = left.text.replace('\n', "");
        let command = text.split("without questions:  kubectl imgop ").nth(1).unwrap_or_default();
        let command = command.split("and as a manifest").next().unwrap_or_default().replace('\'', "");
        // The command names its namespace.
        let again = tenant.cluster.kubectl.imgop(command.split_whitespace()).await?.ok()?;
        assert!(again.ends_with(" unchanged\n"), "{command}: {again}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_before_the_answer_makes_no_image() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let path = tenant.path("busybox");
        tenant.cluster.source.fill(&path, &["v1.0.0", "v1.0.1", "v1.0.2", "v2.0.0"], "").await?;
        let left = tokio::task::block_in_place(|| {
            let mut terminal = answer(tenant)?;
            terminal.press(CTRL_C);
            anyhow::Ok(terminal.end())
        })?;
        assert_eq!((left.code, left.is_restored), (130, true), "{}", left.text);
        assert!(tenant.images().list(&kube::api::ListParams::default()).await?.items.is_empty());
        Ok(())
    })
    .await
}
