use super::*;
use crate::probe::Declared;
use crate::trust::Excerpt;

const RULES: Rules<'static> = Rules {
    declared: Declared { send: true, expect: false },
    learned: None,
    closes: &[],
    platform_counts: false,
};

fn closed(kind: BadFrame, code: Option<u16>) -> Fate {
    of_end(kind, &EndKind::CloseFrame { code, reason: Excerpt::default() }, &RULES)
}

#[test]
fn a_server_may_close_with_a_proper_code_and_with_no_other() {
    for code in [None, Some(1000), Some(1003), Some(1007), Some(1008), Some(1009), Some(3000), Some(4999)] {
        assert!(matches!(closed(BadFrame::Binary, code), Fate::Right(_)), "{code:?}");
        assert!(matches!(closed(BadFrame::Fragments, code), Fate::Wrong(_)), "a legal message is answered");
    }
    for code in [1004, 1006, 1011, 1012, 1014, 1015, 2000] {
        assert!(matches!(closed(BadFrame::Binary, Some(code)), Fate::Wrong(_)), "{code}");
    }
    assert!(matches!(closed(BadFrame::PingFlood, Some(1013)), Fate::Right(_)), "try again later");
    assert!(matches!(closed(BadFrame::MalformedJson, Some(1013)), Fate::Wrong(_)));
}

#[test]
fn a_reset_is_a_crash_but_where_the_server_may_stop_reading() {
    for (kind, end, right) in [
        (BadFrame::FarOver, EndKind::Reset, true),
        (BadFrame::FarOver, EndKind::NoCloseFrame, false),
        (BadFrame::HalfClose, EndKind::Reset, true),
        (BadFrame::HalfClose, EndKind::NoCloseFrame, true),
        (BadFrame::Binary, EndKind::Reset, false),
        (BadFrame::Empty, EndKind::NoCloseFrame, false),
    ] {
        let fate = of_end(kind, &end, &RULES);
        assert_eq!(matches!(fate, Fate::Right(_)), right, "{kind} {end:?}");
        assert_eq!(matches!(fate, Fate::Wrong(_)), !right, "{kind} {end:?}");
    }
}
