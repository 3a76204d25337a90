//! The page of `zkml-gpu bench --report`, in a browser without a window where there is one.

use std::path::Path;
use std::process::Command;

use crate::support::browser::{ALONE, browser};
use crate::support::{Scratch, exit_code, gemm, repository, run, text};

/// Without a network.
const OFFLINE: &str = "--host-resolver-rules=MAP * ~NOTFOUND";

fn browse(browser: &str, profile: &str, arguments: &[&str]) -> Vec<u8> {
    let profile = format!("--user-data-dir={profile}");
    let output = Command::new(browser)
        .args(ALONE)
        .args([OFFLINE, &profile])
        .args(arguments)
        .output()
        .expect("a browser that runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    output.stdout
}

/// A report of whole proofs, made with these arguments.
fn report(scratch: &Scratch, arguments: &[&str]) -> String {
    let path = scratch.path("report.html");
    let fixed = ["bench", "prove", &gemm("onnx"), "--runs", "2", "--warm-ups", "0", "--report", &path];
    let output = run(&[&fixed[..], arguments].concat());
    assert_eq!(exit_code(&output), 0, "{}", text(&output.stderr));
    path
}

/// What stands between the beginning of the element with this name and its end.
fn element<'a>(page: &'a str, kind: &str, id: &str) -> &'a str {
    let found = page.find(&format!("<{kind} id=\"{id}\""));
    assert!(found.is_some(), "no {kind} {id}: {page}");
    let start = found.unwrap_or_default();
    let end = page[start..].find(&format!("</{kind}>")).expect("the element ends");
    &page[start..start + end]
}

/// Values of an attribute of the points in a drawing, or parts of a hundred that bars are wide.
fn marks(drawing: &str, attribute: &str) -> Vec<f64> {
    let marks = drawing.split("class=\"mark ").skip(1);
    let (start, end) =
        if attribute == "width" { (";width:".to_owned(), '%') } else { (format!(" {attribute}=\""), '"') };
    let value = |mark: &str| mark.split_once(&start)?.1.split_once(end)?.0.parse().ok();
    marks.map(|mark| value(mark).expect("a number")).collect()
}

#[test]
fn a_browser_draws_the_figures() {
    let Some(browser) = browser() else { return };
    let scratch = Scratch::new();
    let path = report(&scratch, &["--backend", "cpu,dual:cpu,cpu"]);
    let url = format!("file://{path}");
    let page = text(&browse(browser, &scratch.path("profile"), &["--dump-dom", &url]));

    // The script ran: the date is written, and tables can be sorted.
    let date = element(&page, "dl", "setting");
    assert!(date.contains("<time data-unix=") && date.contains('Z') && !date.contains("after 1970"), "{date}");
    assert!(element(&page, "table", "figures").contains("title=\"sort\""));

    // Two rows of steps with a legend; all bars of the back ends have a length.
    let steps = element(&page, "figure", "steps");
    assert!(marks(steps, "width").len() >= 2 * 9 && steps.matches("<li>").count() >= 9, "{steps}");
    for (id, least) in [("backends", 2), ("memory", 2), ("overhead", 2)] {
        let widths = marks(element(&page, "figure", id), "width");
        assert!(widths.len() >= least && widths.iter().all(|width| *width > 2.0), "{id}: {widths:?}");
    }
    // Measured and estimated, for each back end; all within the plot.
    let heights = marks(element(&page, "figure", "sizes"), "cy");
    assert!(heights.len() >= 4 && heights.iter().all(|y| (0.0..=400.0).contains(y)), "{heights:?}");
    assert_eq!(element(&page, "table", "figures").matches("<tr>").count(), 1 + 2);
    assert_eq!(element(&page, "table", "runs").matches("<tr>").count(), 1 + 4);
}

#[test]
fn a_picture_of_the_page_shows_bars_in_their_colours() {
    let Some(browser) = browser() else { return };
    let scratch = Scratch::new();
    let (path, picture) = (report(&scratch, &["--backend", "cpu"]), scratch.path("picture.png"));
    let screenshot = format!("--screenshot={picture}");
    let arguments = ["--window-size=1200,1400", "--hide-scrollbars", &screenshot, &format!("file://{path}")];
    browse(browser, &scratch.path("profile"), &arguments);
    let pixels = pixels(Path::new(&picture));
    for colour in [[0x00, 0x72, 0xb2], [0xe6, 0x9f, 0x00], [0x00, 0x9e, 0x73]] {
        let count = pixels.iter().filter(|pixel| **pixel == colour).count();
        assert!(count > 50, "{count} pixels of {colour:?}");
    }
}

fn pixels(path: &Path) -> Vec<[u8; 3]> {
    let file = std::io::BufReader::new(std::fs::File::open(path).expect("a picture"));
    let mut reader = png::Decoder::new(file).read_info().expect("a picture");
    let mut bytes = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut bytes).expect("a frame");
    let samples = info.color_type.samples();
    assert!(samples >= 3 && info.bit_depth == png::BitDepth::Eight, "{info:?}");
    bytes[..info.buffer_size()].chunks_exact(samples).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect()
}

#[test]
fn the_page_stands_alone_and_names_stay_text() {
    let scratch = Scratch::new();
    let model = scratch.path("<img src=x onerror=alert(1)>.onnx");
    std::fs::copy(gemm("onnx"), &model).expect("a copy");
    let path = scratch.path("report.html");
    let fixed = ["bench", "prove", &model, "--runs", "1", "--warm-ups", "0", "--backend", "cpu", "--report", &path];
    let output = run(&fixed);
    assert_eq!(exit_code(&output), 0, "{}", text(&output.stderr));
    let page = std::fs::read_to_string(&path).expect("a page");
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;") && !page.contains("<img"), "{page}");
    for part in ["http:", "https:", " src=\"", " href=\"", "@import", "url("] {
        assert!(!page.contains(part), "{part}");
    }
}

#[test]
fn operations_have_a_page_too() {
    let scratch = Scratch::new();
    let path = scratch.path("ops.html");
    let output = run(&["bench", "ops", "--log-n", "4,5", "--backend", "cpu", "--threads", "1", "--report", &path]);
    assert_eq!(exit_code(&output), 0, "{}", text(&output.stderr));
    let page = std::fs::read_to_string(&path).expect("a page");
    assert_eq!(marks(element(&page, "figure", "elements"), "width").len(), 39);
    // Three multiplications with tables and without beside three peers, three transforms and eight others beside one.
    assert_eq!(marks(element(&page, "figure", "ratios"), "width").len(), 6 * 3 + 3 + 8);
    assert!(element(&page, "table", "figures").matches("<tr>").count() > 69);
    for id in ["msm", "ntt"] {
        assert!(marks(element(&page, "figure", id), "cx").len() >= 12, "{id}");
    }
}

#[test]
fn a_page_that_cannot_be_written_is_an_error() {
    let path = "/nonexistent/report.html";
    let output = run(&["bench", "prove", &gemm("onnx"), "--runs", "1", "--backend", "cpu", "--report", path]);
    assert!(exit_code(&output) == 2 && text(&output.stderr).contains(path), "{}", text(&output.stderr));
}

/// A page of `plan` or `evaluate`.
fn page_of(scratch: &Scratch, arguments: &[&str]) -> String {
    let path = scratch.path("page.html");
    let output = run(&[arguments, &["--report", &path]].concat());
    assert_eq!(exit_code(&output), 0, "{}", text(&output.stderr));
    std::fs::read_to_string(&path).expect("a page")
}

#[test]
fn plans_have_a_page_of_layers_and_of_segments() {
    let scratch = Scratch::new();
    let [model, input] = ["onnx", "json"].map(|kind| repository(&format!("tests/models/ops/residual_add.{kind}")));
    let page = page_of(&scratch, &["plan", &model, &input]);
    let layers = element(&page, "table", "layers").matches("<tr>").count() - 1;
    for (id, parts) in [("time", 1), ("rows", 3), ("lookups", 1)] {
        assert_eq!(marks(element(&page, "figure", id), "width").len(), layers * parts, "{id}");
    }
    // The layers' time is less than the proof's by what they share.
    let shares = |page: &str| -> f64 {
        let rows = element(page, "table", "layers").split("</tr>").filter_map(|row| row.rsplit("<td>").next());
        rows.filter_map(|cell| cell.split('<').next()?.trim().parse::<f64>().ok()).sum()
    };
    assert!((1.0..100.0).contains(&shares(&page)), "{}", shares(&page));
    assert!(element(&page, "dl", "about").contains("learned values"));

    let page = page_of(&scratch, &["plan", &model, &input, "--segments", "2"]);
    assert_eq!(element(&page, "table", "segments").matches("<tr>").count(), 1 + 2);
    for id in ["time", "memory", "between"] {
        assert_eq!(marks(element(&page, "figure", id), "width").len(), 2, "{id}");
    }
    let output = run(&["plan", &model, &input, "--report", "/nonexistent/page.html"]);
    assert!(exit_code(&output) == 2 && output.stdout.is_empty(), "{}", text(&output.stderr));
}

#[test]
fn evaluations_have_a_page_of_errors_and_of_what_is_clamped() {
    let scratch = Scratch::new();
    let [model, input] = ["onnx", "json"].map(|kind| repository(&format!("tests/models/ops/residual_add.{kind}")));
    let page = page_of(&scratch, &["evaluate", &model, &input]);
    let layers = element(&page, "table", "layers").matches("<tr>").count() - 1;
    assert!(layers > 2 && marks(element(&page, "figure", "errors"), "width").len() == layers, "{page}");
    assert!(element(&page, "p", "saturation").contains("No value"), "{page}");
    assert_eq!(element(&page, "table", "outputs").matches("<tr>").count(), 1 + 1);
    // Calibrated on less than the data reaches.
    let less = scratch.file("less.json", r#"{"input_data": [[0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]]}"#);
    let page = page_of(&scratch, &["evaluate", &model, &input, "--calibration", &less, "--max-error", "1"]);
    let clamped = marks(element(&page, "figure", "saturation"), "width");
    assert!(!clamped.is_empty() && clamped[0] == 100.0, "{clamped:?}");
    for part in ["http:", "https:", " src=\"", " href=\"", "@import", "url("] {
        assert!(!page.contains(part), "{part}");
    }
}
