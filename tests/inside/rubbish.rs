//! Rubbish in the lists: exit 2, with the place.

use crate::support::Ended;
use crate::world::sample;

#[test]
fn rubbish_is_refused_with_its_place_before_anything_is_asked() {
    let world = sample("{echo_revision: true}", "", "{}");
    for (text, place) in [
        (
            "api: { endpoints: [{ path: 'https://elsewhere.example/' }] }",
            "revgate.yaml:1:28: api.endpoints[0].path",
        ),
        ("api: { endpoints: [{ path: //elsewhere.example/ }] }", "revgate.yaml:1:28: api.endpoints[0].path"),
        ("api: { endpoints: [{ path: '/a b' }] }", "revgate.yaml:1:28: api.endpoints[0].path"),
        (
            "api: { endpoints: [{ path: /a, json: { /a: { regex: '[' } } }] }",
            "revgate.yaml:1:44: api.endpoints[0].json./a",
        ),
        (
            "api: { endpoints: [{ path: /a, headers: { X: { file: no-such-file } } }] }",
            "revgate.yaml:1:46: api.endpoints[0].headers.X",
        ),
        ("api: { endpoints: [7] }", "revgate.yaml:1:20: api.endpoints[0]"),
        ("logs: { allow: ['['] }", "revgate.yaml:1:17: logs.allow[0]"),
        ("logs: { alow: [] }", "revgate.yaml:1:9: logs: there is no key \"alow\", did you mean allow?"),
    ] {
        world.configure(text);
        let Ended { code, err, .. } = Ended::of(&mut world.revgate("check"));
        assert_eq!(code, 2, "{text}\n{err}");
        assert!(err.contains(place) && err.contains("help:"), "{text}\n{err}");
    }
    assert!(world.emulator().requests().is_empty(), "the API was asked");
}
