//! Bodies that a server compressed although the request did not ask for it, as some proxies do.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

use crate::error::{Failure, Reason};

/// Bytes that are decoded at a time.
const STEP: usize = 64 << 10;

/// Whether a body is compressed in the one way that servers choose by themselves.
pub(super) fn is_gzip(headers: &HeaderMap) -> bool {
    let encoding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    encoding
        .is_some_and(|encoding| matches!(encoding.trim().to_ascii_lowercase().as_str(), "gzip" | "x-gzip"))
}

/// Decodes a body step by step, so that what is held never exceeds what was granted for it.
pub(super) struct Gzip<'a> {
    decoder: MultiGzDecoder<&'a [u8]>,
    pub(super) decoded: Vec<u8>,
}

impl<'a> Gzip<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { decoder: MultiGzDecoder::new(body), decoded: Vec::new() }
    }

    /// Decodes some more. Returns `false` at the end of the body.
    pub(super) fn step(&mut self) -> Result<bool, Failure> {
        let mut step = self.decoder.by_ref().take(STEP as u64);
        let read = step.read_to_end(&mut self.decoded);
        let read = read.map_err(|_| Failure::protocol("the response is no gzip, which it claims to be"))?;
        Ok(read > 0)
    }

    /// Fails if more was decoded than one may be.
    pub(super) fn check(&self, max_bytes: usize) -> Result<(), Failure> {
        if self.decoded.len() <= max_bytes {
            return Ok(());
        }
        let detail = format!("the response has more than {max_bytes} bytes");
        Err(Failure::new(Reason::TooLarge { limit: max_bytes }, detail))
    }
}
