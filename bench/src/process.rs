//! What a process has used so far, as the scheduler accounts for it. Processor time is what a shared machine can still
//! measure: wall time there is mostly other people's work.

use anyhow::{Context as _, Result};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// The kernel's unit for processor time in `/proc/PID/stat`. 100 a second on every Linux that Rust supports.
const TICK_MS: f64 = 10.0;
/// A process that waits is looked at this often until it rests. Its counters are behind by up to a tick while it runs.
const LOOK_EVERY: Duration = Duration::from_micros(300);
/// After this long without rest the counters are taken as they are.
const REST_MAX: Duration = Duration::from_secs(2);

/// A process's use of the machine at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Processor time of its threads in milliseconds, to the nanosecond. Threads that have ended do not count.
    pub cpu_ms: f64,
    /// Processor time of its ended children in milliseconds, to 10 ms.
    pub children_ms: f64,
    /// Resident memory in MB.
    pub resident_mb: f64,
    /// Threads.
    pub threads: usize,
}

/// Waits until every thread sleeps, and reads the counters then.
pub fn at_rest(pid: u32) -> Result<Usage> {
    let begun = Instant::now();
    let mut before = None;
    loop {
        let (asleep, cpu_ns, threads) = threads(pid)?;
        if asleep && before == Some(cpu_ns) || begun.elapsed() > REST_MAX {
            return Ok(Usage {
                cpu_ms: cpu_ns as f64 / 1e6,
                children_ms: stat(pid)?.children_ms,
                resident_mb: resident_mb(pid)?,
                threads,
            });
        }
        before = Some(cpu_ns);
        thread::sleep(LOOK_EVERY);
    }
}

/// Processor time of a process, ended threads and ended children included, to 10 ms.
pub fn total_ms(pid: u32) -> Result<f64> {
    let stat = stat(pid)?;
    Ok(stat.own_ms + stat.children_ms)
}

/// Processor time of this process's ended children, to 10 ms.
pub fn ended_children_ms() -> Result<f64> {
    Ok(stat(std::process::id())?.children_ms)
}

/// The calling thread's processor time in milliseconds, to the nanosecond and up to now.
pub fn own_thread_ms() -> f64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    used.tv_sec as f64 * 1e3 + used.tv_nsec as f64 / 1e6
}

/// Resident memory in MB.
pub fn resident_mb(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let resident = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(first_number(resident) as f64 / 1024.0)
}

fn threads(pid: u32) -> Result<(bool, u64, usize)> {
    let (mut asleep, mut cpu_ns, mut count) = (true, 0, 0);
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let folder = thread?.path();
        // A thread may end between the listing and the look.
        let Ok(schedule) = fs::read_to_string(folder.join("schedstat")) else { continue };
        let Ok(stat) = fs::read_to_string(folder.join("stat")) else { continue };
        asleep &= stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'));
        cpu_ns += first_number(&schedule);
        count += 1;
    }
    Ok((asleep, cpu_ns, count))
}

struct Stat {
    own_ms: f64,
    children_ms: f64,
}

fn stat(pid: u32) -> Result<Stat> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in brackets may hold spaces; fields are counted after it: utime is the 12th, then stime, cutime, cstime.
    let (_, rest) = stat.rsplit_once(") ").context("no name in stat")?;
    let ticks: Vec<f64> = rest.split(' ').skip(11).take(4).map(|n| n.parse().unwrap_or(0.0)).collect();
    let [user, system, children_user, children_system] = ticks[..] else { anyhow::bail!("stat is too short") };
    Ok(Stat { own_ms: (user + system) * TICK_MS, children_ms: (children_user + children_system) * TICK_MS })
}

fn first_number(text: &str) -> u64 {
    text.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_something() {
        let usage = stat(std::process::id()).unwrap();
        assert!(usage.own_ms >= 0.0 && resident_mb(std::process::id()).unwrap() > 0.1 && own_thread_ms() > 0.0);
    }
}
