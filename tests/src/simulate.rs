//! `simulate`: runs many seeds, one seed with its trace, or the scenarios, and prints what failed.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chat_tests::seeds::{self, Kind};
use chat_tests::simulation::failover::{FAIL_OVER_KINDS, FailOver, FailOverKind};
use chat_tests::simulation::faults::{FAULT_KINDS, FaultCounts};
use chat_tests::simulation::run::SeedReport;
use chat_tests::{log_images, scenario};
use clap::Parser;

/// Of so many seeds these are run twice and must give the same run: one of each kind.
const REPEATED: ([u64; 2], u64) = ([0, 19], 100);
/// From so many seeds on, it is checked that enough has happened: the minima below are for these.
const ENOUGH_SEEDS: u64 = 500;
const COMMITS_MIN: u64 = 50_000;
const LEADERS_MIN: u64 = 2_500;
/// Of each fault.
const FAULTS_MIN: u64 = 25;
/// Of each situation that must occur in the chat.
const SITUATIONS_MIN: u64 = 10;
/// Situations of which fewer are demanded: a disk forgets what was in a hole only if no leader has committed
/// that and the next one does not have it.
/// Only a part of the seeds that grow and shrink have five nodes; a load that is too fast for a new node is none.
const RARE_SITUATIONS: [(&str, u64); 8] = [
    ("disk forgot what was in a hole", 2),
    ("two of five lost at once, and a third later", 0),
    ("joining node stays behind", 0),
    ("node joined", 2),
    ("node removed", 1),
    ("leader removed", 1),
    ("leader killed while it changes the members", 1),
    ("leader isolated while it changes the members", 1),
];
/// In every single seed.
const EVENTS_MIN: u64 = 2_000;

/// Runs simulated clusters and checks every step.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Run as many seeds as fit into this time instead.
    #[arg(long)]
    minutes: Option<u64>,
    /// Run only this seed.
    #[arg(long)]
    seed: Option<u64>,
    /// Print everything that happens in that seed.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Do not look for further failures.
    #[arg(long)]
    stop_at_first_failure: bool,
    /// How many seeds run at once.
    #[arg(long, default_value_t = 2)]
    threads: u64,
    /// Run the scenarios instead.
    #[arg(long, alias = "transcripts")]
    scenarios: bool,
    /// Open logs after crashes, lies and rot instead.
    #[arg(long)]
    log_images: bool,
}

/// The sums over all seeds.
#[derive(Debug, Default)]
struct Totals {
    seeds: u64,
    chat_seeds: u64,
    events: u64,
    events_fewest: Option<u64>,
    commits: u64,
    leaders: u64,
    acknowledged: u64,
    reads: u64,
    virtual_micros: u64,
    faults: FaultCounts,
    situations: BTreeMap<&'static str, u64>,
    failovers: Vec<FailOver>,
    failed: BTreeSet<u64>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A panic is a broken invariant: it is reported with its seed, not with a backtrace.
    std::panic::set_hook(Box::new(|_| {}));
    let passed = if arguments.scenarios {
        run_scenarios()
    } else if arguments.log_images {
        run_log_images()
    } else if let Some(seed) = arguments.seed {
        run_one(seed, arguments.trace)
    } else {
        run_many(&arguments)
    };
    if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run_scenarios() -> bool {
    let files = match scenario::files() {
        Ok(files) => files,
        Err(error) => {
            println!("FAILED to find the scenarios: {error}");
            return false;
        }
    };
    let mut failed = 0;
    for file in &files {
        if let Err(difference) = scenario::check(file) {
            failed += 1;
            println!("FAILED scenario {}: {difference}", file.name);
        }
    }
    println!("{} scenarios, {failed} failed", files.len());
    failed == 0
}

/// Fewer images than the tests have: enough to notice a log that keeps less than it must.
fn run_log_images() -> bool {
    type Images = fn() -> log_images::Report;
    let kinds: [(&str, Images); 3] = [
        ("crashes", || log_images::crashes(40)),
        ("lies", || log_images::lies(40)),
        ("rot", || log_images::corruptions(30)),
    ];
    let mut passed = true;
    for (kind, open) in kinds {
        let failure = match std::panic::catch_unwind(open) {
            Ok(report) => {
                println!("{} log images of {kind}\n{report}", report.of(""));
                report.failures().first().cloned()
            }
            Err(_) => Some("the log panicked".to_owned()),
        };
        if let Some(failure) = failure {
            passed = false;
            println!("FAILED log images {kind}: {failure}");
        }
    }
    passed
}

fn run_one(seed: u64, record_trace: bool) -> bool {
    let report = seeds::run(seed, record_trace);
    for line in &report.trace {
        println!("{line}");
    }
    let mut totals = Totals::default();
    totals.add(&report);
    totals.print(Duration::ZERO);
    println!("hash {:016x}", report.hash);
    print_failure(&report);
    report.violation.is_none()
}

fn run_many(arguments: &Arguments) -> bool {
    let begun = Instant::now();
    let next = AtomicU64::new(arguments.first);
    let stop = AtomicBool::new(false);
    let totals = Mutex::new(Totals::default());
    let until = arguments
        .minutes
        .map(|minutes| begun + Duration::from_secs(60 * minutes));
    let is_over = |seed: u64| match until {
        Some(until) => Instant::now() >= until,
        None => seed >= arguments.first.saturating_add(arguments.seeds),
    };
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if is_over(seed) {
                        return;
                    }
                    let report = run_and_repeat(seed);
                    let mut totals = totals.lock().expect("no thread panics while it adds");
                    print_failure(&report);
                    totals.add(&report);
                    if report.violation.is_some() && arguments.stop_at_first_failure {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let totals = totals.into_inner().expect("no thread panics while it adds");
    totals.print(begun.elapsed());
    let shortfalls = totals.shortfalls();
    for shortfall in &shortfalls {
        println!("FAILED to cover everything: {shortfall}");
    }
    totals.failed.is_empty() && shortfalls.is_empty()
}

/// Runs the seed, some of them twice: the same seed must give the same run.
fn run_and_repeat(seed: u64) -> SeedReport {
    let mut report = seeds::run(seed, false);
    let (repeated, of) = REPEATED;
    if repeated.contains(&(seed % of)) {
        let again = seeds::run(seed, false);
        if again.hash != report.hash && report.violation.is_none() {
            report.violation = Some(chat_tests::checker::Violation::new(
                "determinism",
                format!("trace hash {:016x}, then {:016x}", report.hash, again.hash),
            ));
        }
    }
    report
}

fn print_failure(report: &SeedReport) {
    if let Some(violation) = &report.violation {
        println!("FAILED seed {}: {violation}", report.seed);
        println!(
            "    repeat it with: cargo xtask simulate --seed {} --trace",
            report.seed
        );
    }
}

impl Totals {
    fn add(&mut self, report: &SeedReport) {
        self.seeds += 1;
        if Kind::of(report.seed) == Kind::Chat {
            self.chat_seeds += 1;
        }
        self.events += report.events;
        let fewest = self.events_fewest.get_or_insert(report.events);
        *fewest = report.events.min(*fewest);
        self.commits += report.commits;
        self.leaders += report.leaders;
        self.acknowledged += report.acknowledged;
        self.reads += report.reads;
        self.virtual_micros += report.virtual_micros;
        self.faults.merge(&report.faults);
        self.failovers.extend(&report.failovers);
        for (name, count) in &report.situations {
            *self.situations.entry(name).or_default() += count;
        }
        if report.violation.is_some() {
            self.failed.insert(report.seed);
        }
    }

    /// What happened too rarely for the seeds to have tested it, in proportion to their number.
    fn shortfalls(&self) -> Vec<String> {
        if self.seeds < ENOUGH_SEEDS || !self.failed.is_empty() {
            return Vec::new();
        }
        let faults = FAULT_KINDS.iter();
        let faults = faults.map(|kind| (kind.name(), self.faults.of(*kind), FAULTS_MIN));
        let situations = self.situations.iter();
        let least_of = |name: &str| {
            let mut rare = RARE_SITUATIONS.iter();
            let least = rare.find(|(rare, _)| *rare == name);
            least.map_or(SITUATIONS_MIN, |(_, least)| *least)
        };
        let situations = situations.map(|(name, count)| (*name, *count, least_of(name)));
        let totals = [
            ("commits", self.commits, COMMITS_MIN),
            ("leaders elected", self.leaders, LEADERS_MIN),
        ];
        let expected = |least: u64| least * self.seeds / ENOUGH_SEEDS;
        let short = faults
            .chain(situations)
            .chain(totals)
            .filter(|(_, count, least)| *count < expected(*least))
            .map(|(name, count, least)| format!("{name}: {count} of {}", expected(least)));
        let shortest = self.events_fewest.unwrap_or_default();
        let too_short = (shortest < EVENTS_MIN)
            .then(|| format!("events in the shortest seed: {shortest} of {EVENTS_MIN}"));
        let slow = FAIL_OVER_KINDS.iter().filter_map(|kind| {
            let times = self.times_of(*kind);
            let limit = kind.slowest_of_a_hundred();
            let p99 = percentile(&times, 99);
            (p99 > limit).then(|| format!("{} too slow: p99 {p99} above {limit}", kind.name()))
        });
        short.chain(too_short).chain(slow).collect()
    }

    /// How long each fail-over of this kind took, in the kind's measure, ascending.
    fn times_of(&self, kind: FailOverKind) -> Vec<u64> {
        let of_kind = self.failovers.iter().filter(|one| one.kind == kind);
        let mut times: Vec<u64> = of_kind.map(FailOver::measure).collect();
        times.sort_unstable();
        times
    }

    fn print(&self, took: Duration) {
        println!("{:>12}  seeds, {} failed", self.seeds, self.failed.len());
        println!("{:>12}  of them with the chat", self.chat_seeds);
        println!(
            "{:>12}  events, {} at least in a seed",
            self.events,
            self.events_fewest.unwrap_or_default()
        );
        println!("{:>12}  commits", self.commits);
        println!("{:>12}  leaders elected", self.leaders);
        println!("{:>12}  operations acknowledged", self.acknowledged);
        println!("{:>12}  linearizable reads answered", self.reads);
        println!(
            "{:>12.1}  virtual hours",
            self.virtual_micros as f64 / 3.6e9
        );
        if took > Duration::ZERO {
            let rate = self.events as f64 / took.as_secs_f64();
            println!("{:>12.1}  seconds, {rate:.0} events/s", took.as_secs_f64());
        }
        println!("\n{:>12}  fault", "fired");
        for kind in FAULT_KINDS {
            println!("{:>12}  {}", self.faults.of(kind), kind.name());
        }
        println!("\n{:>12}  fail-over: p50, p90, p99, most", "tried");
        for kind in FAIL_OVER_KINDS {
            let times = self.times_of(kind);
            let shown = [50, 90, 99, 100].map(|percent| {
                let time = percentile(&times, percent);
                if kind.is_timed_out() {
                    format!("{:.2} T", time as f64 / 1e3)
                } else {
                    format!("{:.1} ms", time as f64 / 1e3)
                }
            });
            println!("{:>12}  {}: {}", times.len(), kind.name(), shown.join(", "));
        }
        if !self.situations.is_empty() {
            println!("\n{:>12}  in the chat", "occurred");
        }
        for (name, count) in &self.situations {
            println!("{count:>12}  {name}");
        }
    }
}

/// The time that so many percent do not exceed; 0 if there are none.
fn percentile(ascending: &[u64], percent: usize) -> u64 {
    let place = (ascending.len() * percent).div_ceil(100).max(1) - 1;
    ascending.get(place).copied().unwrap_or_default()
}
