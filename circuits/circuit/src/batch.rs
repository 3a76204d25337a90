//! Many proofs under one key, checked with one pairing, or one for each thread where there are enough proofs for
//! several.
//!
//! A proof of Halo2 holds if `e(A, [s]G2) = e(B, G2)` for points `A` and `B` that its verifier computes. For many
//! proofs the verifier checks `e(Σ c_i·A_i, [s]G2) = e(Σ c_i·B_i, G2)` with `c_i` the products of independent uniform
//! elements from the system's generator, which whoever made the proofs does not know: if some equation fails, the sum
//! holds with a probability of at most the number of proofs over the field's size. Everything else, the encoding and
//! the links included, is checked proof by proof.
//!
//! That some proof of a batch does not hold says nothing of the others: [`verify_claims`] then checks them one by one.

use std::io::Cursor;

use halo2_proofs::plonk::verify_proof;
use halo2_proofs::poly::VerificationStrategy;
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::VerifierSHPLONK;
use halo2_proofs::poly::kzg::strategy::AccumulatorStrategy;
use halo2curves::bn256::{Bn256, Fr};
use rayon::prelude::*;

use crate::keys::VerifyingKeys;
use crate::verify::{Claim, VerifyError, params, transcript, verify_claim};

type Verifier<'p> = VerifierSHPLONK<'p, Bn256>;
type Accumulator<'p> = AccumulatorStrategy<'p, Bn256>;

/// Fewest proofs that a thread has a pairing for.
const LEAST_BATCH: usize = 8;

/// Verifies claims with their proofs, as [`verify_claim`] does each; the results are in their order.
///
/// Proofs with links, those of committed weights or tensors, are verified one by one: the link is a point's equation of
/// its own, and as much work as the rest.
pub fn verify_claims(keys: &VerifyingKeys, claims: &[(Claim<'_>, &[u8])]) -> Vec<Result<(), VerifyError>> {
    let has_links = keys.architecture.folded_weights().is_some() || keys.architecture.committed_columns > 0;
    if has_links {
        return claims.par_iter().map(|(claim, proof)| verify_claim(keys, *claim, proof)).collect();
    }
    let chunk = claims.len().div_ceil(rayon::current_num_threads()).max(LEAST_BATCH);
    claims.par_chunks(chunk).flat_map(|claims| verify_batch(keys, claims)).collect()
}

/// One batch.
fn verify_batch(keys: &VerifyingKeys, claims: &[(Claim<'_>, &[u8])]) -> Vec<Result<(), VerifyError>> {
    let one_by_one = || claims.iter().map(|(claim, proof)| verify_claim(keys, *claim, proof)).collect();
    if claims.len() < 2 {
        return one_by_one();
    }
    let params = params(keys);
    let start = <Accumulator<'_> as VerificationStrategy<'_, KZGCommitmentScheme<Bn256>, Verifier<'_>>>::new(&params);
    let all = claims.iter().try_fold(start, |batch, (claim, proof)| accumulate(keys, &params, batch, *claim, proof));
    let holds = all.is_ok_and(<Accumulator<'_> as VerificationStrategy<'_, _, Verifier<'_>>>::finalize);
    if holds { claims.iter().map(|_| Ok(())).collect() } else { one_by_one() }
}

/// Everything of a proof but its pairing, which is added to the batch's.
fn accumulate<'p>(
    keys: &VerifyingKeys,
    params: &'p ParamsKZG<Bn256>,
    batch: Accumulator<'p>,
    claim: Claim<'_>,
    proof: &[u8],
) -> Result<Accumulator<'p>, VerifyError> {
    let instances = keys.statement.instances_with(claim.inputs, claim.outputs, claim.hashes)?;
    let columns: Vec<&[Fr]> = instances.iter().map(Vec::as_slice).collect();
    let mut cursor = Cursor::new(proof);
    let mut transcript = transcript(&mut cursor);
    let batch = verify_proof::<KZGCommitmentScheme<Bn256>, Verifier<'_>, _, _, _>(
        params,
        &keys.vk,
        batch,
        &[&columns],
        &mut transcript,
    )
    .map_err(VerifyError::Proof)?;
    let is_canonical = transcript.bytes() == &proof[..transcript.bytes().len().min(proof.len())];
    match proof.len() as u64 - cursor.position() {
        0 if is_canonical => Ok(batch),
        0 => Err(VerifyError::Encoding),
        rest => Err(VerifyError::TrailingBytes(rest)),
    }
}
