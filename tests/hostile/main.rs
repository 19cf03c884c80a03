//! What strangers may send us, and the tests that would fail if we did not survive it. The tests
//! of this folder attack the program as a whole; what needs a clock, a network or a disk of its
//! own is tested beside its code, and the table says where.
//!
//! | attack | tests |
//! |---|---|
//! | A torrent, or a redirect of its tracker, names a service that only we can reach: on this host, in this network, at a cloud's metadata address, in any spelling, scheme or port | `net/src/real/tracker/tests/forgery.rs::a_torrent_cannot_name_a_service_on_this_host`, `net/src/real/tracker/tests/forgery.rs::a_redirect_cannot_lead_to_a_service_on_this_host`, `net/src/real/tracker/tests/forgery.rs::a_tracker_elsewhere_cannot_redirect_to_this_host_or_network`, `net/src/real/tracker/tests/forgery.rs::a_redirect_cannot_leave_tls`, `net/src/real/tracker/tests/forgery.rs::a_udp_service_hears_no_word_of_a_torrent`, `net/src/real/tracker/tests/http.rs::tls_is_verified`, `tests/live/forgery.rs::a_tracker_on_the_internet_cannot_send_us_into_our_own_network`, `core/protocol/src/tracker/url_rules/tests.rs::addresses_have_their_class_in_every_disguise`, `core/protocol/src/tracker/url_rules/tests.rs::what_is_no_tracker_url_is_refused` |
//! | Names of files that climb out of the download folder, are reserved, or deceive the reader | `tests/hostile/files.rs::names_links_and_twins_stay_in_the_download_folder`, `core/protocol/src/metainfo/safe_path.rs::names_are_made_safe_by_the_rule`, `core/protocol/src/metainfo/safe_path.rs::any_bytes_become_a_safe_path`, `tests/cli.rs::names_are_made_safe_and_said_so` |
//! | Links in a torrent that lead out of it or in circles, and links that lie in wait on the disk | `tests/hostile/files.rs::names_links_and_twins_stay_in_the_download_folder`, `tests/hostile/files.rs::links_that_lie_in_wait_are_not_followed`, `core/protocol/src/metainfo/symlinks.rs::links_lead_to_files_of_the_torrent_or_nowhere`, `core/storage/tests/storage/files.rs::planted_links_are_not_followed`, `core/storage/tests/storage/files.rs::the_part_file_is_not_followed_either` |
//! | Names that meet on a disk: twins, another case, another way to write the same letter, a file that is a folder as well | `tests/hostile/files.rs::names_links_and_twins_stay_in_the_download_folder`, `core/protocol/src/metainfo/unique_names.rs::colliding_files_are_numbered_in_order`, `core/protocol/src/metainfo/unique_names.rs::too_many_of_one_name_are_refused`, `core/protocol/src/metainfo/unique_names.rs::no_two_paths_meet` |
//! | Bencode that nests, counts or repeats without end, and numbers that are none | `tests/hostile/files.rs::bombs_in_torrent_files_are_refused_in_bounded_memory`, `core/protocol/src/bencode/tests.rs::limits_are_reached_and_not_passed`, `core/protocol/src/bencode/tests.rs::flaws_are_noted_and_refused_on_request`, `core/protocol/src/bencode/tests.rs::integers_are_bounded_when_they_are_asked_for`, `core/protocol/src/bencode/properties.rs::arbitrary_bytes_never_panic`, `core/protocol/src/metainfo/tests/v1.rs::unsorted_keys_are_read` |
//! | Sizes that overflow: of files, pieces, their number, and their sums | `tests/hostile/files.rs::bombs_in_torrent_files_are_refused_in_bounded_memory`, `core/protocol/src/metainfo/tests/v1.rs::sizes_out_of_bounds_are_refused`, `core/protocol/src/metainfo/tests/v2.rs::piece_lengths_that_are_no_power_of_two_are_refused`, `core/protocol/src/metainfo/tests/v2.rs::trees_are_bounded_in_depth_and_in_the_paths_that_they_spell` |
//! | A peer that claims gigabytes of metadata, or sends some that nobody asked for | `tests/hostile/peers.rs::absurd_extension_messages_are_borne`, `tests/hostile/peers.rs::a_download_survives_a_peer_whose_every_word_is_a_lie`, `core/protocol/src/wire/extension/tests.rs::impossible_values_are_left_out`, `core/protocol/src/wire/extension/tests.rs::metadata_messages_are_checked`, `systems/src/metadata/tests/hostile.rs::who_claims_much_and_sends_little_makes_room_in_the_end`, `systems/src/metadata/tests/hostile.rs::peers_that_disagree_on_the_length_do_not_spoil_each_other`, `systems/src/metadata/tests/hostile.rs::lengths_of_nothing_and_of_too_much_are_no_offer`, `systems/src/metadata/tests/hostile.rs::parts_that_nobody_asked_for_are_ignored`, `systems/src/metadata/tests/hostile.rs::who_alone_sends_a_bad_copy_is_banned` |
//! | Messages of the wrong length, about pieces that do not exist, at the wrong time, unknown, or with absurd numbers | `tests/hostile/peers.rs::broken_messages_end_their_connection_and_nothing_else`, `tests/hostile/peers.rs::absurd_extension_messages_are_borne`, `core/protocol/src/wire/tests.rs::a_wrong_length_is_refused_by_its_first_five_bytes`, `core/protocol/src/wire/tests.rs::a_length_over_every_limit_is_refused_before_its_id_and_again`, `systems/src/receive/tests/haves.rs::false_words_on_what_it_has_end_a_connection_and_its_copies_are_forgotten`, `systems/src/receive/tests/answers.rs::bytes_that_are_no_block_end_a_connection`, `systems/src/pick/tests/pipelines.rs::a_peer_that_does_not_say_is_asked_for_no_more_than_old_clients_queue` |
//! | Requests while choked, beyond the queue, for what is not there, and the same again after each refusal | `tests/hostile/peers.rs::who_asks_while_choked_gets_nothing_and_is_sent_away`, `systems/src/receive/tests/requests.rs::requests_while_choked_are_rejected_and_many_end_the_connection`, `systems/src/receive/tests/requests.rs::a_request_out_of_bounds_ends_the_connection`, `systems/src/receive/tests/requests.rs::a_queue_is_not_longer_than_we_said`, `systems/src/receive/tests/requests.rs::the_same_request_again_is_answered_once`, `systems/src/receive/tests/answers.rs::who_rejects_everything_is_not_asked_without_end` |
//! | Blocks of wrong bytes, in every block or in few, from one peer among the honest | `systems/src/verify/tests.rs::a_poisoner_is_banned_and_the_download_completes`, `systems/src/connect/tests/candidates.rs::who_is_banned_stays_out_both_ways`, `tests/live/poison.rs::a_peer_that_spoils_every_block_is_banned`, `tests/live/poison.rs::a_peer_that_spoils_one_block_in_ten_is_banned`, `tests/hostile/peers.rs::a_download_survives_a_peer_whose_every_word_is_a_lie` |
//! | A tracker that aims us at services of others, at groups, or at ourselves, or names peers without end | `systems/src/discover/tests/cadence.rs::a_tracker_cannot_aim_us_at_services_of_others`, `systems/src/discover/tests/cadence.rs::a_tracker_cannot_fill_our_memory_with_addresses`, `systems/src/discover/tests/cadence.rs::addresses_become_candidates_unless_they_are_nonsense_or_ours`, `core/protocol/src/tracker/http/tests.rs::no_more_peers_are_taken_than_the_limit`, `systems/src/connect/tests/limits.rs::attempts_under_way_hold_their_limit_and_go_on_when_one_ends`, `systems/src/connect/tests/duplicates.rs::who_calls_itself_hangs_up_and_does_not_call_again` |
//! | Crowds that connect and say nothing, half a handshake at a time, or never read | `tests/hostile/peers.rs::a_crowd_that_says_nothing_keeps_nobody_out`, `net/src/real/reactor/tests/bounds.rs::whoever_dribbles_a_handshake_is_closed_in_time`, `net/src/real/reactor/tests/bounds.rs::strangers_in_the_door_are_capped`, `net/src/real/reactor/admission.rs::a_crowd_in_the_door_leaves_half_of_the_connections`, `net/src/real/reactor/tests/bounds.rs::a_peer_that_never_reads_is_closed`, `net/src/real/reactor/tests/bounds.rs::a_full_inbox_stops_the_reading`, `systems/src/connect/tests/limits.rs::handshakes_awaited_from_one_address_hold_their_limit` |
//! | Crowds that begin blocks and stop, so that no buffers are left | `tests/hostile/peers.rs::a_crowd_that_begins_blocks_does_not_take_the_memory_of_a_download`, `net/src/real/reactor/tests/stream.rs::more_blocks_than_were_asked_for_end_the_connection_and_take_no_buffer`, `net/src/real/reactor/tests/stream.rs::who_stays_in_one_block_clings_to_its_buffer` |
//! | Answers of trackers that are no HTTP, never end, lie about their length, or unpack to gigabytes | `net/src/real/tracker/tests/http.rs::malformed_answers_are_no_answers_and_harm_nobody`, `net/src/real/tracker/tests/http.rs::answers_that_are_too_large_are_cut_off`, `net/src/real/tracker/tests/http.rs::slow_answers_are_given_up`, `net/src/real/tracker/tests/http.rs::redirects_are_followed_five_times`, `net/src/real/tracker/exchange.rs::gzip_unpacks_up_to_the_limit`, `net/src/real/tracker/tests/udp.rs::garbage_is_dropped_and_errors_are_refusals` |
//! | A redirect that carries a password to another host, port or scheme, or chooses one | `net/src/real/tracker/tests/forgery.rs::passwords_stay_with_their_origin`, `net/src/real/tracker/tests/forgery.rs::a_password_does_not_come_back_by_a_detour`, `net/src/real/tracker/tests/forgery.rs::a_redirect_cannot_choose_what_we_log_in_with`, `net/src/real/tracker/tests/forgery.rs::passwords_are_in_no_message`, `core/protocol/src/tracker/url_rules/tests.rs::redirects_keep_credentials_at_their_origin` |
//! | A state folder or settings that somebody else has written | `src/session/tests.rs::a_state_folder_that_was_tampered_with_costs_no_other_torrent`, `src/session/tests.rs::a_choice_of_files_that_does_not_fit_is_refused`, `core/storage/tests/storage/resume.rs::a_bit_is_not_believed_where_no_bytes_are`, `core/storage/tests/storage/resume.rs::no_damage_makes_it_panic`, `core/storage/src/resume/record.rs::damaged_records_are_errors_or_other_records`, `core/storage/src/resume/journal.rs::cut_and_foreign_journals_are_read_on_the_safe_side`, `components/src/torrent/traffic.rs::totals_that_no_transfer_can_reach_do_not_overflow`, `tests/hostile/files.rs::settings_that_were_made_to_do_harm_are_refused`, `systems/src/pick/tests/limits.rs::rates_at_the_ends_of_their_range_do_no_harm` |

mod files;
mod peers;
#[path = "../support/program.rs"]
mod program;
mod torrent;

use std::path::Path;

/// Attacks of the table above, each with its tests as file and function.
fn table() -> Vec<(&'static str, Vec<(&'static str, &'static str)>)> {
    let rows = include_str!("main.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! | "))
        .skip(1);
    let tests = |cell: &'static str| {
        let quoted = cell.split('`').skip(1).step_by(2);
        quoted.filter_map(|test| test.split_once("::")).collect()
    };
    rows.filter_map(|row| row.split_once(" | "))
        .map(|(attack, cell)| (attack, tests(cell)))
        .collect()
}

/// Whether a source has a test of this name: an attribute above it, alone or inside `proptest!`.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    let head = format!("fn {name}(");
    lines.windows(2).any(|pair| {
        let [above, line] = pair else { return false };
        *above == "#[test]" && line.starts_with(&head)
    })
}

#[test]
fn every_test_of_the_table_is_there() {
    let table = table();
    assert_eq!(table.len(), 16, "the table is read whole");
    let mut lost = Vec::new();
    for (attack, tests) in table {
        assert!(!tests.is_empty(), "nothing survives: {attack}");
        for (file, name) in tests {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            let source = std::fs::read_to_string(&path).unwrap_or_default();
            if !has_test(&source, name) {
                lost.push(format!("{file}::{name}"));
            }
        }
    }
    assert!(lost.is_empty(), "tests that are not there: {lost:#?}");
}

/// The check above can fail.
#[test]
fn a_test_that_is_commented_out_or_renamed_is_missed() {
    let source = "#[test]\nfn one() {}\n//#[test]\n//fn two() {}\nfn three() {}\n";
    let found = ["one", "two", "three", "on"].map(|name| has_test(source, name));
    assert_eq!(found, [true, false, false, false]);
}
