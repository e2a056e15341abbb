//! A release that was signed is verified; one that was changed, or signed with another key, is not.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A release of one file, a key, and the list of keys that users trust.
struct Signed {
    folder: TempDir,
}

impl Signed {
    fn new() -> Self {
        let signed = Self { folder: TempDir::new().unwrap() };
        std::fs::create_dir(signed.release()).unwrap();
        std::fs::write(signed.release().join("archive"), "a program").unwrap();
        let public = signed.key("key");
        std::fs::write(signed.trusted(), format!("release {public}")).unwrap();
        signed.must("checksums", &[&signed.release()]);
        signed.must("sign", &[&signed.folder.path().join("key"), &signed.release()]);
        signed
    }

    fn release(&self) -> PathBuf {
        self.folder.path().join("release")
    }

    fn trusted(&self) -> PathBuf {
        self.folder.path().join("allowed_signers")
    }

    /// Makes a key. Returns its public half.
    fn key(&self, name: &str) -> String {
        let path = self.folder.path().join(name);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
            .arg(&path)
            .status()
            .unwrap();
        assert!(made.success());
        std::fs::read_to_string(path.with_extension("pub")).unwrap()
    }

    fn script(&self, name: &str, args: &[&Path]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        Command::new(script).args(args).current_dir(self.folder.path()).output().unwrap()
    }

    fn must(&self, name: &str, args: &[&Path]) {
        let output = self.script(name, args);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn verified(&self) -> bool {
        self.script("verify", &[&self.release(), &self.trusted()]).status.success()
    }
}

#[test]
fn a_signed_release_is_verified() {
    assert!(Signed::new().verified());
}

#[test]
fn a_file_that_was_changed_is_refused() {
    let signed = Signed::new();
    std::fs::write(signed.release().join("archive"), "another program").unwrap();
    assert!(!signed.verified());
}

#[test]
fn checksums_that_were_changed_with_the_file_are_refused() {
    let signed = Signed::new();
    std::fs::write(signed.release().join("archive"), "another program").unwrap();
    signed.must("checksums", &[&signed.release()]);
    assert!(!signed.verified());
}

#[test]
fn a_release_without_a_signature_is_refused() {
    let signed = Signed::new();
    std::fs::remove_file(signed.release().join("sha256sums.sig")).unwrap();
    assert!(!signed.verified());
}

#[test]
fn a_signature_with_another_key_is_refused() {
    let signed = Signed::new();
    signed.key("other");
    signed.must("sign", &[&signed.folder.path().join("other"), &signed.release()]);
    assert!(!signed.verified());
}
