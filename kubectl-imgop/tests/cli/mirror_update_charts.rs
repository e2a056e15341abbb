//! `mirror update` with the real Helm: charts of a repository that serves them over HTTP, of a folder, and of a real registry.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use imgop_fakes::{Background, ScriptedRegistry, reply};

use crate::program::{Program, Run};

const CONFIG: &str = "Artifacts:\n- SourceArtifact: ghcr.io/a/b\n  Tags: []\n- SourceArtifact: host:5000/c\n  Tags: []\n  TargetArtifactName: c\n\
                      - SourceArtifact: ghcr.io/a/db\n  Tags: []\nRepositories: []\n";

const TEMPLATE: &str = "\
kind: Deployment
apiVersion: apps/v1
spec:
  containers:
  - image: ghcr.io/a/b:{{ .Values.tag }}@sha256:{{ repeat 64 \"0\" }}
  - image: host:5000/c:2
  - image: d
  {{- if .Values.debug }}
  - image: x/unknown:1
  {{- end }}
---
kind: ConfigMap
apiVersion: v1
data: {text: 'the image: e/f:1'}
";

/// A repository of charts, and the folder that it serves.
struct Charts {
    program: Program,
    server: Background<ScriptedRegistry>,
    helm: PathBuf,
}

impl Charts {
    fn new() -> Self {
        let helm = tool("helm");
        let program = Program::new();
        program.file("config.yaml", CONFIG);
        program.file("charts/web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.2.3\nappVersion: v7\n");
        program.file(
            "charts/web/values.yaml",
            "tag: '1'\ndebug: false\ndb: {image: {repository: ghcr.io/a/db}}\n",
        );
        program.file("charts/web/templates/all.yaml", TEMPLATE);
        let folder = program.home().join("served");
        std::fs::create_dir(&folder).unwrap();
        let archives = folder.clone();
        let server = Background::of(ScriptedRegistry::start(move |seen| {
            match std::fs::read(archives.join(seen.target.trim_start_matches('/'))) {
                Ok(bytes) => reply(200, &[], bytes),
                Err(_) => reply(404, &[], ""),
            }
        }));
        let charts = Self { program, server, helm };
        charts.helm(&["package", "charts/web", "--destination", "served"]);
        charts.helm(&["repo", "index", "served"]);
        charts
    }

    fn helm(&self, arguments: &[&str]) {
        let home = self.program.home().join("helm");
        let output = Command::new(&self.helm)
            .args(arguments)
            .env("HELM_CACHE_HOME", &home)
            .env("HELM_CONFIG_HOME", &home)
            .env("HELM_DATA_HOME", &home)
            .current_dir(self.program.home())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn update(&self, sources: &str) -> Run {
        self.program.file("sources", sources);
        self.program
            .run(&format!("mirror update config.yaml --sources sources --helm {}", self.helm.display()))
    }

    fn of_repository(&self, environment: &str, denylist: &str) -> Run {
        let address = self.server.address;
        let artifacts =
            "{SourceArtifact: ghcr.io/a/b}, {SourceArtifact: 'host:5000/c', TargetArtifactName: c}";
        self.update(&format!(
            "- Name: web\n  HelmLatest:\n    HelmRepo: http://{address}\n    Artifacts: [{artifacts}]\n    Charts:\n      \
             web:\n        {environment}\n    ImageDenylist: {denylist}\n"
        ))
    }
}

/// Returns a program of the testbed, which compiles it the first time.
fn tool(name: &str) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/testbed").join(name);
    let output = Command::new(script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
}

/// A registry: CNCF distribution.
struct Registry {
    process: Child,
    address: String,
    _log: BufReader<ChildStderr>,
}

impl Registry {
    fn start(charts: &Charts) -> Self {
        let data = charts.program.home().join("registry");
        let text = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: '{}'}}}}\nhttp: {{addr: '127.0.0.1:0'}}\n",
            data.display()
        );
        let config = charts.program.file("registry.yaml", &text);
        let mut process = Command::new(tool("distribution"))
            .arg("serve")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "the registry has ended");
            if let Some((_, rest)) = line.split_once("listening on ") {
                break rest.split('"').next().unwrap().to_owned();
            }
        };
        Self { process, address, _log: log }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "needs Helm, which is compiled: make test-registries"]
fn real_helm_images_are_found_in_what_it_renders_with_the_values_of_each_environment() {
    let charts = Charts::new();
    let run = charts.of_repository("{one: [], two: [tag=2]}", "[]");
    assert_eq!(run.code, 0, "{run}");
    for reference in ["ghcr.io/a/b:1", "ghcr.io/a/b:2", "host:5000/c:2"] {
        assert!(run.stdout.contains(&format!("+ {reference}\n")), "{run}");
    }
    assert_eq!(run.stdout.matches("+ ").count(), 3, "{run}");
    assert!(run.stderr.contains("web: d was found without a tag; left out"), "{run}");
}

#[test]
#[ignore = "needs Helm, which is compiled: make test-registries"]
fn real_helm_an_image_that_no_entry_is_meant_for_fails_unless_the_denylist_has_it() {
    let charts = Charts::new();
    let unknown = charts.of_repository("{debug: [debug=true]}", "[]");
    assert_eq!(unknown.code, 1, "{unknown}");
    assert!(unknown.stderr.contains("x/unknown was found, and no entry has it"), "{unknown}");
    assert!(unknown.stdout.contains("+ host:5000/c:2\n"), "{unknown}");
    assert_eq!(charts.of_repository("{debug: [debug=true]}", "[x/unknown]").code, 0);
}

#[test]
#[ignore = "needs Helm, which is compiled: make test-registries"]
fn real_helm_a_chart_of_a_folder_is_rendered_and_its_values_are_read() {
    let charts = Charts::new();
    let folder = charts.program.home().join("charts");
    let sources = format!(
        r#"{{"web": {{"versionSource": "helm-directory:{}", "helmCharts": {{"web": {{}}}}}}}}"#,
        folder.display()
    );
    let run = charts.update(&sources);
    assert_eq!(run.code, 0, "{run}");
    for reference in ["ghcr.io/a/b:1", "host:5000/c:2", "ghcr.io/a/db:v7"] {
        assert!(run.stdout.contains(&format!("+ {reference}\n")), "{run}");
    }
}

#[test]
#[ignore = "needs Helm, which is compiled: make test-registries"]
fn real_helm_what_it_refuses_is_said_in_its_words() {
    let charts = Charts::new();
    let sources = r#"{"web": {"versionSource": "helm-directory:/nowhere", "helmCharts": {"web": {}}}}"#;
    let run = charts.update(sources);
    assert_eq!(run.code, 1, "{run}");
    assert!(run.stderr.contains("web: chart /nowhere/web: helm: "), "{run}");
}

#[test]
#[ignore = "needs Helm and a registry, which are compiled: make test-registries"]
fn real_helm_charts_that_it_pushed_to_a_registry_are_rendered_and_their_values_are_read() {
    let charts = Charts::new();
    let registry = Registry::start(&charts);
    let target = format!("oci://{}/charts", registry.address);
    charts.helm(&[
        "package",
        "charts/web",
        "--destination",
        "served",
        "--version",
        "1.10.0",
        "--app-version",
        "v8",
    ]);
    for archive in ["served/web-1.10.0.tgz", "served/web-1.2.3.tgz"] {
        charts.helm(&["push", archive, &target, "--plain-http"]);
    }
    let sources = |more: &str| {
        format!(r#"{{"web": {{"versionSource": "helm-oci", "helmCharts": {{"{target}/web": {{{more}}}}}}}}}"#)
    };
    let newest = charts.update(&sources(""));
    assert_eq!(newest.code, 0, "{newest}");
    for reference in ["ghcr.io/a/b:1", "host:5000/c:2", "ghcr.io/a/db:v8"] {
        assert!(newest.stdout.contains(&format!("+ {reference}\n")), "{newest}");
    }
    let older = charts.update(&sources(r#""versionFilter": "~1.2""#));
    assert!(older.stdout.contains("+ ghcr.io/a/db:v7\n"), "{older}");
    let none = charts.update(&sources(r#""versionFilter": "^3""#));
    assert_eq!(none.code, 1, "{none}");
    assert!(none.stderr.contains("it is not there in a version ^3"), "{none}");
}
