//! /api/v1: signing in and out, tickets, the session, public facts; plain JSON, so that a terminal can do it.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderMap, HeaderValue, Request, header, request::Parts};
use proto::{
    internal::v1::{Identity, SignInByDisplayRequest, SignInByLinkRequest, SignInRequest, SignedIn},
    limits,
    v1::{Refusal, RefusalCode},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{answer::Refused, body::collect, client_address::Client, connection::Connection, credential::Credential, state::Edge};

/// How long a ticket is good; chat-core says when it is not.
const TICKET_MS: u32 = 30_000;

type Answered = Result<Response, Refused>;

pub(super) fn routes() -> Router<Arc<Edge>> {
    Router::new()
        .route("/sign-in", post(sign_in))
        .route("/sign-in/link", post(sign_in_by_link))
        .route("/sign-in/display", post(sign_in_by_display))
        .route("/sign-out", post(sign_out))
        .route("/ticket", post(issue_ticket))
        .route("/session", get(get_session))
        .route("/config", get(get_config))
        .fallback(async || Refused::from(RefusalCode::NotFound))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    login: String,
    password: String,
    #[serde(default)]
    client: String,
    /// Answer the token, for a bearer, instead of setting a cookie.
    #[serde(default)]
    token: bool,
}

async fn sign_in(State(edge): State<Arc<Edge>>, request: Request<Body>) -> Answered {
    edge.origins.check(request.headers())?;
    let (parts, asked): (_, SignIn) = read_json(&edge, request).await?;
    let Client { address, loopback } = find_client(&edge, &parts)?;
    let signed_in = edge
        .cores
        .sign_in(SignInRequest {
            login: asked.login,
            password: asked.password,
            client: choose_client_name(asked.client, &parts.headers),
            address: address.to_string(),
            loopback,
        })
        .await?;
    answer_signed_in(&edge, signed_in, asked.token)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignInByLink {
    link: String,
    #[serde(default)]
    new_password: String,
    #[serde(default)]
    client: String,
    #[serde(default)]
    token: bool,
}

async fn sign_in_by_link(State(edge): State<Arc<Edge>>, request: Request<Body>) -> Answered {
    edge.origins.check(request.headers())?;
    let (parts, asked): (_, SignInByLink) = read_json(&edge, request).await?;
    let Client { address, .. } = find_client(&edge, &parts)?;
    let signed_in = edge
        .cores
        .sign_in_by_link(SignInByLinkRequest {
            link: asked.link,
            new_password: asked.new_password,
            client: choose_client_name(asked.client, &parts.headers),
            address: address.to_string(),
        })
        .await?;
    answer_signed_in(&edge, signed_in, asked.token)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignInByDisplay {
    link: String,
    #[serde(default)]
    client: String,
}

/// A screen never gets a cookie: it would take the place of the session of whoever opens its link in their own browser.
async fn sign_in_by_display(State(edge): State<Arc<Edge>>, request: Request<Body>) -> Answered {
    edge.origins.check(request.headers())?;
    let (parts, asked): (_, SignInByDisplay) = read_json(&edge, request).await?;
    let Client { address, .. } = find_client(&edge, &parts)?;
    let signed_in = edge
        .cores
        .sign_in_by_display(SignInByDisplayRequest {
            link: asked.link,
            client: choose_client_name(asked.client, &parts.headers),
            address: address.to_string(),
        })
        .await?;
    answer_signed_in(&edge, signed_in, true)
}

/// What a screen may show.
#[derive(Serialize)]
struct Display {
    link: String,
    conversation: String,
}

#[derive(Serialize)]
struct Session {
    /// 0: nobody, a screen.
    person: u32,
    session: String,
    expires_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    display: Option<Display>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl Session {
    fn from_identity(identity: Identity) -> Self {
        let display = identity.display.map(|scope| Display { link: scope.link, conversation: scope.conversation });
        let person = if display.is_some() { 0 } else { identity.person };
        Self { person, session: identity.session, expires_ms: identity.session_expires_ms, display, token: None }
    }
}

fn answer_signed_in(edge: &Edge, signed_in: SignedIn, want_token: bool) -> Answered {
    let SignedIn { token, identity } = signed_in;
    let identity = identity.ok_or(RefusalCode::Internal)?;
    let lasts_s = (identity.session_expires_ms.saturating_sub(edge.clock.now_ms()) / 1_000).max(0);
    let mut session = Session::from_identity(identity);
    if want_token {
        session.token = Some(token);
        return Ok(no_store(Json(session)));
    }
    let cookie = edge.cookie.set(&token, lasts_s).ok_or(RefusalCode::Internal)?;
    let mut response = no_store(Json(session));
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

async fn sign_out(State(edge): State<Arc<Edge>>, headers: HeaderMap) -> Answered {
    let mut response = no_store(Json(serde_json::json!({})));
    if let Some(credential) = edge.cookie.read(&headers) {
        edge.origins.check_change(&headers, credential.shown)?;
        match edge.sessions.check(&credential.token).await {
            Ok(identity) => edge.cores.end_session(&identity.session).await?,
            // It has ended already: that is what was wanted.
            Err(refusal) if refusal.code() == RefusalCode::Unauthenticated => {}
            Err(refusal) => return Err(refusal.into()),
        }
    }
    if let Some(cookie) = edge.cookie.set("", 0) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

async fn issue_ticket(State(edge): State<Arc<Edge>>, headers: HeaderMap) -> Answered {
    let credential = read_credential(&edge, &headers)?;
    let origin = edge.origins.check_change(&headers, credential.shown)?;
    let identity = edge.sessions.check(&credential.token).await?;
    let ticket = edge.cores.issue_ticket(&identity.session, origin.unwrap_or("")).await?;
    Ok(no_store(Json(serde_json::json!({ "ticket": ticket, "expires_in_ms": TICKET_MS }))))
}

async fn get_session(State(edge): State<Arc<Edge>>, headers: HeaderMap) -> Answered {
    edge.origins.check(&headers)?;
    let credential = read_credential(&edge, &headers)?;
    let identity = edge.sessions.check(&credential.token).await?;
    Ok(no_store(Json(Session::from_identity(identity))))
}

async fn get_config(State(edge): State<Arc<Edge>>) -> Response {
    let options = &edge.options;
    let facts = serde_json::json!({
        "body": { "zh": options.body_name_zh, "en": options.body_name_en },
        "demo": options.demo,
        "locales": options.locales,
        "gateway": edge.name,
        "limits": {
            "text_bytes": limits::TEXT_BYTES,
            "frame_bytes": limits::FRAME_IN_BYTES,
            "page_events": limits::PAGE_EVENTS,
            "tail_events": limits::TAIL_EVENTS,
            "subscriptions": limits::SUBSCRIPTIONS,
            "reason_bytes": limits::REASON_BYTES,
            "title_chars": limits::TITLE_CHARS,
            "description_bytes": limits::DESCRIPTION_BYTES,
            "people_ids": limits::PEOPLE_IDS,
        },
    });
    no_store(Json(facts))
}

/// An answer that no cache keeps.
fn no_store(answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn read_credential(edge: &Edge, headers: &HeaderMap) -> Result<Credential, Refusal> {
    edge.cookie.read(headers).ok_or_else(|| Refusal::of(RefusalCode::Unauthenticated))
}

fn find_client(edge: &Edge, parts: &Parts) -> Result<Client, Refusal> {
    let connection = parts.extensions.get::<Connection>().ok_or_else(|| Refusal::of(RefusalCode::Internal))?;
    Ok(edge.proxies.find_client(connection.peer, &parts.headers))
}

/// What the client calls itself, else its User-Agent; cut to the contract's length.
fn choose_client_name(named: String, headers: &HeaderMap) -> String {
    let agent = || headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let name = if named.is_empty() { agent() } else { named };
    name.chars().filter(|c| !c.is_control()).take(limits::CLIENT_CHARS).collect()
}

/// The body as JSON, bounded in size and time. A form that another website posts is not JSON by its content type.
async fn read_json<T: DeserializeOwned>(edge: &Edge, request: Request<Body>) -> Result<(Parts, T), Refusal> {
    let (parts, body) = request.into_parts();
    let is_json = parts
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|mime| mime.trim().eq_ignore_ascii_case("application/json"));
    if !is_json {
        return Err(Refusal::of(RefusalCode::Malformed).field("content-type"));
    }
    let bytes = collect(body, edge.options.body_bytes, edge.options.body_ms).await?;
    let value = serde_json::from_slice(&bytes).map_err(|error| {
        let message: String = error.to_string().chars().take(160).collect();
        Refusal::of(RefusalCode::Malformed)
            .words(format!("无法识别这条 JSON：{message}"), format!("The JSON cannot be understood: {message}"))
    })?;
    Ok((parts, value))
}
