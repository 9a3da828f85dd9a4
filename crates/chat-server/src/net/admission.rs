//! Admission of every request before any of it is decoded, and the accounting of its reply.
//!
//! Memory that unauthenticated clients can make a node hold is counted in bytes, for all connections
//! together: the heads and bodies of requests until the reply ([`request_body`]), and replies until
//! the connection has taken them ([`reply_body`]). When there is no room, slow clients lose theirs
//! first: a body that does not arrive is dropped for another one, and a connection that does not take
//! its replies is closed.

mod budgets;
mod reply_body;
mod request_body;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use chat_app::error::RequestError;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::transport::server::TcpConnectInfo;
use tower::{Layer, Service};

use crate::limits::read_permits::ReadPermit;
use crate::net::connection_limit::Connection;
use crate::status::into_status;

pub(crate) use budgets::Budgets;
use reply_body::ReplyBody;
pub(crate) use request_body::REQUEST_MESSAGE_BYTES_MAX;
use request_body::RequestBody;

/// Wraps the routes of a listener.
#[derive(Clone, Debug)]
pub(crate) struct AdmissionLayer {
    budgets: Option<Arc<Budgets>>,
}

/// Admits requests.
#[derive(Clone, Debug)]
pub(crate) struct Admission<S> {
    inner: S,
    budgets: Option<Arc<Budgets>>,
}

impl AdmissionLayer {
    /// Without budgets, requests are only counted for their connection.
    pub(crate) fn new(budgets: Option<Arc<Budgets>>) -> Self {
        Self { budgets }
    }
}

impl<S> Layer<S> for AdmissionLayer {
    type Service = Admission<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Admission {
            inner,
            budgets: self.budgets.clone(),
        }
    }
}

impl<S> Service<Request<Body>> for Admission<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let connection = request.extensions().get::<Arc<Connection>>().cloned();
        let connection = connection.expect("every listener's streams attach their connection");
        // Tonic reads the client's address there.
        request.extensions_mut().insert(TcpConnectInfo {
            local_addr: None,
            remote_addr: connection.peer(),
        });
        let under_way = connection.begin_request();
        let Some(budgets) = &self.budgets else {
            let responding = self.inner.call(request);
            return Box::pin(async move {
                let response = responding.await?;
                Ok(response.map(|body| Body::new(ReplyBody::tracked(body, under_way))))
            });
        };
        let heads = header_bytes(request.headers());
        let Some(admitted) = budgets.admit(&connection, heads) else {
            let rejected = into_status(RequestError::Overloaded, None).into_http();
            return Box::pin(std::future::ready(Ok(rejected)));
        };
        let budgets = Arc::clone(budgets);
        // `self.inner` is ready; a clone of it may not be.
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let mut body = RequestBody::new(body, Arc::clone(&admitted));
            // A request that never arrives completely costs no more than its head and its slot.
            // A stream of requests, which only reflection accepts, begins with its first one.
            if let Err(status) = body.buffer_message().await {
                return Ok(status.into_http());
            }
            let request = Request::from_parts(head, Body::new(body));
            let mut response = inner.call(request).await?;
            drop(admitted);
            let permit = response.extensions_mut().remove::<Arc<ReadPermit>>();
            let reply_body =
                |body| ReplyBody::counted(body, under_way, budgets, connection, permit);
            Ok(response.map(|body| Body::new(reply_body(body))))
        })
    }
}

/// The size of headers as HTTP/2 counts it for its limit.
fn header_bytes(headers: &HeaderMap) -> usize {
    const OVERHEAD: usize = 32;
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + OVERHEAD)
        .sum()
}

#[cfg(test)]
mod tests;
