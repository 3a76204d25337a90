//! Contracts of models: what of a verifying key goes into one, and what of a proof into its calldata.

use zkml_gpu_circuit::keccak::Hasher;
use zkml_gpu_circuit::keys::VerifyingKeys;
use zkml_gpu_graph::Visibility;
use zkml_gpu_verify::{ModelKey, ProofBundle, PublicTensor};

use crate::contract::{Circuit, Contract};
use crate::{Error, Link, Number, Statement};

impl<'k> Circuit<'k> {
    /// What a contract verifies of a network's keys; where weights are committed the link to the model commitment, too.
    ///
    /// # Errors
    /// [`Error::Statement`] for inputs and outputs that contracts do not take: committed tensors, public indices.
    pub fn of_keys(keys: &'k VerifyingKeys) -> Result<Self, Error> {
        let statement = Statement::of_model(keys.statement())?;
        let folded = keys.architecture().folded_weights();
        // Without committed tensors the digest is the keys' alone.
        let link = folded.zip(keys.digest(&[])).map(|(folded, digest)| Link {
            digest,
            folded,
            model: keys.model_commitment().to_vec(),
            blinding_points: keys.blinding_points().to_vec(),
        });
        Ok(Self { vk: keys.vk(), k: keys.k(), s_g2: *keys.s_g2(), statement, link })
    }
}

impl Contract {
    /// The verifier of a model.
    ///
    /// The contract holds a key that whoever deploys it has looked at: it says the same as `model.vk`, and no more.
    /// What `model.vk` proves of committed weights is verified here, once, and not on chain.
    ///
    /// # Errors
    /// [`Error::Artifact`] for a key whose committed weights are not proved to be integers, and as [`Contract::new`].
    pub fn of_model(name: &str, key: &ModelKey) -> Result<Self, Error> {
        let circuit = Circuit::of_keys(key.keys())?;
        if circuit.link.is_some() && key.weights_proof().is_none() {
            let reason =
                "the key has no proof that its committed weights are integers, and a contract cannot ask for one";
            return Err(Error::Artifact(format!("{reason}\nhint: zkml-gpu setup makes it")));
        }
        key.verify_weights().map_err(|rejection| Error::Artifact(rejection.to_string()))?;
        let mut about = vec![
            format!("model {:?}, weights: {}", key.model(), key.weights()),
            format!("verifying key {}", key.digest()),
            format!("model commitment {}", key.model_digest()),
        ];
        if key.is_insecure() {
            about.push("WARNING: the reference string was made on one machine, whose owner can forge proofs.".into());
        }
        Self::new(name, &circuit, &about)
    }

    /// The call that proves a bundle, which has to be for this contract's key.
    ///
    /// # Errors
    /// [`Error::Artifact`] for a proof whose challenges are not Keccak's, [`Error::Calldata`] for one that does not
    /// fit.
    pub fn calldata_of(&self, bundle: &ProofBundle) -> Result<Vec<u8>, Error> {
        if bundle.transcript != Hasher::Keccak {
            let problem =
                format!("the proof's challenges are {}'s, contracts compute Keccak's", bundle.transcript.name());
            return Err(Error::Artifact(format!("{problem}\nhint: zkml-gpu prove --transcript keccak")));
        }
        self.calldata(&bundle.proof_bytes(), &numbers(bundle))
    }
}

/// The numbers of a proof's statement, in the order in which contracts take them.
pub fn numbers(bundle: &ProofBundle) -> Vec<Number> {
    let of = |tensor: &PublicTensor| -> Vec<Number> {
        match tensor.visibility {
            Visibility::Public => tensor.values.iter().copied().map(Number::Integer).collect(),
            Visibility::Hashed => tensor.hash.iter().map(|hash| Number::Element(hash.element())).collect(),
            Visibility::Private | Visibility::Committed => Vec::new(),
        }
    };
    bundle.inputs.iter().chain(&bundle.outputs).flat_map(of).collect()
}
