//! Conversations and people are spread over a fixed number of partitions, which are the channels of the backbone.

use uuid::Uuid;

/// How many partitions there are; fixed for a deployment, for every role must agree.
pub const PARTITIONS: u16 = 256;

/// The partition of a conversation's announcements.
#[must_use]
pub fn partition_of_conversation(conversation: Uuid) -> u16 {
    partition(conversation.as_bytes())
}

/// The partition of hints for one person's sockets.
#[must_use]
pub fn partition_of_person(person: u32) -> u16 {
    partition(&person.to_be_bytes())
}

fn partition(bytes: &[u8]) -> u16 {
    let hash = fnv(bytes);
    ((hash ^ (hash >> 32)) % u64::from(PARTITIONS)) as u16
}

/// FNV-1a, 64 bit: stable over versions and platforms, which the standard library's hasher is not.
#[must_use]
pub fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_never_change_and_fill_evenly() {
        assert_eq!(partition_of_conversation(Uuid::nil()), partition_of_conversation(Uuid::nil()));
        let mut counts = [0_u32; PARTITIONS as usize];
        for person in 0..25_600 {
            counts[usize::from(partition_of_person(person))] += 1;
        }
        assert!(counts.iter().all(|count| (40..200).contains(count)), "{counts:?}");
    }
}
