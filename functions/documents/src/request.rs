//! What a caller sends: an announcement, a description, a page of a list, a document's id.

use api::{Kind, Problem};
use domain::documents::attributes::{Attributes, ParseAttributesError, Tag, parse_date};
use domain::documents::manage::{Announcement, Description, LIST_LIMIT_MAX};
use domain::documents::versions::NewVersion;
use domain::ids::DocumentId;
use lambda_http::Request;
use serde::{Deserialize, Deserializer};

/// Rows per page where the caller names no number.
const LIST_LIMIT: u32 = 50;

const SHAPE: &str = "{\"name\": file name, \"size_bytes\": number, \"sha256\": 64 hexadecimal digits, \"title\"?: text, \"media_type\"?: text, \
     \"tags\"?: [texts], \"date\"?: \"YYYY-MM-DD\", \"groups\"?: [names]}";

const VERSION_SHAPE: &str = "{\"size_bytes\": number, \"sha256\": 64 hexadecimal digits, \"media_type\"?: text}";

const DESCRIPTION_SHAPE: &str = "{\"title\"?: text, \"tags\"?: [texts], \"date\"?: \"YYYY-MM-DD\" or null, \"groups\"?: [names]}";

/// Wire form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnnouncementBody {
    name: String,
    size_bytes: u64,
    sha256: String,
    title: Option<String>,
    media_type: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    date: Option<String>,
    #[serde(default)]
    groups: Vec<String>,
}

/// Wire form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VersionBody {
    size_bytes: u64,
    sha256: String,
    media_type: Option<String>,
}

/// Wire form. What is absent stays; a date of `null` is taken away.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "absent, null and a value are three things")]
struct DescriptionBody {
    title: Option<String>,
    tags: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present")]
    date: Option<Option<String>>,
    groups: Option<Vec<String>>,
}

/// Tells a field that is `null` from one that is absent.
#[expect(clippy::option_option, reason = "absent, null and a value are three things")]
fn present<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(field).map(Some)
}

fn bad(error: ParseAttributesError) -> Problem {
    Problem::new(Kind::BadDocument, error.to_string())
}

/// Reads an announcement.
pub fn announcement(request: &Request) -> Result<Announcement, Problem> {
    let body: AnnouncementBody = api::decode(request, SHAPE)?;
    let sha256 = sha256(&body.sha256)?;
    Ok(Announcement {
        tags: Attributes::tags(&body.tags).map_err(bad)?,
        date: body.date.as_deref().map(parse_date).transpose().map_err(bad)?,
        groups: Attributes::groups(&body.groups).map_err(bad)?,
        name: body.name,
        title: body.title,
        size_bytes: body.size_bytes,
        sha256,
        media_type: body.media_type,
    })
}

/// Reads what a new version is.
pub fn new_version(request: &Request) -> Result<NewVersion, Problem> {
    let body: VersionBody = api::decode(request, VERSION_SHAPE)?;
    Ok(NewVersion { size_bytes: body.size_bytes, sha256: sha256(&body.sha256)?, media_type: body.media_type })
}

fn sha256(text: &str) -> Result<[u8; 32], Problem> {
    let bad = || Problem::new(Kind::BadDocument, "sha256 must be the 64 hexadecimal digits of the file's SHA-256.");
    hexadecimal(text).ok_or_else(bad)
}

/// Reads a description.
pub fn description(request: &Request) -> Result<Description, Problem> {
    let body: DescriptionBody = api::decode(request, DESCRIPTION_SHAPE)?;
    let date = body.date.map(|date| date.as_deref().map(parse_date).transpose()).transpose().map_err(bad)?;
    let description = Description {
        title: body.title,
        tags: body.tags.map(|tags| Attributes::tags(&tags)).transpose().map_err(bad)?,
        date,
        groups: body.groups.map(|groups| Attributes::groups(&groups)).transpose().map_err(bad)?,
    };
    if description == Description::default() {
        return Err(Problem::new(Kind::BadDocument, "Name at least one of title, tags, date and groups."));
    }
    Ok(description)
}

/// Reads `?tag=`.
pub fn tag(request: &Request) -> Result<Option<Tag>, Problem> {
    let tag = api::query_parameter(request, "tag").map(|tag| Tag::parse(&tag)).transpose();
    tag.map_err(|error| Problem::new(Kind::BadParameter, error.to_string()))
}

/// Reads `?after=` and `?limit=`.
pub fn page(request: &Request) -> Result<(Option<DocumentId>, u32), Problem> {
    let after = api::query_parameter(request, "after").map(|id| DocumentId::parse(&id)).transpose();
    let after = after.map_err(|error| Problem::new(Kind::BadParameter, error.to_string()))?;
    let limit = match api::query_parameter(request, "limit") {
        None => LIST_LIMIT,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=LIST_LIMIT_MAX).contains(limit))
            .ok_or_else(|| Problem::new(Kind::BadParameter, format!("limit must be 1 to {LIST_LIMIT_MAX}.")))?,
    };
    Ok((after, limit))
}

/// Reads the `{id}` of the path. An id that cannot exist is one that does not: the same answer as for an absent one.
pub fn document_id(request: &Request) -> Result<DocumentId, Problem> {
    let id = api::path_parameter(request, "id").unwrap_or_default();
    DocumentId::parse(&id).map_err(|_| Problem::new(Kind::NotFound, "there is no such document"))
}

fn hexadecimal(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
        let digit = |b: u8| char::from(b).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_exactly_32_bytes() {
        assert_eq!(hexadecimal(&"0f".repeat(32)), Some([15; 32]));
        for bad in ["", "0f", &"0g".repeat(32), &"é".repeat(32), &"0f".repeat(33)] {
            assert_eq!(hexadecimal(bad), None);
        }
    }
}
