/* zkml-gpu for C: prove that a quantised neural network produced an output, verify such a proof, and the operations
 * that other provers need, on any back end.
 *
 * Functions return a zkml_status: ZKML_STATUS_OK, or what went wrong, with words in zkml_last_error(). They change no
 * memory of the caller but what an argument says. Pointers must not be null unless an argument's words allow it, and
 * must lead to as many elements as the argument beside them says. No function panics or aborts on bad input. All may
 * be called by several threads at once, with the same objects, but for the _free functions, which end an object.
 *
 * Elements of the scalar field of BN254 are 32 bytes: an integer below the field's order, the least byte first. Points
 * of G1 are 64: x and y, integers below the base field's order likewise; the identity is 64 zeros. */


#ifndef ZKML_GPU_H
#define ZKML_GPU_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/**
 * What a function did: the exit codes of the command line.
 */
typedef enum {
  /**
   * It is done; a proof is accepted.
   */
  ZKML_STATUS_OK = 0,
  /**
   * The proof does not hold: it shows nothing.
   */
  ZKML_STATUS_REJECTED = 1,
  /**
   * An argument or a file is wrong.
   */
  ZKML_STATUS_BAD_INPUT = 2,
  /**
   * An operator or a device is not supported, or a device failed.
   */
  ZKML_STATUS_UNSUPPORTED = 3,
  /**
   * The machine is too small, or the model too large.
   */
  ZKML_STATUS_WOULD_NOT_FIT = 4,
  /**
   * A promise of the library was broken, or it panicked: please report it. Objects of the call should be freed.
   */
  ZKML_STATUS_BUG = 70,
} zkml_status;

/**
 * Which way a transform goes.
 */
typedef enum {
  /**
   * Coefficients to values.
   */
  ZKML_DIRECTION_FORWARD = 0,
  /**
   * Values to coefficients.
   */
  ZKML_DIRECTION_INVERSE = 1,
} zkml_direction;

/**
 * Hardware that computes.
 */
typedef struct zkml_backend zkml_backend;

/**
 * Points that are resident on a back end.
 */
typedef struct zkml_bases zkml_bases;

/**
 * A verifying key, `NAME.vk`: all that a verifier trusts. Get it from someone you trust.
 */
typedef struct zkml_key zkml_key;

/**
 * A model that is ready to prove.
 */
typedef struct zkml_prover zkml_prover;

/**
 * What an accepted proof shows.
 */
typedef struct zkml_verdict zkml_verdict;

/**
 * Bytes that the library has made. `zkml_bytes_free` frees them.
 */
typedef struct {
  /**
   * The first of them.
   */
  uint8_t *data;
  /**
   * How many.
   */
  size_t len;
} zkml_bytes;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The words of the last failure of this thread, UTF-8, a line that begins with `hint:` at the end where something
 * can be done; empty before any. They are there until the thread's next failure.
 */
const char *zkml_last_error(void);

/**
 * The library's version, such as `0.1.0`.
 */
const char *zkml_version(void);

/**
 * Panics in the place of work: what tests of the boundary call.
 */
zkml_status zkml_panic_for_tests(void);

/**
 * Frees bytes of the library's, and makes them none: a second call does nothing, and null does nothing.
 *
 * # Safety
 * `bytes` is null, or what a function of this library has written and nobody has changed.
 */
void zkml_bytes_free(zkml_bytes *bytes);

/**
 * Reads `NAME.vk`; nothing in the file is believed but that it is the model's.
 *
 * # Safety
 * `file` is text that ends with a zero, `key` a place for a pointer. It is null unless the status is `OK`.
 */
zkml_status zkml_key_read(const char *file, zkml_key **key);

/**
 * As `zkml_key_read`, from `len` bytes in memory.
 *
 * # Safety
 * `data` leads to `len` bytes, `key` is a place for a pointer. It is null unless the status is `OK`.
 */
zkml_status zkml_key_from_bytes(const uint8_t *data, size_t len, zkml_key **key);

/**
 * Frees a key; null is allowed.
 *
 * # Safety
 * `key` is null, or one of this library's that nobody uses any more.
 */
void zkml_key_free(zkml_key *key);

/**
 * Checks a proof: `len` bytes of a `proof.json`, from whoever. `OK` says that it holds, `REJECTED` that it does
 * not, with the reason in `zkml_last_error()`.
 *
 * `verdict` may be null; otherwise it is what the proof shows, and null unless the status is `OK`.
 *
 * # Safety
 * `key` is one of this library's, `proof` leads to `len` bytes, `verdict` is null or a place for a pointer.
 */
zkml_status zkml_verify(const zkml_key *key, const uint8_t *proof, size_t len, zkml_verdict **verdict);

/**
 * The model's name, from the key; null for null. It is there as long as the verdict.
 *
 * # Safety
 * `verdict` is null, or one of this library's.
 */
const char *zkml_verdict_model(const zkml_verdict *verdict);

/**
 * The numbers of output `index` that were proved, in the order of the model's axes: 64-bit floats, exactly the
 * integers of the proof times their scale. None where the output is hidden. They are there as long as the verdict.
 *
 * # Safety
 * `verdict` is one of this library's, `data` and `len` are places that may be written.
 */
zkml_status zkml_verdict_output(const zkml_verdict *verdict, size_t index, const double **data, size_t *len);

/**
 * As `zkml_verdict_output`, of input `index`.
 *
 * # Safety
 * As for `zkml_verdict_output`.
 */
zkml_status zkml_verdict_input(const zkml_verdict *verdict, size_t index, const double **data, size_t *len);

/**
 * Frees a verdict; null is allowed.
 *
 * # Safety
 * `verdict` is null, or one of this library's that nobody uses any more.
 */
void zkml_verdict_free(zkml_verdict *verdict);

/**
 * Reads `NAME.pk`, one's own file, and loads it to a back end: `auto`, `cpu`, `wgpu`, `cuda`, `icicle`, with `:N`
 * for one of several devices.
 *
 * `max_memory_bytes` bounds what it uses; 0 takes what is free.
 *
 * # Safety
 * `file` and `backend` are text that ends with a zero, `prover` is a place for a pointer. It is null unless the
 * status is `OK`.
 */
zkml_status zkml_prover_open(const char *file, const char *backend, uint64_t max_memory_bytes, zkml_prover **prover);

/**
 * The device in words, UTF-8; null for null. It is there as long as the prover.
 *
 * # Safety
 * `prover` is null, or one of this library's.
 */
const char *zkml_prover_device(const zkml_prover *prover);

/**
 * How many numbers input `index` takes in a proof. Beyond the last input the status is `BAD_INPUT`.
 *
 * # Safety
 * `prover` is one of this library's, `len` a place that may be written.
 */
zkml_status zkml_prover_input_len(const zkml_prover *prover, size_t index, size_t *len);

/**
 * Proves what the model gives for an input, and verifies the proof.
 *
 * `inputs` has a pointer for each input, in the model's order, to as many 32-bit floats as `lens` says beside it,
 * in the order of the model's axes; of a model for several inferences in a proof, all of them one after the other.
 * `proof` gets the bytes of a `proof.json`, which `zkml_bytes_free` frees; it is changed only where the status is
 * `OK`.
 *
 * `max_saturation` is the share of an input's values, 0 to 1, that may lie beyond the calibrated range, where they
 * are clamped.
 *
 * # Safety
 * `prover` is one of this library's; `inputs` and `lens` lead to `count` elements, and each pointer to as many
 * numbers as the length beside it; `proof` is a place that may be written.
 */
zkml_status zkml_prove(const zkml_prover *prover,
                       const float *const *inputs,
                       const size_t *lens,
                       size_t count,
                       double max_saturation,
                       zkml_bytes *proof);

/**
 * The verifying key to publish: the bytes of `NAME.vk`, which `zkml_bytes_free` frees.
 *
 * # Safety
 * `prover` is one of this library's, `key` a place that may be written.
 */
zkml_status zkml_prover_key(const zkml_prover *prover, zkml_bytes *key);

/**
 * Frees a prover; null is allowed.
 *
 * # Safety
 * `prover` is null, or one of this library's that nobody uses any more.
 */
void zkml_prover_free(zkml_prover *prover);

/**
 * Opens a back end: `auto`, `cpu`, `wgpu`, `cuda`, `icicle`, with `:N` for one of several devices.
 *
 * # Safety
 * `name` is text that ends with a zero, `backend` a place for a pointer. It is null unless the status is `OK`.
 */
zkml_status zkml_backend_open(const char *name, zkml_backend **backend);

/**
 * The device in words, UTF-8; null for null. It is there as long as the back end.
 *
 * # Safety
 * `backend` is null, or one of this library's.
 */
const char *zkml_backend_device(const zkml_backend *backend);

/**
 * Frees a back end; null is allowed. Points that were loaded to it are still good.
 *
 * # Safety
 * `backend` is null, or one of this library's that nobody uses any more.
 */
void zkml_backend_free(zkml_backend *backend);

/**
 * Makes `count` points resident, for any number of multiplications. Points that are not on the curve are refused
 * by their place. `table_bytes` is what multiples of them may take on the device, which make multiplications
 * faster; 0 for none.
 *
 * # Safety
 * `backend` is one of this library's, `points` leads to `count` points of 64 bytes, `bases` is a place for a
 * pointer. It is null unless the status is `OK`.
 */
zkml_status zkml_bases_load(const zkml_backend *backend,
                            const uint8_t *points,
                            size_t count,
                            size_t table_bytes,
                            zkml_bases **bases);

/**
 * Frees points; null is allowed.
 *
 * # Safety
 * `bases` is null, or one of this library's that nobody uses any more.
 */
void zkml_bases_free(zkml_bases *bases);

/**
 * Multi-scalar multiplication: for each of `columns` columns of `len` scalars, one column after the other, the sum
 * of each scalar times the point of its place. A column may be shorter than the points. Not in constant time.
 *
 * # Safety
 * `bases` is one of this library's, `scalars` leads to `columns * len` elements of 32 bytes, `results` to
 * `columns` points of 64, which are written where the status is `OK`.
 */
zkml_status zkml_msm(const zkml_bases *bases, const uint8_t *scalars, size_t len, size_t columns, uint8_t *results);

/**
 * Number-theoretic transforms of `columns` columns of `2^log_n` elements, one column after the other, in the place
 * of the input and in natural order: `FORWARD` gives the values of the polynomials at the powers of the root of
 * unity that Halo2 uses, `7^((r - 1) / 2^log_n)`; `INVERSE` gives the coefficients of such values.
 *
 * `direction` is one of `zkml_direction`. `shift` is null, or an element of 32 bytes: `FORWARD` then gives the
 * values at its products with those powers.
 *
 * # Safety
 * `backend` is one of this library's, `values` leads to `columns * 2^log_n` elements of 32 bytes, which are
 * changed where the status is `OK`; `shift` is null, or leads to 32 bytes.
 */
zkml_status zkml_ntt(const zkml_backend *backend,
                     uint8_t *values,
                     uint32_t log_n,
                     size_t columns,
                     int32_t direction,
                     const uint8_t *shift);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ZKML_GPU_H */
