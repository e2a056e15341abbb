//! What the user has no right to.

/// Returns none where the user has no right to it; whatever else fails is an error.
pub fn unless_forbidden<T>(answer: Result<T, kube::Error>) -> Result<Option<T>, kube::Error> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(None),
        Err(error) => Err(error),
    }
}
