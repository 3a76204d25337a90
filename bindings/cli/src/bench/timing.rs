//! Runs in turns, and their medians.

use std::time::{Duration, Instant};

use zkml_gpu_peers::Peer;

use super::statistics::Spread;

/// Runs of each at least.
const LEAST_RUNS: usize = 3;
/// Runs of each at most.
const MOST_RUNS: usize = 10;
/// Time after which no further run is begun.
const LONG_ENOUGH: Duration = Duration::from_secs(2);

/// Times in milliseconds, of our runs and of each peer's: one after the other, in turns, so that what else the machine
/// does meets them alike.
pub(super) fn in_turns<E>(
    ours: impl Fn() -> Result<Duration, E>,
    peers: &[Peer<'_>],
) -> Result<(Spread, Vec<Spread>), E> {
    let start = Instant::now();
    let mut our_times = Vec::new();
    let mut peer_times = vec![Vec::new(); peers.len()];
    while our_times.len() < LEAST_RUNS || (our_times.len() < MOST_RUNS && start.elapsed() < LONG_ENOUGH) {
        our_times.push(ms(ours()?));
        peers.iter().zip(&mut peer_times).for_each(|(peer, times)| times.push(ms(peer.time())));
    }
    Ok((Spread::of(our_times), peer_times.into_iter().map(Spread::of).collect()))
}

/// A clock may be too coarse for the smallest operations; a ratio needs a divisor.
fn ms(time: Duration) -> f64 {
    time.as_secs_f64().max(1e-9) * 1e3
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use zkml_gpu::engine::bench::Outcome;

    use super::*;

    #[test]
    fn runs_take_turns() {
        let order = RefCell::new(String::new());
        let peer = Peer::new("peer", || (), |()| order.borrow_mut().push('b'), |()| Outcome::default());
        let ours = || {
            order.borrow_mut().push('a');
            Ok::<_, std::convert::Infallible>(Duration::from_millis(1))
        };
        assert!(in_turns(ours, &[peer]).is_ok_and(|(_, peers)| peers.len() == 1));
        let order = order.into_inner();
        assert_eq!(order, "ab".repeat(order.len() / 2));
        assert!(order.len() / 2 >= LEAST_RUNS && order.len() / 2 <= MOST_RUNS);
    }
}
