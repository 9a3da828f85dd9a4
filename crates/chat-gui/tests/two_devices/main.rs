//! Two devices of one account, on servers that are a list of changes: whatever is sent, deleted and
//! read, on whichever device, with replies that are lost or late, devices that are away, restarted or
//! without the events in between, both show what the servers have once all is quiet. Each device is the
//! shipped model and the shipped store; only the tasks between them and the servers are replaced, by
//! steps in random order.
//!
//! The rules are those of `docs/window-store.md`.

mod device;
mod servers;

use std::collections::BTreeMap;

use device::Device;
use servers::Servers;

/// Runs of the property; `CHAT_GUI_TWO_DEVICES` sets another number.
const SEEDS: u64 = 200;
const STEPS: u64 = 150;

/// One step of a device, or of the other person.
async fn step(servers: &mut Servers, devices: &mut [Device; 2], dice: &mut fastrand::Rng) {
    let device = &mut devices[usize::from(dice.bool())];
    match dice.u8(0..22) {
        0..3 => device.write(servers, dice).await,
        3 => servers.receive_from_bob(),
        4..6 => device.delete(servers, dice).await,
        6 => device.read(servers).await,
        7..10 => device.attempt(servers, dice),
        10..12 => device.take_reply(servers).await,
        12..16 => device.take_event(servers).await,
        16 => device.take_page(servers).await,
        17 => device.send_change(servers, dice).await,
        18 => device.go_away(),
        19 => device.come_back(servers).await,
        20 => device.lose_events(servers).await,
        _ => device.restart(servers).await,
    }
    device.let_time_pass(servers, dice.u64(0..4_000)).await;
}

async fn run(seed: u64) {
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut servers = Servers::new(dice.fork());
    let mut devices = [Device::new(1).await, Device::new(2).await];
    for device in &mut devices {
        device.come_back(&mut servers).await;
    }
    for _ in 0..dice.u64(10..STEPS) {
        step(&mut servers, &mut devices, &mut dice).await;
    }
    for device in &mut devices {
        device.come_back(&mut servers).await;
    }
    // Each device may find something to do in what the other one did.
    for _ in 0..3 {
        for device in &mut devices {
            device.finish(&mut servers).await;
        }
    }
    let expected = servers.in_box();
    for device in &mut devices {
        assert_eq!(device.shown(), expected, "seed {seed}: on the screen");
        assert_eq!(device.waiting(), 0, "seed {seed}: nothing waits");
        device.restart(&mut servers).await;
        assert_eq!(device.shown(), expected, "seed {seed}: on the disk");
    }
    let sent: BTreeMap<_, _> = servers.sent();
    for (id, times) in sent {
        assert_eq!(times, 1, "seed {seed}: {id:?} was stored more than once");
    }
}

#[test]
fn two_devices_show_the_same_conversation() {
    let seeds = std::env::var("CHAT_GUI_TWO_DEVICES").map_or(SEEDS, |seeds| {
        seeds.parse().expect("CHAT_GUI_TWO_DEVICES is a number")
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime of one thread");
    for seed in 0..seeds {
        runtime.block_on(run(seed));
    }
}
