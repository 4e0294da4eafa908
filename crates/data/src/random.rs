//! Addressed randomness: a random number is a function of what it is for, never of when a thread
//! asks for it. So one worker or eight see the same data, and a resumed run continues the same run.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// The generator for one purpose: same address, same numbers, on every machine.
///
/// `epoch` is 0 where the choice does not depend on it, `key` a record's key or empty, `purpose` a
/// word such as `"crop"`.
pub fn addressed(seed: u64, epoch: u64, key: &str, purpose: &str) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(epoch.to_le_bytes());
    // The length keeps ("ab", "c") and ("a", "bc") apart.
    hash.update((key.len() as u64).to_le_bytes());
    hash.update(key.as_bytes());
    hash.update(purpose.as_bytes());
    ChaCha8Rng::from_seed(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn every_part_of_the_address_matters() {
        let draw = |seed, epoch, key, purpose| addressed(seed, epoch, key, purpose).next_u64();
        let base = draw(1, 2, "key", "crop");
        assert_eq!(base, draw(1, 2, "key", "crop"));
        assert_ne!(base, draw(0, 2, "key", "crop"));
        assert_ne!(base, draw(1, 1, "key", "crop"));
        assert_ne!(base, draw(1, 2, "kez", "crop"));
        assert_ne!(base, draw(1, 2, "key", "flip"));
        assert_ne!(draw(1, 2, "ab", "c"), draw(1, 2, "a", "bc"));
    }
}
