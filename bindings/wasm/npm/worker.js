// The worker: owns the module, and does what the page asks, one thing after the other.

import { errorOf } from './errors.js';
import { instantiate } from './load.js';

const isNode = typeof process !== 'undefined' && Boolean(process.versions?.node);
const port = isNode ? (await import('node:worker_threads')).parentPort : self;

let script;
let exports;
let prover;

const tell = (id, progress) => (step, milliseconds) => port.postMessage({ id, progress: { step, milliseconds, ...progress } });

const CALLS = {
  async load(id, { key, backend }) {
    script = await import('./wasm/prover/zkml_gpu.js');
    exports = await instantiate(script, new URL('./wasm/prover/zkml_gpu_bg.wasm', import.meta.url));
    prover = new script.Prover(key, backend, tell(id));
    return { ...JSON.parse(prover.about()), threads: 1 };
  },
  prove(id, { inputs, salts, openings }) {
    const proved = prover.prove(inputs, JSON.stringify(salts), openings, tell(id));
    try {
      const about = JSON.parse(proved.about());
      return {
        proof: proved.proof(),
        inputs: about.inputs,
        outputs: about.outputs,
        witnessMs: about.witness_ms,
        saturation: about.saturation,
        openings: Object.fromEntries(proved.openings()),
      };
    } finally {
      proved.free();
    }
  },
  infer: (_, { inputs }) => JSON.parse(prover.infer(inputs)),
  verifyingKey: () => prover.verifying_key(),
  verify(_, { proof, commitments, hashes }) {
    const key = new script.Verifier(prover.verifying_key());
    try {
      return JSON.parse(key.verify(proof, JSON.stringify(commitments), JSON.stringify(hashes)));
    } finally {
      key.free();
    }
  },
  inspect: (_, { bytes }) => JSON.parse(script.inspect(bytes)),
  newSalt: () => script.new_salt(),
  memory: () => ({ allocated: script.peak_bytes(), reserved: exports.memory.buffer.byteLength }),
};

async function answer({ id, call, parameters }) {
  try {
    port.postMessage({ id, result: await CALLS[call](id, parameters) });
  } catch (thrown) {
    const error = errorOf(thrown, () => script?.fault() ?? '');
    port.postMessage({ id, error: error.toData() });
  }
}

// One after the other: a call that waits for the module must not be overtaken.
let last = Promise.resolve();
const take = (message) => {
  last = last.then(() => answer(message));
};
if (isNode) port.on('message', take);
else port.onmessage = ({ data }) => take(data);
