//! What clients call: the services of both listeners, and the path of a request from JSON to reply.

pub(crate) mod chat_service;
pub(crate) mod cluster_service;
mod deadline;
pub(crate) mod health;
pub(crate) mod watch;
