//! How the connection to a registry is secured: asked where it cannot be read otherwise, or where an Image of the
//! namespace secures the connection to the same registry in a way of its own.

use std::rc::Rc;

use imgop_core::api::{Side, Tls, TlsMode};
use imgop_registry::Unreachable;

use super::context::{Context, Unread, ca_secrets, repository};
use super::questions::Draft;
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::kinds::object_name::parse_name;
use crate::prompts::{Answer, Below, Terminal, TypedQuestion, Typing};

/// How an Image of the namespace reaches the same registry.
struct Usual {
    tls: Tls,
    image: String,
}

/// Returns whether the connection to a side has to be asked for.
pub fn is_open(draft: &Draft, side: Side) -> bool {
    let endpoints = &draft.args.image.endpoints;
    let is_given = endpoints.tls(side).is_some() || endpoints.ca_secret(side).is_some();
    !is_given && (usual(draft, side).is_some() || trouble(draft, side).is_some())
}

/// Reads the tags of a side, so that what is wrong with its connection is known, and says so meanwhile. It is not read
/// before the question where that is asked anyway.
pub async fn probe(draft: &Draft, terminal: &Terminal, side: Side) -> Result<(), CliError> {
    let Some(written) = draft.args.reference(side).filter(|_| !is_open(draft, side)) else { return Ok(()) };
    terminal.draw(&[format!("Connecting to {written} …")], 0)?;
    // Why the tags cannot be read is asked about where TLS is the reason, and said where they are needed.
    let _ = draft.context.tags(&draft.args, side).await;
    terminal.draw(&[String::new()], 0)
}

/// Asks how the connection to a side is secured, until it can be read or the answer stays the same.
pub async fn ask(draft: &mut Draft, terminal: &Terminal, side: Side) -> Result<Answer<()>, CliError> {
    let context = Rc::clone(&draft.context);
    loop {
        let trouble = trouble(draft, side);
        let is_unknown_ca = trouble.as_ref().is_some_and(|unread| unread.tls == Some(Unreachable::Tls));
        let secrets = match &context.cluster {
            Some(cluster) if is_unknown_ca => ca_secrets(cluster).await,
            _ => Vec::new(),
        };
        match &trouble {
            // Its hints say how a Secret with the CA is made.
            Some(unread) if is_unknown_ca && secrets.is_empty() => context.ui.warned(&unread.error),
            Some(unread) => context.ui.warning(&unread.error.message),
            None => {}
        }
        let usual = usual(draft, side);
        let ways = ways(usual.as_ref(), secrets, is_unknown_ca);
        let items: Vec<String> = ways.iter().map(|way| text(way.as_ref(), usual.as_ref())).collect();
        let prompt = format!("How the connection to the {side} is secured");
        let Answer::Given(chosen) = terminal.choose(&prompt, &items, 0).await? else {
            return Ok(Answer::Back);
        };
        let is_new = match &ways[chosen] {
            Some(way) => draft.args.image.endpoints.secure(side, way),
            None => match ask_ca_secret(terminal, &context).await? {
                Answer::Given(name) => draft.args.image.endpoints.secure(side, &verified_by(name)),
                Answer::Back => continue,
            },
        };
        if !is_new {
            return Ok(Answer::Given(()));
        }
        terminal.draw(&["Connecting …".to_owned()], 0)?;
        let tags = context.tags(&draft.args, side).await;
        terminal.draw(&[String::new()], 0)?;
        match tags {
            Err(unread) if unread.tls.is_some() => {}
            // The Secret that is named does not exist, for instance.
            Err(unread) if ways[chosen].is_none() => {
                context.ui.warned(&unread.error);
                draft.args.image.endpoints.secure(side, &Tls::default());
            }
            Ok(_) | Err(_) => return Ok(Answer::Given(())),
        }
    }
}

/// Asks for the name of a Secret with a CA.
async fn ask_ca_secret(terminal: &Terminal, context: &Context) -> Result<Answer<String>, CliError> {
    let place = context.cluster.as_ref().map(Cluster::place).unwrap_or_default();
    let note = format!("made by: kubectl create secret generic registry-ca --from-file=ca.crt=FILE{place}");
    let typing = SecretTyping { note };
    TypedQuestion { prompt: "Secret with the CA", initial: "", typing: &typing }.ask(terminal).await
}

/// The name of a Secret: what its flag takes.
struct SecretTyping {
    note: String,
}

impl Typing for SecretTyping {
    fn below(&self, _: &str) -> Below {
        Below { note: self.note.clone(), rows: Vec::new() }
    }

    fn check(&self, typed: &str) -> Result<(), String> {
        parse_name(typed).map(drop)
    }
}

fn verified_by(secret: String) -> Tls {
    Tls { mode: TlsMode::Verify, ca_secret_name: Some(secret) }
}

/// Returns why the tags of a side could not be read, if its TLS is the reason.
fn trouble(draft: &Draft, side: Side) -> Option<Unread> {
    draft.context.known_tags(&draft.args, side)?.err().filter(|unread| unread.tls.is_some())
}

/// Returns how an Image of the namespace reaches the registry of a side, if it does so in a way of its own.
fn usual(draft: &Draft, side: Side) -> Option<Usual> {
    let (place, _) = repository(draft.args.reference(side)?)?;
    draft.context.used.iter().find_map(|used| {
        [Side::Source, Side::Destination].into_iter().find_map(|other| {
            let endpoint = used.spec.endpoint(other);
            let (there, _) = repository(endpoint.name)?;
            let is_of_its_own = there.host() == place.host() && *endpoint.tls != Tls::default();
            is_of_its_own.then(|| Usual { tls: endpoint.tls.clone(), image: used.name.clone() })
        })
    })
}

/// Returns the ways to secure a connection, the best first. None is a Secret that is named: of a CA that is not known,
/// which is why the connection is asked for.
fn ways(usual: Option<&Usual>, secrets: Vec<String>, is_unknown_ca: bool) -> Vec<Option<Tls>> {
    let of_secrets = secrets.into_iter().map(|name| Some(verified_by(name)));
    let named = is_unknown_ca.then_some(None);
    let modes = [TlsMode::Verify, TlsMode::PlainHttp, TlsMode::SkipVerify];
    let modes = modes.map(|mode| Some(Tls { mode, ca_secret_name: None }));
    let mut ways: Vec<Option<Tls>> = Vec::new();
    let usual = usual.map(|usual| Some(usual.tls.clone()));
    for way in usual.into_iter().chain(of_secrets).chain(named).chain(modes) {
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    ways
}

fn text(way: Option<&Tls>, usual: Option<&Usual>) -> String {
    let Some(way) = way else { return "Verify: HTTPS, with the CA in a Secret that you name".to_owned() };
    let text = match (way.mode, &way.ca_secret_name) {
        (TlsMode::Verify, Some(name)) => format!("Verify: HTTPS, with the CA in Secret {name}"),
        (TlsMode::Verify, None) => "Verify: HTTPS, with a well-known CA".to_owned(),
        (TlsMode::PlainHttp, _) => "PlainHTTP: no encryption, where the network is trusted".to_owned(),
        (TlsMode::SkipVerify, _) => {
            "SkipVerify: HTTPS with any certificate, where the network is trusted".to_owned()
        }
    };
    match usual.filter(|usual| usual.tls == *way) {
        Some(usual) => format!("{text} (as Image {})", usual.image),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_image_does_comes_first_and_certificates_are_verified_by_default() {
        let usual =
            Usual { tls: Tls { mode: TlsMode::PlainHttp, ca_secret_name: None }, image: "old".into() };
        let texts = |usual: Option<&Usual>, secrets: &[&str]| {
            let ways = ways(usual, secrets.iter().map(|name| (*name).to_owned()).collect(), usual.is_none());
            ways.iter().map(|way| text(way.as_ref(), usual)).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(texts(Some(&usual), &[]), @"
        PlainHTTP: no encryption, where the network is trusted (as Image old)
        Verify: HTTPS, with a well-known CA
        SkipVerify: HTTPS with any certificate, where the network is trusted
        ");
        insta::assert_snapshot!(texts(None, &["corp-ca"]), @"
        Verify: HTTPS, with the CA in Secret corp-ca
        Verify: HTTPS, with the CA in a Secret that you name
        Verify: HTTPS, with a well-known CA
        PlainHTTP: no encryption, where the network is trusted
        SkipVerify: HTTPS with any certificate, where the network is trusted
        ");
    }
}
