//! Verbs for several Images at once: names, labels, all; and waiting for them. The test itself writes
//! what the agent would say.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use imgop_core::api::{Image, REQUESTED_AT_ANNOTATION};
use imgop_tests::api_server::ApiServer;
use imgop_tests::kubectl::{Kubectl, Output};
use imgop_tests::namespace::with_namespace;
use imgop_tests::wait;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use crate::images::{image, images, spec};

const DEADLINE: Duration = Duration::from_mins(1);

/// A namespace with the Images `a`, `b` and `c`, of which `a` and `b` are team=web.
struct Three {
    kubectl: Kubectl,
    api: Api<Image>,
}

async fn with_three(test: impl AsyncFnOnce(&Three) -> anyhow::Result<()>) -> anyhow::Result<()> {
    with_three_of(ApiServer::shared().await?, test).await
}

async fn with_three_of(
    server: &ApiServer,
    test: impl AsyncFnOnce(&Three) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let client = server.client().await?;
    with_namespace(&client.clone(), async |namespace| {
        for (name, team) in [("a", "web"), ("b", "web"), ("c", "data")] {
            let mut object = image(&spec(&[]));
            object.metadata.generate_name = None;
            object.metadata.name = Some(name.to_owned());
            object.metadata.labels = Some([("team".to_owned(), team.to_owned())].into());
            images(&client, &namespace).create(&PostParams::default(), &object).await?;
        }
        let kubectl = server.kubectl()?.in_namespace(&namespace);
        test(&Three { kubectl, api: Api::namespaced(client, &namespace) }).await
    })
    .await
}

/// `kubectl imgop wait`, which runs, and what it has said so far.
struct Waiting {
    process: Child,
    lines: Lines<BufReader<ChildStderr>>,
    said: String,
}

impl Waiting {
    fn start(three: &Three) -> anyhow::Result<Self> {
        let mut command = Command::from(three.kubectl.imgop_command(&["wait"])?);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn()?;
        let stderr = process.stderr.take().context("it has no standard error")?;
        Ok(Self { process, lines: BufReader::new(stderr).lines(), said: String::new() })
    }

    /// Reads on until it has said this.
    async fn says(&mut self, text: &str) -> anyhow::Result<()> {
        while !self.said.contains(text) {
            let line = tokio::time::timeout(DEADLINE, self.lines.next_line()).await;
            let line = line.with_context(|| format!("not {text:?}, but: {}", self.said))??;
            let line = line.with_context(|| format!("it ended without {text:?}: {}", self.said))?;
            self.said.extend([&*line, "\n"]);
        }
        Ok(())
    }

    /// Returns its exit code and all that it said.
    async fn end(mut self) -> anyhow::Result<(Option<i32>, String)> {
        let ended = async {
            while let Some(line) = self.lines.next_line().await? {
                self.said.extend([&*line, "\n"]);
            }
            self.process.wait().await
        };
        let status = tokio::time::timeout(DEADLINE, ended).await.context("it does not end")??;
        Ok((status.code(), self.said))
    }
}

impl Three {
    async fn imgop(&self, line: &str) -> anyhow::Result<Output> {
        self.kubectl.imgop(line.split(' ')).await
    }

    async fn suspended(&self) -> anyhow::Result<Vec<String>> {
        let all = self.api.list(&kube::api::ListParams::default()).await?.items;
        Ok(all.iter().filter(|image| image.spec.suspend).map(ResourceExt::name_any).collect())
    }

    /// Says something of an Image as the agent does.
    async fn say(&self, name: &str, status: &str, reason: &str) -> anyhow::Result<()> {
        let image = self.api.get(name).await?;
        let ready = json!({ "type": "Ready", "status": status, "reason": reason, "message": "said by the test",
            "lastTransitionTime": "2026-11-21T12:00:00Z" });
        let status = json!({
            "observedGeneration": image.metadata.generation,
            "lastHandledRequestedAt": image.annotations().get(REQUESTED_AT_ANNOTATION),
            "conditions": [ready],
        });
        let patch = Patch::Merge(json!({ "status": status }));
        self.api.patch_status(name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    async fn requested(&self, name: &str) -> anyhow::Result<()> {
        wait::until(&self.api, name, "is asked to sync", DEADLINE, |image| {
            image.annotations().contains_key(REQUESTED_AT_ANNOTATION)
        })
        .await
        .map(drop)
    }
}

fn said(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| ["image.skopeo.io/", line, "\n"]).collect()
}

#[tokio::test]
async fn one_wrong_name_stops_no_other() -> anyhow::Result<()> {
    with_three(async |three| {
        for (verb, what) in [("suspend", "suspended"), ("resume", "resumed"), ("delete --yes", "deleted")] {
            let output = three.imgop(&format!("{verb} a nowhere image/b")).await?;
            assert_eq!(output.stdout, said(&[&format!("a {what}"), &format!("b {what}")]), "{output:?}");
            assert!(output.stderr.contains("images.skopeo.io \"nowhere\" not found"), "{output:?}");
            assert_eq!(output.code, Some(1));
        }
        let listed = three.imgop("list c nowhere -o name").await?;
        assert_eq!((listed.stdout.as_str(), listed.code), ("image.skopeo.io/c\n", Some(1)));
        let none = three.imgop("list nowhere neither").await?;
        assert!(!none.stderr.contains("No resources"), "{none:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn labels_and_all_choose_and_an_empty_selector_chooses_nothing() -> anyhow::Result<()> {
    with_three(async |three| {
        assert_eq!(three.imgop("suspend -l team=web").await?.ok()?, said(&["a suspended", "b suspended"]));
        let all = three.imgop("suspend --all").await?.ok()?;
        assert_eq!(all, said(&["a unchanged", "b unchanged", "c suspended"]));
        assert_eq!(three.imgop("resume --all").await?.ok()?.lines().count(), 3);
        let none = three.imgop("suspend -l team=none").await?;
        assert!(none.stderr.contains("No Images found"), "{none:?}");
        assert_eq!((none.stdout.as_str(), none.code), ("", Some(0)));
        for verb in ["delete --yes", "suspend", "resume", "sync", "wait", "list"] {
            let output = three.imgop(&format!("{verb} --selector=")).await?;
            assert_eq!(output.code, Some(2), "{output:?}");
            assert!(output.stderr.contains("it is empty, and would select every object"), "{output:?}");
        }
        assert!(three.suspended().await?.is_empty());
        let deleted = three.imgop("delete -l team=web --yes").await?.ok()?;
        assert_eq!(deleted, said(&["a deleted", "b deleted"]));
        assert_eq!(three.imgop("list -o name").await?.ok()?, "image.skopeo.io/c\n");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn several_are_waited_for_until_each_is_ready_or_will_not_be() -> anyhow::Result<()> {
    with_three(async |three| {
        three.say("a", "True", "Succeeded").await?;
        three.say("b", "False", "PlatformNotFound").await?;
        let mut waiting = Waiting::start(three)?;
        waiting.says("a is ready").await?;
        three.say("c", "True", "Succeeded").await?;
        waiting.says("c is ready").await?;
        let (code, said) = waiting.end().await?;
        assert!(said.contains("b is not ready: said by the test"), "{said}");
        assert_eq!(code, Some(1), "{said}");
        assert_eq!(three.imgop("wait a c").await?.code, Some(0));
        let none_ready = three.imgop("wait -l team=none").await?;
        assert_eq!(none_ready.code, Some(1), "nothing is not ready: {none_ready:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn one_that_this_version_cannot_read_hides_no_other() -> anyhow::Result<()> {
    let server = ApiServer::of_the_future("FromTheFuture").await?;
    with_three_of(&server, async |three| {
        three.say("a", "True", "Succeeded").await?;
        three.say("c", "True", "Succeeded").await?;
        three
            .kubectl
            .run(["patch", "simg", "b", "--type=merge", "-p", r#"{"spec":{"mode":"FromTheFuture"}}"#])
            .await?
            .ok()?;
        let waited = three.imgop("wait").await?;
        assert!(waited.stderr.contains("a is ready") && waited.stderr.contains("c is ready"), "{waited:?}");
        assert!(waited.stderr.contains("b cannot be read: unknown variant `FromTheFuture`"), "{waited:?}");
        assert_eq!(waited.code, Some(1));
        assert_eq!(three.imgop("suspend --all").await?.ok()?.lines().count(), 3);
        assert_eq!(three.imgop("delete b --yes").await?.ok()?, said(&["b deleted"]));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_sync_that_another_one_overtakes_ends_with_that() -> anyhow::Result<()> {
    with_three(async |three| {
        let syncing = three.imgop("sync a --timeout 1m");
        let overtaking = async {
            three.requested("a").await?;
            let later =
                json!({ "metadata": { "annotations": { REQUESTED_AT_ANNOTATION: "another request" } } });
            three.api.patch("a", &PatchParams::default(), &Patch::Merge(later)).await?;
            three.say("a", "True", "Succeeded").await
        };
        let (synced, overtook) = tokio::join!(syncing, overtaking);
        overtook?;
        let synced = synced?;
        assert!(synced.stderr.contains("a is ready"), "{synced:?}");
        assert_eq!((synced.stdout.as_str(), synced.code), ("image.skopeo.io/a triggered\n", Some(0)));

        three.imgop("suspend --all").await?.ok()?;
        let none = three.imgop("sync --all").await?;
        assert!(none.stderr.contains("c is suspended, skipping"), "{none:?}");
        assert_eq!(none.code, Some(1), "nothing was synced");
        Ok(())
    })
    .await
}
