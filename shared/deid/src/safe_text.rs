//! Text that may leave the account.

use domain::spending::Model;

/// Text in which every identifier that was found has been replaced. Only this crate makes one, and the ports to outside
/// models take nothing else (invariant I3).
#[derive(Clone, PartialEq, Eq)]
pub struct SafeText(String);

/// Proof that a model's provider is bound by an agreement (45 CFR 164.504(e)): the catalogue says so.
#[derive(Debug)]
pub struct Agreement(());

impl Agreement {
    /// The agreement that covers a model, if one does.
    pub fn of(model: &Model) -> Option<Self> {
        model.baa.then_some(Self(()))
    }
}

impl SafeText {
    /// For the de-identifier alone.
    pub(crate) const fn new(text: String) -> Self {
        Self(text)
    }

    /// Text as it is, for a provider that an agreement covers, where the operator has chosen so.
    pub fn under(text: &str, _: &Agreement) -> Self {
        Self(text.to_owned())
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
