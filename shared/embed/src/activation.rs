//! The element-wise functions of the forward pass: GELU, softmax and layer normalisation.
//!
//! Plain loops over slices without branches, so that the compiler turns them into vector code. Every function is
//! inlined into its caller, because only code inside the run-time dispatch is compiled for the instructions found.
#![expect(clippy::inline_always, reason = "only inlined code is compiled for the vector instructions found")]

/// Partial sums that are kept apart. A float sum may not be reordered by the compiler, so the order is written down:
/// sixteen lanes are one vector of AVX-512 or two of AVX2.
const LANES: usize = 16;

/// Added to a variance before its root is taken; the value that the model was trained with.
const LAYER_NORM_EPSILON: f32 = 1e-12;

/// `x * (1 + erf(x / sqrt 2)) / 2`, the exact form of the Gaussian error linear unit, in place.
#[inline(always)]
pub fn gelu(values: &mut [f32]) {
    for value in values {
        *value = *value * 0.5 * (1.0 + erf(*value * std::f32::consts::FRAC_1_SQRT_2));
    }
}

/// The error function as an odd rational polynomial, within 4e-7 everywhere (the tests hold it to that).
///
/// Beyond four the true value is one to within a float's precision, so the argument is clamped there.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let s = x * x;
    let p = polynomial(
        s,
        &[-2.726_142_3e-10, 2.770_681_4e-8, -2.101_024e-6, -5.692_506_4e-5, -7.349_906_3e-4, -2.954_6e-3, -1.609_603_3e-2],
    );
    let q = polynomial(s, &[-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_474e-2]);
    x * p / q
}

/// Horner's rule, highest power first. An index loop of known length: iterator calls that are not inlined were measured
/// to keep the loop around them from becoming vector code.
#[inline(always)]
fn polynomial<const N: usize>(x: f32, coefficients: &[f32; N]) -> f32 {
    let mut sum = coefficients[0];
    let mut power = 1;
    while power < N {
        sum = sum * x + coefficients[power];
        power += 1;
    }
    sum
}

/// `e^x` for `x <= 0`, within 3e-7 of the true value relatively; below -87 it stays at `e^-87`, which is next to nothing.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding and subtracting 1.5 * 2^23 rounds to an integer and leaves that integer in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let x = x.max(-87.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    // ln 2 in two parts, of which the first has so few bits that its product with `whole` is exact.
    let rest = x - whole * 0.693_359_4 + whole * 2.121_944_4e-4;
    let p = polynomial(rest, &[1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5]);
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    (p * rest * rest + rest + 1.0) * power
}

/// Turns one row of scores into weights that sum to one, in place.
#[inline(always)]
pub fn softmax(row: &mut [f32]) {
    let max = fold(row, f32::NEG_INFINITY, |max, value| if value > max { value } else { max });
    for value in row.iter_mut() {
        *value = exp(*value - max);
    }
    let factor = 1.0 / fold(row, 0.0, |sum, value| sum + value);
    for value in row {
        *value *= factor;
    }
}

/// Centres a row, divides it by its standard deviation, then applies the learned weight and bias.
#[inline(always)]
pub fn layer_norm(row: &mut [f32], weight: &[f32], bias: &[f32]) {
    let count = row.len() as f32;
    let mean = fold(row, 0.0, |sum, value| sum + value) / count;
    for value in row.iter_mut() {
        *value -= mean;
    }
    let variance = sum_of_squares(row) / count;
    let factor = 1.0 / (variance + LAYER_NORM_EPSILON).sqrt();
    for ((value, weight), bias) in row.iter_mut().zip(weight).zip(bias) {
        *value = *value * factor * weight + bias;
    }
}

/// The squared length of a vector.
#[inline(always)]
pub fn sum_of_squares(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value * value;
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|value| value * value).sum::<f32>()
}

/// Reduces a row lane by lane with an associative operation.
#[inline(always)]
fn fold(values: &[f32], start: f32, operation: impl Fn(f32, f32) -> f32) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [start; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = operation(*lane, *value);
        }
    }
    let mut result = start;
    for value in &lanes {
        result = operation(result, *value);
    }
    for value in rest {
        result = operation(result, *value);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The Maclaurin series in double precision: exact to 1e-12 within the range used here.
    fn erf_exact(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn erf_is_within_its_promised_error() {
        for step in -4000_i16..=4000 {
            let x = f32::from(step) / 1000.0;
            let error = f64::from(erf(x)) - erf_exact(f64::from(x));
            assert!(error.abs() < 4e-7, "erf({x}) is off by {error}");
        }
        assert!((erf(40.0) - 1.0).abs() < 4e-7 && (erf(-40.0) + 1.0).abs() < 4e-7);
    }

    #[test]
    fn exp_is_within_its_promised_error() {
        for step in 0_u16..=8_700 {
            let x = -f32::from(step) / 100.0;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact) / exact;
            assert!(error.abs() < 3e-7, "exp({x}) is off by {error}");
        }
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn softmax_weights_sum_to_one_for_any_length() {
        for length in [1, 15, 16, 17, 200] {
            let mut row: Vec<f32> = (0..length).map(|i| ((i * 37) % 101) as f32 - 300.0).collect();
            softmax(&mut row);
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            assert!(row.iter().all(|weight| (0.0..=1.0).contains(weight)));
        }
    }

    #[test]
    fn layer_norm_centres_and_scales() {
        let mut row: Vec<f32> = (0..40).map(|i| (i * i) as f32).collect();
        layer_norm(&mut row, &[2.0; 40], &[1.0; 40]);
        let mean = row.iter().sum::<f32>() / 40.0;
        let variance = row.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / 40.0;
        assert!((mean - 1.0).abs() < 1e-5 && (variance - 4.0).abs() < 1e-4);
    }
}
