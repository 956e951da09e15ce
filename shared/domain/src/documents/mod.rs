//! Documents: what a parser finds in them, how they are cut, what the registry knows of them, and the use cases.

pub mod attributes;
pub mod chunks;
pub mod index_object;
pub mod keep_index;
pub mod manage;
pub mod ocr;
pub mod pages;
pub mod receipt;
pub mod registry;
pub mod versions;
