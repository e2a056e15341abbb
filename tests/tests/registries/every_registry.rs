//! The registries of this test binary, started by the first test that asks for them.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use imgop_registry::reference::Repository;
use imgop_registry::{Access, Credential, Registries, RepositoryClient, Settings, Tls};
use imgop_tests::supervised::Supervised;
use tokio::sync::OnceCell;

use crate::token_server::TokenServer;

/// The user of all registries that know users.
pub const USER: &str = "imgop-test";

static SHARED: OnceCell<Result<EveryRegistry, String>> = OnceCell::const_new();

/// All of them, for as long as this process lives.
#[derive(Debug)]
struct EveryRegistry {
    all: Vec<Registry>,
    with_referrers: (Registry, PathBuf),
    _processes: Supervised,
}

/// How a registry wants to be spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Plain HTTP, for everybody.
    Open,
    /// TLS under a CA that no system trusts, for everybody.
    Tls,
    /// The same, for those who know the password.
    Password,
    /// Plain HTTP, for those whom our token server lets in.
    Token,
}

/// One real registry.
#[derive(Debug)]
pub struct Registry {
    /// `docker-registry`, `distribution` or `go-containerregistry`.
    pub program: &'static str,
    /// How it is spoken to.
    pub way: Way,
    /// Host and port.
    pub address: String,
    /// What signed its certificate.
    pub ca: Vec<u8>,
    /// Of [`USER`].
    pub password: String,
    /// Who gives its tokens.
    pub tokens: TokenServer,
}

/// All eight that have no referrers API.
pub async fn every_registry() -> anyhow::Result<&'static [Registry]> {
    Ok(&shared().await?.all)
}

/// The one that has it, and its access log.
pub async fn with_referrers() -> anyhow::Result<&'static (Registry, PathBuf)> {
    Ok(&shared().await?.with_referrers)
}

async fn shared() -> anyhow::Result<&'static EveryRegistry> {
    let shared =
        SHARED.get_or_init(|| async { EveryRegistry::start().await.map_err(|e| format!("{e:#}")) }).await;
    shared.as_ref().map_err(|said| anyhow!("the registries do not start: {said}"))
}

/// Both that are spoken to in this way.
pub async fn registries(way: Way) -> anyhow::Result<impl Iterator<Item = &'static Registry>> {
    Ok(every_registry().await?.iter().filter(move |registry| registry.way == way))
}

impl EveryRegistry {
    async fn start() -> anyhow::Result<Self> {
        // It must have an address before the registries start, and gets its key from their folder.
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let realm = format!("http://{}/token", listener.local_addr()?);
        let processes = Supervised::start("every-registry", vec![realm]).await?;
        let folder = &processes.folder;
        let password = read(folder, "password")?.trim_end().to_owned();
        let tokens = TokenServer::start(
            listener,
            &read(folder, "token.key")?,
            &read(folder, "token.crt")?,
            &password,
        )?;
        let ca = read(folder, "ca.crt")?.into_bytes();
        let registry = |program, way, name: &str| -> anyhow::Result<Registry> {
            let port = read(folder, &format!("{name}.port"))?;
            let address = format!("127.0.0.1:{}", port.trim_end());
            let (ca, password, tokens) = (ca.clone(), password.clone(), tokens.clone());
            Ok(Registry { program, way, address, ca, password, tokens })
        };
        let mut all = Vec::new();
        for program in ["docker-registry", "distribution"] {
            for (way, name) in
                [(Way::Open, "open"), (Way::Tls, "tls"), (Way::Password, "password"), (Way::Token, "token")]
            {
                all.push(registry(program, way, &format!("{program}-{name}"))?);
            }
        }
        let with_referrers = registry("go-containerregistry", Way::Open, "referrers")?;
        let log = folder.join("log/referrers-access.log");
        Ok(Self { all, with_referrers: (with_referrers, log), _processes: processes })
    }
}

impl Registry {
    /// A repository of it.
    pub fn repository(&self, path: &str) -> anyhow::Result<Repository> {
        Ok(format!("{}/{path}", self.address).parse()?)
    }

    /// What is needed to read and write here.
    pub fn access(&self) -> Access {
        let credential = match self.way {
            Way::Open | Way::Tls => None,
            Way::Password | Way::Token => Some(basic(&self.password)),
        };
        Access { credential, tls: self.tls(), ..Access::default() }
    }

    /// The same without a password.
    pub fn anonymous(&self) -> Access {
        Access { tls: self.tls(), ..Access::default() }
    }

    /// The same with a password that was never one.
    pub fn wrong_password(&self) -> Access {
        Access { credential: Some(basic("wrong")), tls: self.tls(), ..Access::default() }
    }

    /// A client of a new process, so to say: nothing is known of any registry.
    pub fn client(&self, path: &str, access: &Access) -> anyhow::Result<(Registries, RepositoryClient)> {
        let registries = Registries::new(self.settings()?);
        let client = registries.repository(&self.repository(path)?, access);
        Ok((registries, client))
    }

    /// Whether the tag list comes in pages.
    pub fn has_pages(&self) -> bool {
        self.program == "distribution"
    }

    /// The usual settings, without the proxies of whoever runs the tests. The token server has a port of its own.
    fn settings(&self) -> anyhow::Result<Settings> {
        let token_servers = [(self.address.parse()?, vec![self.tokens.address.clone()])].into();
        Ok(Settings { system_proxy: false, token_servers, ..Settings::default() })
    }

    fn tls(&self) -> Tls {
        match self.way {
            Way::Open | Way::Token => Tls::default(),
            Way::Tls | Way::Password => Tls::Verify { extra_ca_pem: Some(self.ca.clone()) },
        }
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.program, self.way)
    }
}

fn basic(password: &str) -> Credential {
    Credential::Basic { username: USER.to_owned(), password: password.into() }
}

fn read(folder: &Path, name: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(folder.join(name)).with_context(|| format!("no {name} in {}", folder.display()))
}
