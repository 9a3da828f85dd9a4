//! Links between sockets of a test.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use std::{fs, thread};

use tempfile::TempDir;

use super::{Gate, LinkProxy, LinkShape};

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

/// Every thread of a link has a handle of its gate until it ends.
#[track_caller]
fn assert_threads_end(gate: &Weak<Gate>) {
    let deadline = Instant::now() + DEADLINE;
    while gate.strong_count() > 0 {
        assert!(Instant::now() < deadline, "a thread has not ended");
        thread::yield_now();
    }
}

/// Drops a proxy and checks that its connections are closed and that no new one is accepted.
#[track_caller]
fn assert_ends(setup: Setup, connections: Vec<UnixStream>) {
    let gate = Arc::downgrade(&setup.proxy.gate);
    let Setup { proxy, folder, .. } = setup;
    drop(proxy);
    for mut connection in connections {
        assert_closed(&mut connection);
    }
    let refused = UnixStream::connect(folder.path().join("link")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert_threads_end(&gate);
}

#[test]
fn dropped_proxy_ends_with_its_connections() {
    let setup = setup();
    let (mut dialer, mut target) = setup.connected();
    assert_carries(&mut dialer, &mut target, b"carried");
    assert_ends(setup, vec![dialer, target]);
}

#[test]
fn dropped_proxy_without_connections_ends() {
    assert_ends(setup(), Vec::new());
}

#[test]
fn dropped_proxy_of_a_slow_link_ends() {
    let setup = setup();
    setup.proxy.shape(Some(LinkShape {
        bits_per_second: 8_000,
        delay_ms: 60_000,
    }));
    let (mut dialer, target) = setup.connected();
    dialer.write_all(b"on its way for a minute").unwrap();
    assert_ends(setup, vec![dialer, target]);
}

#[test]
fn dropped_proxy_of_a_disconnected_link_ends() {
    let setup = setup();
    let (mut lossy, mut target) = setup.connected();
    setup.proxy.disconnect();
    lossy.write_all(b"lost").unwrap();
    assert_silent(&mut target);
    let hanging = setup.dial();
    assert_ends(setup, vec![lossy, target, hanging]);
}

/// A node that does not read lets the proxy wait in the middle of a write.
#[test]
fn dropped_proxy_ends_while_it_waits_to_write() {
    let setup = setup();
    let (dialer, _target) = setup.connected();
    dialer.set_nonblocking(true).unwrap();
    let deadline = Instant::now() + DEADLINE;
    // Both buffers and the one of the proxy are full when nothing is accepted for a while.
    let mut accepted_at = Instant::now();
    while accepted_at.elapsed() < SILENCE {
        assert!(Instant::now() < deadline, "the buffers do not fill up");
        match (&dialer).write(&[0; 65_536]) {
            Ok(accepted) => {
                assert!(accepted > 0);
                accepted_at = Instant::now();
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    assert_ends(setup, Vec::new());
}
