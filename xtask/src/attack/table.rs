//! The table of what was measured, and whether it is within the targets.

use std::error::Error;
use std::time::Duration;

use super::Attack;
use super::measure::Measured;

/// Since the API server told of the app: before that the operator cannot know it.
const READY: Duration = Duration::from_secs(2);
const HEALTH: Duration = Duration::from_secs(1);
/// In KiB.
const MEMORY: u64 = 64 << 10;

/// Prints it, and fails when a target was missed.
pub(super) fn print(rows: &[(Attack, Measured)]) -> Result<(), Box<dyn Error>> {
    println!();
    println!(
        "| attack | writes accepted / rejected | new apps | create p50 / max | Ready p50 / max | until a watch delivers the app | from then on | healthz max | RSS max / end | CPU time |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    rows.iter().for_each(|(attack, measured)| println!("{}", row(*attack, measured)));
    println!();
    let missed: Vec<String> = rows.iter().flat_map(|(attack, measured)| missed(*attack, measured)).collect();
    if missed.is_empty() {
        println!(
            "Every target was met: Ready within 2 s after the watch of the API server delivered the app, /healthz within 1 s, less than 64 MiB resident."
        );
        return Ok(());
    }
    let load = std::fs::read_to_string("/proc/loadavg")?;
    println!("Load average now: {}. Times are not meaningful if other programs use the processors.", load.trim());
    Err(missed.join("\n       ").into())
}

fn row(attack: Attack, measured: &Measured) -> String {
    let (accepted, refused) = measured.made;
    let (most, now) = measured.memory;
    format!(
        "| {attack} | {accepted} / {refused} | {} | {} / {} ms | {} / {} ms | {} / {} ms | {} / {} ms | {} ms | {:.1} / {:.1} MiB | {:.1} s |",
        measured.ready.len(),
        median(&measured.create).as_millis(),
        max(&measured.create).as_millis(),
        median(&measured.ready).as_millis(),
        max(&measured.ready).as_millis(),
        median(&measured.watched).as_millis(),
        max(&measured.watched).as_millis(),
        median(&measured.ready_since_told()).as_millis(),
        max(&measured.ready_since_told()).as_millis(),
        max(&measured.health).as_millis(),
        most as f64 / 1024.0,
        now as f64 / 1024.0,
        measured.processor,
    )
}

fn missed(attack: Attack, measured: &Measured) -> Vec<String> {
    let (ready, health, memory) = (max(&measured.ready_since_told()), max(&measured.health), measured.memory.0);
    [
        (ready > READY, format!("{attack}: a new app of the other tenant was Ready {ready:.1?} after the API server delivered it, the target is 2 s")),
        (health > HEALTH, format!("{attack}: /healthz responded after {health:.1?}, the target is 1 s")),
        (memory >= MEMORY, format!("{attack}: {} MiB were resident, the target is 64 MiB", memory >> 10)),
    ]
    .into_iter()
    .filter_map(|(is_missed, sentence)| is_missed.then_some(sentence))
    .collect()
}

fn max(times: &[Duration]) -> Duration {
    times.iter().max().copied().unwrap_or_default()
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_that_was_missed_is_named() {
        let times = |millis| vec![Duration::from_millis(10), Duration::from_millis(millis)];
        let mut measured = Measured {
            made: (0, 0),
            create: times(100),
            ready: times(2500),
            watched: times(500),
            health: times(1000),
            memory: (MEMORY - 1, 0),
            processor: 0.0,
        };
        assert!(missed(Attack::Text, &measured).is_empty());
        measured.ready = times(2501);
        measured.health = times(1001);
        measured.memory = (MEMORY, 0);
        let said = missed(Attack::Text, &measured);
        let named = |target: &str| said.iter().any(|sentence| sentence.contains(target));
        assert!(["2 s", "1 s", "64 MiB"].into_iter().all(named) && said.len() == 3, "{said:?}");
    }
}
