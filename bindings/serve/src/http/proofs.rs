//! `/v1/proofs`: jobs, and the proofs of those that are done.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::answer::{bytes_of, json};
use crate::jobs::{Id, Removal, Standing, State as JobState, Status};
use crate::problem::{Class, Problem};
use crate::server::Service;

/// Longest time that a request may wait for a proof.
const MOST_WAIT_SECONDS: u64 = 60;
/// Most jobs that are listed.
const MOST_LISTED: usize = 1000;
/// Jobs that are listed unless more or fewer are asked for.
const LISTED: usize = 100;

/// How long a request waits for a proof.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wait {
    #[serde(default)]
    wait: u64,
}

/// How many jobs are listed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Most {
    limit: Option<usize>,
}

/// A job without a proof yet.
#[derive(Serialize)]
struct Pending {
    id: Id,
    state: Standing,
    ahead: Option<usize>,
    accepted_ms: u64,
}

/// The proof, once it is made; until then, where the job is.
pub(super) async fn proof(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    wait: Result<Query<Wait>, QueryRejection>,
) -> Result<Response, Problem> {
    let id = parse(&id)?;
    let Query(Wait { wait }) = wait.map_err(|rejection| query(&rejection.body_text()))?;
    if wait > MOST_WAIT_SECONDS {
        return Err(query(&format!("a request waits for {MOST_WAIT_SECONDS} s at most")));
    }
    let status = wait_for(&service, id, Duration::from_secs(wait)).await.ok_or_else(|| missing(id))?;
    let Status { standing, ahead, accepted_ms } = status;
    match standing {
        Standing::Waiting | Standing::Proving => Ok(json(202, &Pending { id, state: standing, ahead, accepted_ms })),
        Standing::Proved | Standing::Failed => {
            let read = tokio::task::spawn_blocking(move || finished(&service, id)).await;
            read.unwrap_or_else(|error| Err(Problem::bug(&format!("a proof was not read: {error}"))))
        }
    }
}

/// Where a job is, as soon as it is finished or the time is over.
async fn wait_for(service: &Service, id: Id, wait: Duration) -> Option<Status> {
    let mut changes = service.jobs.watch();
    let finished = async {
        loop {
            let status = service.jobs.status(id);
            let is_done = |status: &Status| matches!(status.standing, Standing::Proved | Standing::Failed);
            if status.as_ref().is_none_or(is_done) || service.jobs.is_stopping() || changes.changed().await.is_err() {
                return status;
            }
        }
    };
    match tokio::time::timeout(wait, finished).await {
        Ok(status) => status,
        Err(_) => service.jobs.status(id),
    }
}

/// The proof of a finished job, or why it has none.
fn finished(service: &Service, id: Id) -> Result<Response, Problem> {
    let record = service.jobs.store().read(id)?;
    match record.state {
        JobState::Failed { error, .. } => {
            let failed = serde_json::json!({ "id": id, "state": Standing::Failed, "error": error });
            Ok(json(422, &failed))
        }
        JobState::Waiting { .. } => Err(Problem::bug("a job that waits is taken for finished")),
        JobState::Proved { .. } => match service.jobs.store().read_proof(id).map_err(zkml_gpu::Error::from)? {
            Some(bytes) => Ok(bytes_of(200, "application/json", bytes)),
            None => Err(missing(id)),
        },
    }
}

/// The latest jobs.
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    most: Result<Query<Most>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(Most { limit }) = most.map_err(|rejection| query(&rejection.body_text()))?;
    let limit = limit.unwrap_or(LISTED);
    if limit > MOST_LISTED {
        return Err(query(&format!("{MOST_LISTED} jobs are listed at most")));
    }
    let counts = service.jobs.counts();
    Ok(json(
        200,
        &serde_json::json!({
            "waiting": counts.waiting,
            "proving": counts.proving,
            "kept": counts.kept,
            "jobs": service.jobs.list(limit),
        }),
    ))
}

/// Removes a job with its proof.
pub(super) async fn delete(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = parse(&id)?;
    let removed = tokio::task::spawn_blocking(move || service.jobs.remove(id)).await;
    let removed = removed.map_err(|error| Problem::bug(&format!("a job was not removed: {error}")))?;
    match removed.map_err(zkml_gpu::Error::from)? {
        Removal::Removed(_) => Ok(axum::http::StatusCode::NO_CONTENT.into_response()),
        Removal::Missing => Err(missing(id)),
        Removal::Proving => {
            let message = "its proof is under way";
            Err(Problem::new(Class::Conflict, message, "remove it when the proof is made"))
        }
    }
}

fn parse(id: &str) -> Result<Id, Problem> {
    id.parse().map_err(|problem: &str| {
        Problem::new(Class::NotFound, format!("no job has this name: {problem}"), "POST /v1/infer answers with names")
    })
}

fn missing(id: Id) -> Problem {
    let hint = "it was removed, or accepted by another server";
    Problem::new(Class::NotFound, format!("there is no job {id}"), hint)
}

fn query(problem: &str) -> Problem {
    Problem::new(Class::BadInput, problem, "GET /openapi.json has all parameters")
}
