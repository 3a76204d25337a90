// Times of this package on one thread, with ffjavascript's beside them: a multi-scalar multiplication and a transform on the
// same points and numbers, alternating, and proofs of keys that are named.
//
//     npm run bench                                  operations of 2^10, 2^12, 2^14
//     npm run bench -- NAME.pk INPUT.json [...]      and proofs of these keys
//
// The module must be built with ZKML_WASM_FEATURES=checks. A time is the least of some runs: what else the machine does only
// lengthens them. `cpu` is the process's own time in the run that it is least in.

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { instantiate } from '../load.js';
import * as script from '../wasm/prover/zkml_gpu.js';

const { values: options, positionals: files } = parseArgs({
  allowPositionals: true,
  options: { sizes: { type: 'string', default: '10,12,14' }, runs: { type: 'string', default: '7' } },
});
const runs = Number(options.runs);

/** The least of the wall times, and of the process's own times, of some runs of each work, in turns; in milliseconds. */
async function least(works, rounds = runs) {
  const times = works.map(() => ({ wall: Infinity, cpu: Infinity }));
  for (let round = 0; round < rounds; round += 1) {
    for (const [at, work] of works.entries()) {
      const [start, used] = [performance.now(), process.cpuUsage()];
      await work();
      const { user, system } = process.cpuUsage(used);
      times[at].wall = Math.min(times[at].wall, performance.now() - start);
      times[at].cpu = Math.min(times[at].cpu, (user + system) / 1000);
    }
  }
  return times;
}

const text = ({ wall, cpu }) => `${wall.toFixed(1).padStart(9)} ms ${cpu.toFixed(1).padStart(9)} ms cpu`;
const row = (name, time, beside) =>
  console.log(`${name.padEnd(44)} ${text(time)}${beside ? `  ${(beside.cpu / time.cpu).toFixed(2)} x ffjavascript` : ''}`);

await instantiate(script, new URL('../wasm/prover/zkml_gpu_bg.wasm', import.meta.url));

async function operations() {
  if (!script.Operations) {
    console.error('no operations: the module is built without ZKML_WASM_FEATURES=checks');
    return;
  }
  const ff = await import('ffjavascript').catch(() => undefined);
  if (!ff) console.error('no ffjavascript beside ours: npm ci installs it');
  const curve = await ff?.buildBn128(true);
  for (const log of options.sizes.split(',').map(Number)) {
    const ours = script.Operations.lanes().map((lanes) => [lanes, script.Operations.of(log, lanes)]);
    const [, first] = ours[0];
    let theirs;
    let multiply;
    let transform;
    if (curve) {
      const [points, scalars] = [first.points(), first.scalars()];
      const coordinate = (at) => curve.F1.fromRprLE(points, 32 * at);
      const bases = new Uint8Array(points.length);
      for (let at = 0; at < points.length / 32; at += 1) bases.set(coordinate(at), 32 * at);
      multiply = () => curve.G1.multiExpAffine(bases, scalars);
      const elements = new Uint8Array(scalars.length);
      for (let at = 0; at < scalars.length / 32; at += 1) elements.set(curve.Fr.fromRprLE(scalars, 32 * at), 32 * at);
      transform = () => curve.Fr.fft(elements);
      theirs = curve.G1.toAffine(await multiply());
      const sum = first.multiply();
      const own = [0, 32].flatMap((at) => [...curve.F1.fromRprLE(sum, at)]);
      if (Buffer.compare(Buffer.from(own), Buffer.from(theirs))) throw new Error('the sums differ');
    }
    const times = await least([...ours.map(([, of]) => () => of.multiply()), ...(curve ? [multiply] : [])]);
    const besideMultiply = curve && times.at(-1);
    ours.forEach(([lanes], at) => row(`multiplication of 2^${log}, ${lanes}`, times[at], besideMultiply));
    if (curve) row(`multiplication of 2^${log}, ffjavascript`, besideMultiply);
    const turns = await least([...ours.map(([, of]) => () => of.transform()), ...(curve ? [transform] : [])]);
    const besideTransform = curve && turns.at(-1);
    ours.forEach(([lanes], at) => row(`transform of 2^${log}, ${lanes}`, turns[at], besideTransform));
    if (curve) row(`transform of 2^${log}, ffjavascript`, besideTransform);
    ours.forEach(([, of]) => of.free());
  }
  await curve?.terminate();
}

async function proofs() {
  for (let at = 0; at + 1 < files.length; at += 2) {
    const key = readFileSync(files[at]);
    const input = JSON.parse(readFileSync(files[at + 1])).input_data.map((list) => Float32Array.from(list));
    const name = files[at].split('/').at(-1);
    let prover;
    const [loading] = await least([() => {
      prover?.free();
      prover = new script.Prover(key, 'cpu');
    }], 3);
    row(`${name}: loading`, loading);
    let proved;
    const [proving] = await least([() => {
      proved = prover.prove(input, '{}', {});
    }]);
    row(`${name}: proof`, proving);
    const verifier = new script.Verifier(prover.verifying_key());
    const proof = proved.proof();
    const [verifying] = await least([() => verifier.verify(proof, '{}', '{}')], 3 * runs);
    row(`${name}: verification`, verifying);
    console.log(`${`${name}: allocated at most`.padEnd(44)} ${(script.peak_bytes() / 2 ** 20).toFixed(1).padStart(9)} MiB`);
    prover.free();
  }
}

await operations();
await proofs();
