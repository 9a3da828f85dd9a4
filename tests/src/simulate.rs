//! `simulate`: runs seeds.
fn main() {
    let seeds: u64 = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(10);
    let first: u64 = std::env::args().nth(2).and_then(|s| s.parse().ok()).unwrap_or(0);
    let trace = std::env::args().nth(3).is_some();
    let mut events = 0;
    for seed in first..first + seeds {
        let r = chat_tests::simulation::run::run_seed(seed, trace);
        for l in &r.trace { println!("{l}"); }
        events += r.events;
        if let Some(v) = r.violation { println!("FAILED seed {seed}: {v}"); }
        else if seeds < 20 { println!("{seed}: events {} commits {} leaders {} reads {} ms {}", r.events, r.commits, r.leaders, r.reads, r.virtual_micros/1000); }
    }
    println!("events {events}");
}
