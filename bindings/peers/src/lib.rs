//! Others' code for the operations of back ends, on our inputs: what `zkml-gpu bench ops` measures ours beside.
//!
//! | part | file |
//! |---|---|
//! | a peer: its code, and how its result is read | `peer.rs` |
//! | halo2-axiom's own functions | `halo2.rs` |
//! | halo2curves' multi-scalar multiplication | `curves.rs` |
//! | ark-bn254's, with the feature `arkworks` | `ark.rs` |

#[cfg(feature = "arkworks")]
mod ark;
mod curves;
mod halo2;
mod peer;

use halo2_proofs::halo2curves::bn256::G1Affine;
use zkml_gpu_engine::bench::Inputs;

pub use peer::Peer;

/// Whether ark-bn254 is among the peers.
pub const HAS_ARKWORKS: bool = cfg!(feature = "arkworks");

/// Everybody else's code for the operation of these inputs; `points` are those of multi-scalar multiplications.
pub fn peers<'a>(inputs: &'a Inputs, points: &'a [G1Affine]) -> Vec<Peer<'a>> {
    #[cfg(feature = "arkworks")]
    let ark = ark::peer(inputs, points);
    #[cfg(not(feature = "arkworks"))]
    let ark = None;
    [halo2::peer(inputs, points), curves::peer(inputs, points), ark].into_iter().flatten().collect()
}
