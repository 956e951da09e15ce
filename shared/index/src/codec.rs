//! Little-endian reading and writing with bounds: a truncated or foreign file is an error, never a panic.

/// The file ends before the value does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truncated;

/// Reads values one after another.
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], Truncated> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub fn u32(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u32s(&mut self, count: usize) -> Result<Vec<u32>, Truncated> {
        let bytes = self.bytes(count.checked_mul(4).ok_or(Truncated)?)?;
        Ok(bytes.as_chunks().0.iter().map(|c| u32::from_le_bytes(*c)).collect())
    }

    pub fn f32s(&mut self, count: usize) -> Result<Vec<f32>, Truncated> {
        let bytes = self.bytes(count.checked_mul(4).ok_or(Truncated)?)?;
        Ok(bytes.as_chunks().0.iter().map(|c| f32::from_le_bytes(*c)).collect())
    }

    pub fn u64s(&mut self, count: usize) -> Result<Vec<u64>, Truncated> {
        let bytes = self.bytes(count.checked_mul(8).ok_or(Truncated)?)?;
        Ok(bytes.as_chunks().0.iter().map(|c| u64::from_le_bytes(*c)).collect())
    }

    /// A length-prefixed block.
    pub fn block(&mut self) -> Result<&'a [u8], Truncated> {
        let length = self.u32()? as usize;
        self.bytes(length)
    }

    /// LEB128.
    #[inline]
    pub fn varint(&mut self) -> Result<u32, Truncated> {
        match self.rest {
            // Nearly every number of a posting list is one byte.
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u32::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u32, Truncated> {
        let mut value = 0_u32;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array::<1>()?;
            let low = u32::from(byte & 0x7f);
            value |= low.checked_shl(shift).ok_or(Truncated)?;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Truncated)
    }

    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

pub fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub fn put_varint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A length-prefixed block.
pub fn put_block(out: &mut Vec<u8>, block: &[u8]) {
    put_u32(out, block.len() as u32);
    out.extend_from_slice(block);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_round_trip(value: u32) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert_eq!(Cursor::new(&out).varint(), Ok(value));
        }

        #[test]
        fn any_bytes_are_an_error_or_a_value(bytes: Vec<u8>) {
            let mut cursor = Cursor::new(&bytes);
            let _ = cursor.varint();
            let _ = cursor.block();
            let _ = cursor.u32s(usize::MAX);
        }
    }
}
