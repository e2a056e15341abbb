//! Credentials and secrets stay where they belong.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imgop_core::api::BuildSecret;
use imgop_tests::leaks::Canary;
use imgop_tests::tenant::with_tenant;

const SECRET: &str = "CANARY-of-a-build";

#[tokio::test]
async fn a_run_reads_its_secret_and_reaches_no_credential_of_a_registry() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let base = tenant.base_image().await?;
        tenant.opaque("token", "token", SECRET).await?;
        let password = std::fs::read_to_string(&tenant.cluster.environment.target_password_file)?;
        let password = password.trim_end();
        // The RUN that prints lasts a moment longer: what passes its lines on ends with it, read or not (docs/imagebuilder.md).
        // The pattern is put together where it runs: the text of the Dockerfile must not be what is found.
        let (first, rest) = password.split_at(password.len() / 2);
        let environment = &tenant.cluster.environment;
        let auth = STANDARD.encode(format!("{}:{password}", environment.target_username));
        let (auth_first, auth_rest) = auth.split_at(auth.len() / 2);
        let dockerfile = format!(
            "FROM {base}\n\
             RUN --mount=type=secret,id=token,required=true /bin/busybox sha256sum /run/secrets/token | /bin/busybox cut -c1-64 > /sum\n\
             RUN --mount=type=secret,id=token echo \"printed: $(cat /run/secrets/token)\"; /bin/busybox sleep 1\n\
             RUN a='{first}'; b='{rest}'; echo \"$a$b\" > /tmp/control\n\
             RUN a='{first}'; b='{auth_first}'; /bin/busybox grep -rls -e \"${{a}}\"'{rest}' -e \"${{b}}\"'{auth_rest}' \
             /etc /run /tmp /var /root /home /work /prepared /proc/self/environ /proc/1/environ /proc/1/cmdline /proc/1/root/work \
             /proc/1/root/run /proc/1/root/var /proc/1/root/tmp /proc/1/root/prepared > /found || true\n"
        );
        let mut spec = tenant.builder(&dockerfile, "app", "1");
        spec.secrets =
            vec![BuildSecret { id: "token".to_owned(), secret_name: "token".to_owned(), key: None }];
        tenant.apply_builder("app", &spec).await?;
        tenant.built("app").await?;
        let image = format!("{}:1", tenant.cluster.target.repository(&tenant.path("app")));
        let printed = tenant.run_image(&image, &["sh", "-c", "cat /sum /found; /bin/busybox find /run -type f"]).await?;
        let only_control = format!("{}\n/tmp/control", sha256(SECRET));
        assert_eq!(printed, only_control, "nothing else is found, and no secret is left in the image");
        let log = tenant.kubectl.run(["logs", "--selector=app.kubernetes.io/managed-by=imgop", "--container=build", "--tail=-1"]);
        let log = log.await?.ok()?;
        assert!(log.contains("printed: ***"), "the log is read, and the value is replaced in it: {log}");
        let places = tenant.leaks(&Canary::new("token", SECRET)).await?;
        assert!(places.is_empty(), "{places:#?}");
        Ok(())
    })
    .await
}

fn sha256(text: &str) -> String {
    imgop_registry::reference::Digest::of(text.as_bytes()).hex().to_owned()
}

#[tokio::test]
async fn a_build_waits_for_a_secret_that_is_missing_and_goes_on_when_it_appears() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let base = tenant.base_image().await?;
        let dockerfile = format!(
            "FROM {base}\nRUN --mount=type=secret,id=token,required=true cat /run/secrets/token > /dev/null\n"
        );
        let mut spec = tenant.builder(&dockerfile, "app", "1");
        spec.secrets = vec![BuildSecret {
            id: "token".to_owned(),
            secret_name: "absent".to_owned(),
            key: Some("key".to_owned()),
        }];
        tenant.apply_builder("app", &spec).await?;
        let message = tenant.build_fails("app", "SecretUnusable").await?;
        assert!(message.contains("absent"), "{message}");
        assert!(tenant.pods().await?.is_empty());
        tenant.opaque("absent", "key", SECRET).await?;
        tenant.built("app").await?;
        Ok(())
    })
    .await
}
