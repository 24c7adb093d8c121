//! What is between a line and what it stands on: zero, or in a stack the lines before it.
//! Where a line has no value its band is interrupted.

use std::collections::HashMap;

use super::Line;

/// Neighboring points of a line: when, and from where to where.
pub(super) type Run = Vec<(f64, [f64; 2])>;

pub(super) fn bands(lines: &[Line], stacked: bool) -> Vec<Vec<Run>> {
    let mut sums: HashMap<u64, f64> = HashMap::new();
    let mut band = |line: &Line| {
        let points = line.points.iter().map(|(time, value)| {
            let lower = sums.get(&time.to_bits()).copied().unwrap_or_default();
            if stacked {
                sums.insert(time.to_bits(), lower + value);
            }
            (*time, [lower, lower + value])
        });
        runs(points.collect())
    };
    lines.iter().map(&mut band).collect()
}

/// Cuts where a point is further from the one before than points of the line usually are.
fn runs(points: Run) -> Vec<Run> {
    let distances = points.windows(2).map(|pair| pair[1].0 - pair[0].0);
    let longest = 1.5 * distances.fold(f64::INFINITY, f64::min);
    points.chunk_by(|(before, _), (time, _)| time - before <= longest).map(shortened).collect()
}

/// Without the points between two of the same values.
fn shortened(run: &[(f64, [f64; 2])]) -> Run {
    let same = |n: usize| run.get(n).map(|(_, values)| values);
    let needed = |n: usize| n == 0 || same(n - 1) != same(n) || same(n) != same(n + 1);
    (0..).zip(run).filter(|(n, _)| needed(*n)).map(|(_, point)| *point).collect()
}

pub(super) fn highest(bands: &[Vec<Run>]) -> f64 {
    bands.iter().flatten().flatten().map(|(_, [_, upper])| *upper).fold(0.0, f64::max)
}
