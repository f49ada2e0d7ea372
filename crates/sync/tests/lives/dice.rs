//! Chance that comes from a seed: the same seed throws the same numbers, on every machine.

use std::sync::Mutex;

/// A pair of dice. SplitMix64: small, fast, and good enough to choose events.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed ^ 0x6c69_7665_7300_0000)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to, but not, `end`; 0 when there is nothing to choose from.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() % (end.max(1) as u64)).unwrap()
    }

    /// As [`below`](Self::below), where small numbers come as often as large ones of any size.
    pub(crate) fn magnitude(&mut self, end: usize) -> usize {
        let bits = self.below(usize::BITS as usize - end.leading_zeros() as usize + 1);
        self.below((1 << bits).min(end))
    }

    /// True so many times in a thousand.
    pub(crate) fn permille(&mut self, chance: usize) -> bool {
        self.below(1000) < chance
    }

    pub(crate) fn pick<'a, T>(&mut self, among: &'a [T]) -> Option<&'a T> {
        if among.is_empty() { None } else { among.get(self.below(among.len())) }
    }

    /// One of these, each as often as its weight says.
    pub(crate) fn weighted<T: Copy>(&mut self, among: &[(usize, T)]) -> T {
        let mut left = self.below(among.iter().map(|(weight, _)| weight).sum());
        for &(weight, what) in among {
            if left < weight {
                return what;
            }
            left -= weight;
        }
        among[0].1
    }

    /// Other dice that go their own way from here.
    pub(crate) fn split(&mut self) -> Self {
        Self(self.number())
    }
}

/// The dice of the engine's pauses.
pub(crate) struct PauseDice(pub(crate) Mutex<Dice>);

impl restante_sync::Dice for PauseDice {
    fn throw(&self) -> f64 {
        f64::from(u16::try_from(self.0.lock().unwrap().below(1 << 16)).unwrap()) / 65_536.0
    }
}
