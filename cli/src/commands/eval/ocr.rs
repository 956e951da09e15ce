//! `eval ocr`: how well pictures of pages are read. Each document is made into a scan of itself - its pages painted, and the
//! pictures put into a PDF that has nothing else - and what is recognised there is compared with the text that it was made of.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;
use extract::Limits;
use ocr::Tesseract;
use serde::Serialize;

use super::extract::similarity::{normal, ratio};
use crate::display::Screen;
use crate::outcome::Outcome;

/// `eval ocr`.
#[derive(Args)]
pub struct EvalOcr {
    /// A folder of PDFs that have a text layer
    pub folder: PathBuf,
    /// Languages as tesseract names them
    #[arg(long, default_value = "eng")]
    pub languages: String,
    /// So many pages of each
    #[arg(long, default_value_t = 2)]
    pub pages: u32,
    /// Fail if the mean likeness is lower
    #[arg(long, value_name = "RATIO")]
    pub least: Option<f64>,
    /// One JSON document: {"files": [{"file", "pages", "ratio", "confidence"}], "mean"}
    #[arg(long)]
    pub json: bool,
}

/// What came of one document.
#[derive(Serialize)]
struct Read {
    file: String,
    pages: usize,
    ratio: f64,
    /// What the recogniser thinks of it, in percent.
    confidence: u32,
    wall_ms: u128,
}

/// Measures and prints.
pub fn run(eval: &EvalOcr, screen: &mut Screen) -> Result<Outcome> {
    let entries = fs::read_dir(&eval.folder).with_context(|| format!("{} cannot be read", eval.folder.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "pdf"));
    files.sort();
    ensure!(!files.is_empty(), "{} has no PDF", eval.folder.display());
    let mut read = Vec::new();
    for file in &files {
        let one = measure(file, eval)?;
        if !eval.json {
            let line =
                format!("{:.4}  {:>3} %  {:>2} pages  {:>6} ms  {}", one.ratio, one.confidence, one.pages, one.wall_ms, one.file);
            screen.line(line)?;
        }
        read.push(one);
    }
    let mean = read.iter().map(|one| one.ratio).sum::<f64>() / read.len() as f64;
    if eval.json {
        screen.json(&serde_json::json!({"files": read, "mean": mean}))?;
    } else {
        screen.line(format!("{mean:.4}  mean of {} documents", read.len()))?;
    }
    Ok(if eval.least.is_some_and(|least| mean < least) { Outcome::Failed } else { Outcome::Done })
}

fn measure(file: &Path, eval: &EvalOcr) -> Result<Read> {
    let shown = file.display();
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let bytes = fs::read(file).with_context(|| format!("{shown} cannot be read"))?;
    let limits = Limits::default();
    let written = extract::extract_in_child(&bytes, &name, &limits).with_context(|| format!("{shown} has no text"))?;
    let numbers = written.pages.iter().map(|page| page.number).take(eval.pages as usize);
    let pictures: Option<Vec<Vec<u8>>> = numbers.map(|number| ocr::render(&bytes, number)).collect();
    let scan = scan_of(&pictures.with_context(|| format!("{shown} cannot be painted"))?)?;
    let begun = Instant::now();
    let recogniser = Tesseract::new(eval.languages.as_str());
    let found = extract::extract_recognising(&scan, "scan.pdf", &limits, &recogniser, |_, _| ());
    let found = found.with_context(|| format!("nothing was recognised in {shown}; is tesseract installed?"))?;
    let text = |pages: &[domain::documents::pages::Page]| {
        normal(&pages.iter().take(eval.pages as usize).map(|page| page.text.as_str()).collect::<Vec<_>>().join("\n\n"))
    };
    let sure = found.pages.iter().filter_map(|page| match page.source {
        domain::documents::pages::TextSource::Ocr { confidence } => Some(u32::from(confidence)),
        _ => None,
    });
    let sure: Vec<u32> = sure.collect();
    ensure!(sure.len() == found.pages.len(), "a page of the scan of {shown} was not recognised");
    Ok(Read {
        file: name,
        pages: found.pages.len(),
        ratio: ratio(&text(&written.pages), &text(&found.pages)),
        confidence: sure.iter().sum::<u32>() / u32::try_from(sure.len().max(1))?,
        wall_ms: begun.elapsed().as_millis(),
    })
}

/// A PDF of pictures, one to a page. A PNG's rows are compressed and filtered as PDF knows them, so they go in as they are.
fn scan_of(pictures: &[Vec<u8>]) -> Result<Vec<u8>> {
    let mut pdf = b"%PDF-1.5\n".to_vec();
    let mut places = Vec::new();
    let mut object = |pdf: &mut Vec<u8>, body: &[u8]| {
        places.push(pdf.len());
        pdf.extend(format!("{} 0 obj\n", places.len()).into_bytes());
        pdf.extend(body);
        pdf.extend(b"\nendobj\n");
    };
    object(&mut pdf, b"<< /Type /Catalog /Pages 2 0 R >>");
    let kids: Vec<String> = (0..pictures.len()).map(|at| format!("{} 0 R", 3 + 3 * at)).collect();
    object(&mut pdf, format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), kids.len()).as_bytes());
    for (at, png) in pictures.iter().enumerate() {
        let (width, height, rows) = rows_of(png)?;
        let points = |pixels: u32| f64::from(pixels) * 72.0 / f64::from(ocr::DOTS_PER_INCH);
        let first = 3 + 3 * at;
        let page = format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {:.2} {:.2}] /Contents {} 0 R /Resources << /XObject << /I {} 0 R >> >> >>",
            points(width),
            points(height),
            first + 1,
            first + 2
        );
        object(&mut pdf, page.as_bytes());
        let drawing = format!("q {:.2} 0 0 {:.2} 0 0 cm /I Do Q", points(width), points(height));
        object(&mut pdf, format!("<< /Length {} >>\nstream\n{drawing}\nendstream", drawing.len()).as_bytes());
        let mut image = format!(
            "<< /Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /FlateDecode \
             /DecodeParms << /Predictor 15 /Colors 3 /BitsPerComponent 8 /Columns {width} >> /Length {} >>\nstream\n",
            rows.len()
        )
        .into_bytes();
        image.extend(rows);
        image.extend(b"\nendstream");
        object(&mut pdf, &image);
    }
    let start = pdf.len();
    pdf.extend(format!("xref\n0 {}\n0000000000 65535 f \n", places.len() + 1).into_bytes());
    for place in &places {
        pdf.extend(format!("{place:010} 00000 n \n").into_bytes());
    }
    pdf.extend(format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n", places.len() + 1).into_bytes());
    Ok(pdf)
}

/// Width, height and the compressed rows of a PNG of three colours with eight bits each.
fn rows_of(png: &[u8]) -> Result<(u32, u32, Vec<u8>)> {
    let number = |at: usize| -> Result<u32> { Ok(u32::from_be_bytes(png.get(at..at + 4).context("a cut PNG")?.try_into()?)) };
    let (width, height) = (number(16)?, number(20)?);
    ensure!(png.get(24..26) == Some(&[8, 2]), "a PNG of another kind");
    let (mut at, mut rows) = (8, Vec::new());
    while at < png.len() {
        let length = usize::try_from(number(at)?)?;
        if png.get(at + 4..at + 8) == Some(b"IDAT") {
            rows.extend(png.get(at + 8..at + 8 + length).context("a cut PNG")?);
        }
        at += 12 + length;
    }
    Ok((width, height, rows))
}
