//! What is known of a word: how frequent it is as a name, whether it is a word of English or of medicine, a drug, a place.
//!
//! The table is open-addressed and probed where it lies. A key is half of a 64-bit hash, so that no word is stored; two of
//! half a million words sharing slot and key would at worst lend one word another's properties.

use crate::tables::{LoadTablesError, Tables};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The properties of one word. The layout is `models/fetch_deid.py`'s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Entry(u32);

#[expect(missing_docs, reason = "each says what it is")]
impl Entry {
    /// Level as a first name, 0 never, 7 among the fifty most frequent.
    pub const fn first(self) -> u32 {
        self.0 & 7
    }
    /// Level as a surname, likewise.
    pub const fn last(self) -> u32 {
        self.0 >> 3 & 7
    }
    /// Level as a word of general English, 7 among the five hundred most frequent.
    pub const fn common(self) -> u32 {
        self.0 >> 6 & 7
    }
    /// How often it stood in lower case in medical text: 1 + log2.
    pub const fn lower(self) -> u32 {
        self.0 >> 9 & 15
    }
    /// How often capitalised inside a sentence of medical text.
    pub const fn capital(self) -> u32 {
        self.0 >> 13 & 15
    }
    const fn has(self, flag: u32) -> bool {
        self.0 >> (17 + flag) & 1 == 1
    }
    pub const fn is_dictionary(self) -> bool {
        self.has(0)
    }
    pub const fn is_drug(self) -> bool {
        self.has(1)
    }
    pub const fn is_foreign_first(self) -> bool {
        self.has(2)
    }
    pub const fn is_foreign_last(self) -> bool {
        self.has(3)
    }
    pub const fn is_town(self) -> bool {
        self.has(4)
    }
    pub const fn is_city(self) -> bool {
        self.has(5)
    }
    pub const fn is_region(self) -> bool {
        self.has(6)
    }
    pub const fn is_eponym(self) -> bool {
        self.has(7)
    }
    pub const fn is_rare_last(self) -> bool {
        self.has(8)
    }
    /// Listed as any sort of name.
    pub const fn is_name(self) -> bool {
        self.first() > 0 || self.last() > 0 || self.is_foreign_first() || self.is_foreign_last()
    }
    /// A word that people use in lower case.
    pub const fn is_word(self) -> bool {
        self.is_dictionary() || self.lower() > 1
    }
    /// Without what says that it is a name; for training with names that no list has.
    #[must_use]
    pub const fn without_names(self) -> Self {
        Self(self.0 & !0x3f & !(0b1_0000_1100 << 17))
    }
    /// Without what says that it is a drug or an eponym, likewise.
    #[must_use]
    pub const fn without_guards(self) -> Self {
        Self(self.0 & !(15 << 13) & !(0b1000_0010 << 17))
    }
}

/// The words.
pub struct Lexicon {
    slots: Vec<(u32, u32)>,
}

impl Lexicon {
    /// Takes the table.
    pub fn load(tables: &Tables) -> Result<Self, LoadTablesError> {
        let slots = tables.pairs("lexicon")?;
        // A full table would be searched for ever.
        let has_room = slots.iter().filter(|slot| slot.1 == 0).count() * 8 > slots.len();
        if !slots.len().is_power_of_two() || !has_room {
            return Err(LoadTablesError::Tensor { name: "lexicon" });
        }
        Ok(Self { slots })
    }

    /// A folded word, or folded words with one space between.
    pub fn get(&self, folded: &str) -> Entry {
        let hash = hash(folded.as_bytes());
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let (key, value) = self.slots[at];
            if value == 0 {
                return Entry(0);
            }
            if key == (hash >> 32) as u32 {
                return Entry(value);
            }
            at = (at + 1) & mask;
        }
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut value = 0xcbf2_9ce4_8422_2325_u64;
    for byte in bytes {
        value = (value ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    value ^= value >> 32;
    value = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    value ^ value >> 29
}

/// Lower case without diacritics, as the table was made.
pub fn fold(word: &str, folded: &mut String) {
    folded.clear();
    if word.is_ascii() {
        folded.push_str(word);
        folded.make_ascii_lowercase();
        return;
    }
    for c in word.chars().flat_map(char::to_lowercase).nfkd().filter(|c| !is_combining_mark(*c)) {
        match c {
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'đ' | 'ð' => folded.push('d'),
            'þ' => folded.push_str("th"),
            'ı' => folded.push('i'),
            'ə' => folded.push('e'),
            '’' => folded.push('\''),
            c => folded.push(c),
        }
    }
}
