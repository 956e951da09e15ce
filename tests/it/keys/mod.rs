//! The rotation of keys in memory: random histories, every fault of the list, everything that is wrong with a secret or an event,
//! Google's API for keys.

mod bad_input;
mod faults;
mod histories;
mod house;
mod minting;
mod rules;
