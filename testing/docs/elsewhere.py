"""The commands on the pages that another test runs, because they need a machine of their own or minutes.

A block with the info string ```` ```bash test=NAME ```` is looked up here; every other block runs in the sandbox.
"""

from __future__ import annotations

_SCRIPTS = "testing/integration/house/test_scripts.py"
_ONE_PC = "testing/provision/test_bootstrap.py"
_LAB = "testing/lab"
_SETUP = "testing/lab/test_setup.py"
_CLUSTER = "testing/integration/cluster"
_MODELS = "testing/unit/cli/test_llm.py"
_HUB = "testing/integration/llm/test_download.py"
_WHOLE = "test_a_model_is_installed_when_all_its_files_are_right"

# Name in the page -> the tests that run these commands, as `file::function`.
ELSEWHERE: dict[str, tuple[str, ...]] = {
    "bootstrap": (f"{_ONE_PC}::test_one_command_ends_with_a_link_and_an_agent_that_answers",),
    # Every run of that test chooses ports of its own in this way.
    "ports": (f"{_ONE_PC}::test_one_command_ends_with_a_link_and_an_agent_that_answers",),
    "uninstall": (f"{_ONE_PC}::test_uninstall_asks_first", f"{_ONE_PC}::test_uninstall_leaves_nothing"),
    "packages": (
        "testing/integration/llm/test_doors.py::test_a_folder_is_asked_first_whatever_its_files_are_called",
        "testing/integration/llm/test_doors.py::test_another_pc_may_serve_the_files",
    ),
    "proxy": (
        "testing/integration/house/test_bootstrap_parts.py"
        "::test_a_proxy_is_known_in_both_spellings_and_this_pc_is_not_behind_it",
    ),
    "power": (
        "testing/integration/power/test_agent.py::test_people_steer_it_by_the_terminal_and_the_policy_is_read_again",
    ),
    "expert-plan": (
        "testing/integration/expert_host/test_group.py"
        "::test_a_group_answers_and_comes_back_when_a_worker_dies_in_mid_answer",
    ),
    "approvals": ("testing/integration/web/test_approvals.py::test_the_terminal_shows_the_exact_call_and_answers_it",),
    "extras": (f"{_SCRIPTS}::test_an_extra_is_installed_by_its_lock", f"{_HUB}::{_WHOLE}"),
    "pull": (f"{_MODELS}::test_for_this_pc_pulls_what_suits_it", f"{_HUB}::{_WHOLE}"),
    "eyes": (
        f"{_SCRIPTS}::test_an_extra_is_installed_by_its_lock",
        "testing/integration/vision/test_model_file.py::test_the_model_in_its_folder_is_the_one_that_is_loaded",
    ),
    "prepare": (
        f"{_SETUP}::test_a_dry_run_shows_all_and_changes_nothing",
        f"{_SETUP}::test_a_change_that_is_confirmed_from_a_new_connection_is_kept",
        f"{_SETUP}::test_undo_brings_the_files_and_the_address_back",
    ),
    "join": (f"{_LAB}/test_node_admin.py::test_a_machine_joins_by_its_own_account",),
    "prepare-key": (f"{_SETUP}::test_a_key_is_let_in_after_a_yes_to_its_fingerprint",),
    # Consul is Debian 11's package, in a tree of its own (scripts/setup consul).
    "consul": (
        f"{_CLUSTER}/test_consul.py::test_what_is_registered_arrives_at_once_with_what_is_known_of_it",
        f"{_CLUSTER}/test_consul.py::test_while_consul_is_away_the_last_known_set_stays",
    ),
    # The playbooks on three nodes, reached by ssh; the lab's account needs no password for sudo.
    "cluster": (
        f"{_LAB}/test_cluster.py::test_three_nodes_converge_and_have_one_leader",
        f"{_LAB}/test_growth.py::test_the_first_is_one_of_three_controllers",
    ),
    "cluster-add": (
        f"{_LAB}/test_cluster.py::test_a_fourth_node_joins",
        f"{_LAB}/test_growth.py::test_the_first_is_one_of_three_controllers",
    ),
    "cluster-look": (
        f"{_LAB}/test_consul_role.py::test_the_command_for_people_needs_no_setting",
        f"{_LAB}/test_nomad_role.py::test_the_command_line_works_as_the_pages_write_it",
    ),
    "cluster-remove": (f"{_LAB}/test_node_admin.py::test_a_person_takes_it_back_and_removes_it_when_it_is_off",),
    "cluster-rotate": (f"{_LAB}/test_nomad_role.py::test_secrets_and_certificates_turn_without_a_pause",),
    "cluster-upgrade": (f"{_LAB}/test_nomad_role.py::test_an_upgrade_restarts_one_server_at_a_time_and_no_job",),
    "heal": (f"{_LAB}/test_heal.py::test_what_went_wrong_is_mended_on_each_machine_and_what_could_not_be_is_said",),
    "heal-quorum": (f"{_LAB}/test_heal.py::test_a_lost_quorum_is_explained_and_recovered_only_with_a_yes",),
    # A real cluster, where NOMAD_BIN names a Nomad.
    "nomad-jobs": (f"{_LAB}/test_nomad_role.py::test_the_command_line_works_as_the_pages_write_it",),
    "expert": ("testing/integration/house/test_deploy_expert.py::test_the_command_of_the_pages_is_taken_literally",),
    "expert-away": ("testing/integration/house/test_deploy_expert.py::test_to_take_one_away_its_name_is_enough",),
    # A real cluster with an expert in it.
    "expert-nomad": (f"{_LAB}/test_expert_job.py::test_nomads_own_words_stop_and_measure",),
    "failover": ("testing/integration/experts/test_failover.py::test_answers_survive_what_happens_to_their_servers",),
    "benchmark": ("testing/integration/app/test_program.py::test_benchmark_mode_reports_each_turn",),
    "bench": ("testing/integration/llm/test_bench_command.py::test_a_model_is_measured_kept_and_shown",),
    "engine": ("testing/integration/house/test_benches.py::test_the_engine_is_measured_beside_memory_and_llama_bench",),
    "routing": ("testing/integration/house/test_benches.py::test_routing_is_measured_on_its_own_set",),
    # The sandbox of every other command runs it.
    "serve": ("testing/docs/test_commands.py::test_command_works_as_printed",),
    "setup": (f"{_SCRIPTS}::test_setup_has_nothing_to_do_the_second_time",),
    # It runs itself: the test takes a small selection. CI runs it whole (.ci/run).
    "self": (f"{_SCRIPTS}::test_scripts_test_runs_a_selection_and_ends_with_the_summary",),
    # scripts/test runs the linters before the tests.
    "linters": (f"{_SCRIPTS}::test_npm_run_lint_is_the_check",),
    "lab": ("testing/lab/test_lab.py::test_three_scripts_make_check_and_remove_a_lab",),
    "lock": (f"{_SCRIPTS}::test_locks_are_what_pyproject_resolves_to",),
}
