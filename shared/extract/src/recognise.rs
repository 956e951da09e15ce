//! Pages that are images: each is painted by a child, recognised, and put where the empty page was.

use domain::documents::ocr::{Ocr, RecognisedPage};
use domain::documents::pages::{BlockKind, ExtractedDocument, Flag, Page, Reason, TextSource};

use crate::child;
use crate::draft::{Draft, Look, page};
use crate::error::{Detail, ExtractError};
use crate::limits::Limits;
use crate::markdown::list_item;
use crate::mend::{LineEnds, mend};
use crate::pdf::without_furniture;

/// Reads a document in child processes, and recognises the pages that are images. A page that cannot be painted or
/// recognised stays an image; if that is all there is, the document needs recognition still.
///
/// The program must call [`run_child_if_asked_with`](child::run_child_if_asked_with) first thing in its `main`.
pub fn extract_recognising(
    bytes: &[u8],
    name: &str,
    limits: &Limits,
    ocr: &dyn Ocr,
    mut progress: impl FnMut(u32, u32),
) -> Result<ExtractedDocument, ExtractError> {
    let mut document = child::extract_with_images(bytes, name, limits, &mut progress)?;
    let total = document.pages.len() as u32;
    let (mut drafts, mut confidences) = (Vec::new(), Vec::new());
    for read in document.pages.iter().filter(|read| read.source == TextSource::Image) {
        if let Some(png) = child::paint(bytes, read.number, limits)
            && let Ok(recognised) = ocr.recognise(&png)
        {
            drafts.push((read.number, self::drafts(&recognised)));
            confidences.push(recognised.confidence);
        }
        progress(read.number.min(total), total);
    }
    for ((number, drafts), confidence) in without_furniture(drafts).into_iter().zip(confidences) {
        if let Some(read) = document.pages.iter_mut().find(|read| read.number == number) {
            *read = recognised_page(number, &drafts, confidence);
        }
    }
    if document.pages.iter().all(|read| read.source == TextSource::Image) {
        return Err(ExtractError::new(Reason::NeedsOcr, Detail::Pictures));
    }
    Ok(document)
}

fn recognised_page(number: u32, drafts: &[Draft], confidence: u8) -> Page {
    let mut read = page(number, drafts);
    for block in &mut read.blocks {
        block.flags.push(Flag::Ocr);
    }
    Page { source: TextSource::Ocr { confidence }, ..read }
}

fn drafts(recognised: &RecognisedPage) -> Vec<Draft> {
    recognised
        .paragraphs
        .iter()
        .flat_map(|paragraph| {
            let look = Look { bounds: paragraph.bounds, size: 0, is_bold: false, lines: 1, is_hidden: false };
            split_items(&paragraph.text).into_iter().map(move |text| {
                let kind = if list_item(&text).is_some() { BlockKind::ListItem } else { BlockKind::Paragraph };
                Draft { kind, look: Some(look), ..Draft::paragraph(mend(&text, LineEnds::Typeset)) }
            })
        })
        .collect()
}

/// Items of a list are recognised as one paragraph.
fn split_items(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for line in text.lines() {
        match parts.last_mut().filter(|_| list_item(line).is_none()) {
            Some(open) => {
                open.push('\n');
                open.push_str(line);
            }
            None => parts.push(line.to_owned()),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::documents::ocr::RecognisedParagraph;
    use domain::documents::pages::BoundingBox;

    #[test]
    fn a_recognised_page_says_so_and_keeps_its_places() {
        let bounds = BoundingBox { left: 1, top: 2, right: 3, bottom: 4 };
        let text = "Give at once:\n• oxy-\ngen\n• fluids".to_owned();
        let recognised = RecognisedPage { paragraphs: vec![RecognisedParagraph { text, bounds }], confidence: 91 };
        let page = recognised_page(7, &drafts(&recognised), recognised.confidence);
        assert_eq!(page.text, "Give at once:\n\n• oxygen\n\n• fluids");
        assert_eq!(page.source, TextSource::Ocr { confidence: 91 });
        assert!(page.blocks.iter().all(|block| block.flags == [Flag::Ocr] && block.bounds == Some(bounds)));
        assert_eq!(page.blocks[1].kind, BlockKind::ListItem);
    }
}
