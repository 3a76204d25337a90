//! The interface: connections, routes, and who may use them. `openapi.json` describes it.

mod answer;
mod infer;
mod model;
mod page;
mod proofs;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::problem::{Class, Problem};
use crate::server::Service;

/// Connections at a time.
const MOST_CONNECTIONS: usize = 1024;
/// The time that the head of a request may take, and that a connection may do nothing.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest head of a request.
const MOST_HEAD_BYTES: usize = 16 << 10;
/// After the system has refused a connection.
const PAUSE: Duration = Duration::from_millis(100);
/// The scheme of a token, which is written in any case.
const SCHEME: &str = "bearer ";

/// Takes connections until the server stops; returns when the last one has its answer.
pub(crate) async fn serve(service: Arc<Service>, listener: TcpListener, mut stopped: watch::Receiver<bool>) {
    let router = router(service);
    let (connections, graceful) = (Arc::new(Semaphore::new(MOST_CONNECTIONS)), GracefulShutdown::new());
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MOST_HEAD_BYTES.max(8192));
    loop {
        let accepted = async {
            // Beyond so many, others wait in the system's queue.
            let permit = Arc::clone(&connections).acquire_owned().await.ok()?;
            Some((listener.accept().await, permit))
        };
        let (accepted, permit) = tokio::select! {
            accepted = accepted => match accepted {
                Some(accepted) => accepted,
                None => break,
            },
            _ = stopped.wait_for(|stopped| *stopped) => break,
        };
        match accepted {
            Ok((stream, _)) => {
                // Answers are small, and each is written at once.
                let _ = stream.set_nodelay(true);
                let own = TowerToHyperService::new(router.clone());
                let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), own));
                tokio::spawn(async move {
                    // How a client went away is its own affair.
                    let _ = connection.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(target: "zkml_gpu::serve", %error, "the system refuses a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    graceful.shutdown().await;
}

fn router(service: Arc<Service>) -> Router {
    let guarded = Router::new()
        .route("/v1/infer", post(infer::infer))
        .route("/v1/proofs", get(proofs::list))
        .route("/v1/proofs/{id}", get(proofs::proof).delete(proofs::delete))
        .route("/v1/model", get(model::model))
        .route("/v1/model.vk", get(model::verifying_key))
        .route("/metrics", get(metrics))
        .route_layer(from_fn_with_state(Arc::clone(&service), authorise));
    Router::new()
        .merge(guarded)
        .route("/healthz", get(health))
        .route("/openapi.json", get(page::openapi))
        .route("/", get(page::index))
        .route("/page.css", get(page::style))
        .route("/page.js", get(page::script))
        .fallback(async || Problem::new(Class::NotFound, "there is no such path", "GET /openapi.json lists all"))
        .method_not_allowed_fallback(async || {
            Problem::new(Class::NoMethod, "the path has no such method", "GET /openapi.json lists all")
        })
        .layer(from_fn_with_state(Arc::clone(&service), count))
        .with_state(service)
}

/// Lets only those through that show the token, before anything of a body is read.
async fn authorise(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let Some(token) = &service.options.token else { return next.run(request).await };
    let shown = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let is_it = shown.split_at_checked(SCHEME.len()).is_some_and(|(scheme, rest)| {
        let is_bearer = scheme.eq_ignore_ascii_case(SCHEME.as_bytes());
        token.is(rest) && is_bearer
    });
    if is_it {
        return next.run(request).await;
    }
    let message = if shown.is_empty() { "the request shows no token" } else { "the token is another one" };
    Problem::new(Class::Unauthorised, message, "send the header `Authorization: Bearer TOKEN`").into_response()
}

/// Counts the answer, and says what no answer is: to be kept, or taken for another type.
async fn count(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let mut response = next.run(request).await;
    service.metrics.answered(route.as_deref().unwrap_or("none"), response.status().as_u16());
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn health(State(service): State<Arc<Service>>) -> Response {
    let word = service.health.word();
    let status = if word == "ok" { 200 } else { 503 };
    answer::json(status, &serde_json::json!({ "status": word }))
}

async fn metrics(State(service): State<Arc<Service>>) -> Response {
    const TYPE: HeaderValue = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    match service.metrics.text(&service.jobs) {
        Ok(text) => ([(CONTENT_TYPE, TYPE)], text).into_response(),
        Err(error) => Problem::bug(&format!("the figures have no text: {error}")).into_response(),
    }
}
