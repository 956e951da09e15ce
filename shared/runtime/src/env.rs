//! Settings from the environment, typed. Everything that is missing or malformed is reported in one error, so that a
//! deployment is mended in one go. Read in each function's `config.rs` and nowhere else (invariant I5).

use domain::spending::{Caps, MicroDollars};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A file that is shipped beside the binary, as `/var/task/bootstrap` is.
pub fn beside_binary(file: &str) -> PathBuf {
    let folder = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_path_buf));
    folder.unwrap_or_default().join(file)
}

/// Collects settings and what is wrong with them.
#[derive(Default)]
pub struct Env {
    problems: Vec<String>,
}

/// The settings do not allow the function to start. Names variables, never values.
#[derive(Debug, thiserror::Error)]
#[error("the environment is incomplete: {}", .0.join("; "))]
pub struct ReadConfigError(pub Vec<String>);

impl Env {
    fn raw(name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    /// A setting that must be there.
    pub fn required<T: FromStr + Default>(&mut self, name: &'static str) -> T {
        match Self::raw(name) {
            None => {
                self.problems.push(format!("{name} is not set"));
                T::default()
            }
            Some(value) => self.parsed(name, &value),
        }
    }

    /// A setting with a default.
    pub fn or<T: FromStr + Default>(&mut self, name: &'static str, default: T) -> T {
        Self::raw(name).map_or(default, |value| self.parsed(name, &value))
    }

    /// A setting that may be absent, read by a rule of its own.
    pub fn optional<T, E>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let parsed = parse(&Self::raw(name)?).ok();
        if parsed.is_none() {
            self.problems.push(format!("{name} is malformed"));
        }
        parsed
    }

    /// A value that was made from a setting by a rule of its own.
    pub fn checked<T, E>(&mut self, name: &'static str, value: Result<T, E>) -> Option<T> {
        if value.is_err() {
            self.problems.push(format!("{name} is malformed"));
        }
        value.ok()
    }

    /// The caps of a day: `BUDGET_DAY_DOLLARS`, `DEPARTMENT_DAY_DOLLARS`, `PERSON_DAY_DOLLARS`, `BUDGET_THRESHOLD_PERCENT`.
    pub fn caps(&mut self) -> Caps {
        let default = Caps::default();
        Caps {
            deployment: self.optional("BUDGET_DAY_DOLLARS", MicroDollars::parse).unwrap_or(default.deployment),
            department: self.optional("DEPARTMENT_DAY_DOLLARS", MicroDollars::parse).unwrap_or(default.department),
            person: self.optional("PERSON_DAY_DOLLARS", MicroDollars::parse).unwrap_or(default.person),
            threshold_percent: self.or("BUDGET_THRESHOLD_PERCENT", default.threshold_percent),
        }
    }

    fn parsed<T: FromStr + Default>(&mut self, name: &'static str, value: &str) -> T {
        value.parse().unwrap_or_else(|_| {
            self.problems.push(format!("{name} is malformed"));
            T::default()
        })
    }

    /// The finished settings, or everything that is wrong.
    pub fn finish<C>(self, config: C) -> Result<C, ReadConfigError> {
        if self.problems.is_empty() { Ok(config) } else { Err(ReadConfigError(self.problems)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_missing_is_said_at_once_and_no_value_is_shown() {
        let mut env = Env::default();
        let _: String = env.required("CLINCHAT_TEST_ABSENT_ONE");
        let _: u32 = env.required("CLINCHAT_TEST_ABSENT_TWO");
        let _: u32 = env.required("PATH"); // set, but no number
        assert_eq!(env.or("CLINCHAT_TEST_ABSENT_THREE", 7), 7);
        let error = env.finish(()).unwrap_err().to_string();
        assert_eq!(
            error,
            "the environment is incomplete: CLINCHAT_TEST_ABSENT_ONE is not set; CLINCHAT_TEST_ABSENT_TWO is not set; PATH is malformed"
        );
    }
}
