//! The service's plain JSON over HTTP: sign-in, tickets, who a session is.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};

use super::session::{Person, Session};

fn client() -> &'static Client<HttpConnector, Full<Bytes>> {
    static CLIENT: std::sync::OnceLock<Client<HttpConnector, Full<Bytes>>> = std::sync::OnceLock::new();
    CLIENT.get_or_init(|| Client::builder(TokioExecutor::new()).pool_max_idle_per_host(32).build_http())
}

/// Asks, and returns the JSON answered; who is told to wait waits, for up to a minute.
async fn ask(method: http::Method, url: &str, token: Option<&str>, body: &str) -> anyhow::Result<Value> {
    let started = std::time::Instant::now();
    loop {
        let mut request = http::Request::builder().method(&method).uri(url).header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned())))?;
        let response = tokio::time::timeout(Duration::from_secs(20), client().request(request)).await.context("no answer in 20 s")??;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        let answer: Value = serde_json::from_slice(&answer).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(answer);
        }
        let wait_ms = answer["refusal"]["retry_after_ms"].as_u64().unwrap_or(0);
        if wait_ms == 0 || started.elapsed() > Duration::from_secs(60) {
            anyhow::bail!("{url}: {status} {answer}");
        }
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
    }
}

/// Signs in with a password.
///
/// # Errors
/// When refused.
pub async fn sign_in(target: &str, login: String, password: &str) -> anyhow::Result<Session> {
    let body = json!({"login": login, "password": password, "token": true, "client": "loadtest"}).to_string();
    let answer = ask(http::Method::POST, &format!("{target}/api/v1/sign-in"), None, &body).await?;
    let token = answer["token"].as_str().context("the sign-in answered no token")?;
    Ok(Session { token: token.to_owned() })
}

/// A ticket for one socket.
///
/// # Errors
/// When refused or not reachable.
pub async fn ticket(target: &str, token: &str) -> anyhow::Result<String> {
    let answer = ask(http::Method::POST, &format!("{target}/api/v1/ticket"), Some(token), "{}").await?;
    Ok(answer["ticket"].as_str().context("no ticket in the answer")?.to_owned())
}

/// Who a session is.
///
/// # Errors
/// When it is not good.
pub async fn who(target: &str, token: &str) -> anyhow::Result<Person> {
    let answer = ask(http::Method::GET, &format!("{target}/api/v1/session"), Some(token), "").await?;
    let person = answer["person"].as_u64().context("no person in the answer")? as u32;
    Ok(Person { person, session: answer["session"].as_str().context("no session in the answer")?.to_owned() })
}

/// A page of text, as an admin port serves it.
///
/// # Errors
/// When it is not reachable.
pub async fn get_text(url: &str) -> anyhow::Result<String> {
    let request = http::Request::get(url).body(Full::new(Bytes::new()))?;
    let response = tokio::time::timeout(Duration::from_secs(5), client().request(request)).await.context("no answer in 5 s")??;
    Ok(String::from_utf8_lossy(&response.into_body().collect().await?.to_bytes()).into_owned())
}
