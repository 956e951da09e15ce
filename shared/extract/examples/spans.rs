use unpdf::parser::{LayoutAnalyzer, backend::{RawBackend, PdfBackend}};
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let bytes = std::fs::read(path).unwrap();
    let backend = RawBackend::load_bytes(&bytes).unwrap();
    let only: Option<u32> = std::env::args().nth(2).and_then(|n| n.parse().ok());
    for number in backend.pages().into_keys().filter(|n| only.is_none_or(|o| o == *n)) {
        let analyzer = LayoutAnalyzer::new(&backend);
        let spans = analyzer.extract_page_spans(number).unwrap_or_default();
        let lines = analyzer.group_spans_into_lines_pub(spans);
        println!("--- page {number}");
        for line in lines {
            let s = &line.spans[0];
            println!("{:6.1} {:6.1} w{:5.0} {:4.1} {} {:<24} {}", line.x, line.y, line.spans.last().map_or(0.0, |l| l.x + l.width) - line.x, line.font_size, if line.is_all_bold() {"B"} else {"."}, s.font_name, line.text().chars().take(90).collect::<String>());
        }
    }
}
