//! A double of Google's API for keys and of its token server, on a real socket: it checks the signature of who asks, makes keys by
//! long-running operations that take some looks, keeps deleted names, and refuses as Google does.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

const PARENT: &str = "/v2/projects/synthetic-project/locations/global/keys";
const TOKEN: &str = "token-of-the-double";

#[derive(Default)]
struct Made {
    display_name: String,
    is_deleted: bool,
    targets: Value,
}

#[derive(Default)]
struct State {
    keys: BTreeMap<String, Made>,
    /// Looks at an operation until it is done.
    looks: u32,
    /// What the next requests to the API are answered with.
    next: Vec<(u16, String)>,
    requests: Vec<String>,
}

/// A running double.
pub struct GoogleDouble {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    private_key: String,
}

impl GoogleDouble {
    /// Opens it on a free port; it knows the account of this key (PKCS 8, base64).
    pub fn open(private_key: &str) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("a port")?;
        let address = listener.local_addr()?;
        let der = STANDARD.decode(private_key.split_whitespace().collect::<String>())?;
        let pair = RsaKeyPair::from_pkcs8(&der).ok().context("an RSA key")?;
        let public: Vec<u8> = pair.public().as_ref().to_vec();
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (shared, public) = (shared.clone(), public.clone());
                // A connection that breaks is the client's business.
                thread::spawn(move || drop(serve(&stream, &shared, &public, address)));
            }
        });
        Ok(Self { address, state, private_key: private_key.to_owned() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The service account's file.
    pub fn account(&self) -> String {
        json!({
            "type": "service_account",
            "project_id": "synthetic-project",
            "private_key_id": "k1",
            "private_key": format!("-----BEGIN PRIVATE KEY-----\n{}-----END PRIVATE KEY-----\n", self.private_key),
            "client_email": "rotation@synthetic-project.iam.gserviceaccount.com",
            "token_uri": format!("{}/token", self.url()),
        })
        .to_string()
    }

    /// So many looks at an operation find it under way.
    pub fn take_looks(&self, looks: u32) {
        self.state().looks = looks;
    }

    /// What the next request to the API is answered with.
    pub fn next(&self, status: u16, body: &Value) {
        self.state().next.push((status, body.to_string()));
    }

    /// The names of the keys that there are.
    pub fn keys(&self) -> Vec<String> {
        self.state().keys.iter().filter(|(_, made)| !made.is_deleted).map(|(name, _)| name.clone()).collect()
    }

    /// Request lines so far.
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    /// What a key is restricted to.
    pub fn targets(&self, name: &str) -> Value {
        self.state().keys.get(name).map_or(Value::Null, |made| made.targets.clone())
    }
}

/// The value of a key.
pub fn value_of(name: &str) -> String {
    format!("AIza-value-of-{name}")
}

fn serve(stream: &TcpStream, state: &Mutex<State>, public: &[u8], address: SocketAddr) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let (mut line, mut length, mut bearer) = (String::new(), 0, String::new());
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let header = header.trim();
            if header.is_empty() {
                break;
            }
            let (name, value) = header.split_once(':').unwrap_or_default();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse()?,
                "authorization" => value.trim().trim_start_matches("Bearer ").clone_into(&mut bearer),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let mut parts = line.split_whitespace();
        let (method, target) = (parts.next().unwrap_or_default().to_owned(), parts.next().unwrap_or_default().to_owned());
        let (status, answer) = {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.requests.push(format!("{method} {target}"));
            if target == "/token" {
                token(&body, public, address)
            } else if bearer != TOKEN {
                error(401, "UNAUTHENTICATED")
            } else if let Some((status, body)) = (!state.next.is_empty()).then(|| state.next.remove(0)) {
                (status, serde_json::from_str(&body).unwrap_or_default())
            } else {
                api(&mut state, &method, &target, &body)
            }
        };
        let answer = answer.to_string();
        let mut to = stream;
        to.write_all(
            format!(
                "HTTP/1.1 {status} X\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: {}\r\n\r\n{answer}",
                answer.len()
            )
            .as_bytes(),
        )?;
    }
}

fn error(code: u16, status: &str) -> (u16, Value) {
    (code, json!({ "error": { "code": code, "message": "It is as it is.", "status": status } }))
}

/// Exchanges a signed statement for a token, if everything in it is right.
fn token(body: &[u8], public: &[u8], address: SocketAddr) -> (u16, Value) {
    let refused = || (400, json!({ "error": "invalid_grant", "error_description": "Invalid JWT Signature." }));
    let form = String::from_utf8_lossy(body).into_owned();
    let Some(assertion) = form.strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=") else {
        return (400, json!({ "error": "unsupported_grant_type" }));
    };
    let Some((signed, signature)) = assertion.rsplit_once('.') else { return refused() };
    let part = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let Some(signature) = part(signature) else { return refused() };
    if UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public).verify(signed.as_bytes(), &signature).is_err() {
        return refused();
    }
    let json = |text: &str| part(text).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok()).unwrap_or_default();
    let (header, claims) = signed.split_once('.').map(|(header, claims)| (json(header), json(claims))).unwrap_or_default();
    let lives = claims["exp"].as_i64().unwrap_or(0) - claims["iat"].as_i64().unwrap_or(0);
    let is_right = header["alg"] == "RS256"
        && header["kid"] == "k1"
        && claims["iss"] == "rotation@synthetic-project.iam.gserviceaccount.com"
        && claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
        && claims["aud"] == format!("http://{address}/token")
        && (1..=3_600).contains(&lives);
    if is_right { (200, json!({ "access_token": TOKEN, "expires_in": 3_599, "token_type": "Bearer" })) } else { refused() }
}

fn operation(state: &mut State, name: &str) -> (u16, Value) {
    let done = state.looks == 0;
    let mut operation = json!({ "name": format!("operations/akmf.p7-{name}") });
    if done {
        operation["done"] = true.into();
        operation["response"] = json!({ "@type": "type.googleapis.com/google.api.apikeys.v2.Key" });
    }
    (200, operation)
}

fn api(state: &mut State, method: &str, target: &str, body: &[u8]) -> (u16, Value) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    if let Some(name) = path.strip_prefix("/v2/operations/akmf.p7-") {
        state.looks = state.looks.saturating_sub(1);
        return operation(state, name);
    }
    if path == PARENT && method == "GET" {
        let shows_deleted = query.contains("showDeleted=true");
        let keys = state.keys.iter().filter(|(_, made)| shows_deleted || !made.is_deleted).map(|(name, made)| {
            let mut key = json!({ "name": format!("projects/7/locations/global/keys/{name}"), "displayName": made.display_name });
            if made.is_deleted {
                key["deleteTime"] = "2026-11-22T10:00:00Z".into();
            }
            key
        });
        return (200, json!({ "keys": keys.collect::<Vec<_>>() }));
    }
    if path == PARENT && method == "POST" {
        let name = query.strip_prefix("keyId=").unwrap_or_default().to_owned();
        let is_name = (1..=63).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && name.starts_with(|c: char| c.is_ascii_lowercase());
        if !is_name {
            return error(400, "INVALID_ARGUMENT");
        }
        if state.keys.contains_key(&name) {
            return error(409, "ALREADY_EXISTS");
        }
        let made = Made {
            display_name: body["displayName"].as_str().unwrap_or_default().to_owned(),
            is_deleted: false,
            targets: body["restrictions"]["apiTargets"].clone(),
        };
        state.keys.insert(name.clone(), made);
        return operation(state, &name);
    }
    let rest = path.strip_prefix(PARENT).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
    let (name, verb) = rest.split_once('/').unwrap_or((rest, ""));
    let Some(made) = state.keys.get_mut(name) else { return error(404, "NOT_FOUND") };
    match (method, verb) {
        ("GET", "keyString") if !made.is_deleted => (200, json!({ "keyString": value_of(name) })),
        ("PATCH", "") if query == "updateMask=displayName" => {
            body["displayName"].as_str().unwrap_or_default().clone_into(&mut made.display_name);
            let name = name.to_owned();
            operation(state, &name)
        }
        ("DELETE", "") if !made.is_deleted => {
            made.is_deleted = true;
            let name = name.to_owned();
            operation(state, &name)
        }
        _ => error(400, "FAILED_PRECONDITION"),
    }
}
