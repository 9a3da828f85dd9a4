//! Carries the connections from one node to another, so that a link can be
//! disconnected and reconnected without privileges and without any change in the nodes.
//!
//! A disconnected link behaves as a network that loses everything: connections stay open, new ones
//! are accepted and hang, and neither side sees that the other one has closed. Reconnecting closes
//! every connection that lost something, because the rest of its bytes would make no sense.
//! Blocking threads carry the bytes: two a connection, and a cluster has a few dozen of them. All of
//! them end when the link's proxy is dropped.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use devcluster_api::LinkShape;

use crate::link_shape::{InTransit, Wire};

/// As much as a batch of entries usually is; more would only lengthen one copy.
const BUFFER_BYTES: usize = 64 * 1024;

/// Handle of one link's proxy. When it is dropped, the listener and all connections are closed.
///
/// Two kinds of threads end later: one that is connecting to a paused process ends after that process
/// has been resumed or has ended, and one with a full queue of a slow link when its next bytes arrive.
#[derive(Debug)]
pub(crate) struct LinkProxy {
    gate: Arc<Gate>,
    /// The listener again, as a stream: the standard library shuts down only those.
    listener: UnixStream,
}

/// What all connections of a link share.
#[derive(Debug, Default)]
struct Gate {
    disconnected: AtomicBool,
    /// Whether the proxy was dropped; then no connection is carried any more.
    ended: AtomicBool,
    connections: Mutex<Vec<Arc<Connection>>>,
    /// How slow it is; as fast as the machine if `None`.
    shape: Mutex<Option<LinkShape>>,
    to_target: Wire,
    to_dialer: Wire,
}

#[derive(Debug)]
struct Connection {
    dialer: UnixStream,
    /// Absent when the connection was made while the link was disconnected.
    target: Option<UnixStream>,
    /// Bytes, or a close, did not get through: it can only be closed.
    lossy: AtomicBool,
    /// How many of its directions have ended.
    ended: AtomicU8,
}

impl LinkProxy {
    /// Carries what comes to this listener to the socket `target`.
    pub(crate) fn start(listener: UnixListener, target: PathBuf) -> Result<Self> {
        let gate = Arc::new(Gate::default());
        let shared = Arc::clone(&gate);
        let again = listener.try_clone().context("sharing a link's listener")?;
        thread::Builder::new()
            .name("link".to_owned())
            .spawn(move || accept(&listener, &target, &shared))
            .context("starting a link's thread")?;
        let listener = UnixStream::from(OwnedFd::from(again));
        Ok(Self { gate, listener })
    }

    /// Loses everything from now on.
    pub(crate) fn disconnect(&self) {
        self.gate.disconnected.store(true, Ordering::SeqCst);
    }

    /// Is so slow from now on, or as fast as the machine again. Connections of before are closed.
    pub(crate) fn shape(&self, shape: Option<LinkShape>) {
        *self.gate.shape() = shape;
        for connection in self.gate.lock().iter() {
            connection.close();
        }
    }

    /// Carries again, and closes every connection that lost something.
    pub(crate) fn reconnect(&self) {
        self.gate.disconnected.store(false, Ordering::SeqCst);
        for connection in self.gate.lock().iter() {
            if connection.lossy.load(Ordering::SeqCst) {
                connection.close();
            }
        }
    }
}

impl Drop for LinkProxy {
    fn drop(&mut self) {
        // Before the connections are closed: one that is listed later sees it.
        self.gate.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts, and refuses what would come between now and its end. It
        // cannot fail for a listener.
        self.listener.shutdown(Shutdown::Both).ok();
        for connection in self.gate.lock().iter() {
            connection.close();
        }
    }
}

impl Gate {
    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    fn is_disconnected(&self) -> bool {
        self.disconnected.load(Ordering::SeqCst)
    }

    /// The list is whole after every step, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Connection>>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn shape(&self) -> MutexGuard<'_, Option<LinkShape>> {
        self.shape.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, connection: &Arc<Connection>) {
        self.lock().retain(|other| !Arc::ptr_eq(other, connection));
    }
}

impl Connection {
    fn close(&self) {
        for stream in [Some(&self.dialer), self.target.as_ref()]
            .into_iter()
            .flatten()
        {
            // It fails when the stream is closed already, which is what is wanted.
            stream.shutdown(Shutdown::Both).ok();
        }
    }
}

fn accept(listener: &UnixListener, target: &Path, gate: &Arc<Gate>) {
    loop {
        let accepted = listener.accept();
        if gate.has_ended() {
            return;
        }
        let carried = match accepted {
            Ok((dialer, _)) => carry(dialer, target, gate),
            Err(error) => {
                // Out of file descriptors, most likely: give the others time to close some.
                thread::sleep(Duration::from_millis(10));
                Err(error.into())
            }
        };
        if let Err(error) = carried {
            eprintln!("link to {}: {error:#}", target.display());
        }
    }
}

/// Begins to carry an accepted connection; dropping it refuses it.
fn carry(dialer: UnixStream, target: &Path, gate: &Arc<Gate>) -> Result<()> {
    let hangs = gate.is_disconnected();
    let target = if hangs {
        None
    } else {
        // A listener that accepts nothing for now, as of a paused process, is waited for; later dialers
        // wait behind this one.
        match UnixStream::connect(target) {
            Ok(stream) => Some(stream),
            // Nothing listens: the dialer sees the end before any byte, which is equal to a refusal.
            Err(_) => return Ok(()),
        }
    };
    let directions = if hangs { 1 } else { 2 };
    let ended = AtomicU8::new(2 - directions);
    let connection = Arc::new(Connection {
        dialer,
        target,
        lossy: AtomicBool::new(hangs),
        ended,
    });
    gate.lock().push(Arc::clone(&connection));
    if gate.has_ended() || (hangs && !gate.is_disconnected()) {
        // Ended or reconnected in between, perhaps before the connection was listed.
        connection.close();
    }
    for direction in [Direction::ToTarget, Direction::ToDialer]
        .into_iter()
        .take(directions.into())
    {
        let (connection, gate) = (Arc::clone(&connection), Arc::clone(gate));
        thread::Builder::new()
            .name("link connection".to_owned())
            .spawn(move || {
                let shape = *gate.shape();
                match shape {
                    None => pump(&connection, &gate, direction),
                    Some(shape) => pump_slowly(&connection, &gate, direction, shape),
                }
                if connection.ended.fetch_add(1, Ordering::SeqCst) == 1 {
                    gate.forget(&connection);
                }
            })
            .context("starting a connection's thread")?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Direction {
    ToTarget,
    ToDialer,
}

impl Connection {
    /// Where this direction comes from and where it goes.
    fn ends(&self, direction: Direction) -> (Option<&UnixStream>, Option<&UnixStream>) {
        let target = self.target.as_ref();
        match direction {
            Direction::ToTarget => (Some(&self.dialer), target),
            Direction::ToDialer => (target, Some(&self.dialer)),
        }
    }
}

/// Carries one direction of a slow link until it ends: what is read waits its time.
fn pump_slowly(connection: &Connection, gate: &Gate, direction: Direction, shape: LinkShape) {
    let transit = InTransit::new(shape);
    let wire = match direction {
        Direction::ToTarget => &gate.to_target,
        Direction::ToDialer => &gate.to_dialer,
    };
    let (_, sink) = connection.ends(direction);
    let sees_the_end = thread::scope(|scope| {
        scope.spawn(|| {
            while let Some(bytes) = transit.pop() {
                if sink.is_none_or(|mut sink| sink.write_all(&bytes).is_err()) {
                    // So that reading ends, too.
                    connection.close();
                    break;
                }
            }
            transit.end();
        });
        let sees_the_end = carry_on(connection, gate, direction, |bytes| {
            transit.push(wire, bytes)
        });
        if gate.has_ended() {
            transit.discard();
        } else {
            transit.end();
        }
        sees_the_end
    });
    if sees_the_end {
        connection.close();
    }
}

/// Carries one direction until it ends.
fn pump(connection: &Connection, gate: &Gate, direction: Direction) {
    let (_, sink) = connection.ends(direction);
    let sees_the_end = carry_on(connection, gate, direction, |bytes| {
        sink.is_some_and(|mut sink| sink.write_all(bytes).is_ok())
    });
    if sees_the_end {
        connection.close();
    }
}

/// Reads one direction and passes on what is to be carried, until it ends or the sink fails. Returns
/// whether the other side may see the end: not while the link is disconnected.
fn carry_on(
    connection: &Connection,
    gate: &Gate,
    direction: Direction,
    mut pass_on: impl FnMut(&[u8]) -> bool,
) -> bool {
    let (source, _) = connection.ends(direction);
    let Some(mut source) = source else {
        return false;
    };
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        // An error is the end as well: the side that reset the connection needs it no more.
        let length = source.read(&mut buffer).unwrap_or(0);
        if gate.is_disconnected() {
            connection.lossy.store(true, Ordering::SeqCst);
            // Either this sees that the link was reconnected in between, or `reconnect` sees the loss.
            if gate.is_disconnected() {
                if length == 0 {
                    return false;
                }
                continue;
            }
        }
        let carries = length > 0 && !connection.lossy.load(Ordering::SeqCst);
        if !carries || !pass_on(&buffer[..length]) {
            return true;
        }
    }
}

#[cfg(test)]
mod tests;
