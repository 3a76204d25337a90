// The page of examples/web in headless Chromium. ZKML_FILES names a folder with the page's keys, digit.pk and digit.vk;
// a proof that it makes is written there. Skipped where there is no Chromium or no playwright-core (`npm ci`).

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const npm = fileURLToPath(new URL('..', import.meta.url));
const page = join(npm, '../../../examples/web');
const keys = process.env.ZKML_FILES ?? page;
const TYPES = {
  '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm', '.json': 'application/json',
};
/** Longest time that anything may take. */
const PATIENCE = 120_000;

const chromium = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
const playwright = await import('playwright-core').catch(() => undefined);
const missing = !chromium ? 'there is no Chromium' : !playwright ? 'there is no playwright-core: npm ci installs it' : undefined;
if (missing) console.log(`SKIPPED: ${missing}`);

let server;
let address;
let browser;
before(async () => {
  if (missing) return;
  server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, 'http://page').pathname));
    const file = path.startsWith('/zkml-gpu/')
      ? join(npm, path.slice('/zkml-gpu/'.length))
      : join(path.startsWith('/digit.') ? keys : page, path === '/' ? 'index.html' : path);
    if (!existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' });
    response.end(readFileSync(file));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${server.address().port}/`;
  const args = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'];
  browser = await playwright.chromium.launch({ executablePath: chromium, args });
});
after(async () => {
  await browser?.close();
  server?.close();
});

/** The page, loaded; what goes wrong in it fails the test. */
async function open(options) {
  const context = await browser.newContext({ acceptDownloads: true, ...options });
  const opened = await context.newPage();
  opened.setDefaultTimeout(PATIENCE);
  const requests = [];
  const problems = [];
  opened.on('request', (request) => requests.push(request.url()));
  opened.on('pageerror', (error) => problems.push(String(error)));
  opened.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  await opened.goto(address);
  await opened.waitForFunction(() => document.documentElement.dataset.ready === 'true' || !document.querySelector('#problem').hidden);
  assert.equal(await opened.locator('#problem').isVisible(), false, await opened.locator('#problem').innerText());
  return { page: opened, requests, problems, close: () => context.close() };
}

/** Draws a one with the mouse. */
async function drawOne({ page: opened }) {
  const { x, y, width, height } = await opened.locator('#pad').boundingBox();
  await opened.mouse.move(x + width * 0.5, y + height * 0.2);
  await opened.mouse.down();
  await opened.mouse.move(x + width * 0.5, y + height * 0.8, { steps: 12 });
  await opened.mouse.up();
}

test('a drawn digit is proven on the page, which stays alive and asks for nothing', { skip: missing }, async () => {
  const one = await open({ viewport: { width: 900, height: 900 } });
  await drawOne(one);
  await one.page.waitForFunction(() => document.querySelector('#guess').textContent === '1');
  const loaded = one.requests.length;
  await one.page.evaluate(() => {
    // How long the page takes to answer, from the click to the proof.
    const waits = (window.waits = []);
    const ask = () => {
      const asked = performance.now();
      setTimeout(() => {
        waits.push(performance.now() - asked);
        if (!window.enough) ask();
      }, 0);
    };
    ask();
  });
  await one.page.click('#prove');
  await one.page.locator('#proof').waitFor();
  const waits = await one.page.evaluate(() => {
    window.enough = true;
    return window.waits.sort((a, b) => a - b);
  });
  console.log(`answers while proving: ${waits.length}, median ${waits[waits.length >> 1].toFixed(1)} ms, longest ${waits.at(-1).toFixed(1)} ms`);
  assert.ok(waits.length > 20, `the page answered ${waits.length} times`);
  assert.match(await one.page.locator('#facts').innerText(), /reads a drawing of this hash as a 1/);
  assert.match(await one.page.locator('#salt').innerText(), /^[0-9a-f]{64}$/);
  const [download] = await Promise.all([one.page.waitForEvent('download'), one.page.click('#download')]);
  assert.equal(download.suggestedFilename(), 'proof.json');
  const bytes = readFileSync(await download.path());
  const proof = JSON.parse(bytes);
  assert.equal(proof.inputs[0].visibility, 'hashed');
  assert.ok(!proof.inputs[0].values?.length, 'the drawing is in the proof');
  if (process.env.ZKML_FILES) writeFileSync(join(keys, 'page.proof.json'), bytes);

  // The proof is checked on the page, under its own key and under the file's.
  const asFile = (name, buffer) => ({ name, mimeType: 'application/octet-stream', buffer });
  const verdict = one.page.locator('#verdict');
  const check = async (...files) => {
    await one.page.evaluate(() => (document.querySelector('#verdict').hidden = true));
    await one.page.setInputFiles('#files', files);
    await verdict.waitFor();
    return verdict.innerText();
  };
  assert.equal(await check(asFile('proof.json', bytes)), 'Accepted.');
  assert.equal(await check(asFile('proof.json', bytes), asFile('digit.vk', readFileSync(join(keys, 'digit.vk')))), 'Accepted.');
  proof.outputs[0].values[7] += 1;
  assert.match(await check(asFile('proof.json', Buffer.from(JSON.stringify(proof)))), /^(Rejected|.*damaged|.*checksum)/);
  const forged = JSON.parse(bytes);
  const cut = Buffer.from(forged.proof, 'base64');
  cut[100] ^= 1;
  forged.proof = cut.toString('base64');
  assert.doesNotMatch(await check(asFile('proof.json', Buffer.from(JSON.stringify(forged)))), /Accepted/);
  assert.match(await check(asFile('proof.json', Buffer.from('{}'))), /not a proof/);
  assert.match(await check(asFile('digit.vk', bytes)), /no proof among/);
  // What a verifier needs comes with the first check, and nothing after.
  const later = one.requests.slice(loaded).filter((url) => !url.startsWith('blob:'));
  assert.deepEqual(later, [], 'requests after loading');
  assert.deepEqual(one.problems, []);
  await one.close();
});

test('a proof that is stopped leaves nothing, and the next one is made', { skip: missing }, async () => {
  const one = await open({ viewport: { width: 900, height: 900 } });
  await one.page.click('#sample');
  await one.page.waitForFunction(() => document.querySelector('#guess').textContent === '7');
  await one.page.click('#prove');
  await one.page.waitForFunction(() => document.querySelector('#step').textContent.includes('…'));
  await one.page.click('#stop');
  await one.page.waitForFunction(() => document.querySelector('#step').textContent.startsWith('Stopped'));
  assert.equal(await one.page.locator('#proof').isVisible(), false);
  await one.page.click('#prove');
  await one.page.locator('#proof').waitFor();
  assert.deepEqual(one.problems, []);
  await one.close();
});

test('the page fits phones, tablets and desks, by day and by night', { skip: missing }, async () => {
  for (const [width, height, colorScheme] of [[360, 740, 'dark'], [768, 1024, 'light'], [1280, 900, 'light']]) {
    const one = await open({ viewport: { width, height }, colorScheme });
    await one.page.click('#sample');
    await one.page.click('#prove');
    await one.page.locator('#proof').waitFor();
    const wide = await one.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(wide <= 0, `${wide} pixels too wide at ${width}`);
    const tall = await one.page.evaluate(() =>
      [...document.querySelectorAll('button, a.button')].filter((one) => one.offsetParent && one.offsetHeight < 44).length,
    );
    assert.equal(tall, 0, 'buttons that are too small for a finger');
    if (process.env.ZKML_SCREENSHOTS) {
      await one.page.screenshot({ path: join(process.env.ZKML_SCREENSHOTS, `page-${width}.png`), fullPage: true });
    }
    await one.close();
  }
});
