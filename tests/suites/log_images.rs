//! Tens of thousands of disks on which `chat-log` is opened after crashes, lies and rot:
//! `tests/src/log_images.rs`. Here is how many there must be of each kind.

use chat_tests::log_images::{corruptions, crashes, first_starts, lies};

#[test]
fn log_that_crashed_at_any_operation_has_what_it_acknowledged() {
    let report = crashes(110);
    print!("{report}");
    report.require_no_failure();
    let again = report.of("crashed again");
    let images = report.of("") - again;
    assert!(images >= 20_000, "{images}");
    assert!(again >= 5_000, "{again}");
    report.require("Kill", 6_000);
    report.require("PowerLoss", 12_000);
    report.require("PowerLossThatTears", 6_000);
    report.require("SyncFails", 800);
    report.require("NoSpace", 600);
}

#[test]
fn log_whose_first_start_crashed_is_empty() {
    let report = first_starts(30);
    print!("{report}");
    report.require_no_failure();
    report.require("", 800);
}

/// What was lost and nothing on the disk remembers is printed as forgotten.
#[test]
fn log_on_a_lying_disk_is_not_believed() {
    let report = lies(60);
    print!("{report}");
    report.require_no_failure();
    for trouble in ["SyncLies", "Misdirected"] {
        report.require(&format!("{trouble}: Whole"), 500);
        report.require(&format!("{trouble}: Amnesia"), 50);
        report.require(&format!("{trouble}: Hole"), 200);
        report.require(&format!("{trouble}: Forgotten"), 50);
    }
    report.require("flushes lost: Forgotten", 1_000);
    report.require("flushes lost: Whole", 20);
}

#[test]
fn damaged_log_is_not_believed() {
    let report = corruptions(70);
    print!("{report}");
    report.require_no_failure();
    let again = report.of("crashed during recovery");
    let images = report.of("") - again;
    assert!(images >= 20_000, "{images}");
    assert!(again >= 3_000, "{again}");
    for class in ["slot", "header", "body"] {
        for kind in ["flip", "zero", "swap"] {
            report.require(&format!("{kind} of {class}"), 40);
        }
    }
    for class in ["node", "segment"] {
        for kind in ["truncate", "remove", "old copy"] {
            report.require(&format!("{kind} of {class}"), 150);
        }
    }
    for verdict in ["Whole", "Amnesia", "Hole", "FoundByReading", "Forgotten"] {
        report.require(&format!("flip of body: {verdict}"), 50);
    }
    report.require("flip of slot: Whole", 1_000);
    report.require("remove of node: Amnesia", 200);
    report.require("old copy of node: Forgotten", 200);
    report.require("truncate of segment: Amnesia", 200);
}
