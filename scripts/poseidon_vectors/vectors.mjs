// Hashes of tensors as docs/protocol.md, section 12, defines them, by circomlibjs: an implementation that shares
// nothing with ours. It makes tests/data/poseidon/circomlibjs.json, or with --check compares it:
//
//     cd scripts/poseidon_vectors && npm ci && node vectors.mjs [--check]

import { readFileSync, writeFileSync } from "node:fs";

import { buildPoseidon, buildPoseidonReference } from "circomlibjs";

const FILE = new URL("../../tests/data/poseidon/circomlibjs.json", import.meta.url);
const WORD_BITS = 248n;
const LEAST_BITS = 8n;
const TAG = "zkml tensor v1";

const [poseidon, reference] = await Promise.all([buildPoseidon(), buildPoseidonReference()]);
const { F } = poseidon;

/** The capacity after two words; by both implementations of circomlibjs. */
function absorb(capacity, words) {
    const hashes = [poseidon, reference].map((hash) => F.toObject(hash(words, F.e(capacity))));
    if (hashes[0] !== hashes[1]) throw new Error("circomlibjs disagrees with itself");
    return hashes[0];
}

/** Bits of a value, and what is added to it. */
function packing(min, max) {
    let bits = LEAST_BITS;
    if (min >= 0n) {
        while (max >= 1n << bits) bits++;
        return [bits, 0n];
    }
    while (-min > 1n << (bits - 1n) || max >= 1n << (bits - 1n)) bits++;
    return [bits, 1n << (bits - 1n)];
}

function hashTensor({ fracBits, min, max, values, salt }) {
    const [bits, offset] = packing(min, max);
    const digits = Number(WORD_BITS / bits);
    const words = [];
    for (let first = 0; first < values.length; first += digits) {
        words.push(values.slice(first, first + digits).reduce((word, value) => (word << bits) + value + offset, 0n));
    }
    const absorbed = [salt ?? 0n, ...(words.length % 2 === 0 ? [0n] : []), ...words];
    const tag = [...TAG].reduce((number, char) => (number << 8n) + BigInt(char.charCodeAt(0)), 0n);
    let capacity = (tag << 128n) + (BigInt(values.length) << 64n) + (BigInt.asUintN(32, fracBits) << 16n);
    capacity += (min < 0n ? 1n << 8n : 0n) + bits;
    for (let pair = 0; pair < absorbed.length; pair += 2) {
        capacity = absorb(capacity, absorbed.slice(pair, pair + 2));
    }
    return capacity;
}

// Knuth's linear congruential generator: the same numbers in every run.
let state = 20260101n;
function random(bits) {
    let number = 0n;
    for (let drawn = 0n; drawn < bits; drawn += 32n) {
        state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
        number = (number << 32n) + (state >> 32n);
    }
    return BigInt.asUintN(Number(bits), number);
}

function permutations() {
    const elements = [0n, 1n, 2n, F.p - 1n, random(253n), random(253n)];
    const cases = [[0n, 1n, 2n], [0n, 3n, 4n]];
    for (let first = 0; first < elements.length; first++) {
        const at = (step) => elements[(first + step) % elements.length];
        cases.push([at(0), at(1), at(3)], [at(2), at(2), at(5)]);
    }
    return cases.map(([capacity, ...words]) => ({
        capacity: `${capacity}`,
        words: words.map(String),
        hash: `${absorb(capacity, words)}`,
    }));
}

function tensors() {
    const cases = [];
    const formats = [[8n, 0n, 255n], [4n, -128n, 127n], [0n, 0n, 9n], [-3n, -1n, 4000n], [20n, -70000n, 5n]];
    for (const [fracBits, min, max] of formats) {
        for (const [index, length] of [1, 31, 32, 63, 80].entries()) {
            const value = (i) => (i === 0 ? min : i === 1 ? max : min + (random(63n) % (max - min + 1n)));
            const values = Array.from({ length }, (_, i) => value(i));
            cases.push({ fracBits, min, max, values, salt: index % 2 === 1 ? random(253n) : null });
        }
    }
    cases.push({ fracBits: 8n, min: 0n, max: 255n, values: Array.from({ length: 784 }, () => random(8n)), salt: null });
    return cases.map((tensor) => ({
        frac_bits: Number(tensor.fracBits),
        min: Number(tensor.min),
        max: Number(tensor.max),
        values: tensor.values.map(Number),
        salt: tensor.salt === null ? null : `${tensor.salt}`,
        hash: `${hashTensor(tensor)}`,
    }));
}

// One case to a line.
const lines = (cases) => cases.map((one) => JSON.stringify(one)).join(",\n");
const text = `{"permutations": [\n${lines(permutations())}\n], "tensors": [\n${lines(tensors())}\n]}\n`;
if (process.argv.includes("--check")) {
    if (readFileSync(FILE, "utf8") !== text) throw new Error(`${FILE.pathname} is not what circomlibjs gives`);
    console.log("tests/data/poseidon/circomlibjs.json is what circomlibjs gives");
} else {
    writeFileSync(FILE, text);
}
process.exit(0); // Workers of circomlibjs stay otherwise.
