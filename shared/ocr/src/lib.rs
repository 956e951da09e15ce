//! Pages that are images, to text, on the operator's own machine.
//!
//! [`render`] paints a page of a PDF; it runs in the child process that reads files of strangers. [`Tesseract`] hands the
//! picture to the `tesseract` program, which reads nothing but pictures that we made. No function links this crate.

mod tesseract;
mod tsv;

use std::ops::ControlFlow;

use unpdf::PdfParser;
use unpdf::parser::raster::RasterOptions;

pub use tesseract::Tesseract;

/// Resolution of the pictures. What recognisers are trained on; at 150 small print is lost.
pub const DOTS_PER_INCH: u32 = 300;
/// The work that painting one page may take, in pixels. An A4 page at 300 dpi has 8.7 million, a scan paints it twice.
const PIXELS_MAX: u64 = 200_000_000;

/// A page as a PNG, or nothing if it cannot be painted within bounds.
pub fn render(pdf: &[u8], page: u32) -> Option<Vec<u8>> {
    let parser = PdfParser::from_bytes(pdf).ok()?;
    let options = RasterOptions { dpi: DOTS_PER_INCH as f32, ..RasterOptions::default() };
    let mut left = PIXELS_MAX;
    let painted = parser.render_page_with(page, &options, &mut |work| match left.checked_sub(work) {
        Some(rest) => {
            left = rest;
            ControlFlow::Continue(())
        }
        None => ControlFlow::Break(()),
    });
    painted.ok().map(|page| page.to_png())
}
