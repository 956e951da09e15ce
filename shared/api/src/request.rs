//! What was sent: route, parameters, body. Parsed once, here.

use crate::BODY_BYTES_MAX;
use crate::problem::{Kind, Problem};
use lambda_http::http::header;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt as _};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;

/// Method and route template, such as `("GET", "/documents/{id}")`: what the gateway matched, not what was typed.
pub fn route(request: &Request) -> (&str, String) {
    let template = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.resource_path.clone(),
        _ => None,
    };
    (request.method().as_str(), template.unwrap_or_default())
}

/// A parameter of the path.
pub fn path_parameter(request: &Request, name: &str) -> Option<String> {
    request.path_parameters_ref().and_then(|parameters| parameters.first(name)).map(str::to_owned)
}

/// A parameter of the query.
pub fn query_parameter(request: &Request, name: &str) -> Option<String> {
    request.query_string_parameters_ref().and_then(|parameters| parameters.first(name)).map(str::to_owned)
}

/// The body as JSON of the expected shape. `shape` tells the caller what that is; the error names the place, not the value.
pub fn decode<T: DeserializeOwned>(request: &Request, shape: &'static str) -> Result<T, Problem> {
    let declared = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let media_type = declared.split(';').next().unwrap_or("").trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(Kind::BadContentType, "Send Content-Type: application/json."));
    }
    let body: &[u8] = request.body();
    if body.len() > BODY_BYTES_MAX {
        return Err(Problem::new(Kind::BodyTooLarge, format!("The body may have {BODY_BYTES_MAX} bytes.")));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    object(&mut json).and_then(|decoded| json.end().map(|()| decoded)).map_err(|error| {
        Problem::new(
            Kind::BadBody,
            format!("Expected {shape}; it goes wrong at line {}, column {}.", error.line(), error.column()),
        )
    })
}

/// Reads a JSON object. Derived decoders would take an array of the fields' values as well; a caller never means that.
pub fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(json: D) -> Result<T, D::Error> {
    struct Fields<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(fields))
        }
    }
    json.deserialize_map(Fields(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::Body;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Ask {
        question: String,
    }

    fn send(media_type: &str, body: &str) -> Result<Ask, Problem> {
        let request =
            lambda_http::http::Request::builder().header(header::CONTENT_TYPE, media_type).body(Body::from(body)).unwrap();
        decode(&request, "{question}")
    }

    #[test]
    fn bad_bodies_are_named_and_never_echoed() {
        assert_eq!(send("application/json; charset=utf-8", r#"{"question":"q"}"#).unwrap().question, "q");
        assert_eq!(send("text/plain", r#"{"question":"q"}"#).unwrap_err().code(), "bad-content-type");
        assert_eq!(send("application/json", &" ".repeat(BODY_BYTES_MAX + 1)).unwrap_err().code(), "body-too-large");
        for body in [
            "",
            "{",
            r#"{"question":42}"#,
            r#"{"question":"q","Jane Doe":1}"#,
            "\u{feff}{}",
            r#"["q"]"#,
            r#"{"question":"q"} {}"#,
        ] {
            let problem = send("application/json", body).unwrap_err();
            assert_eq!(problem.code(), "bad-body");
            assert!(!format!("{problem:?}").contains("Jane"));
        }
    }
}
