//! A plot as SVG text: lines over two logarithmic axes, because cost and corpus both grow by powers of ten.

use std::fmt::Write as _;

/// The picture, in pixels.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
/// Space around the axes for their labels.
const MARGIN: f64 = 64.0;
/// Colours that people who see red and green alike can tell apart.
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#555555"];

/// A named row of points, all above zero.
pub struct Line {
    name: &'static str,
    points: Vec<(f64, f64)>,
}

impl Line {
    /// A line without points.
    pub const fn new(name: &'static str) -> Self {
        Self { name, points: Vec::new() }
    }

    /// Adds a point to the right.
    pub fn add(&mut self, x: f64, y: f64) {
        self.points.push((x, y));
    }
}

/// An axis from one power of ten to another.
struct Axis {
    from: i32,
    to: i32,
}

impl Axis {
    fn around(values: impl Iterator<Item = f64> + Clone) -> Self {
        let from = values.clone().fold(f64::INFINITY, f64::min).log10().floor() as i32;
        let to = values.fold(f64::MIN_POSITIVE, f64::max).log10().ceil() as i32;
        Self { from, to: to.max(from + 1) }
    }

    /// From 0 at the beginning to 1 at the end.
    fn place(&self, value: f64) -> f64 {
        (value.log10() - f64::from(self.from)) / f64::from(self.to - self.from)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        (self.from..=self.to).map(|power| 10_f64.powi(power))
    }
}

/// The lines under a title, with labels at both axes; lines without points are left out.
pub fn draw(title: &str, x_label: &str, y_label: &str, lines: &[Line]) -> String {
    let lines: Vec<&Line> = lines.iter().filter(|line| !line.points.is_empty()).collect();
    let points = || lines.iter().flat_map(|line| line.points.iter());
    let (x_axis, y_axis) = (Axis::around(points().map(|p| p.0)), Axis::around(points().map(|p| p.1)));
    let x = |value: f64| MARGIN + x_axis.place(value) * (WIDTH - 2.0 * MARGIN);
    let y = |value: f64| HEIGHT - MARGIN - y_axis.place(value) * (HEIGHT - 2.0 * MARGIN);
    let (left, right, top, bottom) = (MARGIN, WIDTH - MARGIN, MARGIN, HEIGHT - MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"{left}\" y=\"32\" font-size=\"16\">{title}</text>\n"
    );
    let mut write = |text: std::fmt::Arguments| {
        let _ = svg.write_fmt(text);
        svg.push('\n');
    };
    for tick in x_axis.ticks() {
        let at = x(tick);
        write(format_args!("<path d=\"M{at:.1} {top}V{bottom}\" stroke=\"#dddddd\"/>"));
        write(format_args!("<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>", bottom + 20.0));
    }
    for tick in y_axis.ticks() {
        let at = y(tick);
        write(format_args!("<path d=\"M{left} {at:.1}H{right}\" stroke=\"#dddddd\"/>"));
        write(format_args!("<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{tick}</text>", left - 8.0, at + 4.0));
    }
    write(format_args!("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{x_label}</text>", WIDTH / 2.0, HEIGHT - 16.0));
    write(format_args!("<text x=\"16\" y=\"{}\">{y_label}</text>", top - 12.0));
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let path: Vec<String> = line.points.iter().map(|point| format!("{:.1} {:.1}", x(point.0), y(point.1))).collect();
        write(format_args!("<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>", path.join("L")));
        for point in &line.points {
            write(format_args!("<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\" fill=\"{colour}\"/>", x(point.0), y(point.1)));
        }
        if let Some(last) = line.points.last() {
            let (at, above) = (x(last.0), y(last.1) - 10.0);
            write(format_args!(
                "<text x=\"{at:.1}\" y=\"{above:.1}\" text-anchor=\"end\" fill=\"{colour}\">{}</text>",
                line.name
            ));
        }
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_where_their_logarithm_says() {
        let mut line = Line::new("ours");
        for (x, y) in [(1_000.0, 0.1), (10_000.0, 1.0), (100_000.0, 10.0)] {
            line.add(x, y);
        }
        let svg = draw("title", "chunks", "ms", &[line, Line::new("nobody")]);
        // Equal factors are equal distances, and the last point is in the upper right corner.
        assert!(svg.contains("M64.0 336.0L320.0 200.0L576.0 64.0"), "{svg}");
        assert!(!svg.contains("nobody") && svg.ends_with("</svg>\n"));
    }
}
