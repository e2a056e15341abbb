//! Where the files of a build come from: fetched into one folder, by code that trusts nothing of them.

pub mod below;
mod config_map;
pub mod git;
mod image;

use std::fs;
use std::time::Duration;

use imgop_core::build::BuildFailure;
use imgop_core::build::step::{BaseReport, StepContext, StepInput};

use crate::access::RegistryAccess;
use crate::{Failed, Places};
use git::Checkout;

/// How long a server may send nothing.
const STALL: Duration = Duration::from_mins(1);

/// What was fetched.
#[derive(Debug, Default)]
pub struct Fetched {
    /// The commit.
    pub checkout: Option<Checkout>,
    /// What the image of the context showed.
    pub image: Option<BaseReport>,
}

/// Fetches the context of a build.
pub async fn fetch(input: &StepInput, access: &RegistryAccess, places: &Places) -> Result<Fetched, Failed> {
    let folder = places.context();
    fs::create_dir_all(&folder).map_err(|error| Failed::at("make", &folder, &error))?;
    let mut fetched = Fetched::default();
    match &input.context {
        StepContext::Empty => {}
        StepContext::Git(source) => fetched.checkout = Some(git::fetch(source, &folder, STALL, places)?),
        StepContext::ConfigMap(source) => config_map::copy(&places.config_map(), source, &folder)?,
        StepContext::Image(image) => {
            fetched.image = Some(image::unpack(&image.name, input, access, places).await?);
        }
    }
    check_sub_path(input, fetched.checkout.as_ref(), places)?;
    Ok(fetched)
}

/// Checks the folder of the context that is taken.
fn check_sub_path(input: &StepInput, checkout: Option<&Checkout>, places: &Places) -> Result<(), Failed> {
    let Some(sub_path) = &input.sub_path else { return Ok(()) };
    below::check_folder(&places.context(), sub_path).map_err(|error| {
        let place = checkout
            .map_or_else(|| "the context".to_owned(), |checkout| format!("commit {}", checkout.commit));
        Failed::new(BuildFailure::ContextInvalid, format!("context.subPath in {place}: {error}"))
    })
}
