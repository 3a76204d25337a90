//! The transcript of contracts: Keccak-256 over the bytes that an Ethereum verifier reads.
//!
//! Byte for byte that of snark-verifier (`system::halo2::transcript::evm::EvmTranscript`, version 0.2.7), which
//! generates contracts that read it. [`EvmWrite`] and [`EvmRead`] take the place of halo2's `Blake2bWrite` and
//! `Blake2bRead`. (halo2's own `Keccak256Write` is another transcript: little-endian, compressed points, domain
//! prefixes.)
//!
//! | | bytes |
//! |---|---|
//! | scalar | 32, big-endian, below r |
//! | point | 64: x, then y, big-endian, below p; all zero for the identity |
//! | challenge | Keccak-256 of the buffer, as a big-endian integer mod r |
//!
//! The proof is the written scalars and points, one after the other. The buffer starts empty and takes in the same
//! bytes, and those of scalars and points that are common to both sides, without any prefix. After a challenge it holds
//! the 32 bytes of the hash (not of the challenge, which is reduced). A buffer of exactly 32 bytes is hashed with a
//! byte 1 behind it, so that two challenges in a row differ.
//!
//! Without prefixes a scalar, a coordinate and a hash look alike to the hash; what keeps them apart is that both sides
//! take in the same number of each, as they do for one key and one number of circuits. Public inputs are not preceded
//! by their number: the verifier has to fix the length of each instance column, as contracts do.
//!
//! The reader accepts what snark-verifier's native reader accepts, and nothing else: it refuses coordinates of p and
//! above, scalars of r and above, and points off the curve. (The curve's group has prime order, so that there is no
//! subgroup to check.) The contracts refuse the identity too, which occurs in proofs of circuits whose quotient has a
//! piece that is zero. Bytes after the proof are the caller's to refuse: they stay in the reader.
//!
//! ```
//! use halo2_proofs::transcript::{Transcript, TranscriptRead, TranscriptReadBuffer, TranscriptWrite, TranscriptWriterBuffer};
//! use halo2curves::bn256::{Fr, G1Affine};
//! use zkml_gpu_engine::transcript::{EvmRead, EvmWrite};
//!
//! # fn main() -> std::io::Result<()> {
//! let mut prover = EvmWrite::init(Vec::new());
//! prover.write_point(G1Affine::generator())?;
//! let challenge: Fr = *prover.squeeze_challenge_scalar::<()>();
//! let proof = prover.finalize();
//! assert_eq!(proof.len(), 64);
//!
//! let mut verifier = EvmRead::init(proof.as_slice());
//! assert_eq!(verifier.read_point()?, G1Affine::generator());
//! assert_eq!(*verifier.squeeze_challenge_scalar::<()>(), challenge);
//! # Ok(())
//! # }
//! ```

use std::io::{self, Read, Write};

use ff::{FromUniformBytes, PrimeField};
use halo2_proofs::transcript::{
    EncodedChallenge, Transcript, TranscriptRead, TranscriptReadBuffer, TranscriptWrite, TranscriptWriterBuffer,
};
use halo2curves::CurveAffine;
use halo2curves::bn256::{Fq, Fr, G1Affine};
use sha3::{Digest, Keccak256};

/// Bytes of a scalar, a coordinate and a hash.
const WORD_BYTES: usize = 32;

/// A challenge of this transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvmChallenge(Fr);

impl EncodedChallenge<G1Affine> for EvmChallenge {
    /// The hash.
    type Input = [u8; WORD_BYTES];

    fn new(hash: &[u8; WORD_BYTES]) -> Self {
        let mut wide = [0; 2 * WORD_BYTES];
        for (byte, &of_hash) in wide.iter_mut().zip(hash.iter().rev()) {
            *byte = of_hash;
        }
        EvmChallenge(Fr::from_uniform_bytes(&wide))
    }

    fn get_scalar(&self) -> Fr {
        self.0
    }
}

/// The buffer, hashed as it fills.
#[derive(Debug, Clone, Default)]
struct Buffer {
    hasher: Keccak256,
    bytes: usize,
}

impl Buffer {
    fn absorb(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.bytes += bytes.len();
    }

    fn squeeze(&mut self) -> EvmChallenge {
        if self.bytes == WORD_BYTES {
            self.hasher.update([1]);
        }
        let hash: [u8; WORD_BYTES] = std::mem::take(self).hasher.finalize().into();
        self.absorb(&hash);
        EvmChallenge::new(&hash)
    }
}

/// The proving side: writes a proof to `W`.
#[derive(Debug, Clone)]
pub struct EvmWrite<W> {
    buffer: Buffer,
    writer: W,
}

/// The verifying side: reads a proof from `R`.
#[derive(Debug, Clone)]
pub struct EvmRead<R> {
    buffer: Buffer,
    reader: R,
}

impl<W> Transcript<G1Affine, EvmChallenge> for EvmWrite<W> {
    fn squeeze_challenge(&mut self) -> EvmChallenge {
        self.buffer.squeeze()
    }

    fn common_point(&mut self, point: G1Affine) -> io::Result<()> {
        self.buffer.absorb(&point_bytes(point)?);
        Ok(())
    }

    fn common_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.buffer.absorb(&word(scalar));
        Ok(())
    }
}

impl<R> Transcript<G1Affine, EvmChallenge> for EvmRead<R> {
    fn squeeze_challenge(&mut self) -> EvmChallenge {
        self.buffer.squeeze()
    }

    fn common_point(&mut self, point: G1Affine) -> io::Result<()> {
        self.buffer.absorb(&point_bytes(point)?);
        Ok(())
    }

    fn common_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.buffer.absorb(&word(scalar));
        Ok(())
    }
}

impl<W: Write> TranscriptWrite<G1Affine, EvmChallenge> for EvmWrite<W> {
    fn write_point(&mut self, point: G1Affine) -> io::Result<()> {
        self.common_point(point)?;
        self.writer.write_all(&point_bytes(point)?)
    }

    fn write_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.common_scalar(scalar)?;
        self.writer.write_all(&word(scalar))
    }
}

impl<R: Read> TranscriptRead<G1Affine, EvmChallenge> for EvmRead<R> {
    fn read_point(&mut self) -> io::Result<G1Affine> {
        let mut coordinate =
            || read_word::<Fq>(&mut self.reader)?.ok_or_else(|| invalid("a coordinate of the proof is not reduced"));
        let point = G1Affine { x: coordinate()?, y: coordinate()? };
        // Which checks the curve's equation.
        self.common_point(point)?;
        Ok(point)
    }

    fn read_scalar(&mut self) -> io::Result<Fr> {
        let scalar = read_word(&mut self.reader)?.ok_or_else(|| invalid("a scalar of the proof is not reduced"))?;
        self.common_scalar(scalar)?;
        Ok(scalar)
    }
}

impl<W: Write> TranscriptWriterBuffer<W, G1Affine, EvmChallenge> for EvmWrite<W> {
    fn init(writer: W) -> Self {
        EvmWrite { buffer: Buffer::default(), writer }
    }

    fn finalize(self) -> W {
        self.writer
    }
}

impl<R: Read> TranscriptReadBuffer<R, G1Affine, EvmChallenge> for EvmRead<R> {
    fn init(reader: R) -> Self {
        EvmRead { buffer: Buffer::default(), reader }
    }
}

/// An element, big-endian.
fn word<F: PrimeField<Repr = [u8; WORD_BYTES]>>(element: F) -> [u8; WORD_BYTES] {
    let mut bytes = element.to_repr();
    bytes.reverse();
    bytes
}

/// The coordinates of a point, which is checked to be on the curve.
fn point_bytes(point: G1Affine) -> io::Result<[u8; 2 * WORD_BYTES]> {
    if !bool::from(point.is_on_curve()) {
        return Err(invalid("a point is not on the curve"));
    }
    let mut bytes = [0; 2 * WORD_BYTES];
    bytes[..WORD_BYTES].copy_from_slice(&word(point.x));
    bytes[WORD_BYTES..].copy_from_slice(&word(point.y));
    Ok(bytes)
}

/// An element, unless its integer is not below the modulus.
fn read_word<F: PrimeField<Repr = [u8; WORD_BYTES]>>(reader: &mut impl Read) -> io::Result<Option<F>> {
    let mut bytes = [0; WORD_BYTES];
    reader.read_exact(&mut bytes)?;
    bytes.reverse();
    Ok(F::from_repr(bytes).into())
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
