/* A proof made and verified from C, and the operations that other provers need.
 *
 *     cc -std=c99 -I bindings/capi/include bindings/capi/examples/prove.c -L target/release -lzkml_gpu_c -o prove
 *     LD_LIBRARY_PATH=target/release ./prove NAME.pk cpu
 *
 * It proves an input of zeros. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zkml_gpu.h"

/* Ends the program where a call fails, with the library's words. */
static void must(const char *what, zkml_status status) {
    if (status != ZKML_STATUS_OK) {
        fprintf(stderr, "%s: status %d: %s\n", what, (int)status, zkml_last_error());
        exit(1);
    }
}

/* Says that a call is to be refused, and with which status. */
static void refused(const char *what, zkml_status status, zkml_status expected, const char *words) {
    if (status != expected || strstr(zkml_last_error(), words) == NULL) {
        fprintf(stderr, "%s: status %d instead of %d: %s\n", what, (int)status, (int)expected, zkml_last_error());
        exit(1);
    }
}

static void prove_and_verify(const char *file, const char *backend) {
    zkml_prover *prover = NULL;
    must("zkml_prover_open", zkml_prover_open(file, backend, 0, &prover));
    printf("proves on %s\n", zkml_prover_device(prover));

    /* As many zeros as each input takes. */
    size_t lens[8], inputs = 0;
    const float *numbers[8];
    while (inputs < 8 && zkml_prover_input_len(prover, inputs, &lens[inputs]) == ZKML_STATUS_OK) {
        float *zeros = calloc(lens[inputs], sizeof *zeros);
        if (zeros == NULL) exit(1);
        numbers[inputs++] = zeros;
    }
    zkml_bytes proof = {NULL, 0}, published = {NULL, 0};
    must("zkml_prove", zkml_prove(prover, numbers, lens, inputs, 1.0, &proof));
    must("zkml_prover_key", zkml_prover_key(prover, &published));
    refused("null", zkml_prove(prover, NULL, lens, inputs, 1.0, &proof), ZKML_STATUS_BAD_INPUT, "inputs is null");
    lens[0] += 1;
    refused("length", zkml_prove(prover, numbers, lens, inputs, 1.0, &proof), ZKML_STATUS_BAD_INPUT, "input 0 has");
    zkml_prover_free(prover);

    /* Whoever has the published key. */
    zkml_key *key = NULL;
    must("zkml_key_from_bytes", zkml_key_from_bytes(published.data, published.len, &key));
    zkml_verdict *verdict = NULL;
    must("zkml_verify", zkml_verify(key, proof.data, proof.len, &verdict));
    const double *output = NULL;
    size_t len = 0;
    must("zkml_verdict_output", zkml_verdict_output(verdict, 0, &output, &len));
    printf("accepted: %s gave %zu numbers, the first is %g\n", zkml_verdict_model(verdict), len, len ? output[0] : 0.0);
    refused("output", zkml_verdict_output(verdict, 99, &output, &len), ZKML_STATUS_BAD_INPUT, "no output 99");
    zkml_verdict_free(verdict);

    /* A digit of a public value is another one. */
    char *values = NULL;
    for (size_t at = 0; at + 10 < proof.len && values == NULL; at++) {
        if (memcmp(proof.data + at, "\"values\":[", 10) == 0) values = (char *)proof.data + at + 10;
    }
    if (values == NULL) exit(1);
    *values = *values == '1' ? '2' : '1';
    verdict = NULL;
    refused("changed", zkml_verify(key, proof.data, proof.len, &verdict), ZKML_STATUS_REJECTED, "checksum");
    if (verdict != NULL) exit(1);
    refused("cut", zkml_verify(key, proof.data, proof.len - 9, NULL), ZKML_STATUS_BAD_INPUT, "hint: ");
    zkml_key_free(key);
    key = NULL;
    refused("key", zkml_key_from_bytes(published.data, published.len - 1, &key), ZKML_STATUS_BAD_INPUT, "hint: ");
    if (key != NULL) exit(1);

    for (size_t i = 0; i < inputs; i++) free((void *)numbers[i]);
    zkml_bytes_free(&published);
    zkml_bytes_free(&proof);
    zkml_bytes_free(&proof);
}

/* Sums of points, and a transform and its inverse. */
static void operations(const char *name) {
    enum { LOG_N = 6, N = 1 << LOG_N };
    zkml_backend *backend = NULL;
    must("zkml_backend_open", zkml_backend_open(name, &backend));

    /* The generator (1, 2) N times: the sum of scalars 0, 1, .., N - 1 is N (N - 1) / 2 of it. */
    unsigned char points[N * 64] = {0}, scalars[2 * N * 32] = {0}, sums[2 * 64], expected[64];
    for (int i = 0; i < N; i++) {
        points[64 * i] = 1;
        points[64 * i + 32] = 2;
        scalars[32 * i] = (unsigned char)i;
    }
    scalars[32 * N] = N * (N - 1) / 2 % 256;
    scalars[32 * N + 1] = N * (N - 1) / 2 / 256;
    zkml_bases *bases = NULL;
    must("zkml_bases_load", zkml_bases_load(backend, points, N, 0, &bases));
    must("zkml_msm", zkml_msm(bases, scalars, N, 2, sums));
    if (memcmp(sums, sums + 64, 64) != 0) {
        fprintf(stderr, "two ways to the same point give others\n");
        exit(1);
    }
    must("zkml_msm of nothing", zkml_msm(bases, scalars, 0, 1, expected));
    for (int i = 0; i < 64; i++) {
        if (expected[i] != 0) exit(1);
    }
    refused("long", zkml_msm(bases, scalars, N + 1, 1, sums), ZKML_STATUS_BAD_INPUT, "there are 64 points");
    refused("huge", zkml_msm(bases, scalars, (size_t)-1, 2, sums), ZKML_STATUS_BAD_INPUT, "more than memory");
    zkml_bases_free(bases);
    points[0] = 3;
    bases = NULL;
    refused("point", zkml_bases_load(backend, points, N, 0, &bases), ZKML_STATUS_BAD_INPUT, "point 0 is not on");
    if (bases != NULL) exit(1);

    unsigned char values[N * 32], before[N * 32];
    memset(values, 0, sizeof values);
    for (int i = 0; i < N; i++) values[32 * i] = (unsigned char)(7 * i + 3);
    memcpy(before, values, sizeof values);
    must("zkml_ntt", zkml_ntt(backend, values, LOG_N, 1, ZKML_DIRECTION_FORWARD, NULL));
    if (memcmp(values, before, sizeof values) == 0) exit(1);
    must("zkml_ntt inverse", zkml_ntt(backend, values, LOG_N, 1, ZKML_DIRECTION_INVERSE, NULL));
    if (memcmp(values, before, sizeof values) != 0) {
        fprintf(stderr, "the inverse transform gives others\n");
        exit(1);
    }
    refused("direction", zkml_ntt(backend, values, LOG_N, 1, 7, NULL), ZKML_STATUS_BAD_INPUT, "direction is 7");
    refused("log_n", zkml_ntt(backend, values, 29, 1, 0, NULL), ZKML_STATUS_BAD_INPUT, "up to 28");
    refused("null", zkml_ntt(backend, NULL, LOG_N, 1, 0, NULL), ZKML_STATUS_BAD_INPUT, "values is null");
    memset(values, 0xff, 32);
    refused("order", zkml_ntt(backend, values, LOG_N, 1, 0, NULL), ZKML_STATUS_BAD_INPUT, "value 0 is not below");
    zkml_backend_free(backend);
    printf("operations run on %s\n", name);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "give a proving key and a back end: NAME.pk cpu\n");
        return 2;
    }
    zkml_prover *prover = NULL;
    refused("file", zkml_prover_open("none.pk", argv[2], 0, &prover), ZKML_STATUS_BAD_INPUT, "none.pk");
    refused("back end", zkml_prover_open(argv[1], "gpu", 0, &prover), ZKML_STATUS_BAD_INPUT, "'gpu' does not exist");
    refused("memory", zkml_prover_open(argv[1], argv[2], 1, &prover), ZKML_STATUS_WOULD_NOT_FIT, "memory");
    refused("null", zkml_prover_open(NULL, argv[2], 0, &prover), ZKML_STATUS_BAD_INPUT, "file is null");
    refused("panic", zkml_panic_for_tests(), ZKML_STATUS_BUG, "panicked: with words");
    zkml_prover_free(NULL);
    zkml_key_free(NULL);
    zkml_bytes_free(NULL);
    prove_and_verify(argv[1], argv[2]);
    operations(argv[2]);
    printf("zkml-gpu %s\n", zkml_version());
    return 0;
}
