//! Numbers of screens. What a gateway holds by person (its sockets, their bound) it holds for a screen by a number that no
//! person has: whatever asks for the person behind it finds nobody, and refuses.

use uuid::Uuid;

/// The first number of a screen; people have lower ones.
pub const FROM: u32 = 1 << 31;

/// The number of all screens of one display link. Two links may share one: it names where sockets are kept, never a right.
#[must_use]
pub fn number(link: Uuid) -> u32 {
    FROM | link.as_u128() as u32
}

/// Whether this number is a screen's and not a person's.
#[must_use]
pub fn is_screen(person: u32) -> bool {
    person >= FROM
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screens_number_is_nobodys() {
        for link in [Uuid::nil(), Uuid::max(), Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_7fff_ffff)] {
            assert!(is_screen(number(link)), "{link}");
        }
        assert!(!is_screen(0) && !is_screen(27_000) && !is_screen(FROM - 1));
    }
}
