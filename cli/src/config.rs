//! The only place that reads the environment.

use std::env;
use std::path::PathBuf;

/// What surrounds a run.
#[derive(Default)]
pub struct Config {
    /// Where it was started.
    pub current_folder: Option<PathBuf>,
    /// The program itself.
    pub program: Option<PathBuf>,
    /// Where a person's settings are.
    pub settings: Option<PathBuf>,
    /// `CLINCHAT_USERNAME`, for programs that sign in.
    pub username: Option<String>,
    /// `CLINCHAT_PASSWORD`, for programs that sign in.
    pub password: Option<String>,
}

impl Config {
    /// Reads it. Nothing is required: what is missing is asked for or reported by the command that needs it.
    pub fn from_env() -> Self {
        let folder = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let text = |name| env::var(name).ok().filter(|text| !text.is_empty());
        Self {
            current_folder: env::current_dir().ok(),
            program: env::current_exe().ok(),
            settings: folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config"))),
            username: text("CLINCHAT_USERNAME"),
            password: text("CLINCHAT_PASSWORD"),
        }
    }
}
