//! How a repository is named at its targets.

use imgop_registry::reference::Repository;

use crate::api::MirrorNaming;

/// The template of a mirror that has none.
const DEFAULT_TEMPLATE: &str = "mirrored-{org}-{name}";
/// The rule of a mirror that has none: the catalogue of applications of SUSE has one level only.
const DEFAULT_RULE: (&str, &str) = ("dp.apps.rancher.io", "appco-{name}");

/// How repositories are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    template: Template,
    rules: Vec<(String, Template)>,
}

/// What a name is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Token(Token),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Registry,
    Path,
    Org,
    Name,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It is empty.
    #[error("it is empty; write for instance mirrored-{{org}}-{{name}}")]
    Empty,
    /// A word in braces that stands for nothing.
    #[error("{{{0}}} stands for nothing; there are {{registry}}, {{path}}, {{org}} and {{name}}")]
    UnknownToken(String),
    /// A brace that is not closed.
    #[error("a brace is not closed; write {{name}}")]
    Unclosed,
}

/// Why a source has no name at its targets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is no part in front of the name.
    #[error(
        "it has one part, and the name at the targets takes 2 parts ({{org}} and {{name}}); write library/{0} or give targetName"
    )]
    OnePart(String),
    /// The part in front of the name is a registry with a port.
    #[error("{{org}} would be {0:?}, which has a port and cannot be part of a name; give targetName")]
    Port(String),
    /// What came out is no repository.
    #[error(
        "its name at the targets would be {0:?}, which is no legal name of a repository; give targetName"
    )]
    Illegal(String),
}

impl Names {
    /// Reads what a spec says of names.
    ///
    /// # Errors
    /// The field below `naming`, and why its template cannot be used.
    pub fn read(naming: &MirrorNaming) -> Result<Self, (String, TemplateError)> {
        let template = naming.template.as_deref().unwrap_or(DEFAULT_TEMPLATE);
        let template = Template::parse(template).map_err(|error| ("template".to_owned(), error))?;
        if naming.rules.is_empty() {
            return Ok(Self { template, rules: default_rules() });
        }
        let rules = naming.rules.iter().enumerate().map(|(i, rule)| {
            let template = Template::parse(&rule.template);
            let template = template.map_err(|error| (format!("rules[{i}].template"), error))?;
            Ok((rule.registry.clone(), template))
        });
        Ok(Self { template, rules: rules.collect::<Result<_, _>>()? })
    }

    /// Returns the name of a source at its targets.
    ///
    /// # Errors
    /// Where no legal name can be made of it.
    pub fn name(&self, source: &str) -> Result<String, NameError> {
        let host = if Repository::names_registry(source) { source.split('/').next() } else { None };
        let rule = self.rules.iter().find(|(registry, _)| Some(registry.as_str()) == host);
        rule.map_or(&self.template, |(_, template)| template).fill(source)
    }
}

/// What mirrors do that say nothing of names.
impl Default for Names {
    fn default() -> Self {
        let template = Template(vec![
            Part::Text("mirrored-".to_owned()),
            Part::Token(Token::Org),
            Part::Text("-".to_owned()),
            Part::Token(Token::Name),
        ]);
        Self { template, rules: default_rules() }
    }
}

fn default_rules() -> Vec<(String, Template)> {
    let (registry, template) = DEFAULT_RULE;
    Template::parse(template).map(|template| vec![(registry.to_owned(), template)]).unwrap_or_default()
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// Where it is empty, or has braces that stand for nothing.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.is_empty() {
            return Err(TemplateError::Empty);
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (token, after) = after.split_once('}').ok_or(TemplateError::Unclosed)?;
            parts.push(Part::Token(match token {
                "registry" => Token::Registry,
                "path" => Token::Path,
                "org" => Token::Org,
                "name" => Token::Name,
                other => return Err(TemplateError::UnknownToken(other.to_owned())),
            }));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// Returns the name that it makes of a source.
    ///
    /// # Errors
    /// Where that is no legal name.
    pub fn fill(&self, source: &str) -> Result<String, NameError> {
        let mut name = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Token(Token::Org) => name.push_str(org(source)?),
                Part::Token(Token::Name) => name.push_str(last_part(source)),
                Part::Token(Token::Registry) => name.push_str(&registry(source)?),
                Part::Token(Token::Path) => name.push_str(&path(source)?),
            }
        }
        // The repository that it becomes has a host in front of it, so the name alone is tried as a path.
        let is_legal = format!("localhost/{name}").parse::<Repository>().is_ok();
        if is_legal { Ok(name) } else { Err(NameError::Illegal(name)) }
    }
}

/// The part before the last one, as it is written; a registry where there are two only.
fn org(source: &str) -> Result<&str, NameError> {
    let Some((before, name)) = source.rsplit_once('/') else {
        return Err(NameError::OnePart(source.to_owned()));
    };
    let org = last_part(before);
    if org.contains(':') {
        return Err(NameError::Port(format!("{org}/{name}")));
    }
    Ok(org)
}

fn last_part(source: &str) -> &str {
    source.rsplit('/').next().unwrap_or(source)
}

/// The registry, without a port: a colon cannot be part of a name.
fn registry(source: &str) -> Result<String, NameError> {
    Ok(repository(source)?.host().name().to_owned())
}

/// The path in the registry, as its API takes it: containerd asks a mirror of Docker Hub for `library/nginx` too.
fn path(source: &str) -> Result<String, NameError> {
    Ok(repository(source)?.path().to_owned())
}

fn repository(source: &str) -> Result<Repository, NameError> {
    source.parse().map_err(|_| NameError::Illegal(source.to_owned()))
}
