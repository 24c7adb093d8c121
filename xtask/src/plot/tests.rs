use super::bands::bands;
use super::*;

fn line(name: &str, points: &[(f64, f64)]) -> Line {
    Line { name: name.into(), points: points.to_vec() }
}

#[test]
fn a_stack_adds_up_the_values_of_the_same_time() {
    let lines = [line("a", &[(0.0, 1.0), (1.0, 2.0)]), line("b", &[(1.0, 3.0), (2.0, 4.0)])];
    let stacked = bands(&lines, true);
    assert_eq!(stacked[1], [[(1.0, [2.0, 5.0]), (2.0, [0.0, 4.0])]]);
    assert_eq!(bands(&lines, false)[1], [[(1.0, [0.0, 3.0]), (2.0, [0.0, 4.0])]]);
}

#[test]
fn a_value_that_stays_needs_two_points() {
    let lines = [line("a", &[(0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (3.0, 1.0)])];
    assert_eq!(bands(&lines, false)[0], [[(0.0, [0.0, 0.0]), (2.0, [0.0, 0.0]), (3.0, [0.0, 1.0])]]);
}

#[test]
fn a_line_is_interrupted_where_it_has_no_value() {
    let lines = [line("a", &[(0.0, 1.0), (1.0, 1.0), (5.0, 1.0), (6.0, 1.0)])];
    assert_eq!(bands(&lines, false)[0].iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn a_legend_goes_on_in_a_new_row_when_one_is_full() {
    let flow = flow::layout(&["one", "two", "three"], 150, 10);
    let rows: Vec<_> = flow.positions.iter().map(|(_, y)| *y).collect();
    assert!(rows[0] == rows[1] && rows[1] < rows[2] && flow.height > rows[2], "{rows:?}");
    assert!(
        flow.positions[0].0 < flow.positions[1].0 && flow.positions[0].0 == flow.positions[2].0,
        "{:?}",
        flow.positions
    );
}

#[test]
fn a_value_has_its_unit() {
    let texts = [
        (Unit::Count, 50.0, "50"),
        (Unit::Percent, 0.915, "91.5 %"),
        (Unit::Seconds, 0.0, "0 s"),
        (Unit::Seconds, 0.25, "250 ms"),
        (Unit::Seconds, 139.0, "139 s"),
        (Unit::PerSecond, 2.5, "2.5/s"),
    ];
    for (unit, value, text) in texts {
        assert_eq!(unit.format(value), text);
    }
}

#[test]
fn a_picture_has_every_title_name_and_unit_and_escapes_them() {
    let position = GridPosition { column: 0, row: 0, columns: 12, rows: 8 };
    let lines = vec![line("<b>", &[(0.0, 0.0), (30.0, 40.0)])];
    let panel = Panel { title: "Calls".into(), unit: Unit::PerSecond, kind: Kind::Lines, position, lines };
    let events = vec![Event { at: 10.0, name: "outage".into() }];
    let svg = Figure { title: "All".into(), seconds: 150.0, events, panels: vec![panel] }.svg().unwrap();
    for text in ["All", "1", "outage at 0:10", "Calls", "&lt;b&gt;", "40/s", "0:30"] {
        assert!(svg.contains(&format!(">\n{text}\n</text>")), "{text}: {svg}");
    }
    assert!(svg.ends_with("</svg>\n"));
}
