//! What a caller may see and asked for, as the service's filter expression: applied before vectors are compared.

use crate::record::{EVERYBODY, day, number};
use aws_smithy_types::Document;
use domain::context::Scope;
use domain::documents::attributes::{Group, Tag};
use domain::ids::DocumentId;
use domain::retrieval::Filter;
use std::collections::HashMap;

/// The service takes a hundred conditions in one filter; two lists share them with the rest.
const LIST_MAX: usize = 40;

fn condition(field: &str, operator: &str, value: Document) -> Document {
    let operation = Document::Object(HashMap::from([(operator.to_owned(), value)]));
    Document::Object(HashMap::from([(field.to_owned(), operation)]))
}

fn list(operator: &str, mut items: Vec<Document>) -> Option<Document> {
    match items.len() {
        0 => None,
        1 => items.pop(),
        _ => Some(Document::Object(HashMap::from([(operator.to_owned(), Document::Array(items))]))),
    }
}

/// One of these texts is among the field's. `$eq` is documented to match an element of a list.
fn any_of<'a>(field: &str, texts: impl Iterator<Item = &'a str>) -> Option<Document> {
    list("$or", texts.map(|text| condition(field, "$eq", Document::String(text.to_owned()))).collect())
}

/// The filters whose results together are the search's: one, unless the lists are longer than one filter may be.
pub fn expressions(scope: &Scope, filter: &Filter) -> Vec<Document> {
    let groups: Vec<&str> = std::iter::once(EVERYBODY).chain(scope.groups().iter().map(Group::as_str)).collect();
    let documents: Vec<&str> = filter.documents.iter().map(DocumentId::as_str).collect();
    let document_parts: Vec<&[&str]> = if documents.is_empty() { vec![&[]] } else { documents.chunks(LIST_MAX).collect() };
    let mut expressions = Vec::new();
    for groups in groups.chunks(LIST_MAX) {
        for documents in &document_parts {
            let conditions = [
                any_of("groups", groups.iter().copied()),
                any_of("document", documents.iter().copied()),
                any_of("tags", filter.tags.iter().map(Tag::as_str)),
                filter.from.map(|from| condition("date", "$gte", number(day(from)))),
                filter.to.map(|to| condition("date", "$lte", number(day(to)))),
            ];
            expressions.extend(list("$and", conditions.into_iter().flatten().collect()));
        }
    }
    expressions
}
