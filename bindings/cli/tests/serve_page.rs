//! The page of `zkml-gpu serve`, in a browser where there is one: on a narrow screen, light and dark.
#![cfg(all(feature = "serve", unix))]

use std::time::{Duration, Instant};

use crate::support::Scratch;
use crate::support::browser::Page;
use crate::support::service::{PATIENCE, Service, keys};

/// A narrow telephone.
const NARROW: [u32; 2] = [360, 740];

/// The contrast between an element's text and what is behind it, by WCAG's formula.
const CONTRAST: &str = "(selector) => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = (colour) => colour.slice(0, 3).map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }).reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const element = document.querySelector(selector);
  let behind = element;
  while (behind && parse(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
  const [a, b] = [getComputedStyle(element).color, getComputedStyle(behind || document.body).backgroundColor]
    .map((text) => luminance(parse(text)) + 0.05);
  return Math.max(a, b) / Math.min(a, b);
}";

/// What is on the page can be read, and is no wider than the screen.
fn is_readable(page: &mut Page, is_dark: bool) {
    assert!(page.value("document.documentElement.scrollWidth").as_u64().expect("pixels") <= u64::from(NARROW[0]));
    for selector in
        ["body", "#about", "#counts", "#send", "#sample", "textarea", "td.proved", "td button", "#answer li"]
    {
        let contrast = page.value(&format!("({CONTRAST})({selector:?})")).as_f64().expect("a number");
        assert!(contrast >= 4.5, "{selector}: {contrast}");
    }
    let paper = page.value("getComputedStyle(document.body).backgroundColor");
    assert_eq!(paper == "rgb(255, 255, 255)", !is_dark, "{paper}");
    let small = "[...document.querySelectorAll('#send, #sample, td button')].filter((b) => b.offsetHeight < 44).length";
    assert_eq!(page.value(small), 0, "buttons for fingers");
}

#[test]
fn a_model_is_tried_and_its_proof_saved_on_a_narrow_screen() {
    let scratch = Scratch::new();
    let Some(mut page) = Page::open(&scratch, NARROW, "light") else { return };
    let key = keys(&scratch, "gemm_plain", &[]);
    let service = Service::start(&scratch, &key, &[]);
    let url = format!("http://{}/", service.address);
    page.go(&url);
    page.wait("document.querySelector('#name').textContent === 'gemm_plain'");
    // Numbers are drawn, and are an input.
    page.wait("JSON.parse(document.querySelector('#input').value).input_data[0].length === 6");
    page.value("document.querySelector('#send').click()");
    page.wait("document.querySelectorAll('#answer li').length === 4");
    page.wait("document.querySelector('td.proved')");
    is_readable(&mut page, false);

    // The proof that is saved holds, and has the numbers that are shown.
    let id = page.value("document.querySelector('#proofs tr').dataset.id");
    page.value("document.querySelector('td button').click()");
    let file = scratch.path(&format!("{}.proof.json", id.as_str().expect("a name")));
    let start = Instant::now();
    while !std::path::Path::new(&file).exists() {
        assert!(start.elapsed() < PATIENCE, "nothing is saved");
        page.value("1");
        std::thread::sleep(Duration::from_millis(20));
    }
    let proof = zkml_gpu::ProofBundle::read(&file).expect("a proof");
    zkml_gpu::ModelKey::read(key.replace(".pk", ".vk")).expect("a key").verify(&proof).expect("it holds");
    let shown = page.value("[...document.querySelectorAll('#answer li')].map((line) => Number(line.textContent))");
    for (shown, real) in shown.as_array().expect("numbers").iter().zip(proof.outputs[0].reals()) {
        assert!((shown.as_f64().expect("a number") - real).abs() <= 1e-5 * real.abs(), "{shown} {real}");
    }

    // What is wrong with an input is said, with what to do.
    page.value("document.querySelector('#input').value = '{\"input_data\": [[NaN]]}'");
    page.value("document.querySelector('#send').click()");
    page.wait("document.querySelector('#problem').textContent.includes('NaN at line 1')");
    page.wait("document.querySelector('#problem').textContent.includes('the format is')");
    // Nothing is from elsewhere, and nothing failed.
    let requests = page.requests();
    assert!(requests.len() >= 6, "{requests:?}");
    assert!(requests.iter().all(|to| to.starts_with(&url) || to.starts_with(&format!("blob:{url}"))), "{requests:?}");
    assert!(page.failures().is_empty(), "{:?}", page.failures());
}

#[test]
fn the_page_asks_for_a_token_and_is_dark_where_that_is_wanted() {
    let scratch = Scratch::new();
    let Some(mut page) = Page::open(&scratch, NARROW, "dark") else { return };
    let token = "0123456789abcdef";
    let file = scratch.file("token", token);
    let key = keys(&scratch, "gemm_plain", &["--output", "gemm0=private"]);
    let service = Service::start(&scratch, &key, &["--token-file", &file]);
    page.go(&format!("http://{}/", service.address));
    let use_token = |page: &mut Page, token: &str| {
        page.wait("!document.querySelector('#access').hidden");
        page.value(&format!("document.querySelector('#token').value = {token:?}"));
        page.value("document.querySelector('#token-form button').click()");
    };
    use_token(&mut page, "0123456789abcdeg");
    page.wait("document.querySelector('#counts').textContent.includes('another one')");
    use_token(&mut page, token);
    page.wait("document.querySelector('#name').textContent === 'gemm_plain'");
    page.wait("document.querySelector('#access').hidden");
    page.value("document.querySelector('#send').click()");
    // A hidden output is not shown, as it is not in the proof.
    page.wait("document.querySelector('#answer').textContent.includes('It is private')");
    page.wait("document.querySelector('td.proved')");
    page.value("document.querySelector('#answer div').append(Object.assign(document.createElement('ol'), { innerHTML: '<li>1' }))");
    is_readable(&mut page, true);
    assert!(page.failures().is_empty(), "{:?}", page.failures());
}
