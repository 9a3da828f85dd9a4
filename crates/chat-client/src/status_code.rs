//! The gRPC status of a rejected request, in types of this library, so that callers need no gRPC
//! library and no particular version of one.

use std::fmt;

use tonic::Code;

/// The code of the gRPC status with which a server rejected a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatusCode {
    /// The request is malformed; see [`FieldViolation`].
    InvalidArgument,
    /// The request names an account that is not the session's.
    PermissionDenied,
    /// The session is not valid, or not valid any more.
    Unauthenticated,
    /// The server does not know the request: it runs another version, or is another program.
    Unimplemented,
    /// Any other code, by its number in gRPC.
    Other(i32),
}

/// A field of a request that the server did not accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// The field, such as `username` or `message.body`.
    pub field: String,
    /// What its value must be, for people: `must be 1 to 64 characters long`.
    pub description: String,
}

impl From<Code> for StatusCode {
    fn from(code: Code) -> Self {
        match code {
            Code::InvalidArgument => Self::InvalidArgument,
            Code::PermissionDenied => Self::PermissionDenied,
            Code::Unauthenticated => Self::Unauthenticated,
            Code::Unimplemented => Self::Unimplemented,
            other => Self::Other(other.into()),
        }
    }
}

impl fmt::Display for FieldViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.description)
    }
}
