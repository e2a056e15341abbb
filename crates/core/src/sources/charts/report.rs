//! What the Job that renders a chart leaves for the agent: the images, as a termination message. Pure but for the packing.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::rendered::ChartImages;
use crate::sources::Note;

/// The command by which `imgop-step` makes it, of the folder that Helm wrote into.
pub const IMAGES_OF: &str = "images-of";

/// Bytes that Kubernetes keeps of a termination message.
const MAX_MESSAGE_BYTES: usize = 4096;
/// Bytes of the images of a message. It is foreign, and may be packed to grow.
const MAX_IMAGES_BYTES: u64 = 32 << 10;
/// Characters of a text that is no image.
const MAX_TEXT_CHARS: usize = 100;

/// Why the images of a chart cannot be handed over. A part of them would be a smaller truth.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the chart has {0} images, more than a Job can report; look at it with kubectl imgop mirror update, or take the tiers \
     Annotation or Values"
)]
pub struct TooManyImages(usize);

/// Why a message says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the images that the Job reports cannot be read; is BUILDER_IMAGE of the agent's version?")]
pub struct UnreadableReport;

/// Returns images as a termination message.
///
/// # Errors
/// Where there are more than it can hold.
pub fn to_message(images: &ChartImages) -> Result<String, TooManyImages> {
    let of_images = images.images.iter().map(|(repository, tag)| format!("{repository}:{tag}"));
    // As YAML, as Helm itself would print it.
    let mut lines = String::new();
    for text in of_images.chain(images.notes.iter().filter_map(text_of)) {
        if let Ok(text) = serde_json::to_string(&text) {
            let _ = writeln!(lines, "- image: {text}");
        }
    }
    let too_many = || TooManyImages(images.images.len());
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(lines.as_bytes()).map_err(|_| too_many())?;
    let message = STANDARD.encode(encoder.finish().map_err(|_| too_many())?);
    if message.len() > MAX_MESSAGE_BYTES || lines.len() as u64 > MAX_IMAGES_BYTES {
        return Err(too_many());
    }
    Ok(message)
}

/// Returns the images of a termination message, as YAML.
///
/// # Errors
/// Where it is none, or says more than any chart's.
pub fn of_message(message: &str) -> Result<String, UnreadableReport> {
    let packed = STANDARD.decode(message.trim()).map_err(|_| UnreadableReport)?;
    let mut text = String::new();
    let mut unpacked = GzDecoder::new(&packed[..]).take(MAX_IMAGES_BYTES + 1);
    unpacked.read_to_string(&mut text).map_err(|_| UnreadableReport)?;
    if text.len() as u64 > MAX_IMAGES_BYTES { Err(UnreadableReport) } else { Ok(text) }
}

fn text_of(note: &Note) -> Option<String> {
    match note {
        Note::Untagged(text) | Note::NotAReference(text) => Some(text.chars().take(MAX_TEXT_CHARS).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::images_in;
    use super::*;

    #[test]
    fn what_is_reported_is_read_again_with_what_is_no_image() {
        let rendered =
            "a: {image: 'ghcr.io/a/b:1'}\nb: {image: host:5000/c:2}\nc: {image: d}\ne: {image: 'x \\\" y'}\n";
        let found = images_in(rendered, false).unwrap();
        assert_eq!((found.images.len(), found.notes.len()), (2, 2));
        let message = to_message(&found).unwrap();
        assert_eq!(images_in(&of_message(&message).unwrap(), false).unwrap(), found);
        assert_eq!(of_message(&to_message(&ChartImages::default()).unwrap()).unwrap(), "");
    }

    #[test]
    fn a_hundred_and_fifty_images_fit_and_what_does_not_is_an_error_and_no_shorter_list() {
        let of = |count: usize| {
            let mut images = ChartImages::default();
            for n in 0..count {
                images.push(&format!(
                    "registry.example.com/team-{}/component-{n}:v1.{}.{}",
                    n % 7,
                    n % 13,
                    n % 31
                ));
            }
            images
        };
        assert!(to_message(&of(150)).is_ok());
        assert_eq!(to_message(&of(3_000)), Err(TooManyImages(3_000)));
    }

    #[test]
    fn a_message_that_is_none_or_grows_without_end_is_an_error() {
        assert_eq!(of_message("Error: no such chart"), Err(UnreadableReport));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&vec![b' '; 1 << 20]).unwrap();
        let packed = STANDARD.encode(encoder.finish().unwrap());
        assert!(packed.len() < MAX_MESSAGE_BYTES);
        assert_eq!(of_message(&packed), Err(UnreadableReport));
    }
}
