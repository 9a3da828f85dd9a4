//! Carries the connections from one node to another, so that a link can be
//! disconnected and reconnected without privileges and without any change in the nodes.
//!
//! A disconnected link behaves as a network that loses everything: connections stay open, new ones
//! are accepted and hang, and neither side sees that the other one has closed. Reconnecting closes
//! every connection that lost something, because the rest of its bytes would make no sense.
//! Blocking threads carry the bytes: two a connection, and a cluster has a few dozen of them.

use std::io::{Read, Write};
use std::net::Shutdown;
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

/// Handle of one link's proxy; it exists until the process ends.
#[derive(Debug)]
pub(crate) struct LinkProxy {
    gate: Arc<Gate>,
}

/// What all connections of a link share.
#[derive(Debug, Default)]
struct Gate {
    disconnected: AtomicBool,
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
        thread::Builder::new()
            .name("link".to_owned())
            .spawn(move || accept(&listener, &target, &shared))
            .context("starting a link's thread")?;
        Ok(Self { gate })
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

impl Gate {
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
        let carried = match listener.accept() {
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
    if hangs && !gate.is_disconnected() {
        // Reconnected in between, perhaps before the connection was listed.
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
        transit.end();
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
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::time::{Duration, Instant};
    use std::{fs, thread};

    use tempfile::TempDir;

    use super::{LinkProxy, LinkShape};

    /// Long enough for anything that happens at all on this machine.
    const DEADLINE: Duration = Duration::from_secs(10);
    /// How long a test watches that nothing happens.
    const SILENCE: Duration = Duration::from_millis(50);

    struct Setup {
        proxy: LinkProxy,
        folder: TempDir,
        target: Option<UnixListener>,
    }

    fn setup() -> Setup {
        let folder = tempfile::tempdir().unwrap();
        let at = |name| folder.path().join(name);
        let target = UnixListener::bind(at("target")).unwrap();
        let listener = UnixListener::bind(at("link")).unwrap();
        let proxy = LinkProxy::start(listener, at("target")).unwrap();
        Setup {
            proxy,
            folder,
            target: Some(target),
        }
    }

    impl Setup {
        fn dial(&self) -> UnixStream {
            let stream = UnixStream::connect(self.folder.path().join("link")).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            stream
        }

        fn accept(&self) -> UnixStream {
            let (stream, _) = self.target.as_ref().unwrap().accept().unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            stream
        }

        fn connected(&self) -> (UnixStream, UnixStream) {
            let dialer = self.dial();
            (dialer, self.accept())
        }
    }

    fn assert_carries(from: &mut UnixStream, to: &mut UnixStream, bytes: &[u8]) {
        from.write_all(bytes).unwrap();
        let mut received = vec![0; bytes.len()];
        to.read_exact(&mut received).unwrap();
        assert_eq!(received, bytes);
    }

    fn assert_silent(stream: &mut UnixStream) {
        stream.set_read_timeout(Some(SILENCE)).unwrap();
        let error = stream.read(&mut [0; 1]).expect_err("nothing should arrive");
        assert!(
            matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            "{error}"
        );
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
    }

    fn assert_closed(stream: &mut UnixStream) {
        match stream.read(&mut [0; 1]) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("the connection is not closed: {other:?}"),
        }
    }

    #[test]
    fn link_carries_both_directions() {
        let setup = setup();
        let (mut dialer, mut target) = setup.connected();
        assert_carries(&mut dialer, &mut target, b"request");
        assert_carries(&mut target, &mut dialer, b"response");
        let long: Vec<u8> = (0..100_000u32).map(|number| (number % 251) as u8).collect();
        assert_carries(&mut dialer, &mut target, &long);
    }

    #[test]
    fn slow_link_carries_everything_late() {
        let setup = setup();
        setup.proxy.shape(Some(LinkShape {
            bits_per_second: 80_000_000,
            delay_ms: 20,
        }));
        let (mut dialer, mut target) = setup.connected();
        let begun = Instant::now();
        let long: Vec<u8> = (0..500_000u32).map(|number| (number % 251) as u8).collect();
        let mut sender = dialer.try_clone().unwrap();
        let sent = long.clone();
        let sending = thread::spawn(move || sender.write_all(&sent).unwrap());
        let mut received = vec![0; long.len()];
        target.read_exact(&mut received).unwrap();
        sending.join().unwrap();
        assert!(received == long);
        // 4 million bits and the delay.
        assert!(
            begun.elapsed() >= Duration::from_millis(70),
            "{:?}",
            begun.elapsed()
        );
        assert_carries(&mut target, &mut dialer, b"response");
        drop(target);
        assert_closed(&mut dialer);

        let (mut dialer, mut target) = setup.connected();
        // The target accepts before the proxy lists the connection, and carries after that.
        assert_carries(&mut dialer, &mut target, b"request");
        setup.proxy.shape(None);
        assert_closed(&mut target);
    }

    #[test]
    fn close_reaches_the_other_side_at_once() {
        let setup = setup();
        let (mut dialer, target) = setup.connected();
        drop(target);
        assert_closed(&mut dialer);
        let (dialer, mut target) = setup.connected();
        drop(dialer);
        assert_closed(&mut target);
    }

    #[test]
    fn dead_target_refuses_connections() {
        let mut setup = setup();
        // As a killed node leaves its socket, and as one that has stopped takes it away.
        setup.target = None;
        assert_closed(&mut setup.dial());
        fs::remove_file(setup.folder.path().join("target")).unwrap();
        assert_closed(&mut setup.dial());
    }

    #[test]
    fn disconnected_link_loses_bytes_and_connections_stay_open() {
        let setup = setup();
        let (mut dialer, mut target) = setup.connected();
        setup.proxy.disconnect();
        dialer.write_all(b"lost").unwrap();
        assert_silent(&mut target);
        drop(target);
        assert_silent(&mut dialer);
    }

    #[test]
    fn connection_to_disconnected_link_hangs_until_reconnect() {
        let setup = setup();
        setup.proxy.disconnect();
        let mut dialer = setup.dial();
        dialer.write_all(b"hello?").unwrap();
        assert_silent(&mut dialer);
        setup.proxy.reconnect();
        assert_closed(&mut dialer);
        let (mut dialer, mut target) = setup.connected();
        assert_carries(&mut dialer, &mut target, b"again");
    }

    #[test]
    fn reconnect_closes_lossy_connections_and_keeps_the_rest() {
        let setup = setup();
        let (mut damaged, mut damaged_target) = setup.connected();
        let (mut whole, mut whole_target) = setup.connected();
        setup.proxy.disconnect();
        damaged.write_all(b"lost").unwrap();
        assert_silent(&mut damaged_target);
        setup.proxy.reconnect();
        assert_closed(&mut damaged);
        assert_closed(&mut damaged_target);
        assert_carries(&mut whole, &mut whole_target, b"kept");
        assert_carries(&mut whole_target, &mut whole, b"too");
    }
}
