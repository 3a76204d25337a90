// The verifier alone: `import { Verifier } from 'zkml-gpu/verify'`. No worker: a proof is verified in tens of
// milliseconds.

import { ZkmlError, errorOf } from './errors.js';
import { bytesOf, instantiate } from './load.js';

export { ZkmlError };

let module;

/** The module, loaded once; again after a trap. */
async function loaded() {
  module ??= (async () => {
    const script = await import(`./wasm/verifier/zkml_gpu_verify.js${generation ? `?${generation}` : ''}`);
    await instantiate(script, new URL('./wasm/verifier/zkml_gpu_verify_bg.wasm', import.meta.url));
    return script;
  })();
  try {
    return await module;
  } catch (error) {
    module = undefined;
    throw error;
  }
}
let generation = 0;

/** Runs a call, and makes a module that trapped go. */
function guarded(script, call) {
  try {
    return call();
  } catch (thrown) {
    const error = errorOf(thrown, () => script.fault());
    if (error.kind === 'memory' || error.kind === 'panic') {
      module = undefined;
      generation += 1;
    }
    throw error;
  }
}

/** A verifying key. */
export class Verifier {
  #bytes;
  #script;
  #key;

  constructor(token, bytes, script) {
    if (token !== TOKEN) throw new TypeError('Verifier.load makes verifiers');
    this.#bytes = bytes;
    this.#attach(script);
  }

  #attach(script) {
    this.#script = script;
    this.#key = guarded(script, () => new script.Verifier(this.#bytes));
    this.about = JSON.parse(this.#key.about());
  }

  /** Loads a verifying key, `NAME.vk`, of which you know that it is the model's. */
  static async load(source, options = {}) {
    const bytes = await bytesOf(source, options);
    return new Verifier(TOKEN, bytes, await loaded());
  }

  /** Checks a proof, `proof.json`. That it is rejected is a verdict, no error. */
  async verify(proof, { commitments = {}, hashes = {} } = {}) {
    const bytes = await bytesOf(proof);
    const script = await loaded();
    // Another proof made the module trap: this key is loaded into a new one.
    if (script !== this.#script) this.#attach(script);
    const verdict = guarded(script, () =>
      this.#key.verify(bytes, JSON.stringify(commitments), JSON.stringify(hashes)),
    );
    return JSON.parse(verdict);
  }

  /** Frees the key's memory. */
  close() {
    this.#key?.free();
    this.#key = undefined;
  }
}

const TOKEN = Symbol('Verifier.load');
