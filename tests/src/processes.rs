//! Clusters of real `chat-server` processes on this machine, and what clients see of them.
//!
//! Servers listen on loopback, below the ports that the system gives to outgoing connections, or on
//! a separate network, and are killed with the test that started them. Times are only ever
//! deadlines: the tests check facts.

pub mod cluster;
pub mod history;
pub mod hosts;
pub mod inbox_history;
pub mod load;
pub mod namespaces;
pub mod plain_request;
pub mod ports;
pub mod raw_http2;
pub mod request_json;
pub mod secrets;
pub mod server;
pub mod waiting;
pub mod watch_history;
