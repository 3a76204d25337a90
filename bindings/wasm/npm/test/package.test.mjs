// The package in Node.js, with keys and proofs that the native library has made: ZKML_FILES names their folder
// (bindings/wasm/tests/node.rs makes it). What is proved here is written there, for the native library to verify.

import assert from 'node:assert/strict';
import { createReadStream, readFileSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { Readable } from 'node:stream';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import workers from 'node:worker_threads';

import { Prover, Verifier as SameVerifier, ZkmlError } from '../index.js';
import { Verifier } from '../verify.js';

const folder = process.env.ZKML_FILES;
assert.ok(folder, 'ZKML_FILES names no folder');
const file = (name) => readFileSync(`${folder}/${name}`);
const input = Float32Array.from(JSON.parse(file('input.json')).input_data[0]);
const open = [];
const load = async (source, options) => {
  const prover = await Prover.load(source, options);
  open.push(prover);
  return prover;
};
after(() => open.forEach((prover) => prover.close()));

/** The error that a promise is rejected with. */
async function failure(promise, kind, whose) {
  const error = await promise.then(() => assert.fail('it was taken'), (error) => error);
  assert.ok(error instanceof ZkmlError, String(error?.stack ?? error));
  assert.deepEqual([error.kind, error.class], [kind, whose], error.message);
  return error;
}

test('a proof that Node makes is accepted here, and written for the native library', async () => {
  const steps = [];
  const prover = await load(file('public.pk'), { onProgress: (step) => steps.push(step) });
  assert.ok(steps.some(({ milliseconds }) => milliseconds >= 0), 'loading tells its steps');
  assert.equal(prover.about.verifying_key, (await Verifier.load(file('public.vk'))).about.digest);
  assert.deepEqual(Buffer.from(await prover.verifyingKey()), file('public.vk'));
  const told = [];
  const proved = await prover.prove(input, { onProgress: ({ step }) => told.push(step) });
  assert.ok(new Set(told).size >= 5, `few steps: ${told}`);
  const expected = JSON.parse(file('expected.json'));
  assert.deepEqual([...proved.outputs[0].values], expected.output);
  assert.ok(proved.outputs[0].values instanceof Float64Array);
  const inferred = await prover.infer({ [prover.about.inputs[0].name]: input });
  assert.deepEqual(inferred.outputs[0].values, proved.outputs[0].values);
  for (const verifier of [await Verifier.load(file('public.vk')), prover]) {
    const verdict = await verifier.verify(proved.proof);
    assert.equal(verdict.accepted, true, verdict.reason);
    assert.deepEqual(verdict.output[0], expected.output);
  }
  writeFileSync(`${folder}/public.node.json`, proved.proof);
});

test('a proof of the native library is accepted, a changed one rejected, another key refused', async () => {
  const verifier = await Verifier.load(pathToFileURL(`${folder}/public.vk`));
  assert.equal(Verifier, SameVerifier);
  const verdict = await verifier.verify(file('public.proof.json'));
  assert.equal(verdict.accepted, true, verdict.reason);
  const lie = JSON.parse(file('lie.json'));
  const rejected = await verifier.verify(Buffer.from(JSON.stringify(lie)));
  assert.equal(rejected.accepted, false);
  assert.ok(rejected.reason.length > 10, rejected.reason);
  const other = await Verifier.load(file('hashed.vk'));
  assert.equal((await other.verify(file('public.proof.json'))).accepted, false);
  await failure(verifier.verify(Buffer.from('{"proof": 1}')), 'artifact', 'bad_input');
});

test('a hashed input is proved under its salt, and its hash is what verifiers ask for', async () => {
  const prover = await load(file('hashed.pk'));
  const salt = await prover.newSalt();
  assert.match(salt, /^[0-9a-f]{64}$/);
  const name = prover.about.inputs[0].name;
  const proved = await prover.prove(input, { salts: { [name]: salt } });
  const { hash, values } = proved.inputs[0];
  assert.equal(values, null);
  assert.match(hash, /^[0-9a-f]{64}$/);
  assert.ok(!Buffer.from(proved.proof).includes(salt), 'the salt is in the proof');
  assert.equal((await prover.verify(proved.proof, { hashes: { [name]: hash } })).accepted, true);
  const other = (await prover.prove(input)).inputs[0].hash;
  assert.notEqual(other, hash);
  assert.equal((await prover.verify(proved.proof, { hashes: { [name]: other } })).accepted, false);
  await failure(prover.prove(input, { salts: { nothing: salt } }), 'arguments', 'bad_input');
  await failure(prover.prove(input, { salts: { [name]: 'zz' } }), 'arguments', 'bad_input');
  await failure(prover.verify(proved.proof, { hashes: { [name]: 'zz' } }), 'arguments', 'bad_input');
  writeFileSync(`${folder}/hashed.node.json`, proved.proof);
});

test('a committed input has an opening, under which it is proved again', async () => {
  const prover = await load(file('committed.pk'));
  const name = prover.about.inputs[0].name;
  const first = await prover.prove(input);
  const opening = first.openings[name];
  assert.ok(opening instanceof Uint8Array && opening.length > input.length);
  const again = await prover.prove(input, { openings: { [name]: opening } });
  assert.deepEqual(again.inputs[0].commitments, first.inputs[0].commitments);
  assert.ok(again.inputs[0].commitments.length > 0 && again.inputs[0].values === null);
  assert.notDeepEqual((await prover.prove(input)).inputs[0].commitments, first.inputs[0].commitments);
  await failure(prover.prove(input, { openings: { [name]: opening.slice(0, -1) } }), 'artifact', 'bad_input');
  writeFileSync(`${folder}/committed.node.json`, again.proof);
});

test('equal randomness gives the proof bytes of the native processor', async (context) => {
  const script = await import('../wasm/prover/zkml_gpu.js');
  const { instantiate } = await import('../load.js');
  await instantiate(script, new URL('../wasm/prover/zkml_gpu_bg.wasm', import.meta.url));
  const isForChecks = Boolean(script.Prover.prototype.prove_seeded);
  if (!isForChecks) return context.skip('the module is built without ZKML_WASM_FEATURES=checks');
  const prover = new script.Prover(file('public.pk'), 'cpu');
  const proof = prover.prove_seeded([input], 7).proof();
  assert.deepEqual(Buffer.from(proof), file('seeded.json'));
  assert.notDeepEqual(Buffer.from(prover.prove_seeded([input], 8).proof()), file('seeded.json'));
});

test('a key comes from a stream, piece by piece, with progress', async () => {
  const parts = [];
  const stream = Readable.toWeb(createReadStream(`${folder}/public.pk`, { highWaterMark: 1000 }));
  const prover = await load(stream, { onProgress: ({ loaded }) => loaded && parts.push(loaded) });
  assert.ok(parts.length > 2 && parts.every((part, at) => at === 0 || part > parts[at - 1]));
  assert.equal(parts.at(-1), file('public.pk').length);
  assert.equal(prover.about.inputs[0].length, input.length);
  const told = await prover.inspect(file('public.vk'));
  assert.equal(told.kind, 'verifying key');
});

test('keys that are cut, changed, of another version or of another kind are refused', async () => {
  const key = file('public.pk');
  const changed = Buffer.from(key);
  changed[key.length - 100] ^= 1;
  const version = Buffer.from(key);
  version[8] += 1;
  for (const [bad, said] of [
    [key.subarray(0, key.length - 1), /early|damaged/],
    [key.subarray(0, 10), /not a proving key/],
    [Buffer.alloc(0), /not a proving key/],
    [changed, /checksum/],
    [version, /version/],
    [file('public.vk'), /not a proving key/],
    [Buffer.from('something else'), /not a proving key/],
  ]) {
    const error = await failure(load(bad), 'artifact', 'bad_input');
    assert.match(error.message, said);
    assert.ok(error.hint.length > 10, error.message);
  }
  const verifying = file('public.vk');
  for (const bad of [verifying.subarray(0, 100), file('public.pk'), Buffer.from('{}')]) {
    await failure(Verifier.load(bad), 'artifact', 'bad_input');
  }
  await failure(load(`${folder}/absent.pk`), 'file', 'bad_input');
  await failure(load(12), 'arguments', 'bad_input');
});

test('inputs that are no numbers, too few, too many or of another name are refused', async () => {
  const prover = await load(file('public.pk'));
  const name = prover.about.inputs[0].name;
  for (const value of [NaN, Infinity, -Infinity]) {
    const bad = Float32Array.from(input);
    bad[1] = value;
    const error = await failure(prover.prove(bad), 'input', 'bad_input');
    assert.match(error.message, /\[0\]\[1\] is no finite number/);
  }
  await failure(prover.prove(input.subarray(1)), 'input', 'bad_input');
  await failure(prover.prove(new Float32Array(2 * input.length)), 'input', 'bad_input');
  await failure(prover.prove([input, input]), 'arguments', 'bad_input');
  await failure(prover.prove({ nothing: input }), 'arguments', 'bad_input');
  await failure(prover.prove({}), 'arguments', 'bad_input');
  await failure(prover.prove([...input]), 'arguments', 'bad_input');
  // What is too large for the calibrated range is clamped, and told.
  const far = Float32Array.from(input, () => 1e6);
  const { saturation } = await prover.infer(far);
  assert.ok(saturation.share > 0.5 && saturation.input === name, JSON.stringify(saturation));
  assert.equal((await prover.verify((await prover.prove(input)).proof)).accepted, true, 'it still works');
});

test('a proof that is called off ends, and the next one is made', async () => {
  const prover = await load(file('public.pk'));
  const control = new AbortController();
  const began = prover.prove(input, {
    signal: control.signal,
    onProgress: () => control.abort(),
  });
  await failure(began, 'cancelled', 'cancelled');
  await failure(prover.prove(input, { signal: AbortSignal.abort() }), 'cancelled', 'cancelled');
  assert.equal((await prover.verify((await prover.prove(input)).proof)).accepted, true);
  prover.close();
  await failure(prover.prove(input), 'arguments', 'bad_input');
  await failure(Prover.load(file('public.pk'), { signal: AbortSignal.abort() }), 'cancelled', 'cancelled');
});

test('fields, transforms and multiplications are the oracle\'s', async (context) => {
  const script = await import('../wasm/prover/zkml_gpu.js?conformance');
  const { instantiate } = await import('../load.js');
  await instantiate(script, new URL('../wasm/prover/zkml_gpu_bg.wasm', import.meta.url));
  if (!script.conformance) return context.skip('the module is built without ZKML_WASM_FEATURES=checks');
  const operations = script.operations();
  assert.ok(operations.length > 20 && script.Operations.lanes().length > 1, `${operations}`);
  for (const operation of operations) {
    try {
      assert.equal(script.conformance(operation), true, operation);
    } catch (error) {
      assert.fail(`${operation}: ${script.fault() || error}`);
    }
  }
  assert.equal(script.conformance('nothing'), false);
});

test('a worker that is lost fails its call by name, and the next one has a new worker', async () => {
  const original = workers.Worker;
  let last;
  workers.Worker = class extends original {
    constructor(...parameters) {
      super(...parameters);
      last = this;
    }
  };
  syncBuiltinESMExports();
  try {
    const prover = await load(file('public.pk'));
    const lost = prover.prove(input, { onProgress: () => last.terminate() });
    const error = await failure(lost, 'worker', 'unsupported');
    assert.ok(error.hint.length > 10);
    assert.equal((await prover.verify((await prover.prove(input)).proof)).accepted, true);
  } finally {
    workers.Worker = original;
    syncBuiltinESMExports();
  }
});

test('an engine without vector instructions is refused before anything is loaded', async () => {
  const { validate } = WebAssembly;
  WebAssembly.validate = () => false;
  try {
    await failure(Prover.load(file('public.pk')), 'engine', 'unsupported');
  } finally {
    WebAssembly.validate = validate;
  }
});

test('a file that is larger than the address space is refused by its length', async () => {
  const headers = { 'content-length': String(2 ** 32 + 1) };
  await failure(Prover.load(new Response('x', { headers })), 'file_size', 'would_not_fit');
});
