//! Many proofs under one key.

use zkml_gpu_circuit::batch::verify_claims;
use zkml_gpu_circuit::keccak::Hasher;

use crate::{ModelKey, ProofBundle, Rejection};

impl ModelKey {
    /// Verifies proofs together, each as [`verify`](Self::verify) would; the results are in their order. Proofs that
    /// have no link (those of embedded weights without committed tensors) share one pairing, which makes many of them
    /// cheap; where one of them does not hold, all are verified by themselves, so that the result says which.
    pub fn verify_all(&self, proofs: &[ProofBundle]) -> Vec<Result<(), Rejection>> {
        let mut results: Vec<Option<Result<(), Rejection>>> = proofs.iter().map(|_| None).collect();
        let mut batched = Vec::new();
        for (index, proof) in proofs.iter().enumerate() {
            match proof.transcript {
                Hasher::Keccak => results[index] = Some(proof.check(self)),
                Hasher::Blake2b => match proof.claimed(self) {
                    Ok(claimed) => batched.push((index, claimed, proof.proof_bytes())),
                    Err(rejection) => results[index] = Some(Err(rejection)),
                },
            }
        }
        let claims: Vec<_> = batched.iter().map(|(_, claimed, proof)| (claimed.claim(), proof.as_slice())).collect();
        for ((index, ..), result) in batched.iter().zip(verify_claims(self.keys(), &claims)) {
            results[*index] = Some(result.map_err(Rejection::from));
        }
        // Each proof is in one of the two lists; one that were in none would not be accepted.
        results.into_iter().map(|result| result.unwrap_or(Err(Rejection::Checksum))).collect()
    }
}
