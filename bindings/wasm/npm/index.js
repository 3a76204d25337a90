// Proving and verifying where the data is. The prover works in a worker, so that the page answers while it proves.

import { ZkmlError, argumentsError, cancelled } from './errors.js';
import { bytesOf, expectEngine } from './load.js';

export { ZkmlError };
export { Verifier } from './verify.js';

const isNode = typeof process !== 'undefined' && Boolean(process.versions?.node);
const TOKEN = Symbol('Prover.load');

/** A worker, alike in browsers and in Node.js. */
async function startWorker({ onMessage, onFailure }) {
  const url = new URL('./worker.js', import.meta.url);
  if (isNode) {
    const { Worker } = await import('node:worker_threads');
    const worker = new Worker(url);
    worker.on('message', onMessage);
    worker.on('error', onFailure);
    worker.on('exit', (code) => onFailure(new Error(`the worker ended with code ${code}`)));
    return worker;
  }
  const worker = new Worker(url, { type: 'module' });
  worker.onmessage = ({ data }) => onMessage(data);
  worker.onerror = (event) => onFailure(new Error(event.message || 'the worker did not start'));
  return worker;
}

/** A proving key in a worker, for any number of proofs, one after the other. */
export class Prover {
  #worker;
  #starting;
  #key;
  #options;
  #calls = new Map();
  #next = 0;
  #closed = false;

  constructor(token, key, options) {
    if (token !== TOKEN) throw new TypeError('Prover.load makes provers');
    this.#key = key;
    this.#options = options;
  }

  /**
   * Loads a proving key, `NAME.pk`. It holds the model's weights.
   * The source is kept as a `Blob`, from which a worker that was lost or called off is loaded again.
   */
  static async load(source, { onProgress, signal, backend = 'cpu' } = {}) {
    expectEngine();
    const bytes = await bytesOf(source, { onProgress: onProgress && ((part) => onProgress({ step: 'fetch', ...part })), signal });
    const prover = new Prover(TOKEN, new Blob([bytes]), { backend });
    try {
      await prover.#start({ onProgress, signal });
    } catch (error) {
      prover.close();
      throw error;
    }
    return prover;
  }

  /** A worker with the key, started where there is none. */
  #start({ onProgress, signal } = {}) {
    this.#starting ??= (async () => {
      const key = new Uint8Array(await this.#key.arrayBuffer());
      const worker = await startWorker({
        onMessage: (message) => worker === this.#worker && this.#receive(message),
        onFailure: (error) => worker === this.#worker && this.#lose(lost(error)),
      });
      this.#worker = worker;
      const { backend } = this.#options;
      this.about = await this.#post('load', { key, backend }, [key.buffer], { onProgress, signal });
    })();
    this.#starting.catch(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  #post(call, parameters, transfer, { onProgress, signal } = {}) {
    return new Promise((resolve, reject) => {
      const id = this.#next++;
      // What runs in the worker does not look up: it is ended, and the key is loaded again when it is needed.
      const abort = () => this.#lose(cancelled());
      const done = (settle) => (value) => {
        signal?.removeEventListener('abort', abort);
        this.#calls.delete(id);
        settle(value);
      };
      if (signal?.aborted) return reject(cancelled());
      signal?.addEventListener('abort', abort);
      this.#calls.set(id, { resolve: done(resolve), reject: done(reject), onProgress });
      this.#worker.postMessage({ id, call, parameters }, transfer);
    });
  }

  async #call(call, parameters, options = {}) {
    if (this.#closed) throw argumentsError('the prover is closed', 'load the key again');
    if (options.signal?.aborted) throw cancelled();
    await this.#start();
    return this.#post(call, parameters, [], options);
  }

  #receive({ id, progress, result, error }) {
    const call = this.#calls.get(id);
    if (!call) return;
    if (progress) {
      call.onProgress?.(progress);
    } else if (error) {
      const failure = new ZkmlError(error);
      call.reject(failure);
      // After a trap the module's memory is in no order.
      if (failure.kind === 'memory' || failure.kind === 'panic') this.#lose(failure);
    } else {
      call.resolve(result);
    }
  }

  /** Ends the worker: what it was doing fails, and nothing half-proven is left. */
  #lose(error) {
    const worker = this.#worker;
    this.#worker = undefined;
    this.#starting = undefined;
    worker?.terminate();
    for (const { reject } of [...this.#calls.values()]) reject(error);
  }

  /**
   * Proves one inference. `input` is a `Float32Array` for a model with one input, an array of them in the model's
   * order, or an object of them by the inputs' names; each is flat, in the order of the axes of
   * `about.inputs[i].shape`.
   */
  async prove(input, { salts = {}, openings = {}, onProgress, signal } = {}) {
    const inputs = this.#inputs(input);
    const proved = await this.#call('prove', { inputs, salts, openings }, { onProgress, signal });
    return { ...proved, inputs: proved.inputs.map(typed), outputs: proved.outputs.map(typed) };
  }

  /** The outputs of an inference in the integers that would be proved, without a proof. */
  async infer(input, options = {}) {
    const { outputs, saturation } = await this.#call('infer', { inputs: this.#inputs(input) }, options);
    return { outputs: outputs.map(typed), saturation };
  }

  /** Checks a proof under this key's own verifying key. */
  async verify(proof, { commitments = {}, hashes = {}, ...options } = {}) {
    return this.#call('verify', { proof: await bytesOf(proof, options), commitments, hashes }, options);
  }

  /** The bytes of `NAME.vk`, to publish. */
  async verifyingKey() {
    return this.#call('verifyingKey', {});
  }

  /** What the bytes of a file are: the object of `zkml-gpu inspect --json`. */
  async inspect(source, options = {}) {
    return this.#call('inspect', { bytes: await bytesOf(source, options) }, options);
  }

  /** A new salt for a hashed tensor: secret, and to be kept, since nothing else opens the hash. */
  async newSalt() {
    return this.#call('newSalt', {});
  }

  /** Bytes: the most that were allocated at a time, and the module's memory. */
  async memory() {
    return this.#call('memory', {});
  }

  /** Ends the worker. */
  close() {
    this.#closed = true;
    this.#lose(cancelled());
  }

  #inputs(input) {
    const wanted = this.about.inputs;
    let all = input;
    if (ArrayBuffer.isView(input)) {
      all = [input];
    } else if (input && !Array.isArray(input)) {
      const unknown = Object.keys(input).find((name) => !wanted.some((own) => own.name === name));
      if (unknown !== undefined) throw argumentsError(`the model has no input '${unknown}'`, namesOf(wanted));
      all = wanted.map(({ name }) => input[name]);
    }
    if (!Array.isArray(all) || all.length !== wanted.length || !all.every((one) => one instanceof Float32Array)) {
      throw argumentsError(`the model takes a Float32Array for each of ${wanted.length} input(s)`, namesOf(wanted));
    }
    return all;
  }
}

const namesOf = (wanted) => `inputs: ${wanted.map(({ name, shape }) => `'${name}' [${shape}]`).join(', ')}`;

/** A tensor whose numbers are a typed array; null where they are hidden. */
const typed = (tensor) => ({ ...tensor, values: tensor.values && Float64Array.from(tensor.values) });

const lost = (error) =>
  new ZkmlError({
    kind: 'worker',
    class: 'unsupported',
    message: `the worker was lost: ${error.message}`,
    hint: 'call again: the key is loaded into a new one',
  });
