//! Templates of charts, which the agent renders where an administrator has named an image with Helm. That is a setting
//! of the agent, so it is restarted.

use std::path::Path;

use anyhow::Context as _;
use imgop_core::api::{
    ChartEnvironment, ChartSource, ChartTier, Credentials, HelmChartSource, ImageMirror, ImageMirrorSpec,
    MirrorEntry, MirrorSource, MirrorTarget, MirrorUpdate, Tls, TlsMode, UpdateMode, UpdateSource,
};
use imgop_fakes::{ScriptedRegistry, reply};
use imgop_tests::helm::{self, Helm};
use imgop_tests::tenant::{CA_SECRET, DEADLINE, PUSH_SECRET, Tenant, with_tenant};
use imgop_tests::wait;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, PostParams};
use kube::{Api, ResourceExt};

use crate::AGENT;

/// What a chart says of its images alone is in a template: neither its annotations nor its values name them.
const TEMPLATE: &str = "\
kind: Pod
apiVersion: v1
metadata: {name: web}
spec:
  containers:
  - {name: web, image: '{{ .Values.repository }}:{{ printf \"1.%d\" 1 }}'}
";

#[tokio::test]
async fn images_of_templates_are_found_by_a_job_and_copied_without_a_right_of_the_agent() -> anyhow::Result<()>
{
    let _agent = AGENT.lock().await;
    with_tenant(async |tenant| {
        let source = &tenant.cluster.source;
        let pushed = source.fill(&tenant.path("widget"), &["1.0", "1.1", "1.2"], "").await?;
        let folder = tempfile::tempdir()?;
        package(folder.path()).await?;
        let served = folder.path().to_owned();
        let repository = ScriptedRegistry::start_on(&tenant.cluster.environment.host, move |seen| {
            let file = served.join(seen.target.trim_start_matches('/'));
            std::fs::read(file).map_or_else(|_| reply(404, &[], ""), |bytes| reply(200, &[], bytes))
        })
        .await;
        helm::load_image(&tenant.cluster.environment).await?;

        let mirrors: Api<ImageMirror> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
        let spec = spec(tenant, &format!("http://{}", repository.address));
        mirrors.create(&PostParams::default(), &ImageMirror::new("charts", spec)).await?;
        let refused = wait::poll("Helm is asked for", DEADLINE, || async {
            let status = mirrors.get("charts").await?.status.unwrap_or_default();
            Ok(status.failed_updates.first().map(|failed| failed.message.clone()))
        })
        .await?;
        assert!(refused.contains("HELM_IMAGE"), "{refused}");

        let set = format!("HELM_IMAGE={}", helm::IMAGE);
        let result = async {
            tenant.cluster.set_agent(&set).await?;
            tenant.kubectl.imgop(["sync", "imagemirror/charts", "--no-wait"]).await?.ok()?;
            wait::poll("the tag of the template is copied", DEADLINE, || async {
                let there = tenant.cluster.target.digests(&tenant.path("mirror/widget")).await?;
                Ok((there.get("1.1") == pushed.get("1.1")).then_some(there))
            })
            .await
        }
        .await;
        let there = match result {
            Ok(there) => there,
            Err(error) => {
                let status = mirrors.get("charts").await?.status;
                tenant.cluster.set_agent("HELM_IMAGE-").await?;
                return Err(error.context(format!("{status:#?}")));
            }
        };
        let pod = chart_pod(tenant).await;
        tenant.cluster.set_agent("HELM_IMAGE-").await?;
        assert_eq!(there.keys().collect::<Vec<_>>(), ["1.0", "1.1"]);
        let pod = pod?.spec.context("a pod has a spec")?;
        assert_eq!(pod.automount_service_account_token, Some(false), "a chart is foreign code");
        let secrets =
            pod.volumes.unwrap_or_default().into_iter().filter(|volume| volume.secret.is_some()).count();
        assert_eq!(secrets, 0);
        Ok(())
    })
    .await
}

/// Makes a repository of charts in a folder: an index and the archive of one chart.
async fn package(folder: &Path) -> anyhow::Result<()> {
    let chart = folder.join("web");
    std::fs::create_dir_all(chart.join("templates"))?;
    std::fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: web\nversion: 1.2.3\n")?;
    std::fs::write(chart.join("values.yaml"), "repository: none.example.com/none\n")?;
    std::fs::write(chart.join("templates/pod.yaml"), TEMPLATE)?;
    let (helm, chart, folder) =
        (Helm::new().await?, chart.display().to_string(), folder.display().to_string());
    helm.run(&["package", &chart, "--destination", &folder]).await?.ok()?;
    helm.run(&["repo", "index", &folder]).await?.ok()?;
    Ok(())
}

fn spec(tenant: &Tenant, charts: &str) -> ImageMirrorSpec {
    let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
    let repository = source.repository(&tenant.path("widget"));
    let helm_chart = HelmChartSource {
        repository: Some(charts.to_owned()),
        charts: vec![ChartSource {
            name: "web".to_owned(),
            environments: vec![ChartEnvironment {
                name: "stage".to_owned(),
                set: vec![format!("repository={repository}")],
            }],
            ..ChartSource::default()
        }],
        images_from: vec![ChartTier::Template],
        ..HelmChartSource::default()
    };
    ImageMirrorSpec {
        targets: vec![MirrorTarget {
            repository: target.repository(&tenant.path("mirror")),
            default: true,
            tls: Some(Tls { mode: TlsMode::Verify, ca_secret_name: Some(CA_SECRET.to_owned()) }),
            credentials: Some(Credentials { secret_name: PUSH_SECRET.to_owned() }),
            ..MirrorTarget::default()
        }],
        entries: vec![MirrorEntry {
            source: repository,
            tags: vec!["1.0".to_owned()],
            target_name: Some("widget".to_owned()),
            ..MirrorEntry::default()
        }],
        sources: vec![MirrorSource {
            registry: source.repository(&tenant.namespace),
            tls: Tls { mode: TlsMode::PlainHttp, ca_secret_name: None },
            ..MirrorSource::default()
        }],
        updates: vec![MirrorUpdate {
            name: "web".to_owned(),
            from: UpdateSource { helm_chart: Some(helm_chart), ..UpdateSource::default() },
            entries: Vec::new(),
            mode: UpdateMode::Apply,
            frequency: "6h".to_owned(),
        }],
        frequency: "1h".to_owned(),
        ..ImageMirrorSpec::default()
    }
}

/// The pod that rendered the chart.
async fn chart_pod(tenant: &Tenant) -> anyhow::Result<Pod> {
    let pods: Api<Pod> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
    let pods = pods.list(&ListParams::default()).await?.items;
    let has_helm = |pod: &Pod| {
        let spec = pod.spec.as_ref();
        spec.and_then(|spec| spec.init_containers.as_ref())
            .is_some_and(|all| all.iter().any(|c| c.name == "helm"))
    };
    let names: Vec<String> = pods.iter().map(ResourceExt::name_any).collect();
    pods.into_iter().find(has_helm).with_context(|| format!("no pod of a chart among {names:?}"))
}
