//! What every store does, told once and run against each of them.

mod alerts;
mod breakers;
mod databases;
mod lives;
mod policies;
mod reporters;
mod samples;
mod transitions;

/// Makes a test of every story, run against one kind of database.
macro_rules! contract {
    ($name:ident, $database:ty) => {
        contract!($name, $database, {
            alerts: [
                every_field_survives,
                a_later_row_replaces_an_earlier_one,
                those_that_are_deleted_are_gone,
                how_far_receivers_were_told_survives,
            ],
            breakers: [
                every_field_survives,
                breakers_that_led_a_life_survive,
                many_rows_are_written_at_once,
                a_later_row_replaces_an_earlier_one,
                a_deletion_takes_a_breaker_up_to_its_revision,
                a_deletion_comes_after_the_rows_of_its_batch,
                an_empty_batch_changes_nothing,
            ],
            lives: [
                a_new_store_has_no_past,
                a_life_that_ended_is_followed_by_one_of_the_same_incarnation,
                a_life_that_did_not_end_is_followed_by_a_new_incarnation,
                floors_are_those_of_all_deleted_breakers,
                the_last_transition_is_known_even_when_it_was_trimmed,
                a_restore_that_did_not_end_is_known,
                a_restore_raises_what_the_store_had_reached,
            ],
            policies: [
                every_field_survives,
                a_later_row_replaces_an_earlier_one,
                a_deletion_takes_a_policy_up_to_its_revision,
                the_floor_is_that_of_all_deleted_policies,
                as_many_as_there_may_be_are_written_at_once,
            ],
            reporters: [
                every_field_survives,
                they_are_written_with_the_rows_that_their_reports_are_in,
                a_later_row_replaces_an_earlier_one,
                those_heard_of_last_are_read_and_the_longest_silent_comes_first,
                the_silent_are_forgotten_a_few_at_a_time,
            ],
            transitions: [
                every_field_survives,
                the_latest_come_first_and_of_those_at_once_the_highest_id,
                a_range_begins_with_a_time_and_ends_before_a_place,
                a_range_is_of_a_breaker_an_actor_or_causes,
                every_range_holds_what_looking_through_everything_finds,
                they_are_read_forwards_from_an_id,
                one_that_is_there_already_is_left,
                trimming_takes_the_oldest_ids_up_to_the_first_that_is_younger,
                trimming_takes_no_more_than_its_limit,
            ],
        });
    };
    ($name:ident, $database:ty, { $($chapter:ident: [$($story:ident),+ $(,)?]),+ $(,)? }) => {
        mod $name {$(
            mod $chapter {$(
                #[tokio::test]
                async fn $story() -> anyhow::Result<()> {
                    crate::$chapter::$story(<$database as crate::databases::Database>::new()?).await
                }
            )+}
        )+}
    };
}

contract!(memory, crate::databases::Memory);
contract!(sqlite, crate::databases::Sqlite);
contract!(postgres, crate::databases::Postgres);
contract!(through_a_backup, crate::databases::ThroughBackup);
