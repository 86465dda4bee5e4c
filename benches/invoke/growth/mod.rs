//! How cost grows as one quantity grows and everything else stays the same: `-- --growth [NAME…]`, with `--quick` for
//! fewer sizes and rounds, and `--out FOLDER` for the files (default: `target/growth`).
//!
//! All sizes are measured in turn, round after round, so that whatever disturbs the machine disturbs all of them; a
//! cost is the median of the rounds. It is the CPU time of the server process, which other processes disturb less than
//! a rate. A curve is flat if the slope of its cost over the size, both as logarithms, is at most 0.1, and linear if
//! that of the part of the cost that varies is at most 1.05.

mod calls;
mod connections;
mod curve;
mod payload;
mod pending;
mod plot;
mod rounds;
mod served;
mod services;
mod subscribers;

use std::fs;
use std::path::PathBuf;

use self::curve::Curve;
use self::rounds::Scale;

/// A quantity that grows.
struct Quantity {
    name: &'static str,
    /// What the axis of the size shows.
    axis: &'static str,
    measure: fn(Scale) -> Vec<Curve>,
}

const QUANTITIES: [Quantity; 6] = [
    Quantity {
        name: "services",
        axis: "registered services",
        measure: services::measure,
    },
    Quantity {
        name: "subscribers",
        axis: "subscribers",
        measure: subscribers::measure,
    },
    Quantity {
        name: "pending",
        axis: "pending invocations",
        measure: pending::measure,
    },
    Quantity {
        name: "keys",
        axis: "pending invocations with concurrency keys",
        measure: pending::measure_with_keys,
    },
    Quantity {
        name: "payload",
        axis: "bytes of the payload",
        measure: payload::measure,
    },
    Quantity {
        name: "connections",
        axis: "connections",
        measure: connections::measure,
    },
];

/// Measures quantities by name, all without a name.
pub(crate) fn run(arguments: &[&str]) {
    let mut names = Vec::new();
    let mut scale = Scale { is_quick: false };
    let mut folder = PathBuf::from("target/growth");
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match *argument {
            "--quick" => scale.is_quick = true,
            "--out" => folder = arguments.next().expect("--out FOLDER").into(),
            name => names.push(name),
        }
    }
    let is_known = |name: &&str| QUANTITIES.iter().any(|quantity| quantity.name == *name);
    assert!(names.iter().all(is_known), "unknown quantity: {names:?}");
    fs::create_dir_all(&folder).unwrap();
    for Quantity {
        name,
        axis,
        measure,
    } in QUANTITIES
    {
        if !names.is_empty() && !names.contains(&name) {
            continue;
        }
        let curves = measure(scale);
        println!("Cost by {axis}");
        curves.iter().for_each(Curve::show);
        let json = curve::json(name, axis, &curves);
        fs::write(folder.join(format!("{name}.jsonl")), json).unwrap();
        let svg = plot::svg(axis, &curves);
        fs::write(folder.join(format!("{name}.svg")), svg).unwrap();
        println!();
    }
}

/// Serves for a measurement.
pub(crate) fn serve(arguments: &[&str]) {
    match arguments {
        [folder, "echo"] => served::serve_echo(folder),
        [folder, "services", count] => services::serve(folder, count.parse().unwrap()),
        [folder, "pending", fill, keys] => {
            pending::serve(folder, fill.parse().unwrap(), keys.parse().unwrap());
        }
        _ => unreachable!("unknown server: {arguments:?}"),
    }
}
