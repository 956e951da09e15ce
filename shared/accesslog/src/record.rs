//! A line of the access log, in the format that `template.yaml` gives the gateway. What a request did not come to is `-`.

use domain::audit::coverage::AccessRecord;
use domain::ids::RequestId;
use jiff::Timestamp;
use serde::Deserialize;

/// The line is no record in the template's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the line is no record of the access log")]
pub struct ReadRecordError;

/// Wire form, as far as it is needed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    request_id: &'a str,
    time: &'a str,
    status: &'a str,
    refusal: &'a str,
    integration: &'a str,
}

fn said(value: &str) -> Option<&str> {
    Some(value).filter(|value| !matches!(*value, "" | "-"))
}

/// Reads a line.
pub fn read(line: &str) -> Result<AccessRecord, ReadRecordError> {
    let line: Line = serde_json::from_str(line.trim()).map_err(|_| ReadRecordError)?;
    let request = RequestId::new(line.request_id);
    let at = line.time.parse().ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let status = line.status.parse().ok();
    match (at, status) {
        (Some(at), Some(status)) if said(request.as_str()).is_some() => Ok(AccessRecord {
            request,
            at,
            status,
            refusal: said(line.refusal).map(str::to_owned),
            is_integrated: said(line.integration).is_some(),
        }),
        _ => Err(ReadRecordError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"requestId":"JKJaXmPLvHcESHA=","time":"1767600000123","method":"GET","resource":"/documents","status":"200","latency":"12","subject":"7a1e","refusal":"-","integration":"200"}"#;

    #[test]
    fn a_line_is_read_as_the_gateway_writes_it_and_nothing_else_is() {
        let record = read(LINE).unwrap();
        assert_eq!(record.request.as_str(), "JKJaXmPLvHcESHA=");
        assert_eq!((record.at.as_millisecond(), record.status), (1_767_600_000_123, 200));
        assert_eq!((record.refusal, record.is_integrated), (None, true));
        let refused = LINE.replace(r#""refusal":"-","integration":"200""#, r#""refusal":"UNAUTHORIZED","integration":"-""#);
        let refused = read(&refused).unwrap();
        assert_eq!((refused.refusal.as_deref(), refused.is_integrated), (Some("UNAUTHORIZED"), false));
        for bad in [
            "",
            "{}",
            "GET /documents 200",
            &LINE.replace("1767600000123", "now"),
            &LINE.replace("\"status\":\"200\"", "\"status\":\"-\""),
        ] {
            assert_eq!(read(bad), Err(ReadRecordError), "{bad}");
        }
        assert!(read(&LINE.replace("JKJaXmPLvHcESHA=", "-")).is_err());
    }
}
