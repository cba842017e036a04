//! The session token of a request: in the cookie or as a bearer.

use http::{HeaderMap, HeaderValue, header};

use super::origin::ShownBy;

/// A token is 256 bits in base64url; anything longer is none.
const TOKEN_MOST: usize = 128;

/// What a request shows of who sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Credential {
    pub(super) token: String,
    pub(super) shown: ShownBy,
}

/// The session's cookie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cookie {
    secure: bool,
}

impl Cookie {
    pub(super) fn new(secure: bool) -> Self {
        Self { secure }
    }

    /// With TLS the `__Host-` prefix keeps siblings of this host from setting it.
    fn name(self) -> &'static str {
        if self.secure { "__Host-yitang-session" } else { "yitang-session" }
    }

    /// The header that sets it for `max_age_s` seconds; 0 takes it away.
    pub(super) fn set(self, token: &str, max_age_s: i64) -> Option<HeaderValue> {
        let secure = if self.secure { "; Secure" } else { "" };
        let text = format!("{}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age_s}{secure}", self.name());
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// The bearer if there is one, else the cookie.
    pub(super) fn read(self, headers: &HeaderMap) -> Option<Credential> {
        let good = |token: &str| !token.is_empty() && token.len() <= TOKEN_MOST;
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
            let token = token.trim();
            let bearer = scheme.eq_ignore_ascii_case("bearer") && good(token);
            return bearer.then(|| Credential { token: token.to_owned(), shown: ShownBy::Other });
        }
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, token)| *name == self.name() && good(token))
            .map(|(_, token)| Credential { token: token.to_owned(), shown: ShownBy::Cookie })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_goes_before_the_cookie_and_a_wrong_one_is_not_made_good_by_it() {
        let cookie = Cookie::new(false);
        let read = |pairs: &[(header::HeaderName, &str)]| {
            let headers = pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
            cookie.read(&headers).map(|credential| (credential.token, credential.shown))
        };
        let both = [(header::COOKIE, "a=b; yitang-session=c1; x"), (header::AUTHORIZATION, "bearer t1")];
        assert_eq!(read(&both[..1]), Some(("c1".to_owned(), ShownBy::Cookie)));
        assert_eq!(read(&both), Some(("t1".to_owned(), ShownBy::Other)));
        assert_eq!(read(&[both[0].clone(), (header::AUTHORIZATION, "Basic t1")]), None);
        assert_eq!(read(&[(header::COOKIE, "yitang-sessionx=c1; yitang-session=")]), None);
        assert_eq!(read(&[(header::AUTHORIZATION, &format!("Bearer {}", "x".repeat(500)))]), None);
    }

    #[test]
    fn the_cookie_is_for_this_site_and_not_for_scripts() {
        let plain = Cookie::new(false).set("t", 60).unwrap();
        assert_eq!(plain, "yitang-session=t; Path=/; HttpOnly; SameSite=Strict; Max-Age=60");
        let secure = Cookie::new(true).set("t", 0).unwrap();
        assert_eq!(secure, "__Host-yitang-session=t; Path=/; HttpOnly; SameSite=Strict; Max-Age=0; Secure");
        assert!(Cookie::new(false).set("a\nb", 1).is_none());
    }
}
