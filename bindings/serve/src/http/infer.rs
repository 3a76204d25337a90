//! `POST /v1/infer`: the output at once, and a job on the disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION};
use axum::response::Response;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use zkml_gpu::engine::secret::Wiped;
use zkml_gpu::verify::report::bytes_text;
use zkml_gpu::{Error, PublicTensor, Sample, Saturation, parse_samples};

use super::answer::json;
use crate::jobs::{Answered, Claim, Id, Idempotency, Record, Reservation};
use crate::problem::{Class, Problem};
use crate::server::Service;

/// What an input is called in messages.
const NAME: &str = "the request";
/// The time that a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Most characters of a request's key.
const MOST_KEY_CHARS: usize = 255;

/// What a request is answered with.
#[derive(Serialize)]
struct Answer<'a> {
    id: Id,
    /// Path of the proof.
    proof: String,
    /// Jobs that come before it.
    ahead: Option<usize>,
    verifying_key: &'a str,
    outputs: Vec<Output<'a>>,
    saturation: Option<Saturation>,
}

/// An output: the tensor as the proof will have it, with its real numbers.
#[derive(Serialize)]
struct Output<'a> {
    #[serde(flatten)]
    tensor: &'a PublicTensor,
    reals: Vec<f64>,
}

/// A request whose body is read.
struct Received {
    body: Vec<u8>,
    key: Option<Vec<u8>>,
    place: Reservation,
}

pub(super) async fn infer(State(service): State<Arc<Service>>, request: Request) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    check_head(&head.headers, service.max_body_bytes)?;
    let key = head.headers.get("idempotency-key").map(key).transpose()?;
    let Some(place) = service.jobs.reserve() else {
        service.metrics.refused_busy.inc();
        let message = format!("{} jobs wait, and no more may", service.jobs.limit());
        return Err(Problem::new(Class::Busy, message, "send the request again later"));
    };
    let body = read(body, service.max_body_bytes).await?;
    let received = Received { body, key, place };
    let answer = tokio::task::spawn_blocking(move || received.accept(&service)).await;
    answer.unwrap_or_else(|error| Err(Problem::bug(&format!("an inference ended: {error}"))))
}

/// Refuses a body that need not be read for it. That it must say that it is JSON keeps pages of others from sending one
/// without asking first.
fn check_head(headers: &HeaderMap, most: u64) -> Result<(), Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        let hint = "send the header `Content-Type: application/json`";
        return Err(Problem::new(Class::OtherType, "the body is not said to be JSON", hint));
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > most) { Err(too_large(most)) } else { Ok(()) }
}

fn too_large(most: u64) -> Problem {
    let message = format!("the body has more than {}", bytes_text(most));
    let hint =
        "one request is of one proof: GET /v1/model tells what its inputs take; the server's --max-body allows more";
    Problem::new(Class::TooLarge, message, hint)
}

fn key(value: &HeaderValue) -> Result<Vec<u8>, Problem> {
    let bytes = value.as_bytes();
    if bytes.is_empty() || bytes.len() > MOST_KEY_CHARS || !bytes.iter().all(u8::is_ascii_graphic) {
        let message = "the header Idempotency-Key is no key";
        let hint = "1 to 255 printable characters without blanks, such as a UUID";
        return Err(Problem::new(Class::BadInput, message, hint));
    }
    Ok(bytes.to_vec())
}

/// A body of at most so many bytes, within its time.
async fn read(body: Body, most: u64) -> Result<Vec<u8>, Problem> {
    let limit = usize::try_from(most).unwrap_or(usize::MAX);
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes().into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(most)),
        Ok(Err(_)) => Err(Problem::new(Class::BadInput, "the body ended too early", "send the request again")),
        Err(_) => {
            let message = format!("the body took more than {} s", BODY_TIMEOUT.as_secs());
            Err(Problem::new(Class::TooSlow, message, "send the request again, over a faster connection"))
        }
    }
}

impl Received {
    /// Runs the inference and writes the job.
    fn accept(self, service: &Service) -> Result<Response, Problem> {
        let model = service.prover.model();
        let samples = parse_samples(self.body, NAME, &model.inputs())?;
        let sample = together(service, samples)?;
        let clamped = check_saturation(model.saturation(&sample.0), service.options.max_saturation)?;
        let own = self.key.map(|key| Idempotency::new(&key, &sample.0));
        let _claim = match own.as_ref().map(|own| service.jobs.claim(own)) {
            None => None,
            Some(Claim::New(claimed)) => Some(claimed),
            Some(Claim::Same(id)) => return again(service, id, clamped),
            Some(Claim::Other) => {
                let message = "the Idempotency-Key came with another input before";
                return Err(Problem::new(Class::Conflict, message, "take a key for each input"));
            }
            Some(Claim::UnderWay) => {
                let message = "a request with this Idempotency-Key is being accepted";
                return Err(Problem::new(Class::Conflict, message, "send it again in a moment"));
            }
        };
        let start = Instant::now();
        let outputs = service.inferences.install(|| service.prover.infer(&sample.0))?;
        service.metrics.infer_seconds.observe(start.elapsed().as_secs_f64());
        let accepted = service.jobs.accept(self.place, |number| Record::new(number, own, &sample.0, outputs));
        let Answered { record, ahead } = accepted.map_err(|error| match error {
            Error::File(error) => {
                service.metrics.storage_errors.inc();
                service.health.storage(false);
                tracing::error!(target: "zkml_gpu::serve", %error, "a job cannot be kept");
                Problem::storage(&error)
            }
            other => other.into(),
        })?;
        service.health.storage(true);
        service.metrics.accepted.inc();
        Ok(answer(service, &record, Some(ahead), clamped, 202))
    }
}

/// The inputs of one proof.
fn together(service: &Service, samples: Vec<Sample>) -> Result<Wiped<f32>, Error> {
    let samples: Vec<Wiped<f32>> = samples.into_iter().map(Wiped).collect();
    let model = service.prover.model();
    let (given, expected) = (samples.len(), model.inferences());
    if given != expected {
        return Err(Error::Inferences { model: service.key.model().into(), given, expected });
    }
    let inputs = model.inputs().len();
    let all = |i: usize| samples.iter().filter_map(|sample| sample.0.get(i)).flatten().copied().collect();
    Ok(Wiped((0..inputs).map(all).collect()))
}

/// Refuses an input of which too much would be clamped.
fn check_saturation(found: Option<Saturation>, most: f64) -> Result<Option<Saturation>, Problem> {
    match found {
        Some(Saturation { input, share, range: [low, high], .. }) if share > most => {
            let message = format!(
                "{:.1} % of the values of input '{input}' are beyond the range {low} to {high} that it was calibrated for: they would be clamped",
                100.0 * share
            );
            let hint =
                "scale the input as the samples of the calibration were; the server's --max-saturation allows more";
            Err(Problem::new(Class::BadInput, message, hint))
        }
        other => Ok(other),
    }
}

/// The answer to a request that came before.
fn again(service: &Service, id: Id, clamped: Option<Saturation>) -> Result<Response, Problem> {
    let record = service.jobs.store().read(id)?;
    let ahead = service.jobs.status(id).and_then(|status| status.ahead);
    let mut response = answer(service, &record, ahead, clamped, 200);
    response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    Ok(response)
}

fn answer(
    service: &Service,
    record: &Record,
    ahead: Option<usize>,
    saturation: Option<Saturation>,
    status: u16,
) -> Response {
    let proof = format!("/v1/proofs/{}", record.id);
    let location = HeaderValue::from_str(&proof);
    let output = |tensor| Output { tensor, reals: PublicTensor::reals(tensor) };
    let outputs = record.outputs.iter().map(output).collect();
    let verifying_key = service.key.digest();
    let mut response = json(status, &Answer { id: record.id, proof, ahead, verifying_key, outputs, saturation });
    if let Ok(location) = location {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}
