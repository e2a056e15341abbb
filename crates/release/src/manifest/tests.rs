use std::path::Path;

use super::{About, Manifest};
use crate::pack::about;
use crate::target::TARGETS;

fn ours() -> About {
    about(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap()
}

#[test]
fn descriptions_are_as_long_as_krew_takes_them() {
    let about = ours();
    assert!(about.short_description.len() <= 50, "{}", about.short_description);
    for line in about.description.lines().chain(about.caveats.lines()) {
        assert!(line.len() <= 80, "{line}");
    }
}

#[test]
fn krew_finds_an_archive_by_platform_and_checksum() {
    let about = About {
        homepage: "https://example.com".to_owned(),
        short_description: "Copy images".to_owned(),
        description: "Copies images.\nBuilds them, too.\n".to_owned(),
        caveats: "Needs an agent.\n".to_owned(),
    };
    let archives = [(TARGETS[1], "ab".repeat(32)), (TARGETS[4], "cd".repeat(32))];
    let manifest = Manifest::new(about, "1.2.3", &archives);
    let text = serde_saphyr::to_string(&manifest).unwrap();
    assert_eq!(serde_saphyr::from_str::<Manifest>(&text).unwrap(), manifest);
    insta::assert_snapshot!(text);
}
