//! Text that may leave the account.

/// Text in which every identifier that was found has been replaced. Only this crate makes one, and the ports to outside
/// models take nothing else (invariant I3).
#[derive(Clone, PartialEq, Eq)]
pub struct SafeText(String);

impl SafeText {
    /// For the de-identifier alone.
    pub(crate) const fn new(text: String) -> Self {
        Self(text)
    }

    /// What is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SafeText {
    /// Safe to send is not meant to be logged.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SafeText({} bytes)", self.0.len())
    }
}
