//! The table of mutants: each breaks one behaviour on the wire, and one named check must notice it.
//!
//! Every check is an ordinary test too, straight against the emulator. A mutant counts as noticed only when its check
//! fails with the words of the table: a check that fails for another reason has noticed nothing.

use super::{
    checks,
    checks::two,
    proxy::Api,
    shapes,
    table::{ANSWERS, Mutant, REQUESTS},
};

/// Each check as an ordinary test, and all of them by name.
macro_rules! checks {
    ($($module:ident: $($name:ident),+;)+) => {
        $($(
            #[tokio::test]
            async fn $name() {
                $module::$name(&Api::plain(two().await)).await;
            }
        )+)+

        /// The names of all checks.
        const CHECKS: &[&str] = &[$($(stringify!($name)),+),+];

        /// Runs a check by its name.
        async fn run(name: &str, api: &Api) {
            match name {
                $($(stringify!($name) => $module::$name(api).await,)+)+
                name => panic!("there is no check {name}"),
            }
        }
    };
}

checks! {
    checks:
        a_stale_etag_is_a_conflict, a_stale_resource_version_is_a_conflict, a_stale_policy_is_a_conflict,
        a_label_selects, validate_only_changes_nothing, a_dry_run_changes_nothing, a_mask_keeps_the_rest,
        a_missing_service_is_made_where_allowed, pages_follow_each_other, a_list_continues,
        enums_of_a_request_may_be_numbers, shares_sum_to_a_hundred, a_missing_revision_fails_later,
        a_revision_that_does_not_start_fails_its_service, entries_are_filtered_and_ordered,
        what_serves_is_not_deleted;
    shapes:
        large_integers_are_text, enums_have_their_documented_names, a_share_of_zero_is_absent, a_tag_has_its_url,
        revisions_are_named_in_full_and_in_short, conditions_have_their_names,
        a_write_names_an_operation_to_wait_for, a_write_is_observed_later, an_operation_has_typed_contents,
        an_error_has_code_status_and_message, a_list_is_whole, a_namespace_is_the_projects_number;
}

#[tokio::test]
async fn every_check_passes_through_a_proxy_that_breaks_nothing() {
    for check in CHECKS {
        let api = Api::through(two().await, None).await;
        run(check, &api).await;
    }
}

#[tokio::test]
async fn every_mutant_is_noticed_by_its_check() {
    let mutants: Vec<&Mutant> = REQUESTS.iter().chain(ANSWERS).collect();
    assert!(mutants.len() >= 15);
    let mut missed = Vec::new();
    for (what, check, words, broken) in mutants {
        let api = Api::through(two().await, Some(*broken)).await;
        let noticed = tokio::spawn(async move { run(check, &api).await }).await;
        match noticed.map_err(said) {
            Err(said) if said.contains(words) => println!("{what}: noticed by {check}"),
            Err(said) => missed.push(format!("{what}: {check} fails for another reason: {said}")),
            Ok(()) => missed.push(format!("{what}: {check} passes")),
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// What a check said when it failed.
fn said(error: tokio::task::JoinError) -> String {
    let panic = error.into_panic();
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| Some((*panic.downcast_ref::<&str>()?).to_owned())).unwrap_or_default()
}
