//! The examples of the documents.

use anyhow::Context as _;
use tempfile::TempDir;

use crate::repository_root;

/// The YAML example of a page below docs that has this text.
///
/// # Errors
/// If there is none.
pub fn example(page: &str, text: &str) -> anyhow::Result<String> {
    let content = std::fs::read_to_string(repository_root().join("docs").join(page))?;
    let blocks = content.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let mut examples = blocks.map(|(block, _)| block).filter(|block| block.contains(text));
    let example = examples.next().with_context(|| format!("docs/{page} has no example with {text}"))?;
    Ok(example.to_owned())
}

/// A folder with `overlay`, the overlay of docs/helm.md, over the base of the sources.
///
/// # Errors
/// If it cannot be written.
pub fn overlay() -> anyhow::Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let (base, overlay) = (folder.path().join("base"), folder.path().join("overlay"));
    std::fs::create_dir(&base)?;
    std::fs::create_dir(&overlay)?;
    for name in ["install.yaml", "kustomization.yaml"] {
        std::fs::copy(repository_root().join("manifests").join(name), base.join(name))?;
    }
    let text = example("helm.md", "# kustomization.yaml\n")?;
    let remote = text.lines().find(|line| line.starts_with("- https://")).context("it has no base")?;
    std::fs::write(overlay.join("kustomization.yaml"), text.replace(remote, "- ../base"))?;
    Ok(folder)
}
