//! An ImageMirror of the cluster as the subject of a verb, read by the rights of the user.

use std::path::Path;

use imgop_core::api::ImageMirror;
use imgop_core::formats::Format;

use super::file::InputFile;
use super::subject::{Live, Source, Subject};
use crate::cli_error::CliError;
use crate::cluster::ConnectionArgs;
use crate::kinds::object_name::parse_name;
use crate::kinds::{Erased, ObjectRef, read, split};
use crate::preview::inventory;

/// What files end with: one that does not exist is no name of an object.
const EXTENSIONS: [&str; 3] = ["json", "yaml", "yml"];

/// An `ImageMirror` that an argument names.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    name: String,
    /// Whether the kind stands before it, so that no file can be meant.
    has_kind: bool,
}

impl Subject {
    /// Returns what an argument stands for: a file, or an `ImageMirror` of the cluster where there is no such file.
    pub async fn find(
        argument: &Path,
        format: Option<Format>,
        connection: &ConnectionArgs,
    ) -> Result<Self, CliError> {
        match named(argument).filter(|_| format.is_none() && !argument.exists()) {
            Some(named) => Self::of_cluster(&named, connection).await,
            None => Ok(Self::read(argument, format)?),
        }
    }

    async fn of_cluster(
        Named { name, has_kind }: &Named,
        connection: &ConnectionArgs,
    ) -> Result<Self, CliError> {
        let or_file = |error: CliError| {
            if *has_kind {
                error
            } else {
                error.hinted(format!("{name} is no file here, so it is taken for the name of an ImageMirror"))
            }
        };
        let object = ObjectRef { kind: Erased::<ImageMirror>::REF, name: name.clone() };
        let cluster = connection.connect().await.map_err(or_file)?;
        let found = cluster.get(&object).await.map_err(or_file)?;
        let mirror: ImageMirror =
            read(&found.object).map_err(|why| cluster.unreadable(&found.reference(), &why))?;
        let parts = if mirror.spec.from.is_empty() {
            Vec::new()
        } else {
            inventory::parts(&mirror, &cluster).await?
        };
        let found = inventory::found(&mirror, &cluster).await?;
        Ok(Self {
            file: InputFile::of_object(&object.to_string()),
            source: Source::Mirror(Box::new(mirror), parts),
            live: Some(Live { cluster, found }),
        })
    }
}

fn named(argument: &Path) -> Option<Named> {
    let text = argument.to_str()?;
    let (kind, name) = split(text, &[Erased::<ImageMirror>::REF]);
    let is_file = kind.is_none()
        && argument.extension().is_some_and(|end| EXTENSIONS.iter().any(|known| end == *known));
    let name = parse_name(name).ok().filter(|_| !is_file)?;
    Some(Named { name, has_kind: kind.is_some() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_from_a_file_that_does_not_exist() {
        let name = |text: &str| named(Path::new(text)).map(|named| named.name);
        for text in ["acme", "imagemirror/acme", "imagemirrors.skopeo.io/acme", "simirror/acme"] {
            assert_eq!(name(text).as_deref(), Some("acme"), "{text}");
        }
        assert_eq!(name("imagemirror/acme.yaml").as_deref(), Some("acme.yaml"));
        for text in ["-", "acme.yaml", "acme.json", "./acme", "folder/acme", "image/acme", "images_list"] {
            assert_eq!(name(text), None, "{text}");
        }
    }
}
