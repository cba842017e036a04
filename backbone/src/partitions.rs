//! Partitions, and sets of them as bits.

/// A channel of the backbone: a number below [`PARTITIONS`]. Fixed for a deployment.
pub type Partition = u16;

/// The number of partitions, the same as the contract's (a test in the executable compares them).
pub const PARTITIONS: Partition = 256;

/// A set of partitions: 256 bits, `Copy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PartitionSet([u64; 4]);

impl PartitionSet {
    /// The empty set.
    pub const EMPTY: Self = Self([0; 4]);
    /// Every partition there is.
    pub const ALL: Self = Self([u64::MAX; 4]);

    /// Adds one; numbers of [`PARTITIONS`] and above are taken modulo that.
    pub fn insert(&mut self, partition: Partition) {
        let (word, bit) = word_and_bit(partition);
        self.0[word] |= bit;
    }

    /// Removes one.
    pub fn remove(&mut self, partition: Partition) {
        let (word, bit) = word_and_bit(partition);
        self.0[word] &= !bit;
    }

    /// Whether it is in.
    #[must_use]
    pub fn contains(&self, partition: Partition) -> bool {
        let (word, bit) = word_and_bit(partition);
        self.0[word] & bit != 0
    }

    /// Partitions in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    /// Partitions in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & other.0[word]))
    }

    /// Partitions in this set and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & !other.0[word]))
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// The number of partitions in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The partitions, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Partition> + '_ {
        (0..PARTITIONS).filter(|partition| self.contains(*partition))
    }
}

impl FromIterator<Partition> for PartitionSet {
    fn from_iter<I: IntoIterator<Item = Partition>>(partitions: I) -> Self {
        let mut set = Self::EMPTY;
        partitions.into_iter().for_each(|partition| set.insert(partition));
        set
    }
}

fn word_and_bit(partition: Partition) -> (usize, u64) {
    let partition = partition % PARTITIONS;
    (usize::from(partition / 64), 1 << (partition % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_behave_as_sets() {
        let some: PartitionSet = [0, 63, 64, 255].into_iter().collect();
        let other: PartitionSet = [64, 200].into_iter().collect();
        assert_eq!(some.iter().collect::<Vec<_>>(), [0, 63, 64, 255]);
        assert_eq!(some.union(&other).len(), 5);
        assert_eq!(some.intersection(&other).iter().collect::<Vec<_>>(), [64]);
        assert_eq!(some.difference(&other).len(), 3);
        assert_eq!(PartitionSet::ALL.len(), 256);
    }
}
