//! What a person's data must be.

use proto::v1::{Refusal, RefusalCode};

use super::Roles;

/// A person to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPerson {
    /// On the wire.
    pub id: u32,
    /// What they sign in with.
    pub login: String,
    /// As shown.
    pub name: String,
    /// Where they belong.
    pub organisation: u32,
    /// What they are.
    pub roles: Roles,
    /// Hash; `None`: they enter by a link first.
    pub password: Option<String>,
    /// Of the demonstration.
    pub demo: bool,
}

/// A login: 2 to 64 letters, digits, or `._-@`, folded to lower case.
///
/// # Errors
/// INVALID.
pub fn check_login(login: &str) -> Result<String, Refusal> {
    let login = login.trim().to_lowercase();
    let fits = (2..=64).contains(&login.chars().count()) && login.chars().all(|c| c.is_alphanumeric() || "._-@".contains(c));
    if fits {
        return Ok(login);
    }
    Err(Refusal::of(RefusalCode::Invalid)
        .field("login")
        .words("账号应为 2 到 64 个字母、数字或 . _ - @。", "A login is 2 to 64 letters, digits or . _ - @."))
}

/// A name: 1 to 64 characters, none of them a control character.
///
/// # Errors
/// INVALID.
pub fn check_name(name: &str) -> Result<String, Refusal> {
    let name = name.trim();
    if (1..=64).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        return Ok(name.to_owned());
    }
    Err(Refusal::of(RefusalCode::Invalid).field("name").words("姓名或名称应为 1 到 64 个字符。", "A name is 1 to 64 characters."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_folded_and_held_to_a_form() {
        assert_eq!(check_login(" Wang.Fang@hz ").unwrap(), "wang.fang@hz");
        assert_eq!(check_login("王芳").unwrap(), "王芳");
        for wrong in ["", "a", "a b", "a\u{0}b", &"x".repeat(65)] {
            assert_eq!(check_login(wrong).unwrap_err().code(), RefusalCode::Invalid, "{wrong:?}");
        }
        assert!(check_name("  ").is_err() && check_name("a\nb").is_err());
    }
}
