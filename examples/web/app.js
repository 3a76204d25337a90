// The page: reads a drawing with a network, proves what it read, and checks proofs. The prover and the key are loaded
// with the page; from then on it asks for nothing.

import { Prover, Verifier, ZkmlError } from './zkml-gpu/index.js';
import { Pad } from './pad.js';

const $ = (id) => document.getElementById(id);
const pad = new Pad($('pad'));
let prover;
let verifier;
let verifyingKey;
let running;
let urls = [];

/** Steps of a proof, by which the bar moves: those of the last proof, or as many as a proof of this network has. */
let expectedSteps = 60;

const INSECURE = 'the reference string was made on one machine: whoever did could forge proofs';

function problem(error) {
  const text = error instanceof ZkmlError ? [error.message, error.hint].filter(Boolean).join('\n') : String(error);
  $('problem').textContent = text;
  $('problem').hidden = false;
}

function facts(list, pairs) {
  list.replaceChildren(
    ...pairs.flatMap(([name, value]) => {
      const [term, detail] = [document.createElement('dt'), document.createElement('dd')];
      term.textContent = name;
      detail.textContent = value;
      return [term, detail];
    }),
  );
}

/** Shows logits as bars, and the class. */
function show(logits) {
  const most = Math.max(...logits);
  const shares = [...logits].map((logit) => Math.exp(logit - most));
  const total = shares.reduce((sum, share) => sum + share, 0);
  const first = logits.indexOf(most);
  $('guess').textContent = String(first);
  $('bars').replaceChildren(
    ...shares.map((share, digit) => {
      const [row, bar] = [document.createElement('li'), document.createElement('span')];
      row.className = digit === first ? 'first' : '';
      bar.style.width = `${Math.max(1, (100 * share) / total)}%`;
      row.append(String(digit), bar);
      return row;
    }),
  );
  return first;
}

/** What the network reads, once the pen is up; the latest drawing alone. */
async function read() {
  const image = pad.image();
  $('prove').disabled = !prover || !image || Boolean(running);
  if (!image) {
    $('guess').textContent = '–';
    $('bars').replaceChildren();
    return;
  }
  if (!prover || running) return;
  try {
    show((await prover.infer(image)).outputs[0].values);
  } catch (error) {
    problem(error);
  }
}

async function prove() {
  const image = pad.image();
  if (!image || running) return;
  running = new AbortController();
  $('problem').hidden = true;
  $('proof').hidden = true;
  $('prove').disabled = true;
  $('stop').hidden = false;
  $('progress').hidden = false;
  $('progress').value = 0;
  let steps = 0;
  const started = performance.now();
  try {
    const [input] = prover.about.inputs;
    const salt = await prover.newSalt();
    const proved = await prover.prove(image, {
      salts: { [input.name]: salt },
      signal: running.signal,
      onProgress({ step, milliseconds }) {
        if (milliseconds !== undefined) return;
        steps += 1;
        $('progress').value = Math.min(0.98, steps / expectedSteps);
        $('step').textContent = `${step} …`;
      },
    });
    expectedSteps = steps;
    const seconds = (performance.now() - started) / 1000;
    const digit = show(proved.outputs[0].values);
    await published(proved, digit, seconds, salt);
  } catch (error) {
    $('step').textContent = error.kind === 'cancelled' ? 'Stopped. Nothing was proven.' : '';
    if (error.kind !== 'cancelled') problem(error);
  } finally {
    running = undefined;
    $('stop').hidden = true;
    $('progress').hidden = true;
    $('prove').disabled = !pad.image();
  }
}

/** Shows a proof, verified as anybody would. */
async function published(proved, digit, seconds, salt) {
  // In the worker, for the page is to answer.
  const verdict = await prover.verify(proved.proof);
  if (!verdict.accepted) throw new Error(`the proof just made was rejected: ${verdict.reason}`);
  $('step').textContent = `Proven in ${seconds.toFixed(2)} s, verified in ${verdict.verify_ms.toFixed(0)} ms.`;
  const [input] = proved.inputs;
  facts($('facts'), [
    ['says', `the network '${verdict.model}' reads a drawing of this hash as a ${digit}`],
    ['hash of the drawing', input.hash],
    ['key', verdict.verifying_key],
    ['weights', verdict.note],
    ['size', `${proved.proof.length.toLocaleString('en')} bytes, as JSON`],
    ...(verdict.insecure_srs ? [['note', INSECURE]] : []),
    ...(proved.saturation ? [['clamped', `${(100 * proved.saturation.share).toFixed(1)} % of the drawing`]] : []),
  ]);
  $('salt').textContent = salt;
  $('file').textContent = new TextDecoder().decode(proved.proof);
  urls.forEach((url) => URL.revokeObjectURL(url));
  urls = [
    ['download', proved.proof, 'application/json'],
    ['download-key', verifyingKey, 'application/octet-stream'],
  ].map(([id, bytes, type]) => {
    const url = URL.createObjectURL(new Blob([bytes], { type }));
    $(id).href = url;
    return url;
  });
  $('proof').hidden = false;
}

async function check(files) {
  const isKey = (file) => file.name.endsWith('.vk');
  const [proof, key] = [files.find((file) => !isKey(file)), files.find(isKey)];
  const say = (accepted, text) => {
    $('verdict').hidden = false;
    $('verdict').className = `verdict ${accepted ? 'accepted' : 'rejected'}`;
    $('verdict').textContent = text;
  };
  $('verdict-facts').replaceChildren();
  if (!proof) return say(false, 'There is no proof among the files: choose proof.json, with the key or without.');
  let own;
  try {
    if (!key && !verifier) throw new Error('the page is still loading its key');
    own = key ? await Verifier.load(key) : verifier;
    const verdict = await own.verify(proof);
    say(verdict.accepted, verdict.accepted ? 'Accepted.' : `Rejected: ${verdict.reason}`);
    if (!verdict.accepted) return;
    const numbers = (list) => list.map((real) => Number(real.toPrecision(5))).join(', ');
    facts($('verdict-facts'), [
      ['model', verdict.model],
      ...verdict.output.map((list) => ['output', list.length ? numbers(list) : 'hidden']),
      ...verdict.input_hash.filter(Boolean).map((hash) => ['hash of the input', hash]),
      ['weights', verdict.note],
      ['checked under', `${key ? key.name : "this page's own key"}, ${verdict.verifying_key}`],
      ...(verdict.insecure_srs ? [['note', INSECURE]] : []),
    ]);
  } catch (error) {
    say(false, error.hint ? `${error.message} (${error.hint})` : String(error.message));
  } finally {
    if (key) own?.close();
  }
}

pad.onChange = read;
$('clear').onclick = () => pad.clear();
$('sample').onclick = () => pad.sample();
$('prove').onclick = prove;
$('stop').onclick = () => running?.abort();
$('files').onchange = ({ target }) => {
  check([...target.files]);
  target.value = '';
};
for (const kind of ['dragenter', 'dragover', 'dragleave', 'drop']) {
  $('drop').addEventListener(kind, (event) => {
    event.preventDefault();
    $('drop').classList.toggle('over', kind === 'dragenter' || kind === 'dragover');
    if (kind === 'drop') check([...event.dataTransfer.files]);
  });
}

try {
  prover = await Prover.load(new URL('digit.pk', import.meta.url), {
    onProgress({ loaded, total }) {
      if (!loaded || !total) return;
      $('leaves-state').textContent = `It has loaded ${Math.round((100 * loaded) / total)} % of the key.`;
    },
  });
  verifyingKey = await prover.verifyingKey();
  verifier = await Verifier.load(verifyingKey);
  $('leaves-state').textContent =
    'The network, the prover and the verifier are loaded; from now on the page asks for nothing and sends nothing.';
  document.documentElement.dataset.ready = 'true';
  await read();
} catch (error) {
  $('leaves-state').textContent = 'It could not be loaded.';
  problem(error);
}
