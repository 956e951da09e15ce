//! The Python that the peers run in: a throw-away environment with the pinned packages of `requirements.txt`.

use crate::answers::project;
use anyhow::{Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Its interpreter; installs what is missing.
pub fn python() -> Result<PathBuf> {
    let folder = project().join(".local/venv-bench");
    let (python, stamp) = (folder.join("bin/python"), folder.join("stamp"));
    let requirements = project().join("bench/requirements.txt");
    let wanted = fs::read_to_string(&requirements)?;
    if fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        return Ok(python);
    }
    quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "-r"];
    quietly(Command::new(&python).args(pip).arg(&requirements))?;
    fs::write(stamp, wanted)?;
    Ok(python)
}

fn quietly(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    if !output.status.success() {
        let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        bail!("{program}: {}", last_line(&output.stderr));
    }
    Ok(())
}

/// What a program said last, which is the reason if it failed.
pub fn last_line(output: &[u8]) -> String {
    String::from_utf8_lossy(output).lines().rfind(|l| !l.trim().is_empty()).unwrap_or_default().to_owned()
}
