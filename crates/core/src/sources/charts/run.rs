//! One run of `helm template`: its arguments. Pure.

use imgop_registry::reference::Reference;

use super::{Chart, ChartLocation, Environment};

/// One run of Helm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartRun {
    /// The name of the release.
    pub release: String,
    /// The chart as Helm takes it: a name, an address, a folder.
    pub chart: String,
    /// The address of its repository.
    pub repository: Option<String>,
    /// The version; none for the newest.
    pub version: Option<String>,
    /// Values as `--set` takes them.
    pub values: Vec<String>,
    /// The version of Kubernetes that it is rendered for.
    pub kube_version: Option<String>,
    /// Whether the newest version may be a development version.
    pub is_devel: bool,
}

impl ChartRun {
    pub(super) fn new(
        location: &ChartLocation,
        chart: &Chart,
        environment: &Environment,
        version: Option<&String>,
    ) -> Self {
        let (name, repository) = match location {
            ChartLocation::Repository(url) => (chart.name.clone(), Some(url.clone())),
            ChartLocation::Oci => (chart.name.clone(), None),
            ChartLocation::Directory(path) => {
                (format!("{}/{}", path.trim_end_matches('/'), chart.name), None)
            }
        };
        let base = chart.name.rsplit('/').next().unwrap_or_default();
        let release = match environment.name.as_str() {
            "" => base.to_owned(),
            environment => format!("{base}-{environment}"),
        };
        Self {
            release: release_name(&release),
            chart: name,
            repository,
            version: version.cloned(),
            values: environment.values.clone(),
            kube_version: environment.kube_version.clone(),
            is_devel: chart.is_devel,
        }
    }

    /// Returns the arguments with which Helm renders the chart. Each option stands with its value in one argument, and the
    /// chart behind `--`, so that no text of a file is taken for an option.
    pub fn template_arguments(&self) -> Vec<String> {
        let mut arguments = vec!["template".to_owned()];
        arguments.extend(self.found_by());
        arguments.extend(self.kube_version.as_ref().map(|version| format!("--kube-version={version}")));
        arguments.extend(self.values.iter().map(|value| format!("--set={value}")));
        arguments.extend(["--".to_owned(), self.release.clone(), self.chart.clone()]);
        arguments
    }

    /// Returns the arguments with which Helm renders the chart into files of a folder.
    pub fn template_arguments_into(&self, folder: &str) -> Vec<String> {
        let mut arguments = self.template_arguments();
        arguments.insert(1, format!("--output-dir={folder}"));
        arguments
    }

    /// Returns the arguments with which Helm puts the archive of a chart of this machine into a folder.
    pub fn archive_arguments(&self, folder: &str) -> [String; 4] {
        ["package".to_owned(), format!("--destination={folder}"), "--".to_owned(), self.chart.clone()]
    }

    fn found_by(&self) -> impl Iterator<Item = String> {
        let option = |name, value: &Option<String>| value.as_ref().map(|value| format!("--{name}={value}"));
        let devel = self.is_devel.then(|| "--devel".to_owned());
        // As everywhere, a registry of this machine is one without TLS.
        let plain = self.is_of_loopback().then(|| "--plain-http".to_owned());
        [option("repo", &self.repository), option("version", &self.version), devel, plain]
            .into_iter()
            .flatten()
    }

    fn is_of_loopback(&self) -> bool {
        let of_registry = self.chart.strip_prefix(super::OCI).and_then(|name| name.parse::<Reference>().ok());
        of_registry.is_some_and(|reference| reference.repository.host().is_loopback())
    }
}

/// Returns a name that Helm takes for a release: nothing of it reaches what is looked for.
fn release_name(text: &str) -> String {
    let is_legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let legal: String =
        text.to_lowercase().chars().map(|c| if is_legal(c) { c } else { '-' }).take(50).collect();
    match legal.trim_matches('-') {
        "" => "release".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_a_file_is_an_option_of_helm() {
        let chart = Chart {
            name: "--post-renderer".to_owned(),
            version: Some("--debug".to_owned()),
            is_devel: true,
            ..Chart::default()
        };
        let environment = Environment {
            name: "A_b".to_owned(),
            values: vec!["--x".to_owned()],
            kube_version: Some("1.30".to_owned()),
        };
        let location = ChartLocation::Repository("https://charts.example.com".to_owned());
        let run = ChartRun::new(&location, &chart, &environment, chart.version.as_ref());
        assert_eq!(
            run.template_arguments(),
            [
                "template",
                "--repo=https://charts.example.com",
                "--version=--debug",
                "--devel",
                "--kube-version=1.30",
                "--set=--x",
                "--",
                "post-renderer-a-b",
                "--post-renderer"
            ]
        );
    }

    #[test]
    fn a_registry_of_this_machine_is_reached_without_tls() {
        let arguments = |name: &str| {
            let chart = Chart { name: name.to_owned(), ..Chart::default() };
            ChartRun::new(&ChartLocation::Oci, &chart, &Environment::default(), None).template_arguments()
        };
        assert!(arguments("oci://localhost:5000/web").contains(&"--plain-http".to_owned()));
        assert!(!arguments("oci://r.example.com/web").contains(&"--plain-http".to_owned()));
    }

    #[test]
    fn a_chart_of_a_folder_is_that_folder_of_it() {
        let chart = Chart { name: "web".to_owned(), ..Chart::default() };
        let run = ChartRun::new(
            &ChartLocation::Directory("/charts/".to_owned()),
            &chart,
            &Environment::default(),
            None,
        );
        assert_eq!(run.template_arguments(), ["template", "--", "web", "/charts/web"]);
        assert_eq!(
            run.template_arguments_into("/tmp/charts"),
            ["template", "--output-dir=/tmp/charts", "--", "web", "/charts/web"]
        );
        assert_eq!(run.archive_arguments("/tmp/x"), ["package", "--destination=/tmp/x", "--", "/charts/web"]);
    }
}
