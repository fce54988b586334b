//! What every provider of sandboxes and every tool promises, written once and kept by each of them.
//!
//! A case is a function that is given a [`Thread`]: a conversation with a sandbox of its own. To hold another provider to the contract, add a
//! line to `providers!` below. A real server is held to it when `THREADBOX_CONTRACT_DAYTONA_URL` and `THREADBOX_CONTRACT_DAYTONA_KEY` name
//! one.

#![allow(clippy::unwrap_used)]

mod commands;
mod dead;
mod files;
mod patches;
mod pictures;
mod place;
mod processes;
mod sandboxes;
mod tools;
mod wrong;

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use futures::future::BoxFuture;

use self::place::{Place, Thread};

/// Gives a fresh thread to a case; its sandboxes are gone afterwards, whatever came of it.
async fn keep<F>(place: Place, case: F)
where
    F: for<'a> FnOnce(&'a Thread) -> BoxFuture<'a, ()>,
{
    let thread = Thread::start(place).await;
    let done = AssertUnwindSafe(case(&thread)).catch_unwind().await;
    thread.remove().await;
    if let Err(panic) = done {
        std::panic::resume_unwind(panic);
    }
}

/// Hands all cases to another macro, after what that is given.
macro_rules! cases {
    ($then:ident! $given:tt) => {
        $then! {
            $given
            commands::streams_are_apart_and_input_is_closed,
            commands::the_exit_code_is_what_the_shell_would_say,
            commands::a_timeout_ends_everything_and_keeps_what_was_printed,
            commands::cancelling_ends_everything_and_keeps_what_was_printed,
            commands::nothing_survives_a_command,
            commands::arguments_and_variables_arrive_as_they_are,
            commands::long_programs_run,
            commands::long_output_loses_its_middle,
            commands::output_may_be_any_bytes,
            commands::a_command_works_where_it_is_told,
            commands::a_listener_hears_while_it_runs,
            commands::a_key_makes_it_happen_once_where_commands_outlive_us,
            files::content_is_exact_to_the_byte,
            files::names_may_be_any_text,
            files::parts_of_a_file_are_read,
            files::big_files_are_whole,
            files::many_files_go_together,
            files::nothing_outside_is_reached,
            files::temporary_files_are_the_same_for_all,
            files::directories_are_listed_and_walked,
            files::what_is_in_the_way_is_said,
            files::what_is_deleted_is_gone,
            sandboxes::a_name_finds_the_same_sandbox,
            sandboxes::what_was_removed_is_not_found,
            sandboxes::labels_find_sandboxes,
            sandboxes::a_sandbox_has_its_language_and_variables,
            tools::run_code,
            tools::run_javascript_and_typescript,
            tools::run_command,
            tools::files_are_written_read_listed_and_deleted,
            tools::files_are_read_by_lines,
            tools::long_and_binary_files_are_not_poured_out,
            tools::metadata,
            tools::watch_directory,
            tools::edit_file,
            tools::search_files,
            tools::find_files,
            tools::diff_shows_what_changed_since_the_beginning,
            tools::create_sandbox,
            tools::attach_file,
            tools::preview_url,
            tools::a_missing_path_is_answered_with_what_is_near,
            patches::a_patch_changes_adds_deletes_and_renames,
            patches::a_patch_is_applied_whole_or_not_at_all,
            patches::line_ends_are_kept,
            patches::a_patch_stays_in_the_workspace,
            pictures::pictures_of_a_program_are_attached,
            pictures::what_is_too_much_is_left_out_and_said,
            processes::a_process_is_started_read_and_stopped,
            processes::reading_waits_for_output_and_ends,
            processes::too_much_output_is_caught_up_with,
            processes::a_process_outlives_commands_and_not_its_time,
            processes::what_is_wrong_with_a_process_is_said,
            wrong::bad_arguments_name_every_field,
            wrong::calls_that_cannot_be_made_are_answered_usefully,
            dead::every_tool_says_that_the_sandbox_is_gone,
        }
    };
}

macro_rules! provider {
    ([$name:ident, $start:expr] $($room:ident::$case:ident),* $(,)?) => {
        mod $name {
            $(
                #[tokio::test]
                async fn $case() {
                    super::keep($start, |thread| Box::pin(super::$room::$case(thread))).await;
                }
            )*
        }
    };
}

/// One test for each provider and case.
macro_rules! providers {
    ($($name:ident => $start:expr;)*) => {
        $(cases! { provider! [$name, $start] })*
    };
}

providers! {
    local => super::place::local();
    daytona => super::place::daytona().await;
}

type Case = for<'a> fn(&'a Thread) -> BoxFuture<'a, ()>;

macro_rules! table {
    ([$name:ident] $($room:ident::$case:ident),* $(,)?) => {
        const $name: &[(&str, Case)] = &[$((stringify!($case), |thread| Box::pin($room::$case(thread)))),*];
    };
}

cases! { table! [CASES] }

/// One after the other, so that a server with a small quota can be asked too.
#[tokio::test]
async fn a_server_that_is_named_keeps_the_contract() {
    let Some(endpoint) = place::Endpoint::named() else {
        println!("no server is named: THREADBOX_CONTRACT_DAYTONA_URL and THREADBOX_CONTRACT_DAYTONA_KEY are not set");
        return;
    };
    let mut broken = Vec::new();
    for (name, case) in CASES {
        let kept = AssertUnwindSafe(keep(endpoint.place(), case)).catch_unwind().await;
        println!("{name}: {}", if kept.is_ok() { "kept" } else { "broken" });
        broken.extend(kept.is_err().then_some(*name));
    }
    assert!(broken.is_empty(), "broken: {}", broken.join(", "));
}
