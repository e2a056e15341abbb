//! Which objects a verb is for where none is named: the user of a terminal picks from those that exist.

use clap::Args;
use jiff::Timestamp;

use crate::cli_error::CliError;
use crate::cluster::objects::FoundObject;
use crate::cluster::{Cluster, ConnectionArgs};
use crate::kinds::{KINDS, ObjectRef, TypedName};
use crate::output::Ui;
use crate::prompts::{Answer, Below, Row, Terminal, TypedQuestion, Typing, can_ask};

/// Fails where the user cannot be asked; `missing` is what could have been given.
pub fn check_can_pick(ui: Ui, missing: &str) -> Result<(), CliError> {
    if can_ask(ui) {
        return Ok(());
    }
    Err(CliError::usage(format!("missing: {missing}"))
        .hinted("on a terminal, you can pick from those that exist"))
}

/// The one object that a verb is for. On a terminal the user picks it, unless it is named.
#[derive(Debug, Args)]
pub struct OneArgs {
    /// Name of the Image or ImageBuilder; kind/NAME where both have it. Without it you can pick one, on a terminal
    #[arg(value_parser = TypedName::parse)]
    name: Option<TypedName>,
}

impl OneArgs {
    /// Returns the object that is named, or that the user picks, and its cluster.
    pub async fn find(
        &self,
        ui: Ui,
        connection: &ConnectionArgs,
    ) -> Result<(Cluster, FoundObject), CliError> {
        find(ui, self.name.as_ref(), connection).await
    }
}

/// The one object that a verb reads, of whichever kind.
#[derive(Debug, Args)]
pub struct OneListedArgs {
    /// Name of the Image or ImageBuilder; kind/NAME where both have it, and for a RegistryAccess. Without it you can pick one, on a terminal
    #[arg(value_parser = TypedName::parse_listed)]
    name: Option<TypedName>,
}

impl OneListedArgs {
    /// Returns the object that is named, or that the user picks, and its cluster.
    pub async fn find(
        &self,
        ui: Ui,
        connection: &ConnectionArgs,
    ) -> Result<(Cluster, FoundObject), CliError> {
        find(ui, self.name.as_ref(), connection).await
    }
}

async fn find(
    ui: Ui,
    name: Option<&TypedName>,
    connection: &ConnectionArgs,
) -> Result<(Cluster, FoundObject), CliError> {
    if name.is_none() {
        check_can_pick(ui, "NAME")?;
    }
    let cluster = connection.connect().await?;
    let name = match name {
        Some(name) => name.clone(),
        None => one(ui, &cluster).await?,
    };
    let found = cluster.named(&name).await?;
    Ok((cluster, found))
}

/// Returns the object that the user picks.
async fn one(ui: Ui, cluster: &Cluster) -> Result<TypedName, CliError> {
    let typing = Names(existing(cluster).await?);
    let terminal = Terminal::open()?;
    match (TypedQuestion { prompt: "Name", initial: "", typing: &typing }).ask(&terminal).await? {
        Answer::Given(name) => ObjectRef::parse(&name).map(TypedName::from).map_err(CliError::usage),
        Answer::Back => Err(nothing_picked(ui)),
    }
}

/// Returns the objects that the user picks.
pub async fn some(ui: Ui, cluster: &Cluster) -> Result<Vec<TypedName>, CliError> {
    let rows = existing(cluster).await?;
    let items: Vec<String> = rows.iter().map(|row| format!("{}  {}", row.value, row.note)).collect();
    let terminal = Terminal::open()?;
    match terminal.choose_some("Which ones", &items).await? {
        Answer::Given(chosen) if !chosen.is_empty() => {
            let names = chosen.into_iter().map(|i| ObjectRef::parse(&rows[i].value).map(TypedName::from));
            names.collect::<Result<_, _>>().map_err(CliError::usage)
        }
        Answer::Given(_) | Answer::Back => Err(nothing_picked(ui)),
    }
}

fn nothing_picked(ui: Ui) -> CliError {
    ui.note("Nothing is picked.");
    CliError::cancelled()
}

/// Returns the objects of the namespace, each with what a list shows of it.
async fn existing(cluster: &Cluster) -> Result<Vec<Row>, CliError> {
    let mut objects = Vec::new();
    for kind in KINDS {
        match cluster.list(kind, false, None).await {
            Ok(found) => objects.extend(found),
            Err(error) if kind.is_default() => return Err(error),
            // What may not be listed cannot be picked.
            Err(_) => {}
        }
    }
    if objects.is_empty() {
        cluster.check_namespace().await?;
        let titles: Vec<String> = KINDS.iter().map(|kind| format!("{}s", kind.title())).collect();
        let message = format!("there are no {} in namespace {}", titles.join(" and "), cluster.namespace);
        return Err(CliError::failed(message));
    }
    let now = Timestamp::now();
    let row = |found: &FoundObject| {
        let cells = found.kind.row(&found.object, now).map(|row| row.cells.join("  "));
        Row { value: found.reference().to_string(), note: cells.unwrap_or_default() }
    };
    Ok(objects.iter().map(row).collect())
}

/// Names, narrowed by what is typed.
struct Names(Vec<Row>);

impl Typing for Names {
    fn below(&self, typed: &str) -> Below {
        let rows = self.0.iter().filter(|row| row.value.contains(typed)).cloned();
        Below { note: String::new(), rows: rows.collect() }
    }

    fn check(&self, typed: &str) -> Result<(), String> {
        if self.0.iter().any(|row| row.value == typed) {
            return Ok(());
        }
        Err(format!("there is no {typed:?}; choose one with up and down"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_exists_can_be_picked() {
        let row = |name: &str| Row { value: name.to_owned(), note: String::new() };
        let names = Names(vec![row("argocd"), row("nginx")]);
        assert_eq!(names.below("ngi").rows, [row("nginx")]);
        assert!(names.check("nginx").is_ok() && names.check("ngin").is_err());
    }
}
