//! `login`, `logout`, `token`.

use crate::client::Client;
use crate::display::Screen;
use crate::display::text::one_line;
use crate::outcome::Outcome;
use anyhow::Result;

/// Signs in and keeps the tokens.
pub fn sign_in(username: Option<&str>, client: &Client, screen: &mut Screen) -> Result<Outcome> {
    let bearer = client.sign_in(username)?;
    let roles = if bearer.roles.is_empty() { "no roles".to_owned() } else { bearer.roles.join(", ") };
    screen.line(one_line(&format!("Signed in: {} ({roles}).", bearer.person)))?;
    Ok(Outcome::Done)
}

/// Forgets the tokens.
pub fn sign_out(client: &Client, screen: &mut Screen) -> Result<Outcome> {
    let was_signed_in = client.sign_out()?;
    screen.line(if was_signed_in { "Signed out." } else { "Nobody was signed in." })?;
    Ok(Outcome::Done)
}

/// Prints a token that is good now.
pub fn token(client: &Client, screen: &mut Screen) -> Result<Outcome> {
    screen.line(client.id_token()?)?;
    Ok(Outcome::Done)
}
