"""Manifests, members, notes, keys and quorum that do not hold (README 10, V1 to V3, V13, V14)."""

import base64

import pytest

from tests.audit.verify.damage import Cases, first_row, look, renoted, rows, with_rows
from tests.audit.verify.maker import Log, b64, key, note, root_of, usual

case = Cases()


# --- V1, V14: the manifest ------------------------------------------------------------------------------------------


@case(1, "manifest-digest")
def a_line_by_an_unknown_key_is_added():
    log = usual()
    members = log.members()
    longer = members["checkpoints.jsonl"].replace(b'\\n","size":9', f'\\n— x {b64(bytes(68))}\\n","size":9'.encode())
    assert longer != members["checkpoints.jsonl"]
    return members | {"checkpoints.jsonl": longer}, log


@case(1, "manifest-count")
def one_payload_more_is_said_to_be_withheld():
    log = usual()
    return log.resigned(log.members(), payloads={"included": 6, "withheld": 1, "shredded": 1}), log


@case(1, "manifest-count")
def an_entry_is_said_not_to_be_left_out():
    log = usual()
    return log.resigned(log.members(take=lambda p: p != 4, complete=False), left_out=[]), log


@case(1, "manifest-count")
def a_payload_is_lost_without_a_shredding():
    log = usual()
    members = log.members()
    return with_rows(log, members, "payloads", rows(members, "payloads")[:-1]), log


@case(1, "manifest-count")
def everything_is_not_everything():
    log = usual()
    return log.members(take=lambda p: p != 4, kind="everything", complete=False), log


@case(1, "line-form")
def a_line_says_more():
    return first_row("payloads", {"more": 1})


@case(1, "line-form")
def a_line_is_not_finished():
    log = usual()
    members = log.members()
    return log.resigned(members | {"payloads.jsonl": members["payloads.jsonl"][:-1]}), log


@case(1, "line-form")
def a_line_is_spelled_with_a_space():
    log = usual()
    members = log.members()
    return log.resigned(members | {"payloads.jsonl": members["payloads.jsonl"].replace(b'{"', b'{ "', 1)}), log


@case(1, "line-form")
def a_position_is_spelled_otherwise():
    log = usual()
    members = log.members()
    return log.resigned(members | {"entries.jsonl": b"0" + members["entries.jsonl"]}), log


@case(1, "manifest-signature")
def the_manifest_is_changed():
    log = usual()
    members = log.members()
    return members | {"manifest.json": members["manifest.json"].replace(b"auditor", b"nobody!")}, log


@case(1, "manifest-signature")
def the_manifest_is_signed_by_the_logs_key():
    log = usual()
    members = log.members()
    text = members["manifest.note"].rpartition(b"\n\n")[0] + b"\n"
    other = key(log.statement.name, 1)
    return members | {"manifest.note": note(text, other.line(text))}, log


# --- V14: how far each object goes ------------------------------------------------------------------------------------

FIRST_WINDOWS = {0, 2, 3, 8}  # the genesis, two of three versions of loop l-1, what shreds the first of them


@case(1, "object-head")
def the_newest_version_of_an_object_is_left_out_of_a_complete_bundle():
    """The seeded defect: a filter lost the last act of a loop; whoever made the copy signed it with the true heads."""
    log = usual()
    whole, less = (log.members(take=lambda p, kept=kept: p in kept) for kept in (FIRST_WINDOWS | {4}, FIRST_WINDOWS))
    return log.resigned(less | {"heads.jsonl": whole["heads.jsonl"]}), log


@case(1, "object-head")
def an_object_is_said_to_go_less_far_than_it_does():
    log = usual()
    members = log.members(take=lambda p: p in FIRST_WINDOWS | {4})
    lines = [line | ({"version": 2} if line["version"] == 3 else {}) for line in rows(members, "heads")]
    return with_rows(log, members, "heads", lines), log


@case(1, "object-head")
def an_object_goes_less_far_though_it_may_be_cut():
    log = usual()
    members = log.members(take=lambda p: p in FIRST_WINDOWS | {4}, complete=False)
    lines = [line | ({"version": 2} if line["version"] == 3 else {}) for line in rows(members, "heads")]
    return with_rows(log, members, "heads", lines), log


@case(1, "object-head")
def an_object_ends_with_another_leaf():
    log = usual()
    members = log.members(take=lambda p: p in FIRST_WINDOWS | {4}, complete=False)
    return with_rows(log, members, "heads", [line | {"leaf": "ab" * 32} for line in rows(members, "heads")]), log


@case(1, "object-head")
def nothing_says_how_far_an_object_goes():
    log = usual()
    members = log.members(take=lambda p: p in FIRST_WINDOWS, complete=False)
    return with_rows(log, members, "heads", rows(members, "heads")[:-1]), log


@case(1, "object-head")
def an_object_that_is_not_here_is_said_to_go_far():
    log = usual()
    members = log.members(take=lambda p: p in FIRST_WINDOWS, complete=False)
    stray = {"entry": log.entries[9]["id"], "leaf": "ab" * 32, "version": 2}
    return with_rows(log, members, "heads", [*rows(members, "heads"), stray]), log


@case(1, "object-head")
def a_bundle_of_everything_says_how_far_its_objects_go():
    log = usual()
    part = log.members(take=lambda p: p in FIRST_WINDOWS, complete=False)
    return with_rows(log, log.members(), "heads", rows(part, "heads")), log


# --- V14: the tiling --------------------------------------------------------------------------------------------------


@case(1, "tiling")
def an_entry_is_taken_out():
    log = usual()
    members = log.members()
    lines = members["entries.jsonl"].splitlines(keepends=True)
    return log.resigned(members | {"entries.jsonl": b"".join(lines[:4] + lines[5:])}), log


@case(1, "tiling")
def a_hash_covers_a_checkpoint():
    log = usual()
    members = log.members(take=lambda p: p in {0, 2, 8}, complete=False)
    joined = {"start": 4, "end": 6, "hash": root_of(log.hashes[4:6]).hex()}
    lines = [each for each in rows(members, "rest") if each["start"] not in {4, 5}]
    return with_rows(log, members, "rest", sorted([*lines, joined], key=lambda each: each["start"])), log


@case(1, "tiling")
def hashes_overlap():
    log = usual()
    members = log.members(take=lambda p: p != 6, complete=False)
    return with_rows(log, members, "rest", rows(members, "rest") * 2), log


# --- V2, V3, V13: the checkpoints -----------------------------------------------------------------------------------


@case(1, "checkpoint-form")
def a_note_without_signatures():
    return first_row("checkpoints", {"note": "log.example/clinic\n5\n"})


@case(1, "checkpoint-form")
def a_checkpoint_of_two_lines():
    log = usual()
    renoted(log, 9, f"{log.origin}\n9\n".encode())
    return log.members(), log


@case(1, "checkpoint-form")
def a_checkpoint_whose_root_is_no_base64():
    log = usual()
    renoted(log, 9, f"{log.origin}\n9\n!!!!\n".encode())
    return log.members(), log


@case(1, "checkpoint-form")
def a_checkpoint_of_a_size_with_nought_before_it():
    log = usual()
    renoted(log, 9, log.head(9).replace(b"\n9\n", b"\n09\n"))
    return log.members(), log


@case(1, "checkpoint-form")
def a_note_of_another_size():
    log = usual()
    renoted(log, 9, log.head(8))
    return log.members(), log


@case(1, "checkpoint-form")
def seventeen_signatures():
    log = usual()
    text = log.head(9)
    log.checkpoints[9]["note"] = note(
        text, *[each.line(text) for each in [*log.log_keys, *(key("x", n) for n in range(20, 36))]]
    ).decode()
    return log.members(), log


@case(1, "checkpoint-origin")
def the_checkpoint_of_another_log():
    log = usual()
    renoted(log, 9, log.head(9).replace(b"clinic", b"forged"))
    return log.members(), log


@case(1, "checkpoint-signature")
def signed_by_an_unknown_key():
    log = usual()
    renoted(log, 9, signers=[key(log.origin, 8)])
    return log.members(), log


@case(1, "checkpoint-signature")
def a_signature_of_something_else():
    log = usual()
    log.checkpoints[9]["note"] = note(log.head(9), log.log_keys[0].line(b"something else\n")).decode()
    return log.members(), log


@case(1, "checkpoint-signature")
def a_witness_signs_for_the_log():
    log = usual()
    renoted(log, 9, signers=[])
    return log.members(), log


@case(1, "checkpoint-order")
def checkpoints_go_backwards():
    log = usual()
    members = log.members()
    lines = rows(members, "checkpoints")
    return with_rows(log, members, "checkpoints", [lines[1], lines[0], lines[2]]), log


@case(1, "checkpoint-order")
def the_manifest_names_another_root():
    log = usual()
    return log.resigned(log.members(), root=root_of(log.hashes[:9]).hex()), log


@case(1, "cosignature")
def a_cosignature_is_not_good():
    log = usual()
    text = log.head(9)
    bad = log.witnesses["w3"].cosign(b"another\n", 1772366400)
    log.checkpoints[9]["note"] = note(text, log.log_keys[0].line(text), bad).decode()
    return log.members(), log


@case(1, "cosignature")
def a_cosignature_is_given_another_time():
    log = usual()
    line = log.checkpoints[9]["note"].splitlines()[-1].split(" ")[2]
    raw = bytearray(base64.b64decode(line))
    raw[11] ^= 1
    log.checkpoints[9]["note"] = log.checkpoints[9]["note"].replace(line, b64(bytes(raw)))
    return log.members(), log


@case(1, "key-genesis")
def the_log_began_under_a_stolen_name():
    log = Log(genesis=False)
    log.add("log.genesis", ("log", log.origin), payload={"origin": log.origin, "vkey": key(log.origin, 8).vkey})
    log.checkpoint()
    return log.members(), log


@case(1, "key-genesis")
def the_first_words_are_withheld():
    log = usual()
    return log.members(withhold=[0]), log


@case(1, "key-rotation")
def a_key_the_policy_does_not_know():
    log = usual()
    log.add(
        "log.key_rotated", ("log", log.origin), payload={"old": log.log_keys[0].vkey, "new": key(log.origin, 8).vkey}
    )
    log.checkpoint()
    return log.members(), log


@case(1, "key-rotation")
def rotated_from_a_key_that_was_not_in_force():
    log = usual()
    log.add(
        "log.key_rotated",
        ("log", log.origin),
        payload={"old": log.all_log_keys[1].vkey, "new": log.all_log_keys[0].vkey},
    )
    log.checkpoint()
    return log.members(), log


@case(1, "key-not-in-force")
def the_old_key_goes_on_signing():
    log = usual()
    log.rotate()
    log.checkpoint()
    log.log_keys = log.all_log_keys[:1]
    log.add("window.closed", ("loop", "l-3"))
    log.checkpoint()
    return log.members(), log


@case(1, "key-not-in-force")
def only_the_new_key_signs_the_change():
    log = usual()
    log.rotate()
    log.log_keys = log.log_keys[1:]
    log.checkpoint()
    return log.members(), log


@case(1, "key-not-in-force")
def a_key_of_the_policy_before_its_time():
    log = usual()
    renoted(log, 9, signers=log.all_log_keys[1:])
    return log.members(), log


@pytest.mark.parametrize(("make", "exit_status", "name"), case)
def test_it_is_found(tmp_path, make, exit_status, name):
    look(tmp_path, make, exit_status, name)
