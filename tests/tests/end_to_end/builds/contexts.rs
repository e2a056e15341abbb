//! Contexts that pods fetch, and folders that the plugin sends.

use imgop_core::api::{
    ConfigMapContext, ConfigMapItem, Context, GitContext, GitCredentials, ImageContext, RebuildOn, Tls,
    TlsMode,
};
use imgop_fakes::{GitBehaviour, GitRepository, GitServer};
use imgop_tests::leaks::Canary;
use imgop_tests::tenant::with_tenant;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{Patch, PatchParams};

const PASSWORD: &str = "CANARY-of-git@:/%$";

#[tokio::test]
async fn a_private_repository_is_built_and_a_new_commit_builds_once_more() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let base = tenant.base_image().await?;
        let root = tempfile::tempdir()?;
        let login = GitBehaviour::Login("builder".into(), PASSWORD.into());
        let server = GitServer::start_on(&tenant.cluster.environment.host, root.path(), login);
        let repository = GitRepository::new(root.path(), "app");
        let dockerfile = format!("FROM {base}\nCOPY . /app/\n");
        let first = repository.commit(&[("svc/Dockerfile", &dockerfile), ("svc/text", "one")]);
        tenant.basic_auth("git", "builder", PASSWORD).await?;

        let mut spec = tenant.builder("", "app", "1");
        spec.source = None;
        spec.context = Some(Context {
            git: Some(GitContext {
                revision: Some("trunk".to_owned()),
                credentials: Some(GitCredentials { secret_name: "git".to_owned() }),
                ..GitContext::new(format!("{}/app", server.url))
            }),
            sub_path: Some("svc".to_owned()),
            ..Context::default()
        });
        spec.rebuild_on = vec![RebuildOn::Source];
        (spec.frequency, spec.min_interval) = ("10s".to_owned(), "10s".to_owned());
        tenant.apply_builder("app", &spec).await?;
        let status = tenant.built("app").await?;
        assert_eq!(status.source.unwrap().commit, Some(first));
        let image = format!("{}:1", tenant.cluster.target.repository(&tenant.path("app")));
        assert_eq!(
            tenant.run_image(&image, &["sh", "-c", "cat /app/text; ls -a /app"]).await?,
            "one.\n..\nDockerfile\ntext"
        );

        let second = repository.commit(&[("svc/text", "two")]);
        let moved = tenant.until_builder("app", "follows the branch", |status| {
            status.build.is_none()
                && status.source.as_ref().is_some_and(|source| source.commit == Some(second.clone()))
        });
        assert_eq!(moved.await?.history.len(), 2);
        assert_eq!(tenant.run_image(&image, &["cat", "/app/text"]).await?, "two");
        let places = tenant.leaks(&Canary::new("builder", PASSWORD)).await?;
        assert!(places.is_empty(), "{places:#?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_repository_that_refuses_or_lacks_the_revision_fails_without_a_build() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let base = tenant.base_image().await?;
        let root = tempfile::tempdir()?;
        let server = GitServer::start_on(&tenant.cluster.environment.host, root.path(), GitBehaviour::Open);
        GitRepository::new(root.path(), "app").commit(&[("Dockerfile", &format!("FROM {base}\nRUN true\n"))]);
        let mut spec = tenant.builder("", "app", "1");
        spec.source = None;
        let git = GitContext {
            revision: Some("nowhere".to_owned()),
            ..GitContext::new(format!("{}/app", server.url))
        };
        spec.context = Some(Context { git: Some(git), ..Context::default() });
        tenant.apply_builder("app", &spec).await?;
        let message = tenant.build_fails("app", "RevisionNotFound").await?;
        assert!(message.contains("nowhere"), "{message}");

        server.set(GitBehaviour::Broken);
        spec.context.as_mut().unwrap().git.as_mut().unwrap().revision = Some("trunk".to_owned());
        tenant.apply_builder("app", &spec).await?;
        tenant.build_fails("app", "SourceUnreachable").await?;
        server.set(GitBehaviour::Open);
        tenant.built("app").await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_config_map_is_plain_files_with_the_paths_and_modes_of_its_items() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let base = tenant.base_image().await?;
        let dockerfile = format!(
            "FROM {base}\nCOPY . /c/\nRUN cd /c && /bin/busybox find . -type f | /bin/busybox sort > /list && \
             /bin/busybox find . -type l >> /list && /c/conf.d/run.sh >> /list\n"
        );
        let map = ConfigMap {
            metadata: ObjectMeta { name: Some("files".to_owned()), ..ObjectMeta::default() },
            data: Some([("Dockerfile".to_owned(), dockerfile), ("run".to_owned(), "#!/bin/sh\necho ran\n".to_owned())].into()),
            binary_data: Some([("logo.png".to_owned(), ByteString(vec![0, 159, 146, 150]))].into()),
            ..ConfigMap::default()
        };
        let maps: Api<ConfigMap> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
        maps.patch("files", &PatchParams::apply("imgop-tests"), &Patch::Apply(&map)).await?;
        let item = |key: &str, path: &str, mode| ConfigMapItem { key: key.to_owned(), path: path.to_owned(), mode };
        let items =
            vec![item("Dockerfile", "Dockerfile", None), item("run", "conf.d/run.sh", Some(0o755)), item("logo.png", "logo.png", None)];
        let mut spec = tenant.builder("", "app", "1");
        spec.source = None;
        spec.context = Some(Context {
            config_map: Some(ConfigMapContext { name: "files".to_owned(), items }),
            ..Context::default()
        });
        tenant.apply_builder("app", &spec).await?;
        tenant.built("app").await?;
        let image = format!("{}:1", tenant.cluster.target.repository(&tenant.path("app")));
        let printed = tenant.run_image(&image, &["sh", "-c", "cat /list; /bin/busybox wc -c < /c/logo.png"]).await?;
        assert_eq!(printed, "./Dockerfile\n./conf.d/run.sh\n./logo.png\nran\n4");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_files_of_an_image_are_a_context() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let base = tenant.base_image().await?;
        let mut spec = tenant.builder(&format!("FROM {base}\nCOPY etc/imgop-version /copied\n"), "app", "1");
        spec.context = Some(Context {
            image: Some(ImageContext {
                name: base.clone(),
                credentials: None,
                tls: Tls { mode: TlsMode::PlainHttp, ca_secret_name: None },
            }),
            ..Context::default()
        });
        tenant.apply_builder("app", &spec).await?;
        tenant.built("app").await?;
        let image = format!("{}:1", tenant.cluster.target.repository(&tenant.path("app")));
        assert_eq!(tenant.run_image(&image, &["cat", "/copied"]).await?, "1");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_folder_is_built_as_docker_build_does_and_the_same_folder_again_builds_nothing()
-> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let base = tenant.base_image().await?;
        let folder = tempfile::tempdir()?;
        std::fs::write(
            folder.path().join("Dockerfile"),
            format!("FROM {base}\nARG TEXT\nCOPY . /c/\nRUN echo $TEXT > /text\n"),
        )?;
        std::fs::create_dir(folder.path().join("sub"))?;
        std::fs::write(folder.path().join("sub/file"), "content")?;
        std::fs::write(folder.path().join("secret.env"), "left out")?;
        std::fs::write(folder.path().join(".dockerignore"), "*.env\n")?;
        let image = format!("{}:1", tenant.cluster.target.repository(&tenant.path("app")));
        let path = folder.path().display().to_string();
        let plain = format!("{},tls=PlainHTTP", tenant.cluster.environment.source_registry);
        let arguments = [
            "build",
            &path,
            "-t",
            &image,
            "--name",
            "app",
            "--build-arg",
            "TEXT=hello",
            "--platform",
            "linux/amd64",
            "--registry-secret",
            "push",
            "--ca-secret",
            "registry-ca",
            "--registry",
            &plain,
        ];
        let first = tenant.kubectl.imgop(arguments).await?;
        let digest = tenant.cluster.target.digest(&tenant.path("app"), "1").await?.unwrap().to_string();
        assert!(first.ok()?.contains(&digest), "standard output has the digest");
        let printed = tenant.run_image(&image, &["sh", "-c", "cat /text /c/sub/file; ls /c"]).await?;
        assert_eq!(printed, "hello\ncontentDockerfile\nsub");
        let builds = tenant.builds("app").await?;
        assert!(tenant.kubectl.imgop(arguments).await?.ok()?.contains(&digest));
        assert_eq!(tenant.builds("app").await?, builds);
        Ok(())
    })
    .await
}
