//! Extraction in a child process. Has its own `main`, because the child is this program started again.

mod support;

use std::time::{Duration, Instant};

use domain::documents::pages::Reason;
use extract::{Detail, Limits, extract, extract_in_child, extract_in_child_with};
use support::{of_contents, of_objects, of_pages};

fn main() {
    extract::child::run_child_if_asked();
    let tests: [(&str, fn()); 8] = [
        ("a_child_reads_what_the_parent_would", a_child_reads_what_the_parent_would),
        ("progress_comes_page_by_page", progress_comes_page_by_page),
        ("refusals_cross_the_wire", refusals_cross_the_wire),
        ("too_much_memory_is_too_large", too_much_memory_is_too_large),
        ("what_the_first_parser_does_not_finish_the_second_is_asked", what_the_first_parser_does_not_finish_the_second_is_asked),
        ("too_much_wall_time_is_a_timeout", too_much_wall_time_is_a_timeout),
        ("endless_nesting_ends_the_child_only", endless_nesting_ends_the_child_only),
        ("many_children_at_once_do_not_disturb_each_other", many_children_at_once_do_not_disturb_each_other),
    ];
    let filter = std::env::args().nth(1).filter(|argument| !argument.starts_with('-'));
    for (name, test) in tests {
        if filter.as_ref().is_none_or(|filter| name.contains(filter.as_str())) {
            test();
            println!("test {name} ... ok");
        }
    }
}

fn refused(bytes: &[u8], name: &str, limits: &Limits) -> (Reason, Detail) {
    let error = extract_in_child(bytes, name, limits).expect_err("the document is refused");
    (error.reason, error.detail)
}

fn a_child_reads_what_the_parent_would() {
    let limits = Limits::default();
    let pdf = of_pages(&[&["First page."], &[], &["Third \"page\" \\ with marks."]]);
    for (bytes, name) in [(&pdf[..], "a.pdf"), ("# Größe\n\nText – 5 µg".as_bytes(), "a.md"), (b"a,b\n1,2", "a.csv")] {
        assert_eq!(extract_in_child(bytes, name, &limits), extract(bytes, name, &limits));
    }
}

fn progress_comes_page_by_page() {
    let mut calls = Vec::new();
    let pdf = of_pages(&[&["one"], &["two"], &["three"]]);
    extract_in_child_with(&pdf, "a.pdf", &Limits::default(), |done, total| {
        calls.push((done, total));
    })
    .unwrap();
    calls.dedup();
    assert_eq!(calls, [(0, 3), (1, 3), (2, 3), (3, 3)]);
}

fn refusals_cross_the_wire() {
    let limits = Limits::default();
    assert_eq!(refused(b"", "a.pdf", &limits), (Reason::Empty, Detail::NoBytes));
    assert_eq!(refused(b"hello", "a.pdf", &limits), (Reason::Unsupported, Detail::NotAsNamed));
    assert_eq!(refused(include_bytes!("fixtures/locked.pdf"), "a.pdf", &limits), (Reason::Encrypted, Detail::Password));
    let few = Limits { pages_max: 1, ..Limits::default() };
    assert_eq!(refused(&of_pages(&[&["a"], &["b"]]), "a.pdf", &few), (Reason::TooManyPages, Detail::Pages));
    let small = Limits { bytes_max: 4, ..Limits::default() };
    assert_eq!(refused(b"hello", "a.txt", &small), (Reason::TooLarge, Detail::Bytes));
}

fn too_much_memory_is_too_large() {
    // The document alone is a quarter of the address space; decoding and mending it take several times its size.
    let limits = Limits { memory_bytes: 160 << 20, ..Limits::default() };
    let bytes = "A line of text that is not long.\n".repeat((40 << 20) / 33);
    assert_eq!(refused(bytes.as_bytes(), "a.txt", &limits), (Reason::TooLarge, Detail::Memory));
}

/// A page of so many operations that the first parser does not finish; the second, which looks at letters alone, does.
fn what_the_first_parser_does_not_finish_the_second_is_asked() {
    let limits = Limits { cpu_s: 1, cpu_second_s: 60, cpu_page_ms: 0, memory_bytes: 4 << 30, ..Limits::default() };
    let bytes = of_contents(&[format!("BT /F 9 Tf {} ET", "1 0 0 1 5 5 Tm (ab) Tj ".repeat(400_000))]);
    let document = extract_in_child(&bytes, "a.pdf", &limits).expect("the second parser reads it");
    assert!(document.pages[0].text.starts_with("abab"));
}

fn too_much_wall_time_is_a_timeout() {
    let limits = Limits { wall_ms: 0, ..Limits::default() };
    let begun = Instant::now();
    assert_eq!(refused(&of_pages(&[&["a"]]), "a.pdf", &limits), (Reason::Timeout, Detail::Wall));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

fn endless_nesting_ends_the_child_only() {
    let depth = 3_000_000;
    let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = ["<< /Type /Catalog /Pages 2 0 R /X 3 0 R >>", "<< /Type /Pages /Count 0 /Kids [] >>", &nested];
    let (reason, _) = refused(&of_objects(&objects.map(str::to_owned)), "a.pdf", &Limits::default());
    assert_eq!(reason, Reason::Malformed);
    let html = "<div>".repeat(1_000_000);
    let ended = extract_in_child(format!("{html}x").as_bytes(), "a.html", &Limits { cpu_s: 5, ..Limits::default() });
    assert!(ended.is_err_and(|error| error.reason != Reason::Internal));
}

fn many_children_at_once_do_not_disturb_each_other() {
    std::thread::scope(|scope| {
        for number in 0..6 {
            scope.spawn(move || {
                let text = format!("Document number {number}.");
                let document = extract_in_child(text.as_bytes(), "a.txt", &Limits::default()).unwrap();
                assert_eq!(document.pages[0].text, text);
            });
        }
    });
}
