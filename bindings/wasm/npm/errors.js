// What can go wrong, by whose move it is.

/**
 * A failure. `kind` names the cause, `class` whose move it is, `hint` what to do.
 */
export class ZkmlError extends Error {
  constructor({ kind, class: whose, message, hint = '' }) {
    super(message);
    this.name = 'ZkmlError';
    this.kind = kind;
    this.class = whose;
    this.hint = hint;
  }

  /** What crosses from a worker to the page. */
  toData() {
    return { kind: this.kind, class: this.class, message: this.message, hint: this.hint };
  }
}

/** The error of what a module threw: text of its own, or a trap, after which the module is no longer to be used. */
export function errorOf(thrown, fault) {
  if (thrown instanceof ZkmlError) return thrown;
  if (typeof thrown === 'string') {
    try {
      return new ZkmlError(JSON.parse(thrown));
    } catch {
      return new ZkmlError({ kind: 'internal', class: 'bug', message: thrown, hint: 'this is a bug; please report it' });
    }
  }
  const words = fault();
  if (words === 'memory' || thrown instanceof RangeError) {
    return new ZkmlError({
      kind: 'memory',
      class: 'would_not_fit',
      message: 'the page got no more memory',
      hint: 'close other pages, or prove a smaller model',
    });
  }
  return new ZkmlError({
    kind: 'panic',
    class: 'bug',
    message: words || String(thrown?.message ?? thrown),
    hint: 'this is a bug; please report it',
  });
}

/** The error of what was called off. */
export const cancelled = () =>
  new ZkmlError({ kind: 'cancelled', class: 'cancelled', message: 'it was called off', hint: '' });

/** The error of arguments of another form. */
export const argumentsError = (message, hint) => new ZkmlError({ kind: 'arguments', class: 'bad_input', message, hint });
