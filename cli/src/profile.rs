//! Profiles: what a client needs to know about one stack. The local stack's is written by `local/stack.py` into the
//! checkout, those of deployed stacks by `clinchat profile add` into the person's settings.

use crate::config::Config;
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The profile of the stack in this checkout.
pub const LOCAL: &str = "local";

/// One stack. Unknown fields are somebody else's.
#[derive(Clone, Deserialize, Serialize)]
pub struct Profile {
    /// Address of the API, with the stage.
    pub api_url: String,
    /// The user pool's client.
    pub client_id: String,
    /// The user pool's region.
    pub region: String,
    /// Where to sign in, if not at AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Who signs in if nobody else is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Only local stacks write one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// What else the stack is made of, by the names of its outputs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, String>,
    /// Others who can be asked for by `--as`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub people: BTreeMap<String, Person>,
}

/// Somebody with an account.
#[derive(Clone, Deserialize, Serialize)]
pub struct Person {
    /// The account.
    pub username: String,
    /// Only local stacks write one.
    #[serde(default)]
    pub password: Option<String>,
}

/// A profile and where it was found.
#[derive(Clone)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// What it says.
    pub profile: Profile,
}

/// Where profiles are looked for.
pub struct Places {
    /// `<project>/.local/profiles`, if we are in a checkout.
    pub project: Option<PathBuf>,
    /// `<settings>/clinchat/profiles`.
    pub settings: Option<PathBuf>,
}

/// The project that this run belongs to: from the current folder upwards, else from the program upwards.
pub fn project(config: &Config) -> Option<PathBuf> {
    let is_project = |folder: &&Path| folder.join("local/stack.py").is_file() && folder.join("template.yaml").is_file();
    let starts = [config.current_folder.as_deref(), config.program.as_deref()];
    starts.into_iter().flatten().find_map(|start| start.ancestors().find(is_project)).map(Path::to_path_buf)
}

impl Places {
    /// The places of this run.
    pub fn new(config: &Config) -> Self {
        Self {
            project: project(config).map(|folder| folder.join(".local/profiles")),
            settings: config.settings.as_ref().map(|folder| folder.join("clinchat/profiles")),
        }
    }

    /// The profile of that name: the project's first.
    pub fn find(&self, name: &str) -> Result<Found> {
        check_name(name)?;
        for folder in self.folders() {
            let path = folder.join(format!("{name}.json"));
            if let Some(profile) = read(&path)? {
                return Ok(Found { name: name.to_owned(), path, profile });
            }
        }
        if name == LOCAL {
            bail!("There is no local stack yet. Start it with `make up`, or name a deployed one with --profile.");
        }
        let known = self.list().into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
        let known = if known.is_empty() { "none".to_owned() } else { known };
        bail!("There is no profile {name} (there are: {known}). Add it with `clinchat profile add {name}`.");
    }

    /// All names with their files, each name once, in the order of looking.
    pub fn list(&self) -> Vec<(String, PathBuf)> {
        let mut found = BTreeMap::new();
        for folder in self.folders() {
            let Ok(entries) = fs::read_dir(folder) else { continue };
            for path in entries.flatten().map(|entry| entry.path()) {
                let name = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
                if let Some(name) = name.filter(|_| path.extension().is_some_and(|e| e == "json") && path.is_file()) {
                    found.entry(name).or_insert(path);
                }
            }
        }
        found.into_iter().collect()
    }

    /// Writes a profile of a deployed stack.
    pub fn add(&self, name: &str, profile: &Profile) -> Result<PathBuf> {
        check_name(name)?;
        ensure!(name != LOCAL, "The profile {LOCAL} belongs to the local stack: choose another name.");
        profile.check()?;
        let folder = self.settings.as_ref().context("There is no folder for settings: set HOME or XDG_CONFIG_HOME.")?;
        let path = folder.join(format!("{name}.json"));
        write_private(&path, &serde_json::to_vec_pretty(profile)?)?;
        Ok(path)
    }

    fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        self.project.iter().chain(&self.settings)
    }
}

impl Profile {
    /// Tokens and passwords travel encrypted, unless they do not leave the machine.
    pub fn check(&self) -> Result<()> {
        for url in [Some(&self.api_url), self.endpoint.as_ref()].into_iter().flatten() {
            ensure!(
                url.starts_with("https://") || is_loopback(url),
                "The profile has an address that is not https. Only addresses of this machine may be http."
            );
        }
        let is_region = self.region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        ensure!(is_region && !self.region.is_empty(), "The region is not the name of one, such as eu-north-1.");
        Ok(())
    }
}

/// Whether the address is one of this machine.
pub fn is_loopback(url: &str) -> bool {
    let Ok(uri) = url.parse::<ureq::http::Uri>() else { return false };
    matches!(uri.host(), Some("127.0.0.1" | "localhost" | "[::1]"))
}

/// A name is a file name everywhere.
fn check_name(name: &str) -> Result<()> {
    let well_formed = (1..=64).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    ensure!(well_formed, "A profile's name is 1 to 64 letters, digits, `-`, `_` and `.`.");
    Ok(())
}

fn read(path: &Path) -> Result<Option<Profile>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
    };
    // The message of the JSON parser repeats values; a profile may hold a password.
    let profile: Profile = serde_json::from_slice(&text)
        .map_err(|error| anyhow::anyhow!("{} is not a profile (line {})", path.display(), error.line()))?;
    profile.check()?;
    Ok(Some(profile))
}

/// Writes a file that only its owner can read: whole or not at all.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().context("no folder")?;
    let write = || {
        fs::create_dir_all(folder)?;
        // Created with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.write_all(b"\n")?;
        file.persist(path).map_err(|error| error.error)
    };
    write().map(|_| ()).with_context(|| format!("{} cannot be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn profile(api_url: &str) -> Profile {
        Profile {
            api_url: api_url.into(),
            client_id: "client".into(),
            region: "eu-north-1".into(),
            endpoint: None,
            username: None,
            password: None,
            outputs: BTreeMap::new(),
            people: BTreeMap::new(),
        }
    }

    #[test]
    fn the_projects_profile_comes_before_the_persons() {
        let home = tempfile::tempdir().unwrap();
        let checkout = home.path().join("checkout");
        for folder in ["checkout/local", "checkout/.local/profiles", "checkout/deep/below", "settings"] {
            fs::create_dir_all(home.path().join(folder)).unwrap();
        }
        fs::write(checkout.join("local/stack.py"), "").unwrap();
        fs::write(checkout.join("template.yaml"), "").unwrap();
        let config = Config {
            current_folder: Some(checkout.join("deep/below")),
            settings: Some(home.path().join("settings")),
            ..Config::default()
        };
        assert_eq!(project(&config).as_deref(), Some(checkout.as_path()));
        let places = Places::new(&config);

        let path = places.add("dev", &profile("https://settings.example/v1")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(places.find("dev").unwrap().profile.api_url, "https://settings.example/v1");

        let text = serde_json::to_vec(&profile("http://127.0.0.1:4566/v1")).unwrap();
        fs::write(checkout.join(".local/profiles/dev.json"), &text).unwrap();
        assert_eq!(places.find("dev").unwrap().profile.api_url, "http://127.0.0.1:4566/v1");
        assert_eq!(places.list(), [("dev".to_owned(), checkout.join(".local/profiles/dev.json"))]);
    }

    #[test]
    fn what_is_missing_is_said_with_what_to_do() {
        let places = Places { project: None, settings: None };
        let message = |name| places.find(name).err().unwrap().to_string();
        assert!(message(LOCAL).contains("`make up`"));
        assert!(message("dev").contains("there are: none"));
        assert!(message("../../etc/passwd").contains("1 to 64"));
    }

    #[test]
    fn a_token_does_not_travel_in_the_clear() {
        for (url, goes) in [
            ("https://api.example/v1", true),
            ("http://127.0.0.1:4566/v1", true),
            ("http://localhost:80", true),
            ("http://api.example/v1", false),
            ("http://127.0.0.1.example/v1", false),
            ("http://127.0.0.1@api.example/v1", false),
        ] {
            assert_eq!(profile(url).check().is_ok(), goes, "{url}");
        }
    }

    #[test]
    fn a_broken_profile_is_named_and_not_repeated() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("dev.json"), r#"{"api_url": "https://x", "password": 12345678}"#).unwrap();
        let places = Places { project: Some(home.path().into()), settings: None };
        let message = format!("{:#}", places.find("dev").err().unwrap());
        assert!(message.contains("dev.json") && !message.contains("12345678"), "{message}");
    }
}
