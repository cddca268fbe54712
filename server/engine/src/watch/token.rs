use std::hash::{DefaultHasher, Hash, Hasher};

use crate::selectors::Selectors;

/// What a resume token says. Opaque to clients.
pub(super) struct Token {
    pub(super) life: u64,
    /// `None` in the midst of a snapshot: whoever was cut there begins anew.
    pub(super) position: Option<u64>,
    pub(super) selectors_hash: u64,
}

/// Stands for no position.
const NOWHERE: u64 = u64::MAX;

impl Token {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (parts, []) = bytes.as_chunks::<8>() else { return None };
        let &[life, position, selectors_hash] = parts else { return None };
        let [life, position, selectors_hash] =
            [life, position, selectors_hash].map(u64::from_be_bytes);
        Some(Self { life, position: (position != NOWHERE).then_some(position), selectors_hash })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let position = self.position.unwrap_or(NOWHERE);
        [self.life, position, self.selectors_hash].map(u64::to_be_bytes).concat()
    }
}

/// The same for the same selectors in every life of every server.
pub(super) fn hash(selectors: &Selectors) -> u64 {
    let mut hasher = DefaultHasher::new();
    selectors.canonical().hash(&mut hasher);
    hasher.finish()
}
