//! From flags back to a command line that holds them.

use clap::ValueEnum;

use super::builder::BuilderArgs;
use super::endpoints::EndpointArgs;
use super::image::ImageArgs;
use super::job::JobArgs;
use super::schedule::{CronArgs, ScheduleArgs};

/// Words of a command line.
#[derive(Debug, Default)]
pub struct Words(Vec<String>);

impl Words {
    /// Adds a flag that has a value.
    pub fn value(&mut self, flag: &str, value: Option<&(impl ToString + ?Sized)>) {
        if let Some(value) = value.map(ToString::to_string) {
            // A value that begins with a dash would read as a flag.
            if value.starts_with('-') {
                self.0.push(format!("{flag}={value}"));
            } else {
                self.0.extend([flag.to_owned(), value]);
            }
        }
    }

    /// Adds a flag for each of its values.
    pub fn values(&mut self, flag: &str, values: &[String]) {
        for value in values {
            self.value(flag, Some(value));
        }
    }

    /// Adds a flag that has one of some values.
    pub fn choice(&mut self, flag: &str, value: Option<&impl ValueEnum>) {
        let name = value.and_then(ValueEnum::to_possible_value);
        self.value(flag, name.as_ref().map(clap::builder::PossibleValue::get_name));
    }

    /// Adds a switch.
    pub fn switch(&mut self, flag: &str, value: Option<bool>) {
        match value {
            None => {}
            Some(true) => self.0.push(flag.to_owned()),
            Some(false) => self.0.push(format!("{flag}=false")),
        }
    }

    /// Returns the words.
    pub fn into_words(self) -> Vec<String> {
        self.0
    }
}

impl ImageArgs {
    /// Adds the flags that are given.
    pub fn write(&self, words: &mut Words) {
        // All fields by name: one that is added is added here too.
        let Self {
            versions,
            tags,
            allow_candidate_release,
            include,
            exclude,
            latest,
            min_age,
            immutable_tags,
            platforms,
            referrers,
            overwrite,
            mode,
            schedule,
            publish,
            endpoints,
            engine,
            jobs,
        } = self;
        words.value("--versions", versions.as_ref());
        words.value("--tags", Some(tags.join(",")).filter(|list| !list.is_empty()).as_ref());
        words.switch("--allow-candidate-release", *allow_candidate_release);
        words.values("--include", include);
        words.values("--exclude", exclude);
        words.value("--latest", latest.as_ref());
        words.value("--min-age", min_age.as_ref());
        words.values("--immutable-tags", immutable_tags);
        words.value("--platforms", Some(&platforms.join(",")).filter(|list| !list.is_empty()));
        words.choice("--referrers", referrers.as_ref());
        words.choice("--overwrite", overwrite.as_ref());
        words.choice("--mode", mode.as_ref());
        schedule.write(words);
        words.choice("--publish", publish.as_ref());
        endpoints.write(words);
        words.choice("--engine", engine.as_ref());
        jobs.write(words);
    }
}

impl ScheduleArgs {
    fn write(&self, words: &mut Words) {
        let Self { frequency, cron, suspend } = self;
        words.value("--frequency", frequency.as_ref());
        cron.write(words);
        words.switch("--suspend", *suspend);
    }
}

impl JobArgs {
    fn write(&self, words: &mut Words) {
        let Self {
            node_selector,
            tolerations,
            priority_class,
            service_account,
            pull_secrets,
            job_cpu,
            job_memory,
        } = self;
        words.values("--node-selector", node_selector);
        words.values("--toleration", tolerations);
        words.value("--priority-class", priority_class.as_ref());
        words.value("--service-account", service_account.as_ref());
        words.values("--pull-secret", pull_secrets);
        words.value("--job-cpu", job_cpu.as_ref());
        words.value("--job-memory", job_memory.as_ref());
    }
}

impl CronArgs {
    fn write(&self, words: &mut Words) {
        let Self { schedule, time_zone } = self;
        words.value("--schedule", schedule.as_ref());
        words.value("--time-zone", time_zone.as_ref());
    }
}

impl EndpointArgs {
    fn write(&self, words: &mut Words) {
        let Self {
            source_credentials,
            destination_credentials,
            source_use_aws_irsa,
            destination_use_aws_irsa,
            source_tls,
            destination_tls,
            source_ca_secret,
            destination_ca_secret,
        } = self;
        words.value("--source-credentials", source_credentials.as_ref());
        words.value("--destination-credentials", destination_credentials.as_ref());
        words.switch("--source-use-aws-irsa", *source_use_aws_irsa);
        words.switch("--destination-use-aws-irsa", *destination_use_aws_irsa);
        words.choice("--source-tls", source_tls.as_ref());
        words.choice("--destination-tls", destination_tls.as_ref());
        words.value("--source-ca-secret", source_ca_secret.as_ref());
        words.value("--destination-ca-secret", destination_ca_secret.as_ref());
    }
}

impl BuilderArgs {
    /// Adds the flags that are given.
    pub fn write(&self, words: &mut Words) {
        // All fields by name: one that is added is added here too.
        let Self {
            tags,
            file,
            build_args,
            target,
            platforms,
            labels,
            annotations,
            secrets,
            cache,
            credentials,
            tls,
            ca_secret,
            registries,
            git,
            revision,
            git_credentials,
            config_map,
            sub_path,
            rebuild_on,
            frequency,
            cron,
            min_interval,
            source_date_epoch,
            format,
            jobs,
        } = self;
        let causes: Vec<String> = rebuild_on.iter().map(|cause| format!("{cause:?}")).collect();
        let joined = |list: &[String]| Some(list.join(",")).filter(|list| !list.is_empty());
        words.values("--tag", tags);
        words.value("--file", file.as_ref());
        words.values("--build-arg", build_args);
        words.value("--target", target.as_ref());
        words.value("--platform", joined(platforms).as_ref());
        words.values("--label", labels);
        words.values("--annotation", annotations);
        words.values("--secret", secrets);
        words.values("--cache-to", cache);
        words.value("--credentials", credentials.as_ref());
        words.choice("--tls", tls.as_ref());
        words.value("--ca-secret", ca_secret.as_ref());
        words.values("--registry", registries);
        words.value("--git", git.as_ref());
        words.value("--revision", revision.as_ref());
        words.value("--git-credentials", git_credentials.as_ref());
        words.value("--config-map", config_map.as_ref());
        words.value("--sub-path", sub_path.as_ref());
        words.value("--rebuild-on", joined(&causes).as_ref());
        words.value("--frequency", frequency.as_ref());
        cron.write(words);
        words.value("--min-interval", min_interval.as_ref());
        words.value("--source-date-epoch", source_date_epoch.as_ref());
        words.value("--format", format.as_ref().map(|format| format!("{format:?}")).as_ref());
        jobs.write(words);
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use imgop_core::api::{Engine, Format, Mode, Overwrite, Publish, RebuildOn, Referrers, TlsMode};

    use super::*;

    #[derive(Debug, Parser)]
    #[command(no_binary_name = true)]
    struct Flags {
        #[command(flatten)]
        image: ImageArgs,
    }

    #[derive(Debug, Parser)]
    #[command(no_binary_name = true)]
    struct BuilderFlags {
        #[command(flatten)]
        builder: BuilderArgs,
    }

    fn job_flags() -> JobArgs {
        let (text, texts) = (|text: &str| Some(text.to_owned()), |text: &str| vec![text.to_owned()]);
        JobArgs {
            node_selector: texts("pool=mirror"),
            tolerations: texts("mirror=a:NoSchedule"),
            priority_class: text("low"),
            service_account: text("puller"),
            pull_secrets: texts("pull"),
            job_cpu: text("100m:1"),
            job_memory: text(":1Gi"),
        }
    }

    fn written(image: &ImageArgs) -> Vec<String> {
        let mut words = Words::default();
        image.write(&mut words);
        words.into_words()
    }

    #[test]
    fn a_command_line_that_is_written_reads_as_the_same_flags() {
        let text = |text: &str| Some(text.to_owned());
        let all = ImageArgs {
            versions: text(">=1 <2"),
            tags: Vec::new(),
            allow_candidate_release: Some(false),
            include: vec!["-a".to_owned(), "b,c".to_owned()],
            exclude: vec![r"1\.0".to_owned()],
            latest: Some(3),
            min_age: text("3d"),
            immutable_tags: vec!["*".to_owned()],
            platforms: vec!["linux/amd64".to_owned(), "linux/arm64".to_owned()],
            referrers: Some(Referrers::All),
            overwrite: Some(Overwrite::IfMissing),
            mode: Some(Mode::Recurrent),
            schedule: ScheduleArgs { frequency: text("1h"), suspend: Some(true), ..ScheduleArgs::default() },
            publish: Some(Publish::Direct),
            endpoints: EndpointArgs {
                source_credentials: text("pull"),
                destination_credentials: text("push"),
                source_use_aws_irsa: Some(false),
                destination_use_aws_irsa: Some(true),
                source_tls: Some(TlsMode::SkipVerify),
                destination_tls: Some(TlsMode::PlainHttp),
                source_ca_secret: text("ca"),
                destination_ca_secret: text("ca"),
            },
            engine: Some(Engine::Native),
            jobs: job_flags(),
        };
        let cron = CronArgs { schedule: text("0 3 * * *"), time_zone: text("Europe/Berlin") };
        let schedule = ScheduleArgs { cron, ..ScheduleArgs::default() };
        let tags = ImageArgs { tags: vec!["1.0".to_owned(), "1.1".to_owned()], ..ImageArgs::default() };
        for args in [all, ImageArgs { schedule, ..ImageArgs::default() }, tags, ImageArgs::default()] {
            let words = written(&args);
            let read = Flags::try_parse_from(&words).unwrap().image;
            assert_eq!(format!("{read:?}"), format!("{args:?}"), "{words:?}");
        }
        assert!(written(&ImageArgs::default()).is_empty());
    }

    #[test]
    fn the_flags_of_a_build_that_are_written_read_as_the_same() {
        let (text, texts) = (|text: &str| Some(text.to_owned()), |text: &str| vec![text.to_owned()]);
        let all = BuilderArgs {
            tags: vec!["r.example.com/a:1".to_owned(), "r.example.com/a:2".to_owned()],
            file: text("-"),
            build_args: texts("A=-b c"),
            target: text("final"),
            platforms: vec!["linux/amd64".to_owned(), "linux/arm64".to_owned()],
            labels: texts("a=b"),
            annotations: texts("a=b,c"),
            secrets: texts("id=a,src=b"),
            cache: texts("r.example.com/cache"),
            credentials: text("push"),
            tls: Some(TlsMode::SkipVerify),
            ca_secret: text("ca"),
            registries: texts("quay.io,credentials=pull"),
            git: text("https://h/a.git"),
            revision: text("main"),
            git_credentials: text("git"),
            config_map: None,
            sub_path: text("src"),
            rebuild_on: vec![RebuildOn::Source, RebuildOn::BaseImage],
            frequency: text("1h"),
            cron: CronArgs::default(),
            min_interval: text("30s"),
            source_date_epoch: text("0"),
            format: Some(Format::Oci),
            jobs: job_flags(),
        };
        let cron = CronArgs { schedule: text("@daily"), time_zone: text("Europe/Berlin") };
        for args in [all, BuilderArgs { config_map: text("files"), cron, ..BuilderArgs::default() }] {
            let mut words = Words::default();
            args.write(&mut words);
            let words = words.into_words();
            let read = BuilderFlags::try_parse_from(&words).unwrap().builder;
            assert_eq!(format!("{read:?}"), format!("{args:?}"), "{words:?}");
        }
    }
}
