//! The rules of `ClinChat`, without I/O: what a document, a passage, an answer and an audit event are, the use cases
//! over them, and the ports those use cases need. Reads no clock and no environment: `now` arrives in [`context::Context`].

pub mod alert;
pub mod audit;
pub mod breaker;
pub mod chat;
pub mod context;
pub mod documents;
pub mod fault;
pub mod ids;
pub mod keys;
pub mod limits;
pub mod mac;
pub mod objects;
pub mod phi;
pub mod retrieval;
pub mod scale;
pub mod signing;
pub mod spending;
pub mod text;
