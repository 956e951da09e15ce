//! The scorer of names: a linear chain of two states, "part of a name" and "not", with trained weights for features of each
//! token and for each step from one state to the next. What it gives is a probability, so that strictness is one number.

use super::features::{Scene, WEIGHTS};

/// One more than the features': steps from state to state, and the first.
const STEPS: usize = 6;

/// A weight of one is stored as this.
const SCALE: f32 = 16.0;

/// Trained weights.
#[derive(Clone)]
pub struct Chain {
    /// `[WEIGHTS]` for "part of a name"; "not" has zero.
    pub weights: Vec<f32>,
    /// `[from][to]`, then the first token's.
    pub steps: [f32; STEPS],
}

impl Chain {
    /// Nothing learned yet.
    pub fn zero() -> Self {
        Self { weights: vec![0.0; WEIGHTS], steps: [0.0; STEPS] }
    }

    /// Reads what `to_bytes` wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (weights, steps) = bytes.split_at_checked(WEIGHTS)?;
        let steps: Vec<f32> = steps.as_chunks::<4>().0.iter().map(|step| f32::from_le_bytes(*step)).collect();
        let weights = weights.iter().map(|weight| f32::from(weight.cast_signed()) / SCALE).collect();
        Some(Self { weights, steps: steps.try_into().ok()? })
    }

    /// One byte for each weight, then the steps.
    pub fn to_bytes(&self) -> Vec<u8> {
        let weights = self.weights.iter().map(|weight| ((weight * SCALE).round().clamp(-127.0, 127.0) as i8).cast_unsigned());
        weights.chain(self.steps.iter().flat_map(|step| step.to_le_bytes())).collect()
    }

    /// The features of every token, and what they weigh together.
    pub fn potentials(&self, scene: &Scene<'_>, features: &mut Vec<Vec<u32>>) -> Vec<f32> {
        features.resize_with(scene.tokens.len(), Vec::new);
        let sums = features.iter_mut().enumerate().map(|(at, features)| {
            scene.features(at, features);
            features.iter().map(|feature| self.weights[*feature as usize]).sum()
        });
        sums.collect()
    }

    /// The probability of each token to be part of a name, by the forward-backward algorithm; and of each step.
    pub fn marginals(&self, potentials: &[f32]) -> (Vec<f32>, Vec<[f32; 4]>) {
        let count = potentials.len();
        let (mut forward, mut backward) = (vec![[0.0_f32; 2]; count], vec![[0.0_f32; 2]; count]);
        for at in 0..count {
            for state in 0..2 {
                let own = if state == 1 { potentials[at] } else { 0.0 };
                forward[at][state] = own
                    + if at == 0 {
                        self.steps[4 + state]
                    } else {
                        sum(forward[at - 1][0] + self.steps[state], forward[at - 1][1] + self.steps[2 + state])
                    };
            }
        }
        for at in (0..count.saturating_sub(1)).rev() {
            for state in 0..2 {
                let next = |to: usize| {
                    self.steps[2 * state + to] + backward[at + 1][to] + if to == 1 { potentials[at + 1] } else { 0.0 }
                };
                backward[at][state] = sum(next(0), next(1));
            }
        }
        let total = forward.last().map_or(0.0, |last| sum(last[0], last[1]));
        let states = (0..count).map(|at| (forward[at][1] + backward[at][1] - total).exp()).collect();
        let steps = (1..count).map(|at| {
            std::array::from_fn(|step| {
                let (from, to) = (step / 2, step % 2);
                let own = if to == 1 { potentials[at] } else { 0.0 };
                (forward[at - 1][from] + self.steps[step] + own + backward[at][to] - total).exp()
            })
        });
        (states, steps.collect())
    }
}

/// `ln(e^a + e^b)`
fn sum(a: f32, b: f32) -> f32 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    high + (low - high).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::needless_range_loop, reason = "as the definition is written")]
    fn probabilities_are_those_of_all_paths() {
        let mut chain = Chain::zero();
        chain.steps = [0.3, -0.2, 0.5, 0.9, 0.1, -0.4];
        let potentials = [0.7, -1.1, 2.0, 0.2];
        let weigh = |path: u32| {
            let state = |at: usize| (path >> at & 1) as usize;
            let mut weight = chain.steps[4 + state(0)];
            for at in 0..4 {
                weight += if state(at) == 1 { potentials[at] } else { 0.0 };
                weight += if at > 0 { chain.steps[2 * state(at - 1) + state(at)] } else { 0.0 };
            }
            weight.exp()
        };
        let total: f32 = (0..16).map(weigh).sum();
        let (states, steps) = chain.marginals(&potentials);
        for at in 0..4 {
            let expected: f32 = (0..16).filter(|path| path >> at & 1 == 1).map(weigh).sum();
            assert!((states[at] - expected / total).abs() < 1e-5);
        }
        assert!(steps.iter().all(|steps| (steps.iter().sum::<f32>() - 1.0).abs() < 1e-5));
    }

    #[test]
    fn stored_weights_come_back() {
        let mut chain = Chain::zero();
        (chain.weights[5], chain.weights[9], chain.steps[3]) = (1.5, -100.0, 0.25);
        let read = Chain::from_bytes(&chain.to_bytes()).unwrap();
        assert_eq!((read.weights[5], read.weights[9], read.steps[3]), (1.5, -7.9375, 0.25));
        assert!(Chain::from_bytes(b"short").is_none());
    }
}
