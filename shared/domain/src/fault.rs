//! What kind of thing went wrong. One table (in `api`) maps it to HTTP. In a queue every fault comes again, and is
//! parked after the last delivery.

/// The kind of a failure, from the point of view of whoever has to act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The caller sent something that can never work.
    Caller,
    /// The caller may not do this.
    Denied,
    /// The thing is not there, or the caller may not know that it is.
    Missing,
    /// The thing is there in another state than the caller assumed.
    Conflict,
    /// Too much, too soon: try again after so many seconds.
    Limited {
        /// Seconds until the request would be admitted.
        retry_after_s: u32,
    },
    /// A dependency failed in a way that passes.
    Transient,
    /// Our own mistake. No detail leaves; parked and alarmed.
    Bug,
}

/// Why a port could not do its work. Carries the operation's name, never content.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The store, the network or the provider failed in a way that passes.
    #[error("{operation} is unavailable for the moment")]
    Unavailable {
        /// Which operation of which adapter, such as `GetItem documents`.
        operation: &'static str,
        /// The technology's own error code, for the log line.
        code: String,
    },
    /// A condition of the write did not hold.
    #[error("{operation} lost a race")]
    Conflict {
        /// Which operation.
        operation: &'static str,
    },
    /// The answer was not what this code expects. Somebody has to look.
    #[error("{operation} returned something unexpected")]
    Unexpected {
        /// Which operation.
        operation: &'static str,
        /// What exactly, without content.
        code: String,
    },
}

impl PortError {
    /// How a use case should treat this.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Unavailable { .. } => Fault::Transient,
            Self::Conflict { .. } => Fault::Conflict,
            Self::Unexpected { .. } => Fault::Bug,
        }
    }
}
