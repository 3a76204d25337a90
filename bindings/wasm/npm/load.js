// Loads a module for WebAssembly, and bytes from wherever they are.

import { ZkmlError, argumentsError, cancelled } from './errors.js';

const isNode = typeof process !== 'undefined' && Boolean(process.versions?.node);

/** A module of one function that adds vectors: whether it is valid tells whether there are vector instructions. */
const SIMD = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
);

/** Most bytes of a file: what an address space of 32 bits leaves room for is less. */
const MOST_BYTES = 2 ** 32;

/** Refuses an engine that lacks what the modules are built of. */
export function expectEngine() {
  if (typeof WebAssembly === 'undefined' || !WebAssembly.validate(SIMD)) {
    throw new ZkmlError({
      kind: 'engine',
      class: 'unsupported',
      message: 'this JavaScript engine has no WebAssembly with vector instructions',
      hint: 'take a browser of 2023 or later, or Node.js 20',
    });
  }
}

/** Instantiates a module: its script, and the URL of its bytes. */
export async function instantiate(script, url, memory) {
  expectEngine();
  let source = url;
  if (isNode) {
    const { readFile } = await import('node:fs/promises');
    source = await readFile(url);
  } else {
    source = await fetch(url);
    if (!source.ok) {
      throw new ZkmlError({
        kind: 'file',
        class: 'bad_input',
        message: `${url}: the server answers ${source.status}`,
        hint: 'serve the whole package, the folder wasm included',
      });
    }
    // Servers that know no type for .wasm are no obstacle.
    if (!source.headers.get('content-type')?.startsWith('application/wasm')) source = await source.arrayBuffer();
  }
  const exports = await script.default({ module_or_path: source, memory });
  writeTable(exports.memory, script.small_scalars());
  script.start();
  return exports;
}

/** Entries of the table of small scalars that the file has: by them the table's place is found. */
const KEPT_BYTES = 96;

/** Writes the table of small scalars, whose bytes are zeros in the file behind its first entries, into the memory. */
function writeTable(memory, table) {
  const words = new Int32Array(memory.buffer);
  const head = new Int32Array(table.buffer, table.byteOffset, KEPT_BYTES / 4);
  const begins = (at) => head.every((word, i) => words[at + i] === word);
  // Behind the first entries are zeros where it is to be written; what was computed here is in the memory, too.
  const isEmpty = (at) => words.subarray(at + KEPT_BYTES / 4, at + table.length / 4).every((word) => word === 0);
  // The first entry is 0: the second one's first word is looked for.
  const skipped = 8;
  for (let at = words.indexOf(head[skipped]); at >= 0; at = words.indexOf(head[skipped], at + 1)) {
    const start = at - skipped;
    if (start >= 0 && begins(start) && isEmpty(start)) {
      new Uint8Array(memory.buffer).set(table, 4 * start);
      return;
    }
  }
  throw new ZkmlError({
    kind: 'internal',
    class: 'bug',
    message: 'the module has no table of small scalars',
    hint: 'the module and its JavaScript are not of one build: fetch the package again',
  });
}

/**
 * The bytes of a source: a `Uint8Array`, an `ArrayBuffer`, a `Blob`, a `Response`, a stream of bytes, or a URL.
 * `onProgress({ loaded, total })` is told of those that come piece by piece; `total` is undefined where it is not
 * known.
 */
export async function bytesOf(source, { onProgress, signal } = {}) {
  if (signal?.aborted) throw cancelled();
  if (source instanceof Uint8Array) return source;
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (typeof Blob !== 'undefined' && source instanceof Blob) {
    return collect(source.stream(), source.size, onProgress, signal);
  }
  if (typeof source === 'string' || source instanceof URL) {
    if (isNode && new URL(source, 'file:').protocol === 'file:') {
      const { readFile } = await import('node:fs/promises');
      return new Uint8Array(await named(source, () => readFile(source)));
    }
    source = await named(source, () => fetch(source, { signal }));
  }
  if (typeof Response !== 'undefined' && source instanceof Response) {
    if (!source.ok) throw missing(source.url, `the server answers ${source.status}`);
    // The length of what is compressed on its way is not that of what arrives.
    const length = source.headers.get('content-encoding') ? NaN : Number(source.headers.get('content-length'));
    return collect(source.body, length > 0 ? length : undefined, onProgress, signal);
  }
  if (source && typeof source.getReader === 'function') return collect(source, undefined, onProgress, signal);
  throw argumentsError(
    'the source of a key or proof is of no kind that is known',
    'give a Uint8Array, an ArrayBuffer, a Blob, a Response, a stream of bytes, or a URL',
  );
}

const missing = (name, problem) =>
  new ZkmlError({ kind: 'file', class: 'bad_input', message: `${name}: ${problem}`, hint: 'check the address' });

async function named(name, get) {
  try {
    return await get();
  } catch (error) {
    if (error?.name === 'AbortError') throw cancelled();
    throw missing(name, error?.message ?? error);
  }
}

async function collect(stream, total, onProgress, signal) {
  if (total > MOST_BYTES) throw tooLarge(total);
  const chunks = [];
  let loaded = 0;
  const reader = stream.getReader();
  for (;;) {
    if (signal?.aborted) {
      await reader.cancel();
      throw cancelled();
    }
    const { done, value } = await named('the stream', () => reader.read());
    if (done) break;
    chunks.push(value);
    loaded += value.length;
    if (loaded > MOST_BYTES) {
      await reader.cancel();
      throw tooLarge(loaded);
    }
    onProgress?.({ loaded, total });
  }
  const bytes = new Uint8Array(loaded);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function tooLarge(bytes) {
  return new ZkmlError({
    kind: 'file_size',
    class: 'would_not_fit',
    message: `a file of ${bytes} bytes is larger than the address space of WebAssembly, 4 GiB`,
    hint: 'prove it with the program zkml-gpu',
  });
}
