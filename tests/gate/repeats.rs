//! A seed and the number of a round repeat what was done.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{CONFIG, World};

/// Of every round of a record: its stage and number, whose sockets it had, its delay, and its company.
fn rounds(world: &World, arguments: &[&str]) -> BTreeMap<(String, u64), (Vec<Value>, Value, Value)> {
    let ended = world.check(&[&["--tag", "gate", "--seed", "7141"], arguments].concat());
    assert_eq!(ended.code, 11, "so few rounds decide nothing\n{ended:?}");
    let record: Value = serde_json::from_slice(&std::fs::read(world.file("run.json")).unwrap()).unwrap();
    let rounds = record["probing"]["rounds"].as_array().unwrap();
    let provoked = rounds
        .iter()
        .filter(|round| !matches!(round["stage"].as_str(), Some("listening" | "learning" | "held")));
    provoked
        .map(|round| {
            let key = (round["stage"].as_str().unwrap().to_owned(), round["number"].as_u64().unwrap());
            let mut users: Vec<Value> =
                round["observations"].as_array().unwrap().iter().map(|seen| seen["user"].clone()).collect();
            users.sort_by_key(ToString::to_string);
            (key, (users, round["delay"].clone(), round["company"].clone()))
        })
        .collect()
}

#[test]
fn a_round_repeats_its_sockets_users_delays_and_company() {
    let world = World::candidate("fixed", 1.0);
    world.configure(CONFIG);
    let patterns = ["--pattern", "control,users,same-user,reconnect,stagger"];
    let all = rounds(&world, &[&patterns[..], &["--rounds", "9"]].concat());
    let stages: Vec<&str> = all.keys().map(|(stage, _)| stage.as_str()).collect();
    for stage in ["control", "users", "same-user", "reconnect", "stagger"] {
        assert!(stages.contains(&stage), "{stage} never ran: {stages:?}");
    }
    for number in ["2", "7"] {
        let again = rounds(&world, &[&patterns[..], &["--round", number]].concat());
        assert_eq!(again.len(), 5, "one round of each: {again:?}");
        for (key, round) in again {
            assert_eq!(key.1.to_string(), number, "{key:?}");
            assert_eq!(all.get(&key), Some(&round), "{key:?}");
        }
    }
}
