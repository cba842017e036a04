//! The web client's files, which stand inside the executable.

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use proto::v1::RefusalCode;
use rust_embed::{EmbeddedFile, RustEmbed};

use super::{answer::Refused, origin::Origins};

/// Made by the web client's build; empty where that was not done.
#[derive(RustEmbed)]
#[folder = "../web/app/dist"]
#[allow_missing = true]
struct Files;

const NOT_BUILT: &str = "<!doctype html><html lang=\"zh-CN\"><meta charset=\"utf-8\"><title>Yitang 议堂</title>\
<h1>Yitang 议堂</h1><p>网页客户端尚未构建。 The web client has not been built yet: run <code>make web</code>, then build this again.</p></html>";

/// Headers of every page and file.
#[derive(Clone, Debug)]
pub(super) struct PageHeaders {
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl PageHeaders {
    pub(super) fn new(origins: &Origins) -> Self {
        // Older Safari does not count the socket's scheme as 'self', so they are all named.
        let mut connect: Vec<String> = origins.iter().flat_map(|origin| [origin.to_owned(), origin.replacen("http", "ws", 1)]).collect();
        connect.sort_unstable();
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data: blob:; \
             media-src 'self' blob:; font-src 'self'; connect-src 'self' {}; worker-src 'self'; manifest-src 'self'; base-uri 'none'; \
             form-action 'self'; frame-ancestors 'none'",
            connect.join(" ")
        );
        let mut headers = vec![
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
            (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
            (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
        ];
        if let Ok(policy) = HeaderValue::try_from(policy) {
            headers.push((header::CONTENT_SECURITY_POLICY, policy));
        }
        if origins.secure() {
            headers.push((header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000")));
        }
        Self { headers }
    }

    fn add_to(&self, response: &mut Response) {
        for (name, value) in &self.headers {
            response.headers_mut().insert(name.clone(), value.clone());
        }
    }
}

/// A file, or for every other path that a person may have in the address bar, the page that shows it.
pub(super) fn serve(page_headers: &PageHeaders, parts: &Parts) -> Response {
    if parts.method != Method::GET && parts.method != Method::HEAD {
        return Refused::from(RefusalCode::Unsupported).into_response();
    }
    let path = parts.uri.path().trim_start_matches('/');
    let named = path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    let mut response = match find_file(path, &parts.headers) {
        Some((file, encoding)) => answer_file(path, file, encoding, &parts.headers),
        None if named || path.starts_with("api/") => Refused::from(RefusalCode::NotFound).into_response(),
        None => match find_file("index.html", &parts.headers) {
            Some((file, encoding)) => answer_file("index.html", file, encoding, &parts.headers),
            None => ([(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-store")], NOT_BUILT).into_response(),
        },
    };
    page_headers.add_to(&mut response);
    if parts.method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

/// The file as it was compressed when it was built, if the client takes that.
fn find_file(path: &str, headers: &HeaderMap) -> Option<(EmbeddedFile, Option<&'static str>)> {
    if path.is_empty() || path.split('/').any(|part| part.is_empty() || part == "..") {
        return None;
    }
    let takes = |name: &str| {
        headers
            .get(header::ACCEPT_ENCODING)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.split(',').any(|coding| coding.split(';').next().is_some_and(|coding| coding.trim() == name)))
    };
    [("br", ".br"), ("gzip", ".gz")]
        .into_iter()
        .filter(|(name, _)| takes(name))
        .find_map(|(name, suffix)| Some((Files::get(&format!("{path}{suffix}"))?, Some(name))))
        .or_else(|| Some((Files::get(path)?, None)))
}

fn answer_file(path: &str, file: EmbeddedFile, encoding: Option<&'static str>, asked: &HeaderMap) -> Response {
    let etag = make_etag(&file, encoding);
    let mut response = if asked.get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == etag.as_bytes()) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Response::new(Body::from(file.data))
    };
    let headers = response.headers_mut();
    let mime = mime_guess::from_path(path).first_or_octet_stream();
    let mime = if mime.type_() == "text" { format!("{mime}; charset=utf-8") } else { mime.to_string() };
    // Names of the build's own files hold a hash of their content; the page and the service worker must be asked for.
    let caching = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let pairs = [
        (header::CONTENT_TYPE, mime.as_str()),
        (header::CACHE_CONTROL, caching),
        (header::ETAG, etag.as_str()),
        (header::VARY, "accept-encoding"),
    ];
    for (name, value) in pairs {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    if let Some(encoding) = encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

fn make_etag(file: &EmbeddedFile, encoding: Option<&'static str>) -> String {
    use std::fmt::Write as _;
    let mut text = String::from("\"");
    for byte in file.metadata.sha256_hash().iter().take(12) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.push_str(encoding.unwrap_or(""));
    text.push('"');
    text
}
