//! The transcript as the steps of the protocol see it.

use std::io;
use std::marker::PhantomData;

use halo2_proofs::transcript::{EncodedChallenge, TranscriptWrite};
use halo2curves::bn256::{Fr, G1Affine};

/// A transcript of any hash and any encoding of challenges. Its own trait cannot be an object, and would burden every
/// step with two type parameters.
pub(super) trait Channel {
    /// Takes in a scalar that the verifier knows.
    fn absorb_scalar(&mut self, scalar: Fr) -> io::Result<()>;

    /// Takes in a scalar and writes it to the proof.
    fn write_scalar(&mut self, scalar: Fr) -> io::Result<()>;

    /// Takes in a point and writes it to the proof.
    fn write_point(&mut self, point: G1Affine) -> io::Result<()>;

    /// The verifier's next challenge.
    fn squeeze(&mut self) -> Fr;
}

/// The caller's transcript.
pub(super) struct TranscriptChannel<'t, E, T> {
    transcript: &'t mut T,
    _encoding: PhantomData<E>,
}

impl<'t, E, T> TranscriptChannel<'t, E, T> {
    pub(super) fn new(transcript: &'t mut T) -> Self {
        TranscriptChannel { transcript, _encoding: PhantomData }
    }
}

impl<E: EncodedChallenge<G1Affine>, T: TranscriptWrite<G1Affine, E>> Channel for TranscriptChannel<'_, E, T> {
    fn absorb_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.transcript.common_scalar(scalar)
    }

    fn write_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.transcript.write_scalar(scalar)
    }

    fn write_point(&mut self, point: G1Affine) -> io::Result<()> {
        self.transcript.write_point(point)
    }

    fn squeeze(&mut self) -> Fr {
        *self.transcript.squeeze_challenge_scalar::<()>()
    }
}
