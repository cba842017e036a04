//! Which websites may use this service from a browser.

use std::collections::HashSet;

use http::{HeaderMap, Uri, header};
use proto::v1::{Refusal, RefusalCode};

use crate::fault::Fault;

/// The exact list of Origins.
#[derive(Clone, Debug)]
pub(super) struct Origins {
    allowed: HashSet<String>,
    secure: bool,
}

/// How a caller showed who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShownBy {
    /// By a cookie, which a browser adds to any website's requests.
    Cookie,
    /// By a bearer token or a ticket, which only who has it can send; or by nothing.
    Other,
}

impl Origins {
    pub(super) fn new(public_url: &str, more: &[String]) -> Result<Self, Fault> {
        let public = parse_origin(public_url).ok_or_else(|| Fault::Options(format!("edge.public_url is not a URL: {public_url}")))?;
        let secure = public.starts_with("https:");
        let mut allowed = HashSet::from([public]);
        for origin in more {
            match parse_origin(origin) {
                Some(exact) if exact == origin.to_ascii_lowercase() => drop(allowed.insert(exact)),
                _ => return Err(Fault::Options(format!("edge.origins: {origin} is not an Origin like https://hall.example.cn"))),
            }
        }
        Ok(Self { allowed, secure })
    }

    /// Whether browsers reach this service by TLS.
    pub(super) fn secure(&self) -> bool {
        self.secure
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.allowed.iter().map(String::as_str)
    }

    /// The request's Origin, if it is one of ours; `None` where there was none.
    ///
    /// # Errors
    /// `ORIGIN_REFUSED` for any other, and for more than one.
    pub(super) fn check<'a>(&self, headers: &'a HeaderMap) -> Result<Option<&'a str>, Refusal> {
        let refused = || Refusal::of(RefusalCode::OriginRefused);
        let mut sent = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = sent.next() else { return Ok(None) };
        if sent.next().is_some() {
            return Err(refused());
        }
        let origin = origin.to_str().map_err(|_| refused())?;
        if self.allowed.contains(origin) { Ok(Some(origin)) } else { Err(refused()) }
    }

    /// The same for a request that changes something or gets a ticket: with a cookie there must be an Origin.
    ///
    /// # Errors
    /// `ORIGIN_REFUSED`.
    pub(super) fn check_change<'a>(&self, headers: &'a HeaderMap, shown: ShownBy) -> Result<Option<&'a str>, Refusal> {
        match (self.check(headers)?, shown) {
            (None, ShownBy::Cookie) => Err(Refusal::of(RefusalCode::OriginRefused)),
            (origin, _) => Ok(origin),
        }
    }
}

/// `scheme://host[:port]`, as browsers write it: without the scheme's own port.
fn parse_origin(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"))?;
    let host = uri.host()?.to_ascii_lowercase();
    Some(match (scheme, uri.port_u16()) {
        ("http", Some(80)) | ("https", Some(443)) | (_, None) => format!("{scheme}://{host}"),
        (_, Some(port)) => format!("{scheme}://{host}:{port}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(origins: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for origin in origins {
            headers.append(header::ORIGIN, origin.parse().unwrap());
        }
        headers
    }

    #[test]
    fn an_origin_is_allowed_exactly_or_not_at_all() {
        let origins = Origins::new("https://Hall.example.cn:443/yitang", &["http://localhost:8080".to_owned()]).unwrap();
        assert!(origins.secure());
        for allowed in ["https://hall.example.cn", "http://localhost:8080"] {
            assert_eq!(origins.check(&headers(&[allowed])), Ok(Some(allowed)));
        }
        for foreign in [
            "http://hall.example.cn",
            "https://hall.example.cn.evil.cn",
            "https://xhall.example.cn",
            "https://hall.example.cn:8443",
            "https://hall.example.cn/",
            "null",
            "",
        ] {
            assert_eq!(origins.check(&headers(&[foreign])).unwrap_err().code(), RefusalCode::OriginRefused, "{foreign}");
        }
        let two = headers(&["https://hall.example.cn", "https://hall.example.cn"]);
        assert!(origins.check(&two).is_err(), "two Origins are none that can be trusted");
    }

    #[test]
    fn without_an_origin_a_bearer_may_change_something_and_a_cookie_may_not() {
        let origins = Origins::new("http://127.0.0.1:8080", &[]).unwrap();
        assert_eq!(origins.check_change(&headers(&[]), ShownBy::Other), Ok(None));
        assert!(origins.check_change(&headers(&[]), ShownBy::Cookie).is_err());
        assert!(origins.check_change(&headers(&["http://127.0.0.1:8080"]), ShownBy::Cookie).is_ok());
        assert!(origins.check_change(&headers(&["http://evil.example"]), ShownBy::Other).is_err());
    }

    #[test]
    fn an_origin_in_the_settings_that_no_browser_would_send_is_refused() {
        for wrong in ["https://hall.example.cn/", "hall.example.cn", "https://hall.example.cn:443", "ws://hall.example.cn"] {
            assert!(Origins::new("http://127.0.0.1:8080", &[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
