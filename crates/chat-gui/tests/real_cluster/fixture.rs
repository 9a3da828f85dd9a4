//! What most tests of this folder begin with: servers, accounts, and a window on a device.

use std::future::Future;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use chat_client::Session;
use chat_tests::processes::cluster::Cluster;
use chat_tests::processes::waiting::within;
use tempfile::TempDir;

use crate::window::{PASSWORD, Window, addresses};

/// A test that takes longer has failed.
const TEST_LIMIT: Duration = Duration::from_secs(120);

/// Runs a test, which fails when it takes too long.
pub(crate) async fn limited(test: impl Future<Output = ()>) {
    within(TEST_LIMIT, test).await;
}

/// A device: the folder in which the window keeps its data, also after it is closed.
pub(crate) struct Device {
    folder: Rc<TempDir>,
}

impl Device {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        Self {
            folder: Rc::new(folder),
        }
    }

    /// Where its data is.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Opens the window of this device for these servers; without any it uses those of last time.
    pub(crate) fn open(&self, addresses: Vec<String>) -> Window {
        Window::open(Rc::clone(&self.folder), addresses)
    }
}

/// Three servers, the account of bob, and a window in which alice is signed in and has the
/// conversation with bob open.
pub(crate) struct Fixture {
    pub(crate) cluster: Cluster,
    pub(crate) bob: Session,
    pub(crate) device: Device,
    pub(crate) window: Window,
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        let cluster = Cluster::start(3).await;
        let bob = cluster.client().sign_up("bob", PASSWORD).await;
        let bob = bob.expect("the servers create an account");
        let device = Device::new();
        let mut window = device.open(addresses(&cluster));
        window.sign_up("alice").await;
        window.open_conversation("bob");
        Self {
            cluster,
            bob,
            device,
            window,
        }
    }
}
