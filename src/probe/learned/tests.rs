use super::super::observation::Timeline;
use super::*;
use crate::trust::Excerpt;

const SECOND: u64 = 1_000_000;

/// A socket that got these frames, at these times, and sent before those from `sent` on.
fn socket(seen: &[(u64, &str)], sent: Option<u32>) -> Observation {
    let frames = seen.iter().map(|&(at, shape)| Frame {
        at,
        shape: Excerpt::new(shape),
        error: shape == "error",
        ..Frame::default()
    });
    let last = seen.iter().map(|seen| seen.0).max().unwrap_or(0);
    Observation {
        socket: 1,
        user: None,
        opening: Opening::Opened { subprotocol: None },
        frames: frames.collect(),
        frames_total: 0,
        sent_after: sent,
        knew_greeting: false,
        end: None,
        echo: None,
        instance: None,
        timeline: Timeline { answered: Some(0), ended: last + SECOND, ..Timeline::default() },
    }
}

fn learn(heard: &[&Observation], talked: &[&Observation]) -> Learned {
    super::learn(heard, talked).unwrap()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn an_answer_came_to_all_who_sent_and_a_heartbeat_to_one_who_did_not() {
    let heard = socket(&[(0, "json hello"), (SECOND, "json tick"), (2 * SECOND, "json tick")], None);
    let quick = socket(&[(0, "json hello"), (600_000, "json pong")], Some(1));
    let beside = socket(&[(0, "json hello"), (600_000, "json tick"), (600_001, "json pong")], Some(1));
    let learned = learn(&[&heard], &[&quick, &beside]);
    assert_eq!(learned.answered, Some(set(&["json pong"])));
    assert_eq!(learned.recurring, set(&["json tick"]));
    assert_eq!(learned.due, BTreeMap::from([("json hello".to_owned(), 1)]));
    let mute = socket(&[(0, "json hello"), (SECOND, "json tick")], Some(1));
    assert_eq!(learn(&[&heard], &[&mute, &mute]).answered, None, "it never answers");
    assert_eq!(learn(&[], &[&quick, &quick]).answered, None, "nobody heard what comes of itself");
}

#[test]
fn what_came_once_but_late_is_due_and_no_answer() {
    let heard = socket(&[(0, "json hello"), (2 * SECOND, "json ready")], None);
    let talked = socket(&[(0, "json hello"), (2 * SECOND, "json ready"), (3 * SECOND, "json pong")], Some(2));
    let learned = learn(&[&heard], &[&talked, &talked]);
    assert_eq!(learned.due.len(), 2);
    assert_eq!(learned.answered, Some(set(&["json pong"])));
    assert_eq!(learned.settled, 2 * SECOND);
    let fooled = socket(&[(0, "json hello"), (2 * SECOND, "json ready")], Some(1));
    assert_eq!(learn(&[&heard], &[&fooled, &fooled]).answered, None);
}

#[test]
fn words_that_differ_are_counted_and_not_due() {
    let tip = |words| socket(&[(0, words), (SECOND, "text pong")], Some(1));
    let learned = learn(&[&socket(&[(0, "text a")], None)], &[&tip("text a"), &tip("text a")]);
    assert!(learned.due.is_empty(), "it may be another tip next time");
    assert_eq!(learned.at_least, 1);
    assert!(learned.is_greeted(&tip("text b").frames, Some(1)));
    assert!(!learned.is_greeted(&tip("text b").frames[1..], Some(0)), "the answer alone is no greeting");
}

#[test]
fn of_several_alike_as_many_are_due_as_came_at_least() {
    let history = |count| socket(&vec![(0, "json message"); count], None);
    let (three, two) = (history(3), history(2));
    let learned = learn(&[&three], &[&two]);
    assert_eq!((learned.at_least, learned.due["json message"]), (2, 2));
    assert!(learned.is_greeted(&three.frames, None));
    assert!(!learned.is_greeted(&three.frames[..1], None));
}

#[test]
fn a_declared_answer_counts_by_its_declaration() {
    let mut heard = socket(&[(0, "json {data}")], None);
    let mut talked = socket(&[(0, "json {data}"), (SECOND, "json {data}")], Some(1));
    for frame in heard.frames.iter_mut().chain(&mut talked.frames) {
        frame.expected = Some(frame.at > 0);
    }
    let learned = learn(&[&heard], &[&talked, &talked]);
    assert_eq!(learned.answered, Some(set(&["the declared answer"])));
    assert!(learned.is_answer(&talked.frames, 1) && !learned.is_answer(&heard.frames, 0));
}

#[test]
fn a_slow_answer_asks_for_longer_listening() {
    let heard = socket(&[(4 * SECOND, "json hello")], None);
    let slow = socket(&[(0, "json hello"), (9 * SECOND, "json pong")], Some(1));
    assert!(learn(&[&heard], &[&slow, &slow]).heard_too_little());
    let quick = socket(&[(0, "json hello"), (SECOND, "json pong")], Some(1));
    assert!(!learn(&[&heard], &[&quick, &quick]).heard_too_little());
}

#[test]
fn what_looks_like_a_heartbeat_may_hide_an_answer_where_shapes_say_little() {
    let ticks = |shape, sent| socket(&[(0, shape), (SECOND, shape), (2 * SECOND, shape)], sent);
    for (shape, hides) in [("binary", true), ("json tick", false)] {
        let learned = learn(&[&ticks(shape, None)], &[]);
        assert_eq!(learned.hides_answer(&ticks(shape, Some(2))), hides, "{shape}");
        assert!(!learned.hides_answer(&ticks(shape, Some(3))), "nothing came");
    }
}

#[test]
fn a_ping_of_engine_io_is_neither_due_nor_an_answer_though_it_comes_once() {
    let with_pings = |mut socket: Observation| {
        for frame in socket.frames.iter_mut().filter(|frame| frame.shape.as_str() == "number") {
            frame.text = Excerpt::new("2");
        }
        socket
    };
    let open = "packet 0 json {sid}";
    // It comes before the text is sent or behind it, as the time falls.
    let heard = with_pings(socket(&[(0, open), (2 * SECOND, "number")], None));
    let early =
        with_pings(socket(&[(0, open), (2 * SECOND, "number"), (3 * SECOND, "packet 43 […]")], Some(2)));
    let late = with_pings(socket(&[(0, open), (SECOND, "packet 43 […]"), (2 * SECOND, "number")], Some(1)));
    let learned = learn(&[&heard], &[&early, &late]);
    assert_eq!(learned.answered, Some(set(&["packet 43 […]"])));
    assert_eq!((learned.due.len(), learned.settled), (1, 0), "nobody waits for a ping");
    let quiet = socket(&[(0, open)], None);
    let mute = with_pings(socket(&[(0, open), (2 * SECOND, "number")], Some(1)));
    let learned = learn(&[&quiet], &[&mute, &mute]);
    assert_eq!(learned.answered, None, "a ping came to both that sent, and to nobody else in that time");
    assert!(!learned.hides_answer(&mute), "it is known for what it is");
    let numbers = socket(&[(0, "json hello"), (2 * SECOND, "number")], Some(1));
    assert_eq!(learn(&[&quiet], &[&numbers, &numbers]).answered, Some(set(&["number"])));
}

/// The same, by a user, with whom its frames name and whose nonce they hold.
fn naming(
    user: &str,
    number: u32,
    socket: Observation,
    whose: &[(Option<Whose>, Option<Whose>)],
) -> Observation {
    let mut named = Observation { user: Some(user.to_owned()), socket: number, ..socket };
    for (frame, &(user, nonce)) in named.frames.iter_mut().zip(whose) {
        (frame.user, frame.nonce) = (user, nonce);
    }
    named
}

const OWN: Option<Whose> = Some(Whose::Own);
const ANOTHER: Option<Whose> = Some(Whose::Another);

#[test]
fn a_greeting_for_another_user_is_not_the_socket_s_own() {
    let seen = [(0, "json welcome"), (SECOND, "json pong")];
    let talked = |user, number| naming(user, number, socket(&seen, Some(1)), &[(OWN, None), (None, OWN)]);
    let heard = naming("alice", 1, socket(&seen[..1], None), &[(OWN, None)]);
    let learned = learn(&[&heard], &[&talked("bob", 2), &talked("carol", 3)]);
    assert_eq!((&learned.of_user, &learned.of_nonce), (&set(&["json welcome"]), &set(&["json pong"])));
    let later = |whose: &[_]| naming("dave", 4, socket(&seen, Some(1)), whose).frames;
    let wrong_user = later(&[(ANOTHER, None), (None, OWN)]);
    assert!(!learned.is_greeted(&wrong_user, Some(1)));
    assert_eq!(learned.misdirected(&wrong_user, Some(1)), wrong_user.first());
    let wrong_text = later(&[(OWN, None), (None, ANOTHER)]);
    assert!(learned.is_greeted(&wrong_text, Some(1)) && !learned.is_answer(&wrong_text, 1));
    assert_eq!(learned.misdirected(&wrong_text, Some(1)), wrong_text.last());
    // Who is named by nobody's name is no proof of a mistake, and what others sent may be told to everybody.
    let nobody = later(&[(None, ANOTHER), (None, OWN)]);
    assert!(learned.is_greeted(&nobody, Some(1)) && learned.is_answer(&nobody, 1));
    assert_eq!(learned.misdirected(&nobody, Some(1)), None);
    // One user's name may stand there by chance.
    assert!(learn(&[&heard], &[&talked("alice", 2), &talked("alice", 3)]).of_user.is_empty());
}

#[test]
fn others_that_are_told_of_in_the_same_words_are_in_the_way_of_nobody() {
    let seen = [(0, "json joined"), (1, "json joined"), (SECOND, "json message"), (SECOND, "json message")];
    let alone =
        |user, number| naming(user, number, socket(&[seen[0], seen[2]], Some(1)), &[(OWN, None), (OWN, OWN)]);
    let heard = naming("alice", 1, socket(&seen[..1], None), &[(OWN, None)]);
    let learned = learn(&[&heard], &[&alone("bob", 2), &alone("carol", 3)]);
    let whose = [(ANOTHER, None), (OWN, None), (ANOTHER, ANOTHER), (OWN, OWN)];
    let crowd = naming("dave", 4, socket(&seen, Some(2)), &whose).frames;
    assert!(learned.is_greeted(&crowd, Some(2)) && learned.is_answer(&crowd, 3));
    assert!(!learned.is_greeted(&crowd[..1], None) && !learned.is_answer(&crowd, 2));
    // A room's history names whoever spoke: there the kind says nothing.
    let history = naming("alice", 1, socket(&seen[..2], None), &[(ANOTHER, None), (OWN, None)]);
    assert!(learn(&[&history], &[&alone("bob", 2), &alone("carol", 3)]).of_user.contains("json message"));
    assert!(!learn(&[&history], &[&alone("bob", 2), &alone("carol", 3)]).of_user.contains("json joined"));
}

#[test]
fn nothing_is_learned_from_errors() {
    assert_eq!(super::learn(&[&socket(&[(0, "error")], None)], &[]), None);
}
