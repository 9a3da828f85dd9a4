//! Commands and answers with types, on top of the bytes that the log keeps.

use std::future::Future;
use std::marker::PhantomData;
use std::time::Instant;

use bytes::Bytes;
use chat_consensus::CommittedEntry;

use crate::error::ProposeError;
use crate::runner::handle::Handle;
use crate::runner::state_machine::{Applied, BoxError, StateMachine};

/// A command or an answer, as bytes. Commands stay in the log, so what was encoded once must be
/// decodable by every later version of the program.
pub trait Codec: Sized {
    /// The bytes.
    fn encode(&self) -> Bytes;

    /// What [`Self::encode`] made `bytes` from.
    ///
    /// # Errors
    ///
    /// When it has not made them.
    fn decode(bytes: &[u8]) -> Result<Self, BoxError>;
}

/// A [`StateMachine`] whose commands and answers have types; start a replica with [`Typed`] around it.
pub trait TypedStateMachine: Send + 'static {
    /// What is proposed.
    type Command: Codec + Send;
    /// What applying it answers.
    type Answer: Codec + Send;

    /// See [`StateMachine::applied`].
    fn applied(&self) -> Applied;

    /// See [`StateMachine::last_ever_applied`].
    fn last_ever_applied(&self) -> Applied {
        self.applied()
    }

    /// See [`StateMachine::apply`].
    ///
    /// # Errors
    ///
    /// Any error stops the replica. A command must never be the reason for one.
    fn apply(
        &mut self,
        batch: Vec<TypedEntry<Self::Command>>,
    ) -> impl Future<Output = Result<Vec<Self::Answer>, BoxError>> + Send;

    /// See [`StateMachine::publish`].
    ///
    /// # Errors
    ///
    /// Any error stops the replica.
    fn publish(&mut self) -> impl Future<Output = Result<(), BoxError>> + Send {
        std::future::ready(Ok(()))
    }

    /// See [`StateMachine::encode_state`].
    ///
    /// # Errors
    ///
    /// No snapshot is taken now; the replica goes on.
    fn encode_state(&self) -> Result<Option<Vec<u8>>, BoxError> {
        Ok(None)
    }

    /// See [`StateMachine::decode_state`]. A state that is too large for it needs a [`StateMachine`].
    ///
    /// # Errors
    ///
    /// Any error stops the replica.
    fn decode_state(&mut self, state: &[u8], applied: Applied) -> Result<(), BoxError> {
        let _ignored = (state, applied);
        Err("this state machine has no snapshots".into())
    }
}

/// A committed entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedEntry<C> {
    /// Its place in the log.
    pub applied: Applied,
    /// What was proposed; `None` for the log's own entries.
    pub command: Option<C>,
}

/// A [`TypedStateMachine`] as a [`StateMachine`]. A command that cannot be decoded stops the replica:
/// it was appended by a newer program, or without [`TypedHandle`].
#[derive(Clone, Debug)]
pub struct Typed<M>(pub M);

impl<M: TypedStateMachine> StateMachine for Typed<M> {
    fn applied(&self) -> Applied {
        self.0.applied()
    }

    fn last_ever_applied(&self) -> Applied {
        self.0.last_ever_applied()
    }

    async fn apply(&mut self, batch: &[CommittedEntry]) -> Result<Vec<Bytes>, BoxError> {
        let decode = |entry: &CommittedEntry| {
            let command = entry.command.as_deref().map(M::Command::decode);
            Ok::<_, BoxError>(TypedEntry {
                applied: Applied {
                    index: entry.index.0,
                    term: entry.term.0,
                },
                command: command.transpose()?,
            })
        };
        let batch = batch.iter().map(decode).collect::<Result<_, _>>()?;
        let answers = self.0.apply(batch).await?;
        Ok(answers.iter().map(Codec::encode).collect())
    }

    async fn publish(&mut self) -> Result<(), BoxError> {
        self.0.publish().await
    }

    fn encode_state(&self) -> Result<Option<Vec<u8>>, BoxError> {
        self.0.encode_state()
    }

    fn decode_state(&mut self, state: &[u8], applied: Applied) -> Result<(), BoxError> {
        self.0.decode_state(state, applied)
    }
}

/// Proposes the commands of `M`; everything else is on [`Self::handle`].
#[derive(Debug)]
pub struct TypedHandle<M> {
    handle: Handle,
    machine: PhantomData<fn() -> M>,
}

/// Why a typed proposal has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TypedProposeError {
    /// The proposal has no answer.
    #[error(transparent)]
    Propose(#[from] ProposeError),
    /// It took effect, and its answer cannot be decoded: the leader has another version of the program.
    #[error("the answer cannot be decoded")]
    Answer(#[source] BoxError),
}

impl<M: TypedStateMachine> TypedHandle<M> {
    /// Proposes to a replica that was started with [`Typed`] around an `M`.
    pub fn new(handle: Handle) -> Self {
        Self {
            handle,
            machine: PhantomData,
        }
    }

    /// The handle.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// As [`Handle::propose`].
    ///
    /// # Errors
    ///
    /// See [`TypedProposeError`].
    pub async fn propose(
        &self,
        command: &M::Command,
        deadline: Instant,
    ) -> Result<M::Answer, TypedProposeError> {
        let answer = self.handle.propose(command.encode(), deadline).await?;
        M::Answer::decode(&answer).map_err(TypedProposeError::Answer)
    }
}

impl<M> Clone for TypedHandle<M> {
    fn clone(&self) -> Self {
        Self {
            handle: self.handle.clone(),
            machine: PhantomData,
        }
    }
}

impl Codec for String {
    fn encode(&self) -> Bytes {
        Bytes::copy_from_slice(self.as_bytes())
    }

    fn decode(bytes: &[u8]) -> Result<Self, BoxError> {
        Ok(std::str::from_utf8(bytes)?.to_owned())
    }
}

impl Codec for u64 {
    fn encode(&self) -> Bytes {
        Bytes::copy_from_slice(&self.to_be_bytes())
    }

    fn decode(bytes: &[u8]) -> Result<Self, BoxError> {
        Ok(Self::from_be_bytes(bytes.try_into()?))
    }
}
