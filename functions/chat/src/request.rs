//! `{question, conversation_id?, filters?}` to a question.

use api::{Kind, Problem};
use domain::chat::Question;
use domain::documents::attributes::{Attributes, ParseAttributesError, parse_date};
use domain::ids::{ConversationId, DocumentId, IdSource};
use domain::retrieval::Filter;
use jiff::Timestamp;
use lambda_http::Request;
use serde::Deserialize;

/// More documents than this in a filter is a mistake: a filter names a few, a tenant has thousands.
const FILTER_DOCUMENTS_MAX: usize = 100;

const SHAPE: &str = "{\"question\": text, \"conversation_id\"?: id, \"filters\"?: {\"documents\"?: [document ids], \"tags\"?: [texts], \
                     \"from\"?: \"YYYY-MM-DD\", \"to\"?: \"YYYY-MM-DD\"}}";

/// Wire form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuestionBody {
    question: String,
    conversation_id: Option<String>,
    #[serde(default, deserialize_with = "api::object")]
    filters: FiltersBody,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct FiltersBody {
    #[serde(default)]
    documents: Vec<String>,
    #[serde(default)]
    tags: Vec<String>,
    from: Option<String>,
    to: Option<String>,
}

impl FiltersBody {
    /// Tags and dates; the documents are checked where ids are.
    fn read(&self) -> Result<Filter, ParseAttributesError> {
        let day = |text: &Option<String>| text.as_deref().map(parse_date).transpose();
        let tags = Attributes::tags(&self.tags)?;
        let filter = Filter { documents: Vec::new(), tags, from: day(&self.from)?, to: day(&self.to)? };
        filter.check().map(|()| filter)
    }
}

/// Reads the question of a request.
pub fn question(request: &Request, ids: &dyn IdSource, now: Timestamp) -> Result<Question, Problem> {
    let body: QuestionBody = api::decode(request, SHAPE)?;
    let named = body.conversation_id.as_deref().map(ConversationId::parse).transpose();
    let named = named.map_err(|error| Problem::new(Kind::BadParameter, error.to_string()))?;
    let continues = named.is_some();
    let conversation = named.unwrap_or_else(|| ConversationId::new(ids.next(now)));
    if body.filters.documents.len() > FILTER_DOCUMENTS_MAX {
        return Err(Problem::new(Kind::BadParameter, format!("A filter may name {FILTER_DOCUMENTS_MAX} documents.")));
    }
    let documents = body.filters.documents.iter().map(|id| DocumentId::parse(id));
    let documents = documents.collect::<Result<_, _>>().map_err(|error| Problem::new(Kind::BadParameter, error.to_string()))?;
    let filter = body.filters.read().map_err(|error| Problem::new(Kind::BadParameter, error.to_string()))?;
    let question = Question::new(&body.question, conversation, Filter { documents, ..filter })
        .map_err(|error| Problem::new(Kind::BadQuestion, error.to_string()))?;
    let question = question.asked_by(api::people(request));
    Ok(if continues { question.continuing() } else { question })
}

/// The conversation of the path. One that cannot be any is as absent as one that is not there.
pub fn conversation(request: &Request) -> Result<ConversationId, Problem> {
    let id = api::path_parameter(request, "id").unwrap_or_default();
    ConversationId::parse(&id).map_err(|_| Problem::new(Kind::NotFound, crate::NO_CONVERSATION))
}
