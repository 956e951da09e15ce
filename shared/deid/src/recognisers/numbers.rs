//! Checksums of numbers that have one.

/// Digits of a text, without what separates them.
pub fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|c| c.to_digit(10)).collect()
}

/// Luhn, as cards and NPIs have it.
pub fn luhn(digits: &[u32]) -> bool {
    let doubled = |(at, digit): (usize, &u32)| if at % 2 == 1 { digit * 2 / 10 + digit * 2 % 10 } else { *digit };
    digits.len() > 1 && digits.iter().rev().enumerate().map(doubled).sum::<u32>() % 10 == 0
}

/// National Provider Identifier: Luhn over 80840 and its ten digits.
pub fn is_npi(digits: &[u32]) -> bool {
    digits.len() == 10 && matches!(digits[0], 1 | 2) && luhn(&[&[8, 0, 8, 4, 0], digits].concat())
}

/// DEA number: a checksum over its seven digits.
pub fn is_dea(digits: &[u32]) -> bool {
    let &[.., check] = digits else { return false };
    let sum: u32 = digits.iter().take(6).enumerate().map(|(at, digit)| digit * if at % 2 == 1 { 2 } else { 1 }).sum();
    digits.len() == 7 && sum % 10 == check
}

/// Payment card: length, first digit and Luhn.
pub fn is_card(digits: &[u32]) -> bool {
    (13..=19).contains(&digits.len()) && matches!(digits[0], 2..=6) && luhn(digits)
}

/// Brazilian CPF: two check digits modulo 11.
pub fn is_cpf(digits: &[u32]) -> bool {
    let check = |count: u32| {
        let sum: u32 = digits.iter().zip((2..=count + 1).rev()).map(|(digit, factor)| digit * factor).sum();
        sum * 10 % 11 % 10
    };
    digits.len() == 11 && digits.windows(2).any(|pair| pair[0] != pair[1]) && check(9) == digits[9] && check(10) == digits[10]
}

/// Indian Aadhaar: Verhoeff.
pub fn is_aadhaar(digits: &[u32]) -> bool {
    const PERMUTED: [[usize; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    // Multiplication in the dihedral group of order ten.
    let times = |a: usize, b: usize| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b) % 5,
        (false, true) => 5 + (a + 5 - b) % 5,
        (false, false) => (a + 5 - b) % 5,
    };
    let sum = digits.iter().rev().enumerate().fold(0, |sum, (at, digit)| times(sum, PERMUTED[at % 8][*digit as usize]));
    digits.len() == 12 && digits[0] > 1 && sum == 0
}

/// British NHS number: modulo 11.
pub fn is_nhs(digits: &[u32]) -> bool {
    let sum: u32 = digits.iter().take(9).zip((2..=10).rev()).map(|(digit, factor)| digit * factor).sum();
    digits.len() == 10 && (11 - sum % 11) % 11 == digits[9]
}

/// International bank account number: modulo 97.
pub fn is_iban(text: &str) -> bool {
    let characters: Vec<char> = text.chars().filter(char::is_ascii_alphanumeric).collect();
    if !(15..=34).contains(&characters.len()) {
        return false;
    }
    let rest = characters[4..].iter().chain(&characters[..4]).fold(0, |rest, c| {
        let value = c.to_ascii_uppercase().to_digit(36).unwrap_or_default();
        (rest * if value > 9 { 100 } else { 10 } + value) % 97
    });
    rest == 1
}

/// Vehicle identification number: seventeen characters without I, O and Q, letters and digits. The check digit is not
/// asked for: only North America has it, and a mistyped number is still somebody's.
pub fn is_vin(text: &str) -> bool {
    let is_allowed = |byte: u8| matches!(byte, b'0'..=b'9' | b'A'..=b'H' | b'J'..=b'N' | b'P' | b'R'..=b'Z');
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    text.len() == 17 && text.bytes().all(is_allowed) && (3..17).contains(&digits)
}

/// Social security number: no area 000, 666 or 9xx, no group 00, no serial 0000.
pub fn is_ssn(digits: &[u32]) -> bool {
    digits.len() == 9
        && digits[0] != 9
        && digits[..3] != [0, 0, 0]
        && digits[..3] != [6, 6, 6]
        && digits[3..5] != [0, 0]
        && digits[5..] != [0, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_examples_hold_and_a_changed_digit_does_not() {
        type Check = fn(&[u32]) -> bool;
        let checks: [(Check, &str, &str); 7] = [
            (luhn, "79927398713", "79927398714"),
            (is_npi, "1234567893", "1234567894"),
            (is_dea, "1234563", "1234564"),
            (is_card, "4111 1111 1111 1111", "4111 1111 1111 1112"),
            (is_cpf, "529.982.247-25", "529.982.247-26"),
            (is_aadhaar, "2341 2341 2346", "2341 2341 2347"),
            (is_nhs, "943 476 5919", "943 476 5918"),
        ];
        for (at, (check, right, wrong)) in checks.into_iter().enumerate() {
            assert!(check(&digits(right)) && !check(&digits(wrong)), "{at}");
        }
        assert!(is_iban("GB82 WEST 1234 5698 7654 32") && !is_iban("GB82 WEST 1234 5698 7654 33"));
        assert!(is_vin("1HGCM82633A004352") && !is_vin("1HGCM82633A00435O") && !is_vin("12345678901234567"));
        for area in ["000-12-3456", "666-12-3456", "900-12-3456", "123-00-4567", "123-45-0000"] {
            assert!(!is_ssn(&digits(area)), "{area}");
        }
    }
}
