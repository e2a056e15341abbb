//! Blobs flow: what a copy holds of them does not depend on how large they are. It is a process of its own, whose memory is
//! measured.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use imgop_copier::{Copied, Copier, Item, Journal, Options, Root, Target};
use imgop_fakes::{BoundlessRegistry, IMAGE, RepeatedByte, settings};
use imgop_registry::{Access, Manifest, Registries};
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// One that is sent in chunks, and one that is sent as a whole.
const SIZES: [u64; 2] = [40 << 20, 30 << 20];
/// What the copy may hold of them: less than any of them has.
const MOST: u64 = 20 << 20;
const PIECE_BYTES: usize = 64 << 10;

fn blob((byte, size): (u8, u64)) -> RepeatedByte {
    let (piece, mut hash) = (vec![byte; PIECE_BYTES], Sha256::new());
    (0..size / PIECE_BYTES as u64).for_each(|_| hash.update(&piece));
    let digest = format!("sha256:{}", hex::encode(hash.finalize())).parse().unwrap();
    RepeatedByte { digest, byte, size }
}

/// Returns the most bytes that this process has had in memory so far.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB")).unwrap();
    kib.trim().parse::<u64>().unwrap() << 10
}

#[tokio::test]
async fn blobs_of_any_size_are_copied_within_the_same_memory() {
    let blobs: Vec<RepeatedByte> = (1..).zip(SIZES).map(blob).collect();
    let config = blob((0, PIECE_BYTES as u64));
    let described = |blob: &RepeatedByte| json!({ "digest": blob.digest, "size": blob.size });
    let layers: Vec<_> = blobs.iter().map(described).collect();
    let text =
        json!({ "schemaVersion": 2, "mediaType": IMAGE, "config": described(&config), "layers": layers });
    let manifest = Manifest::new(IMAGE, text.to_string().into());
    let all = blobs.into_iter().chain([config]).collect();
    let source = BoundlessRegistry::start(all, manifest.clone()).await;
    let destination = BoundlessRegistry::start(Vec::new(), manifest.clone()).await;
    let registries = Registries::new(settings());
    let mut copier = Copier::new(Options::default(), Journal::in_memory());
    let client = |of: &BoundlessRegistry| registries.push_target(&of.repository("app"), &Access::default());
    let from = copier.add_source(client(&source));
    let to = copier.add_destination(client(&destination), true);
    let target = Target { destination: to, tag: None, keeps_existing: false };
    let item = Item { source: from, root: Root::Digest(manifest.digest), targets: vec![target] };
    let (before, mut outcomes) = (peak(), Vec::new());
    copier.run(&[item], &mut |_, _, outcome| outcomes.push(outcome)).await;
    assert!(matches!(outcomes[..], [Ok(Copied::Done(_))]), "{outcomes:?}");
    assert_eq!(destination.received(), SIZES.iter().sum::<u64>() + PIECE_BYTES as u64);
    let held = peak() - before;
    assert!(held < MOST, "{held} bytes");
}
