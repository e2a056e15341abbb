use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flate2::read::GzDecoder;
use tempfile::TempDir;

use super::{Error, MANIFEST, Release, pack};
use crate::manifest::Manifest;
use crate::target::{Format, TARGETS, Target};

/// Programs that were built for some targets, and folders to pack them into.
struct Built {
    folder: TempDir,
}

impl Built {
    fn of(targets: &[Target]) -> Self {
        let built = Self { folder: TempDir::new().unwrap() };
        for target in targets {
            let program = built.program(target);
            std::fs::create_dir_all(program.parent().unwrap()).unwrap();
            std::fs::write(program, format!("the program for {}", target.triple)).unwrap();
        }
        built
    }

    fn program(&self, target: &Target) -> PathBuf {
        self.folder.path().join(target.triple).join("plugin").join(target.program())
    }

    fn release(&self, out: &str) -> Release {
        let out = self.folder.path().join(out);
        std::fs::create_dir_all(&out).unwrap();
        Release {
            version: "1.2.3".to_owned(),
            programs: self.folder.path().to_owned(),
            repository: Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."),
            out,
        }
    }
}

fn manifest(release: &Release) -> Manifest {
    serde_saphyr::from_str(&std::fs::read_to_string(release.out.join(MANIFEST)).unwrap()).unwrap()
}

/// The names, modes and contents of an archive.
fn content(target: &Target, path: &Path) -> Vec<(String, u32, Vec<u8>)> {
    let file = File::open(path).unwrap();
    let mut files = Vec::new();
    match target.format() {
        Format::TarGz => {
            for entry in tar::Archive::new(GzDecoder::new(file)).entries().unwrap() {
                let mut entry = entry.unwrap();
                let name = entry.path().unwrap().to_str().unwrap().to_owned();
                let mode = entry.header().mode().unwrap();
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).unwrap();
                files.push((name, mode, bytes));
            }
        }
        Format::Zip => {
            let mut archive = zip::ZipArchive::new(file).unwrap();
            for index in 0..archive.len() {
                let mut entry = archive.by_index(index).unwrap();
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).unwrap();
                files.push((entry.name().to_owned(), entry.unix_mode().unwrap() & 0o777, bytes));
            }
        }
    }
    files
}

#[test]
fn each_archive_holds_the_program_and_the_license() {
    let built = Built::of(&TARGETS);
    let release = built.release("out");
    assert_eq!(pack(&release).unwrap(), TARGETS);
    let license = std::fs::read(release.repository.join("LICENSE")).unwrap();
    for target in TARGETS {
        let program = format!("the program for {}", target.triple).into_bytes();
        let expected =
            [(target.program().to_owned(), 0o755, program), ("LICENSE".to_owned(), 0o644, license.clone())];
        assert_eq!(content(&target, &release.out.join(target.archive("1.2.3"))), expected);
    }
}

#[test]
fn only_archives_that_exist_are_in_the_manifest_with_their_checksums() {
    let targets = [TARGETS[0], TARGETS[4]];
    let built = Built::of(&targets);
    let release = built.release("out");
    pack(&release).unwrap();
    let platforms = manifest(&release).spec.platforms;
    assert_eq!(platforms.len(), targets.len());
    for (platform, target) in platforms.iter().zip(targets) {
        let name = target.archive("1.2.3");
        let output = std::process::Command::new("sha256sum").arg(release.out.join(&name)).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(printed.split_whitespace().next(), Some(platform.sha256.as_str()));
        assert!(platform.uri.ends_with(&format!("/releases/download/v1.2.3/{name}")), "{}", platform.uri);
    }
    assert!(!release.out.join(TARGETS[1].archive("1.2.3")).exists());
}

#[test]
fn programs_that_were_built_at_another_time_are_packed_into_the_same_bytes() {
    let built = Built::of(&TARGETS);
    let (first, second) = (built.release("first"), built.release("second"));
    pack(&first).unwrap();
    for target in TARGETS {
        let program = File::options().append(true).open(built.program(&target)).unwrap();
        program.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
    }
    pack(&second).unwrap();
    let bytes = |release: &Release, name: &str| std::fs::read(release.out.join(name)).unwrap();
    let names = TARGETS.map(|target| target.archive("1.2.3"));
    for name in names.iter().map(String::as_str).chain([MANIFEST]) {
        assert_eq!(bytes(&first, name), bytes(&second, name), "{name}");
    }
}

#[test]
fn a_release_without_a_program_is_refused() {
    let built = Built::of(&[]);
    let release = built.release("out");
    assert!(matches!(pack(&release), Err(Error::Nothing(_))));
    assert!(!release.out.join(MANIFEST).exists());
}
