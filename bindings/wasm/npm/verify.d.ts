/** Where bytes come from. */
export type Source = Uint8Array | ArrayBuffer | Blob | Response | ReadableStream<Uint8Array> | string | URL;

/** Whose move it is after an error. */
export type ErrorClass = 'bad_input' | 'unsupported' | 'would_not_fit' | 'bug' | 'cancelled';

/** A failure: its cause, whose move it is, and what to do. */
export class ZkmlError extends Error {
  /**
   * The cause: `artifact` (a file is no such file, damaged, or of another version), `arguments`, `input`, `file`,
   * `file_size`, `would_not_fit`, `memory` (the page got no more), `engine` (no vector instructions), `device`,
   * `worker` (it was lost), `cancelled`, `key`, `prove`, `panic` or `internal`.
   */
  readonly kind: string;
  readonly class: ErrorClass;
  readonly hint: string;
}

/** An input or output of a model. */
export interface TensorAbout {
  name: string;
  /** In the order of the model's axes. */
  shape: number[];
  visibility: 'public' | 'hidden' | 'committed' | 'hashed';
}

/** What a verifying key is. */
export interface KeyAbout {
  model: string;
  /** Its digest, by which proofs name it. */
  digest: string;
  weights: string;
  /** What an accepted proof says of the weights. */
  note: string;
  /** Whether whoever made the reference string could forge proofs. */
  insecure_srs: boolean;
  inputs: TensorAbout[];
  outputs: TensorAbout[];
}

/** The object of `zkml-gpu verify --json`. */
export interface Verdict {
  accepted: boolean;
  /** Why it was rejected; null where it was not. */
  reason: string | null;
  model: string;
  /** Real numbers, a list for each input; empty where they are hidden. */
  input: number[][];
  output: number[][];
  input_hash: (string | null)[];
  output_hash: (string | null)[];
  verifying_key: string;
  insecure_srs: boolean;
  verify_ms: number;
  [field: string]: unknown;
}

export interface VerifyOptions {
  /** Commitments that tensors must have, by their names: objects of `NAME.commitment.json`. */
  commitments?: Record<string, object>;
  /** Hashes that tensors must have, by their names: 64 hexadecimal digits. */
  hashes?: Record<string, string>;
}

export interface LoadOptions {
  onProgress?: (part: { loaded: number; total?: number }) => void;
  signal?: AbortSignal;
}

/** A verifying key, which holds all that a verifier trusts. */
export class Verifier {
  private constructor();
  /** Loads `NAME.vk`. Throws `ZkmlError`. */
  static load(source: Source, options?: LoadOptions): Promise<Verifier>;
  readonly about: KeyAbout;
  /** Checks `proof.json`. That it is rejected is a verdict; what is no proof throws `ZkmlError`. */
  verify(proof: Source, options?: VerifyOptions): Promise<Verdict>;
  /** Frees the key's memory. */
  close(): void;
}
