import type { Source, TensorAbout, Verdict, VerifyOptions } from './verify.js';

export { Verifier, ZkmlError } from './verify.js';
export type {
  ErrorClass, KeyAbout, LoadOptions, Source, TensorAbout, Verdict, VerifyOptions,
} from './verify.js';

/** A step: `fetch` with bytes, or one of the library's, told as it begins and, with its wall time, as it ends. */
export interface Step {
  step: string;
  milliseconds?: number;
  loaded?: number;
  total?: number;
}

export interface CallOptions {
  onProgress?: (step: Step) => void;
  /** Calls it off: the worker is ended, and the next call loads the key into a new one. */
  signal?: AbortSignal;
}

export interface InputAbout extends TensorAbout {
  /** Numbers of one inference. */
  length: number;
  /** Set where the numbers are indices: what they are below. */
  classes: number | null;
}

/** What a proving key is. */
export interface ProverAbout {
  model: string;
  inputs: InputAbout[];
  outputs: TensorAbout[];
  /** Inferences of a proof: an input is as many times as long. */
  inferences: number;
  parameters: number;
  /** Binary logarithm of the circuit's rows. */
  k: number;
  /** Digest of the verifying key. */
  verifying_key: string;
  weights: string;
  note: string;
  insecure_srs: boolean;
  backend: string;
  device: string;
  /** Estimate of what proofs take. */
  memory_bytes: number;
  /** Threads that prove. */
  threads: number;
}

/** A tensor of a proof. */
export interface Tensor extends TensorAbout {
  /** Real numbers, flat, in the order of the axes; null where they are hidden. */
  values: Float64Array | null;
  hash: string | null;
  commitments: string[];
}

/** How much of an input lay beyond the range that the model was calibrated for, and was clamped. */
export interface Saturation {
  input: string;
  share: number;
  range: [number, number];
  farthest: number | null;
}

export interface Proved {
  /** The bytes of `proof.json`. */
  proof: Uint8Array;
  inputs: Tensor[];
  outputs: Tensor[];
  witnessMs: number;
  saturation: Saturation | null;
  /** Openings of committed tensors by their names. Secret, and the only ones. */
  openings: Record<string, Uint8Array>;
}

/** Flat numbers of each input, in the order of its axes: of the only one, of all in order, or by names. */
export type Input = Float32Array | Float32Array[] | Record<string, Float32Array>;

/** A proving key in a worker, for any number of proofs. Calls queue up; each throws `ZkmlError`. */
export class Prover {
  private constructor();
  /** Loads `NAME.pk`, which holds the model's weights. */
  static load(source: Source, options?: CallOptions & { backend?: 'cpu' | 'auto' }): Promise<Prover>;
  readonly about: ProverAbout;
  prove(
    input: Input,
    options?: CallOptions & {
      /** Salts of hashed tensors by their names. Without one whoever guesses the tensor can check the guess. */
      salts?: Record<string, string>;
      /** Openings of committed tensors by their names, whose commitments the proof shall have. */
      openings?: Record<string, Uint8Array>;
    },
  ): Promise<Proved>;
  infer(input: Input, options?: CallOptions): Promise<{ outputs: Tensor[]; saturation: Saturation | null }>;
  verify(proof: Source, options?: CallOptions & VerifyOptions): Promise<Verdict>;
  verifyingKey(): Promise<Uint8Array>;
  inspect(source: Source, options?: CallOptions): Promise<Record<string, unknown>>;
  newSalt(): Promise<string>;
  /** Bytes: the most that were allocated at a time, and the module's memory. */
  memory(): Promise<{ allocated: number; reserved: number }>;
  /** Ends the worker. */
  close(): void;
}
