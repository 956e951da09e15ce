//! `profile list`, `profile add`.

use crate::args::AddProfile;
use crate::display::Screen;
use crate::display::table::{Side, render};
use crate::outcome::Outcome;
use crate::profile::{Places, Profile};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, stdin};
use std::path::Path;

/// A description of a stack has a few kilobytes, one of all stacks of an account some hundred.
const OUTPUTS_BYTES_MAX: u64 = 8 << 20;

/// Lists what is there. A profile that cannot be read is listed with what is wrong.
pub fn list(places: &Places, chosen: &str, as_json: bool, screen: &mut Screen) -> Result<Outcome> {
    let profiles: Vec<_> = places.list().into_iter().map(|(name, path)| (places.find(&name), name, path)).collect();
    if as_json {
        let entry = |(found, name, path): &(Result<crate::profile::Found>, String, std::path::PathBuf)| match found {
            Ok(found) => {
                json!({
                    "name": name, "api_url": found.profile.api_url, "region": found.profile.region, "file": path, "chosen": name == chosen,
                })
            }
            Err(error) => json!({"name": name, "file": path, "error": error.to_string()}),
        };
        screen.json(&json!({ "profiles": profiles.iter().map(entry).collect::<Vec<_>>() }))?;
        return Ok(Outcome::Done);
    }
    if profiles.is_empty() {
        screen.note("There are no profiles: `make up` makes the local one, `clinchat profile add NAME` one of a deployed stack.");
        return Ok(Outcome::Done);
    }
    let row = |(found, name, path): &(Result<crate::profile::Found>, String, std::path::PathBuf)| {
        let (api_url, region) = match found {
            Ok(found) => (found.profile.api_url.clone(), found.profile.region.clone()),
            Err(error) => (error.to_string(), String::new()),
        };
        let mark = if name == chosen { "*" } else { "" };
        vec![mark.to_owned(), name.clone(), api_url, region, path.display().to_string()]
    };
    let head = [("", Side::Left), ("NAME", Side::Left), ("API", Side::Left), ("REGION", Side::Left), ("FILE", Side::Gives)];
    for line in render(&head, &profiles.iter().map(row).collect::<Vec<_>>(), screen.table_columns, screen.paint) {
        screen.line(line)?;
    }
    Ok(Outcome::Done)
}

/// Adds one.
pub fn add(add: &AddProfile, places: &Places, screen: &mut Screen) -> Result<Outcome> {
    let given = (add.api_url.clone(), add.client_id.clone(), add.region.clone());
    let (api_url, client_id, region, outputs) = match (&add.from_outputs, given) {
        (Some(path), _) => from_outputs(&read(path)?)?,
        (None, (Some(api_url), Some(client_id), Some(region))) => (api_url, client_id, region, BTreeMap::new()),
        _ => anyhow::bail!("Name --api-url, --client-id and --region, or --from-outputs."),
    };
    let profile = Profile {
        api_url,
        client_id,
        region,
        endpoint: None,
        username: add.username.clone(),
        password: None,
        outputs,
        people: BTreeMap::new(),
    };
    let path = places.add(&add.name, &profile)?;
    screen.line(format!("Added {} in {}.", add.name, path.display()))?;
    screen.note(format!("Sign in with `clinchat --profile {} login`.", add.name));
    Ok(Outcome::Done)
}

fn read(path: &Path) -> Result<Value> {
    let mut text = String::new();
    if path == Path::new("-") {
        stdin().take(OUTPUTS_BYTES_MAX).read_to_string(&mut text).context("standard input cannot be read")?;
    } else {
        text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    }
    serde_json::from_str(&text)
        .context("this is not JSON: use the output of `aws cloudformation describe-stacks --stack-name NAME`")
}

/// The outputs that commands other than sign-in and questions need.
const KEPT: [&str; 3] = ["DocumentsTable", "IndexBucket", "VectorBucket"];

/// API, client, region and kept outputs of the first stack that has our outputs.
fn from_outputs(described: &Value) -> Result<(String, String, String, BTreeMap<String, String>)> {
    let outputs = |stack: &Value| -> BTreeMap<String, String> {
        let pair = |output: &Value| Some((output["OutputKey"].as_str()?.to_owned(), output["OutputValue"].as_str()?.to_owned()));
        stack["Outputs"].as_array().map(|all| all.iter().filter_map(pair).collect()).unwrap_or_default()
    };
    let stacks = described["Stacks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_stack = |stack: &Value| {
        let mut outputs = outputs(stack);
        // A user pool's id begins with its region.
        let region = outputs.get("UserPoolId")?.split_once('_')?.0.to_owned();
        let (api_url, client_id) = (outputs.remove("ApiUrl")?, outputs.remove("UserPoolClientId")?);
        outputs.retain(|name, _| KEPT.contains(&name.as_str()));
        Some((api_url, client_id, region, outputs))
    };
    stacks.iter().find_map(of_stack).context("No stack in there has the outputs ApiUrl, UserPoolId and UserPoolClientId")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_of_a_stack_become_a_profile() {
        let output = |key: &str, value: &str| json!({"OutputKey": key, "OutputValue": value});
        let described = json!({"Stacks": [
            {"StackName": "another"},
            {"StackName": "clinchat-dev", "Outputs": [
                output("ApiUrl", "https://a.example/v1"),
                output("UserPoolId", "eu-north-1_AbC"), output("UserPoolClientId", "client"), output("IndexBucket", "index"),
                output("AlertsTopic", "arn"),
            ]},
        ]});
        let expected = ("https://a.example/v1".to_owned(), "client".to_owned(), "eu-north-1".to_owned());
        let kept = BTreeMap::from([("IndexBucket".to_owned(), "index".to_owned())]);
        let expected = (expected.0, expected.1, expected.2, kept);
        assert_eq!(from_outputs(&described).unwrap(), expected);
        assert!(from_outputs(&json!({})).is_err());
    }
}
