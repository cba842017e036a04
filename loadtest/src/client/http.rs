//! The service's plain JSON over HTTP: sign-in and tickets.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};

use super::Session;

/// Posts JSON and returns the JSON answered; a sign-in that is told to wait waits, for up to a minute.
async fn post(url: &str, token: Option<&str>, body: &Value) -> anyhow::Result<Value> {
    static CLIENT: std::sync::OnceLock<Client<HttpConnector, Full<Bytes>>> = std::sync::OnceLock::new();
    let client = CLIENT.get_or_init(|| Client::builder(TokioExecutor::new()).pool_max_idle_per_host(32).build_http());
    let started = std::time::Instant::now();
    loop {
        let mut request = http::Request::post(url).header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Full::new(Bytes::from(body.to_string())))?;
        let response = tokio::time::timeout(Duration::from_secs(20), client.request(request)).await.context("no answer in 20 s")??;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        let answer: Value = serde_json::from_slice(&answer).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(answer);
        }
        let wait_ms = answer["refusal"]["retry_after_ms"].as_u64().or(answer["refusal"]["retryAfterMs"].as_u64()).unwrap_or(0);
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
    let body = json!({"login": login, "password": password, "token": true, "client": "loadtest"});
    let answer = post(&format!("{target}/api/v1/sign-in"), None, &body).await?;
    let token = answer["token"].as_str().context("the sign-in answered no token")?;
    Ok(Session { token: token.to_owned() })
}

/// A ticket for one socket.
///
/// # Errors
/// When refused or not reachable.
pub async fn ticket(target: &str, token: &str) -> anyhow::Result<String> {
    let answer = post(&format!("{target}/api/v1/ticket"), Some(token), &json!({})).await?;
    Ok(answer["ticket"].as_str().context("no ticket in the answer")?.to_owned())
}
