//! A registry with one repository, `many`, of 10,000 tags, which it lists in pages. Debian's
//! docker-registry sends every list in one piece.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::Request;
use axum::http::header::LINK;
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;

pub const TAGS: usize = 10_000;

/// Starts it.
pub async fn start() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let router = Router::new().fallback(|request: Request| async move { page(&request) });
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

fn page(request: &Request) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let number = |name: &str| {
        let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        value.and_then(|value| value.trim_start_matches(['v', '0']).parse().ok())
    };
    // The tag v00042 is the 42nd.
    let begin: usize = number("last").unwrap_or(0);
    let end = TAGS.min(begin + number("n").unwrap_or(TAGS));
    let tags: Vec<String> = (begin + 1..=end).map(|n| format!("v{n:05}")).collect();
    let body = serde_json::json!({"name": "many", "tags": tags}).to_string();
    if end == TAGS {
        return body.into_response();
    }
    let next = format!("</v2/many/tags/list?last=v{end:05}&n={}>; rel=\"next\"", end - begin);
    ([(LINK, next)], body).into_response()
}
