//! Which jobs there are, and which comes next. Inputs and proofs stay on the disk.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::watch;

use super::{Id, Idempotency, Record, State, Store};

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    Waiting,
    Proving,
    Proved,
    Failed,
}

impl Standing {
    /// Of a job as the disk has it: whether its proof is under way, memory knows.
    fn of(state: &State) -> Self {
        match state {
            State::Waiting { .. } => Self::Waiting,
            State::Proved { .. } => Self::Proved,
            State::Failed { .. } => Self::Failed,
        }
    }
}

/// What is known of a job without the disk.
#[derive(Clone, Debug)]
struct Entry {
    number: u64,
    accepted_ms: u64,
    finished_ms: Option<u64>,
    standing: Standing,
    /// Digest of the key that it came with.
    key: Option<String>,
}

/// Where a job is, for whoever asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status {
    pub(crate) standing: Standing,
    /// Jobs that come before it.
    pub(crate) ahead: Option<usize>,
    pub(crate) accepted_ms: u64,
}

/// A line of the list of jobs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Listed {
    pub(crate) id: Id,
    pub(crate) state: Standing,
    pub(crate) accepted_ms: u64,
    pub(crate) finished_ms: Option<u64>,
}

/// How many jobs there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) waiting: usize,
    pub(crate) proving: usize,
    pub(crate) kept: usize,
}

/// What came of removing a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// It is gone; whether its proof was made.
    Removed(Standing),
    /// Its proof is under way.
    Proving,
    /// There is none.
    Missing,
}

/// What a request's key has come with before.
#[derive(Debug)]
pub(crate) enum Claim<'j> {
    /// Nothing: the job is to be made.
    New(Claimed<'j>),
    /// This request: the job is there.
    Same(Id),
    /// Another request.
    Other,
    /// A request that is being accepted.
    UnderWay,
}

/// A job that was accepted, and how many come before it.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) record: Record,
    pub(crate) ahead: usize,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<Id, Entry>,
    /// All, in their order.
    numbers: BTreeMap<u64, Id>,
    /// Those that wait.
    waiting: BTreeSet<u64>,
    proving: usize,
    /// Places in the queue that requests have which are being read.
    reserved: usize,
    next_number: u64,
    /// Jobs by the digests of their keys, with that of what they came with; no job yet where it is being accepted.
    keys: HashMap<String, (String, Option<Id>)>,
    stopping: bool,
}

/// The jobs of a folder.
#[derive(Debug)]
pub(crate) struct Jobs {
    store: Store,
    inner: Mutex<Inner>,
    /// Something waits, or the server stops.
    work: Condvar,
    /// The server stops.
    stop: Condvar,
    /// Counts changes, for those who wait for one.
    changes: watch::Sender<u64>,
    limit: usize,
}

impl Jobs {
    /// The jobs of a folder as an earlier server left them.
    pub(crate) fn new(store: Store, records: &[Record], limit: usize) -> Self {
        let mut inner = Inner::default();
        records.iter().for_each(|record| inner.insert(record));
        let (changes, _) = watch::channel(0);
        Self { store, inner: Mutex::new(inner), work: Condvar::new(), stop: Condvar::new(), changes, limit }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // What is changed under the lock is changed whole: no panic leaves a half.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The folder.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Most jobs that wait.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Tells of every change from now on.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// A place in the queue; none where it is full.
    pub(crate) fn reserve(self: &Arc<Self>) -> Option<Reservation> {
        let mut inner = self.lock();
        if inner.waiting.len() + inner.reserved >= self.limit {
            return None;
        }
        inner.reserved += 1;
        Some(Reservation { jobs: Some(Arc::clone(self)) })
    }

    /// Looks whether a request's key has come before, and keeps others with it out until the claim goes.
    pub(crate) fn claim(&self, own: &Idempotency) -> Claim<'_> {
        let mut inner = self.lock();
        match inner.keys.get(&own.key) {
            Some((request, _)) if *request != own.request => Claim::Other,
            Some((_, Some(id))) => Claim::Same(*id),
            Some((_, None)) => Claim::UnderWay,
            None => {
                inner.keys.insert(own.key.clone(), (own.request.clone(), None));
                Claim::New(Claimed { jobs: self, key: own.key.clone() })
            }
        }
    }

    /// Makes a job, on the disk before it is told of. `make` gets its number.
    ///
    /// # Errors
    /// Where the disk does not take it; then there is no job.
    pub(crate) fn accept(
        &self,
        mut place: Reservation,
        make: impl FnOnce(u64) -> Record,
    ) -> Result<Answered, zkml_gpu::Error> {
        let number = {
            let mut inner = self.lock();
            inner.next_number += 1;
            inner.next_number
        };
        let record = make(number);
        self.store.write(&record)?;
        let mut inner = self.lock();
        // The place becomes the job's in one step, so that nobody else gets it.
        inner.reserved -= 1;
        place.jobs = None;
        inner.insert(&record);
        let ahead = inner.ahead(number);
        drop(inner);
        self.work.notify_one();
        self.changed();
        Ok(Answered { record, ahead })
    }

    /// The next job, once there is one; none when the server stops.
    pub(crate) fn next(&self) -> Option<Id> {
        let mut inner = self.lock();
        loop {
            if inner.stopping {
                return None;
            }
            if let Some(number) = inner.waiting.pop_first() {
                // Every number that waits is a job's.
                let Some(id) = inner.numbers.get(&number).copied() else { continue };
                inner.proving += 1;
                inner.set(id, Standing::Proving, None);
                drop(inner);
                self.changed();
                return Some(id);
            }
            inner = self.work.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A job whose proof was under way is finished.
    pub(crate) fn finish(&self, record: &Record) {
        let mut inner = self.lock();
        inner.proving = inner.proving.saturating_sub(1);
        inner.set(record.id, Standing::of(&record.state), record.finished_ms());
        drop(inner);
        self.changed();
    }

    /// A job whose proof was under way has a file that cannot be read.
    pub(crate) fn lose(&self, id: Id) {
        let mut inner = self.lock();
        inner.proving = inner.proving.saturating_sub(1);
        inner.set(id, Standing::Failed, None);
        drop(inner);
        self.changed();
    }

    /// Where a job is.
    pub(crate) fn status(&self, id: Id) -> Option<Status> {
        let inner = self.lock();
        let Entry { number, accepted_ms, standing, .. } = *inner.entries.get(&id)?;
        let ahead = (standing == Standing::Waiting).then(|| inner.ahead(number));
        Some(Status { standing, ahead, accepted_ms })
    }

    /// The latest jobs, newest first.
    pub(crate) fn list(&self, most: usize) -> Vec<Listed> {
        let inner = self.lock();
        let listed = |id: &Id| {
            let Entry { accepted_ms, finished_ms, standing: state, .. } = *inner.entries.get(id)?;
            Some(Listed { id: *id, state, accepted_ms, finished_ms })
        };
        inner.numbers.values().rev().take(most).filter_map(listed).collect()
    }

    /// How many there are.
    pub(crate) fn counts(&self) -> Counts {
        let inner = self.lock();
        Counts { waiting: inner.waiting.len(), proving: inner.proving, kept: inner.entries.len() }
    }

    /// Removes a job with its proof.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn remove(&self, id: Id) -> Result<Removal, zkml_gpu::FileError> {
        let standing = {
            let mut inner = self.lock();
            let Some(entry) = inner.entries.get(&id) else { return Ok(Removal::Missing) };
            let (number, standing) = (entry.number, entry.standing);
            if standing == Standing::Proving {
                return Ok(Removal::Proving);
            }
            // No worker takes it any more.
            inner.waiting.remove(&number);
            standing
        };
        let removed = self.store.remove(id);
        let mut inner = self.lock();
        match (&removed, inner.entries.get(&id).map(|entry| entry.number)) {
            (Ok(()), Some(_)) => inner.forget(id),
            (Err(_), Some(number)) if standing == Standing::Waiting => {
                inner.waiting.insert(number);
            }
            _ => {}
        }
        drop(inner);
        self.changed();
        removed.map(|()| Removal::Removed(standing))
    }

    /// Jobs that were finished before a time.
    pub(crate) fn finished_before(&self, time_ms: u64) -> Vec<Id> {
        let inner = self.lock();
        let old =
            inner.entries.iter().filter(|(_, entry)| entry.finished_ms.is_some_and(|finished| finished < time_ms));
        old.map(|(id, _)| *id).collect()
    }

    /// No further job is given out.
    pub(crate) fn stop(&self) {
        self.lock().stopping = true;
        self.work.notify_all();
        self.stop.notify_all();
        self.changed();
    }

    /// Whether the server stops.
    pub(crate) fn is_stopping(&self) -> bool {
        self.lock().stopping
    }

    /// Waits so long, or until the server stops.
    pub(crate) fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut inner = self.lock();
        while !inner.stopping && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            inner = self.stop.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Jobs whose proofs are under way.
    pub(crate) fn proving(&self) -> Vec<Id> {
        let inner = self.lock();
        inner.entries.iter().filter(|(_, entry)| entry.standing == Standing::Proving).map(|(id, _)| *id).collect()
    }
}

impl Inner {
    fn insert(&mut self, record: &Record) {
        let Record { id, number, accepted_ms, .. } = *record;
        let standing = Standing::of(&record.state);
        if standing == Standing::Waiting {
            self.waiting.insert(number);
        }
        let key = record.idempotency.as_ref().map(|own| own.key.clone());
        if let Some(Idempotency { key, request }) = &record.idempotency {
            self.keys.insert(key.clone(), (request.clone(), Some(id)));
        }
        self.numbers.insert(number, id);
        self.next_number = self.next_number.max(number);
        self.entries.insert(id, Entry { number, accepted_ms, finished_ms: record.finished_ms(), standing, key });
    }

    fn forget(&mut self, id: Id) {
        if let Some(Entry { number, key, .. }) = self.entries.remove(&id) {
            self.numbers.remove(&number);
            key.map(|key| self.keys.remove(&key));
        }
    }

    fn set(&mut self, id: Id, standing: Standing, finished_ms: Option<u64>) {
        if let Some(entry) = self.entries.get_mut(&id) {
            (entry.standing, entry.finished_ms) = (standing, finished_ms);
        }
    }

    /// Jobs that come before this number.
    fn ahead(&self, number: u64) -> usize {
        self.proving + self.waiting.range(..number).count()
    }
}

/// A place in the queue, which is free again when this goes.
#[derive(Debug)]
pub(crate) struct Reservation {
    /// None once a job has the place.
    jobs: Option<Arc<Jobs>>,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(jobs) = &self.jobs {
            jobs.lock().reserved -= 1;
        }
    }
}

/// A request's key, which is free again when this goes unless a job has it.
#[derive(Debug)]
pub(crate) struct Claimed<'j> {
    jobs: &'j Jobs,
    key: String,
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        let mut inner = self.jobs.lock();
        if inner.keys.get(&self.key).is_some_and(|(_, id)| id.is_none()) {
            inner.keys.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::unix_ms;

    fn jobs(folder: &std::path::Path, limit: usize) -> Arc<Jobs> {
        let store = Store::open(folder, "k").expect("a folder");
        let records = store.records().expect("jobs");
        Arc::new(Jobs::new(store, &records, limit))
    }

    fn accept(jobs: &Arc<Jobs>, own: Option<Idempotency>) -> Answered {
        let place = jobs.reserve().expect("a place");
        jobs.accept(place, |number| Record::new(number, own, &vec![vec![0.5]], Vec::new())).expect("accepted")
    }

    fn finish(jobs: &Jobs, id: Id) {
        let state = State::Proved { finished_ms: unix_ms(), prove_ms: Some(1.0) };
        let mut record = jobs.store().read(id).expect("a job");
        record.state = state;
        jobs.store().write(&record).expect("written");
        jobs.finish(&record);
    }

    #[test]
    fn jobs_are_given_out_in_their_order_once_and_come_back_after_a_restart() {
        let scratch = tempfile::tempdir().expect("temporary folder");
        let all = jobs(scratch.path(), 10);
        let ids: Vec<Id> = (0..3).map(|_| accept(&all, None).record.id).collect();
        assert_eq!(all.status(ids[2]).expect("a job").ahead, Some(2));
        assert_eq!(all.next(), Some(ids[0]));
        assert_eq!((all.status(ids[2]).expect("a job").ahead, all.proving()), (Some(2), vec![ids[0]]));
        finish(&all, ids[0]);
        assert_eq!(all.next(), Some(ids[1]));
        // It ends with the second one under way.
        drop(all);
        let all = jobs(scratch.path(), 10);
        assert_eq!(all.status(ids[0]).expect("a job").standing, Standing::Proved);
        assert_eq!([all.next(), all.next()], [Some(ids[1]), Some(ids[2])]);
        let listed: Vec<Id> = all.list(2).iter().map(|job| job.id).collect();
        assert_eq!(listed, [ids[2], ids[1]]);
        assert!(accept(&all, None).record.number > 3, "numbers go on");
        all.stop();
        assert_eq!(all.next(), None, "no job is given out any more");
    }

    #[test]
    fn a_full_queue_has_no_place_until_one_is_free() {
        let scratch = tempfile::tempdir().expect("temporary folder");
        let all = jobs(scratch.path(), 2);
        let first = all.reserve().expect("a place");
        accept(&all, None);
        assert!(all.reserve().is_none());
        drop(first);
        let id = accept(&all, None).record.id;
        assert!(all.reserve().is_none());
        assert_eq!(all.remove(id).expect("removed"), Removal::Removed(Standing::Waiting));
        assert!(all.reserve().is_some() && all.status(id).is_none());
        let taken = all.next().expect("a job");
        assert_eq!(all.remove(taken).expect("refused"), Removal::Proving);
        assert_eq!(all.remove(id).expect("refused"), Removal::Missing);
        assert!(all.reserve().is_some(), "a proof under way does not wait");
    }

    #[test]
    fn a_key_is_for_one_request_until_its_job_is_removed() {
        let scratch = tempfile::tempdir().expect("temporary folder");
        let all = jobs(scratch.path(), 10);
        let [own, other] = [0.5, 0.25].map(|number| Idempotency::new(b"key", &vec![vec![number]]));
        let claim = all.claim(&own);
        assert!(matches!(claim, Claim::New(_)) && matches!(all.claim(&own), Claim::UnderWay));
        drop(claim);
        let claim = all.claim(&own);
        assert!(matches!(claim, Claim::New(_)), "a request that failed leaves it free");
        let id = accept(&all, Some(own.clone())).record.id;
        drop(claim);
        assert!(matches!(all.claim(&own), Claim::Same(same) if same == id));
        assert!(matches!(all.claim(&other), Claim::Other));
        drop(all);
        let all = jobs(scratch.path(), 10);
        assert!(matches!(all.claim(&own), Claim::Same(same) if same == id));
        assert_eq!(all.next(), Some(id));
        finish(&all, id);
        assert_eq!(all.finished_before(unix_ms() + 1), [id]);
        assert_eq!(all.finished_before(0), []);
        assert_eq!(all.remove(id).expect("removed"), Removal::Removed(Standing::Proved));
        assert!(matches!(all.claim(&other), Claim::New(_)));
    }
}
