//! Where a page has text that nobody sees: painted with nothing, white on white, or too small.
//!
//! The content stream is walked once more, for colours alone. White letters on a dark field or on an image are meant to be
//! seen, so only white on bare paper counts. A scan's recognised text is painted with nothing on purpose: the page's image
//! shows it.

use std::collections::HashSet;

use unpdf::parser::backend::{
    ContentOp, PageId, PaintedXObject, PdfBackend, PdfValue, RawBackend, ResourceScope, get_number_from_value,
};

/// Letters smaller than this, in points, cannot be read.
const SIZE_MIN: f32 = 1.0;
/// How near to white a colour must be.
const WHITE_MIN: f32 = 0.97;
/// Forms inside forms: a deeper one is left out.
const FORM_DEPTH_MAX: usize = 4;
/// Operations that are walked on a page, forms included. A dense map has some 200,000; a file that repeats a form without
/// end is stopped.
const OPERATIONS_MAX: usize = 400_000;
/// Dark fields that are remembered on a page.
const FIELDS_MAX: usize = 2_000;

/// Where hidden runs of text begin, in half points.
#[derive(Debug, Default)]
pub(super) struct Places(HashSet<(i32, i32)>);

impl Places {
    /// Whether a run that begins here is hidden.
    pub fn has(&self, x: f32, y: f32) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let (x, y) = place(x, y);
        // Two ways to the same place may round to neighbours.
        (-1..=1).any(|dx| (-1..=1).any(|dy| self.0.contains(&(x + dx, y + dy))))
    }
}

fn place(x: f32, y: f32) -> (i32, i32) {
    ((x * 2.0).round() as i32, (y * 2.0).round() as i32)
}

pub(super) fn places(backend: &RawBackend, page: PageId) -> Places {
    let mut walk = Walk {
        backend,
        page,
        state: State::default(),
        stack: Vec::new(),
        fields: Vec::new(),
        pending: Vec::new(),
        left: OPERATIONS_MAX,
        found: Places::default(),
        has_image: false,
        unpainted: Vec::new(),
    };
    if let Ok(content) = backend.page_content(page)
        && let Ok(operations) = backend.decode_content(&content)
    {
        walk.run(&operations, ResourceScope::page(page), 0);
    }
    if !walk.has_image {
        let unpainted = std::mem::take(&mut walk.unpainted);
        walk.found.0.extend(unpainted);
    }
    walk.found
}

type Matrix = [f32; 6];
const IDENTITY: Matrix = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];

/// First `a`, then `b`.
fn after(a: Matrix, b: Matrix) -> Matrix {
    [
        a[0] * b[0] + a[1] * b[2],
        a[0] * b[1] + a[1] * b[3],
        a[2] * b[0] + a[3] * b[2],
        a[2] * b[1] + a[3] * b[3],
        a[4] * b[0] + a[5] * b[2] + b[4],
        a[4] * b[1] + a[5] * b[3] + b[5],
    ]
}

fn moved(matrix: Matrix, x: f32, y: f32) -> (f32, f32) {
    (x * matrix[0] + y * matrix[2] + matrix[4], x * matrix[1] + y * matrix[3] + matrix[5])
}

/// The graphics state, as far as it decides what is seen.
#[derive(Clone)]
struct State {
    ctm: Matrix,
    text: Matrix,
    line: Matrix,
    leading: f32,
    size: f32,
    mode: i64,
    is_white: bool,
}

impl Default for State {
    fn default() -> Self {
        Self { ctm: IDENTITY, text: IDENTITY, line: IDENTITY, leading: 0.0, size: 0.0, mode: 0, is_white: false }
    }
}

struct Walk<'a> {
    backend: &'a RawBackend,
    page: PageId,
    state: State,
    stack: Vec<State>,
    /// What is filled with a colour or an image so far: left, bottom, right, top.
    fields: Vec<[f32; 4]>,
    /// Rectangles of the path that is being built.
    pending: Vec<[f32; 4]>,
    left: usize,
    found: Places,
    has_image: bool,
    /// Runs painted with nothing: hidden, unless an image shows them.
    unpainted: Vec<(i32, i32)>,
}

impl Walk<'_> {
    fn run(&mut self, operations: &[ContentOp], scope: ResourceScope, depth: usize) {
        for operation in operations {
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            let numbers: Vec<f32> = operation.operands.iter().filter_map(get_number_from_value).collect();
            self.step(operation, &numbers, scope, depth);
        }
    }

    fn step(&mut self, operation: &ContentOp, numbers: &[f32], scope: ResourceScope, depth: usize) {
        let state = &mut self.state;
        match (operation.operator.as_str(), numbers) {
            ("q", _) if self.stack.len() < 256 => self.stack.push(state.clone()),
            ("Q", _) => self.state = self.stack.pop().unwrap_or_else(|| self.state.clone()),
            ("cm", numbers) => {
                if let Ok(matrix) = Matrix::try_from(numbers) {
                    state.ctm = after(matrix, state.ctm);
                }
            }
            ("g", &[grey]) => state.is_white = grey >= WHITE_MIN,
            ("rg", &[r, g, b]) => state.is_white = r.min(g).min(b) >= WHITE_MIN,
            ("k", &[c, m, y, k]) => state.is_white = c.max(m).max(y).max(k) <= 1.0 - WHITE_MIN,
            // In a space of one or three numbers white is one; in a named one (a tint, a pattern) nobody knows.
            ("sc" | "scn", numbers) => {
                state.is_white = matches!(numbers.len(), 3) && numbers.iter().all(|part| *part >= WHITE_MIN);
            }
            ("cs", _) => state.is_white = false,
            ("re", &[x, y, width, height]) if self.pending.len() < FIELDS_MAX => {
                let (a, b) = (moved(state.ctm, x, y), moved(state.ctm, x + width, y + height));
                self.pending.push([a.0.min(b.0), a.1.min(b.1), a.0.max(b.0), a.1.max(b.1)]);
            }
            // A path that is no rectangle may cover anything: white text after it is given the benefit of the doubt.
            ("l" | "c" | "v" | "y", _) if self.pending.len() < FIELDS_MAX => {
                self.pending.push([f32::MIN, f32::MIN, f32::MAX, f32::MAX]);
            }
            ("f" | "F" | "f*" | "B" | "B*" | "b" | "b*", _) => {
                let pending = std::mem::take(&mut self.pending);
                if !state.is_white && self.fields.len() < FIELDS_MAX {
                    self.fields.extend(pending);
                }
            }
            ("S" | "s" | "n", _) => self.pending.clear(),
            ("sh" | "BI" | "EI", _) => self.fields.push([f32::MIN, f32::MIN, f32::MAX, f32::MAX]),
            ("BT", _) => (state.text, state.line) = (IDENTITY, IDENTITY),
            ("Tf", &[size]) => state.size = size,
            ("Tr", &[mode]) => state.mode = mode as i64,
            ("TL", &[leading]) => state.leading = leading,
            ("Tm", numbers) => {
                if let Ok(matrix) = Matrix::try_from(numbers) {
                    (state.text, state.line) = (matrix, matrix);
                }
            }
            ("Td", &[x, y]) => state.next_line(x, y),
            ("TD", &[x, y]) => {
                state.leading = -y;
                state.next_line(x, y);
            }
            ("T*", _) => state.next_line(0.0, -state.leading),
            ("'" | "\"", _) => {
                state.next_line(0.0, -state.leading);
                self.show();
            }
            ("Tj" | "TJ", _) => self.show(),
            ("Do", _) => {
                if let Some(PdfValue::Name(name)) = operation.operands.first() {
                    self.paint(name, scope, depth);
                }
            }
            _ => {}
        }
    }

    fn paint(&mut self, name: &[u8], scope: ResourceScope, depth: usize) {
        match self.backend.xobject(scope, name) {
            Some(PaintedXObject::Form(form)) if depth < FORM_DEPTH_MAX => {
                let Some(operations) = form.content.and_then(|content| self.backend.decode_content(&content).ok()) else {
                    return;
                };
                let (state, stack) = (self.state.clone(), std::mem::take(&mut self.stack));
                self.state.ctm = after(form.matrix, self.state.ctm);
                self.run(&operations, ResourceScope::form(self.page, form.id), depth + 1);
                (self.state, self.stack) = (state, stack);
            }
            Some(PaintedXObject::Image) => {
                let (a, b) = (moved(self.state.ctm, 0.0, 0.0), moved(self.state.ctm, 1.0, 1.0));
                self.fields.push([a.0.min(b.0), a.1.min(b.1), a.0.max(b.0), a.1.max(b.1)]);
                self.has_image = true;
            }
            _ => {}
        }
    }

    fn show(&mut self) {
        let state = &self.state;
        let matrix = after(state.text, state.ctm);
        let (x, y) = moved(matrix, 0.0, 0.0);
        let scale = (matrix[2].powi(2) + matrix[3].powi(2)).sqrt();
        if matches!(state.mode, 3 | 7) {
            self.unpainted.push(place(x, y));
        } else if state.size.abs() * scale < SIZE_MIN || (state.is_white && !self.is_on_field(x, y)) {
            self.found.0.insert(place(x, y));
        }
    }

    fn is_on_field(&self, x: f32, y: f32) -> bool {
        self.fields
            .iter()
            .any(|[left, bottom, right, top]| (left - 1.0..=right + 1.0).contains(&x) && (bottom - 1.0..=top + 1.0).contains(&y))
    }
}

impl State {
    fn next_line(&mut self, x: f32, y: f32) {
        self.line = after([1.0, 0.0, 0.0, 1.0, x, y], self.line);
        self.text = self.line;
    }
}
