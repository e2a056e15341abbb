//! The arguments of `buildah build` (flags as of Buildah 1.28, the oldest that is supported).

use imgop_core::api::Format;
use imgop_core::build::step::StepInput;
use imgop_registry::reference::Digest;

use super::cache::UsableCache;
use crate::buildah::storage_options;
use crate::dockerfile::context_folder;
use crate::{BuildHandover, Places};

/// Returns the arguments behind `buildah`.
///
/// No value can be taken for an option: each stands behind the `=` of its own, and the context is a path of ours.
pub fn arguments(
    input: &StepInput,
    handover: &BuildHandover,
    cache: Option<&UsableCache>,
    places: &Places,
) -> Vec<String> {
    let mut arguments = storage_options(places, handover.storage_driver).to_vec();
    arguments
        .extend(["build", "--isolation=chroot", "--pull=never", "--identity-label=false"].map(str::to_owned));
    arguments.push(format!("--platform={}", input.platform));
    arguments.extend(output(input, cache.is_some(), places));
    arguments.extend(layers(cache));
    arguments.push(format!("--file={}", places.dockerfile().display()));
    let folder = context_folder(handover.sub_path.as_deref(), places);
    if let Some(ignore_file) = &handover.ignore_file {
        arguments.push(format!("--ignorefile={}", folder.join(ignore_file).display()));
    }
    arguments.extend(input.target.iter().map(|target| format!("--target={target}")));
    arguments.extend(handover.timestamp.iter().map(|seconds| format!("--timestamp={seconds}")));
    for (option, values) in
        [("build-arg", &input.arguments), ("label", &input.labels), ("annotation", &input.annotations)]
    {
        arguments.extend(values.iter().map(|(name, value)| format!("--{option}={name}={value}")));
    }
    // Without a change, Buildah 1.28 copies the base and then looks for the copy in its storage, where it is not. An
    // annotation is one; in Docker's format nothing of it is left.
    let unchanged = |base| format!("--annotation=org.opencontainers.image.base.digest={base}");
    arguments.extend(handover.unchanged_base.iter().map(unchanged));
    // Without a type, Buildah takes the environment variable of that name if there is one.
    let secret = |id: &String| format!("--secret=id={id},type=file,src={}", places.secret(id).display());
    arguments.extend(input.secrets.iter().map(secret));
    arguments.push(folder.display().to_string());
    arguments
}

/// Where the image goes. A layout of OCI cannot hold Docker's format: Buildah would change it without a word. And into
/// either place it writes layers uncompressed unless an option says otherwise. With layers of earlier builds the image goes into the
/// storage first: Buildah 1.28 looks for it there when it pushes the last of them.
fn output(input: &StepInput, uses_layers: bool, places: &Places) -> Vec<String> {
    let format = match input.format {
        Format::Docker => "--format=docker",
        Format::Oci => "--format=oci",
    };
    let place = if uses_layers {
        format!("--iidfile={}", places.image_id().display())
    } else {
        format!("--tag={}", destination(input.format, places))
    };
    vec![format.to_owned(), "--disable-compression=false".to_owned(), place]
}

/// Returns the place of the built image, as Buildah names it.
fn destination(format: Format, places: &Places) -> String {
    match format {
        Format::Docker => format!("dir:{}", places.output().display()),
        Format::Oci => format!("oci:{}:image", places.output().display()),
    }
}

/// Returns the arguments behind `buildah` that take an image out of the storage.
pub fn export(id: &Digest, input: &StepInput, handover: &BuildHandover, places: &Places) -> Vec<String> {
    let format = match input.format {
        Format::Docker => "--format=v2s2",
        Format::Oci => "--format=oci",
    };
    let options = ["push", "--quiet", format, id.hex()].map(str::to_owned);
    let storage = storage_options(places, handover.storage_driver);
    storage.into_iter().chain(options).chain([destination(input.format, places)]).collect()
}

fn layers(cache: Option<&UsableCache>) -> Vec<String> {
    let Some(UsableCache { layers, options }) = cache else {
        return vec!["--layers=false".to_owned()];
    };
    let repository = &layers.repository;
    let mut arguments = vec![
        "--layers=true".to_owned(),
        format!("--cache-from={repository}"),
        format!("--cache-to={repository}"),
    ];
    arguments.extend(layers.ttl_seconds.map(|seconds| format!("--cache-ttl={seconds}s")));
    arguments.extend_from_slice(options);
    arguments
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use imgop_core::build::DockerfilePlace;
    use imgop_core::build::step::{LayerCache, StepContext};

    use super::*;
    use crate::buildah::StorageDriver;

    fn input() -> StepInput {
        StepInput {
            platform: "linux/arm64".parse().unwrap(),
            dockerfile: DockerfilePlace::Default,
            context: StepContext::Empty,
            sub_path: Some("services/api".into()),
            target: Some("final".into()),
            arguments: BTreeMap::from([(
                "X".into(),
                "b\"a'z $HOME $(id) `id` a,b=c \\ --label=evil\nsecond".into(),
            )]),
            labels: BTreeMap::from([("a.b/c".into(), "--label".into())]),
            annotations: BTreeMap::new(),
            format: Format::Docker,
            timestamp: None,
            secrets: BTreeSet::from(["token".into()]),
            bases: BTreeMap::new(),
            repository: "quay.io/a/b".parse().unwrap(),
            tls_modes: BTreeMap::new(),
            cache: None,
            buildah: None,
            log_bytes: 7,
        }
    }

    fn handover() -> BuildHandover {
        BuildHandover {
            storage_driver: StorageDriver::Overlay,
            sub_path: Some("services/api".into()),
            ignore_file: Some(".dockerignore".into()),
            timestamp: Some(0),
            unchanged_base: None,
            mounts_files: false,
            base_without_history: None,
            triggers: Vec::new(),
        }
    }

    fn written(input: &StepInput, cache: Option<&UsableCache>) -> String {
        arguments(input, &handover(), cache, &Places::of_container("/tmp")).join("\n")
    }

    #[test]
    fn every_value_is_one_argument_behind_its_own_option() {
        insta::assert_snapshot!(written(&input(), None), @r##"
        --root=/work/storage
        --runroot=/work/state
        --storage-driver=overlay
        build
        --isolation=chroot
        --pull=never
        --identity-label=false
        --platform=linux/arm64
        --format=docker
        --disable-compression=false
        --tag=dir:/work/out
        --layers=false
        --file=/work/Dockerfile
        --ignorefile=/work/context/services/api/.dockerignore
        --target=final
        --timestamp=0
        --build-arg=X=b"a'z $HOME $(id) `id` a,b=c \ --label=evil
        second
        --label=a.b/c=--label
        --secret=id=token,type=file,src=/var/run/imgop/secrets/token
        /work/context/services/api
        "##);
    }

    #[test]
    fn each_format_has_a_place_that_can_hold_it() {
        let input = StepInput { format: Format::Oci, ..input() };
        insta::assert_snapshot!(written(&input, None), @r##"
        --root=/work/storage
        --runroot=/work/state
        --storage-driver=overlay
        build
        --isolation=chroot
        --pull=never
        --identity-label=false
        --platform=linux/arm64
        --format=oci
        --disable-compression=false
        --tag=oci:/work/out:image
        --layers=false
        --file=/work/Dockerfile
        --ignorefile=/work/context/services/api/.dockerignore
        --target=final
        --timestamp=0
        --build-arg=X=b"a'z $HOME $(id) `id` a,b=c \ --label=evil
        second
        --label=a.b/c=--label
        --secret=id=token,type=file,src=/var/run/imgop/secrets/token
        /work/context/services/api
        "##);
    }

    #[test]
    fn a_cache_that_can_be_used_is_read_and_written_with_its_own_options() {
        let layers = LayerCache { repository: "quay.io/a/cache".parse().unwrap(), ttl_seconds: Some(60) };
        let cache = UsableCache { layers, options: vec!["--tls-verify=true".to_owned()] };
        let with = written(&input(), Some(&cache));
        assert!(with.contains("--layers=true\n--cache-from=quay.io/a/cache\n--cache-to=quay.io/a/cache\n--cache-ttl=60s\n--tls-verify=true"), "{with}");
        assert!(with.contains("--iidfile=/work/image-id") && !with.contains("--tag="), "{with}");
    }
}
