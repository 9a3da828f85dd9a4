//! The bytes of a small log, which never change for one format.

use std::fmt::Write as _;
use std::fs;

use chat_consensus::Writes;
use expect_test::expect;

use crate::tests::fixture::{Disk, append, entries, vote};

/// Lines of 16 bytes with their offset; those of zeros only are left out.
fn hexdump(bytes: &[u8]) -> String {
    let mut dump = String::new();
    for (line, bytes) in bytes.chunks(16).enumerate() {
        if bytes.iter().all(|&byte| byte == 0) {
            continue;
        }
        write!(dump, "{:05x}", line * 16).unwrap();
        for byte in bytes {
            write!(dump, " {byte:02x}").unwrap();
        }
        dump.push('\n');
    }
    dump
}

/// The files of a log with a base, a batch and a name for the state.
fn small_log() -> Disk {
    let mut disk = Disk::new(1024);
    let mut log = disk.open_with_base();
    log.append_and_sync(&Writes {
        boot_count: Some(2),
        ..vote(3)
    })
    .unwrap();
    log.append_and_sync(&append(entries(1, 2, 3))).unwrap();
    log.set_state_directory("0-ab").unwrap();
    drop(log);
    disk
}

#[test]
fn layout_is_fixed() {
    let disk = small_log();
    let mut dump = String::new();
    for name in disk.segments() {
        let bytes = fs::read(disk.path(&name)).unwrap();
        write!(dump, "{name}\n{}", hexdump(&bytes)).unwrap();
    }
    let node = fs::read(disk.path("node")).unwrap();
    let (zero, one) = node.split_at(4096);
    assert_eq!(zero, one, "both slots hold the same");
    write!(dump, "node\n{}", hexdump(zero)).unwrap();
    expect![[r#"
        00000000000000000001.segment
        00000 63 68 61 74 2d 6c 6f 67 00 00 00 03 00 00 00 89
        00010 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01
        00020 f0 5b 18 2f 7f 6d 0f 75 00 00 00 00 00 00 00 01
        00040 38 81 89 35 1a 16 2a ed d1 e1 3a 67 59 f5 ca b5
        00050 00 00 00 30 00 00 00 00 00 00 00 00 00 00 00 00
        00060 00 00 00 07 00 00 00 01 00 00 00 00 00 00 00 01
        00070 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01
        00080 00 00 00 00 00 69 45 38 4b 00 00 00 00 00 00 00
        00200 42 4c 4f 43 02 00 00 00 00 00 00 00 00 00 00 01
        00210 f0 5b 18 2f 7f 6d 0f 75 00 00 00 00 c3 2b 3f 88
        00240 38 81 89 35 1a 16 2a ed d1 e1 3a 67 59 f5 ca b5
        00250 38 81 89 35 1a 16 2a ed d1 e1 3a 67 59 f5 ca b5
        00260 00 00 00 00 00 00 00 00 9d 47 0f 6f 00 00 00 00
        00000000000000000002.segment
        00000 63 68 61 74 2d 6c 6f 67 00 00 00 03 00 00 00 b5
        00010 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01
        00020 2e 67 e4 96 2f ce a1 8f 00 00 00 00 00 00 00 02
        00040 38 81 89 35 1a 16 2a ed d1 e1 3a 67 59 f5 ca b5
        00050 00 00 00 30 00 00 00 00 00 00 00 00 00 00 00 00
        00060 00 00 00 07 00 00 00 01 00 00 00 00 00 00 00 01
        00070 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01
        00080 00 00 00 00 01 00 00 00 00 00 00 00 01 00 00 00
        00090 00 00 00 00 01 00 00 00 00 00 00 02 00 00 00 00
        000a0 00 00 00 04 00 00 00 00 00 00 00 00 00 00 00 00
        000b0 00 f5 a3 7a 99 00 00 00 00 00 00 00 00 00 00 00
        00200 42 4c 4f 43 01 00 00 00 00 00 00 00 00 00 00 02
        00210 2e 67 e4 96 2f ce a1 8f 00 00 00 3c f1 76 e6 13
        00230 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00 03
        00240 38 81 89 35 1a 16 2a ed d1 e1 3a 67 59 f5 ca b5
        00250 21 1e 9a 70 4c 49 d9 d9 f4 5b 5c 97 3c 9a 57 47
        00260 00 00 00 00 00 00 00 00 16 87 f7 84 00 00 00 00
        00270 00 00 00 03 01 00 00 00 11 65 6e 74 72 79 20 31
        00280 20 6f 66 20 74 65 72 6d 20 33 00 00 00 00 00 00
        00290 00 03 01 00 00 00 11 65 6e 74 72 79 20 32 20 6f
        002a0 66 20 74 65 72 6d 20 33 00 00 00 00 00 00 00 00
        node
        00000 63 68 61 74 6e 6f 64 65 00 00 00 01 00 00 00 00
        00010 00 00 00 06 00 00 00 00 00 00 00 00 00 00 00 00
        00020 00 00 00 01 00 00 00 00 00 00 00 01 00 00 00 00
        00030 00 00 00 02 00 00 00 00 00 00 00 03 01 00 00 00
        00040 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00
        00050 00 00 00 00 01 01 00 00 00 00 00 00 00 00 00 00
        00060 00 00 00 00 00 07 00 00 00 00 00 00 00 00 00 00
        00070 00 00 00 00 00 01 01 00 00 00 00 00 00 00 02 21
        00080 1e 9a 70 4c 49 d9 d9 f4 5b 5c 97 3c 9a 57 47 00
        00090 00 00 00 00 00 00 01 00 f2 db 78 31 00 00 00 00
        001f0 00 00 00 00 00 00 00 00 00 00 00 00 39 84 d8 b8
        00200 00 04 30 2d 61 62 00 00 00 00 00 00 00 00 00 00
        00ff0 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 06
    "#]]
    .assert_eq(&dump);
}
