//! Git's own `http-backend` behind a small server, which can also fail in the ways that servers fail.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode, Uri};
use base64::Engine as _;
use serde_json::{Value, json};

/// How a server behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitBehaviour {
    /// It serves all that it has.
    Open,
    /// It serves who has this user and password.
    Login(String, String),
    /// It answers 500.
    Broken,
    /// It never answers.
    Silent,
    /// It breaks off in the midst of what is fetched.
    BreaksOff,
    /// It sends everyone to another server.
    Redirect(String),
}

/// A running server, and a folder with its repositories.
#[derive(Debug, Clone)]
pub struct GitServer {
    /// `http://ADDRESS:PORT`.
    pub url: String,
    /// The folder with its repositories.
    pub root: PathBuf,
    behaviour: Arc<Mutex<GitBehaviour>>,
    seen: Arc<Mutex<Vec<String>>>,
    fetches: Arc<Mutex<Vec<String>>>,
    count: Arc<AtomicUsize>,
}

impl GitServer {
    /// Starts a server with repositories below a folder.
    pub fn start(root: &Path, behaviour: GitBehaviour) -> Self {
        Self::start_on("127.0.0.1", root, behaviour)
    }

    /// Starts a server at an address of this machine, which pods may reach.
    pub fn start_on(address: &str, root: &Path, behaviour: GitBehaviour) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Self {
            url,
            root: root.to_owned(),
            behaviour: Arc::new(Mutex::new(behaviour)),
            seen: Arc::default(),
            fetches: Arc::default(),
            count: Arc::default(),
        };
        let router = Router::new().fallback(answer).with_state(server.clone());
        thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, router).await.unwrap();
            });
        });
        server
    }

    /// Changes how it behaves.
    pub fn set(&self, behaviour: GitBehaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    /// Returns how many requests it had.
    pub fn requests(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Returns what clients sent to fetch commits, as far as it is text (git, gitprotocol-v2).
    pub fn fetches(&self) -> Vec<String> {
        self.fetches.lock().unwrap().clone()
    }

    /// Returns all that it was sent as authorization, decoded.
    pub fn credentials(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// A repository that is not bare, so that it can be worked in: `http-backend` serves it all the same.
#[derive(Debug)]
pub struct GitRepository(pub PathBuf);

impl GitRepository {
    /// Makes one below the folder of a server.
    pub fn new(root: &Path, name: &str) -> Self {
        git(root, &["init", "--quiet", "--initial-branch=trunk", name]);
        Self(root.join(name))
    }

    /// Writes files and commits them. Returns the commit.
    pub fn commit(&self, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        git(&self.0, &["add", "--all"]);
        git(&self.0, &["commit", "--quiet", "--allow-empty", "--message=m"]);
        self.head()
    }

    /// Returns the commit that is checked out.
    pub fn head(&self) -> String {
        git(&self.0, &["rev-parse", "HEAD"])
    }
}

/// Runs git in a folder and returns what it prints.
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.com",
            "-c",
            "protocol.file.allow=always",
            "-C",
        ])
        .arg(folder)
        .args(arguments)
        .env("GIT_COMMITTER_DATE", "2024-01-02T03:04:05Z")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn answer(State(server): State<GitServer>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    server.count.fetch_add(1, Ordering::Relaxed);
    let given = login_of(&parts.headers);
    server.seen.lock().unwrap().extend(given.clone());
    let behaviour = server.behaviour.lock().unwrap().clone();
    let plain = |status: StatusCode| Response::builder().status(status);
    match behaviour {
        GitBehaviour::Broken => return plain(StatusCode::INTERNAL_SERVER_ERROR).body(Body::empty()).unwrap(),
        GitBehaviour::Silent => std::future::pending().await,
        GitBehaviour::Redirect(to) => {
            let to = format!("{to}{}", parts.uri);
            return plain(StatusCode::FOUND).header("location", to).body(Body::empty()).unwrap();
        }
        GitBehaviour::Login(user, password) if given.as_deref() != Some(&format!("{user}:{password}")) => {
            let asks = plain(StatusCode::UNAUTHORIZED).header("www-authenticate", "Basic realm=\"git\"");
            return asks.body(Body::empty()).unwrap();
        }
        GitBehaviour::Login(..) | GitBehaviour::Open | GitBehaviour::BreaksOff => {}
    }
    let body = to_bytes(body, 64 << 20).await.unwrap();
    if let Some(oid) = parts.uri.path().strip_prefix("/lfs/") {
        return Response::new(Body::from(fs::read(server.root.join("lfs").join(oid)).unwrap()));
    }
    if parts.uri.path().ends_with("/info/lfs/objects/batch") {
        return batch(&server, &body);
    }
    let (headers, method) = (parts.headers, parts.method.to_string());
    let text = String::from_utf8_lossy(&body).into_owned();
    let is_fetch = text.contains("command=fetch");
    server.fetches.lock().unwrap().extend(is_fetch.then_some(text));
    let root = server.root.clone();
    let response = tokio::task::spawn_blocking(move || backend(&root, &method, &parts.uri, &headers, &body))
        .await
        .unwrap();
    if is_fetch && behaviour == GitBehaviour::BreaksOff { half_of(response).await } else { response }
}

/// Returns an answer that breaks off in the midst of its content.
async fn half_of(response: Response<Body>) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 64 << 20).await.unwrap();
    let half = bytes.slice(..bytes.len() / 2);
    let broken = Err(std::io::Error::other("the connection breaks"));
    Response::from_parts(parts, Body::from_stream(futures::stream::iter([Ok(half), broken])))
}

/// Answers as servers of Git LFS do (git-lfs, docs/api/batch.md).
fn batch(server: &GitServer, body: &Bytes) -> Response<Body> {
    let asked: Value = serde_json::from_slice(body).unwrap();
    let objects = asked["objects"].as_array().unwrap().iter().map(|object| {
        let href = format!("{}/lfs/{}", server.url, object["oid"].as_str().unwrap());
        json!({"oid": object["oid"], "size": object["size"], "actions": {"download": {"href": href}}})
    });
    let answer = json!({"transfer": "basic", "objects": objects.collect::<Vec<_>>()}).to_string();
    Response::builder()
        .header("content-type", "application/vnd.git-lfs+json")
        .body(Body::from(answer))
        .unwrap()
}

fn login_of(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("authorization")?.to_str().ok()?.strip_prefix("Basic ")?;
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).ok()?).ok()
}

/// Runs `git http-backend` as a CGI program (RFC 3875).
fn backend(root: &Path, method: &str, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Response<Body> {
    let header =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("PATH_INFO", uri.path())
        .env("QUERY_STRING", uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", method)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let sent = body.clone();
    let writer = thread::spawn(move || drop(input.write_all(&sent)));
    let output = child.wait_with_output().unwrap().stdout;
    writer.join().unwrap();
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let mut response = Response::builder();
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let (name, value) = line.split_once(": ").unwrap();
        response = match name {
            "Status" => response.status(value.split(' ').next().unwrap().parse::<u16>().unwrap()),
            _ => response.header(name, value),
        };
    }
    response.body(Body::from(output[end + 4..].to_vec())).unwrap()
}
