"""The policy file: what it may say, what it refuses by name, and which checkpoints meet it."""

import re
from itertools import product
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import event, given
from hypothesis import strategies as st

from audit import notes, witness_policy
from audit.notes import NoteInvalid, TreeHead, VerifierKey, WitnessKey
from audit.witness_policy import Group, Policy, PolicyInvalid, Quorum, judged, parse, render, satisfied

SECRETS = [Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in range(9)]
PUBLIC = [secret.public_key().public_bytes_raw() for secret in SECRETS]
ORIGIN = "clinaiops.invalid/log/test"
LOG, NEXT_LOG, STATEMENT = (VerifierKey(ORIGIN, PUBLIC[0]), VerifierKey(ORIGIN, PUBLIC[7]), VerifierKey("s", PUBLIC[8]))
W = [WitnessKey(f"witness.invalid/w{n}", PUBLIC[n]) for n in range(7)]
TEXT = TreeHead(ORIGIN, 7, bytes(32)).text()
SIGNED = notes.sign(TEXT, name=ORIGIN, key=SECRETS[0])
TWO_OF_THREE = f"""# who watches the log
log {LOG} https://log.invalid/
statement {STATEMENT}
  witness hospital\t{W[1]} https://witness.hospital.invalid/
witness auditor  {W[2]}

witness board {W[3]}
 # the end
group watchers 2 hospital auditor board
quorum watchers
"""


def cosigned(*when: tuple[int, int]) -> bytes:
    """The checkpoint with cosignatures by witness number, each at its second."""
    return SIGNED + b"".join(notes.cosign(TEXT, name=W[n].name, key=SECRETS[n], at=at) for n, at in when)


def refused(text: str | bytes) -> tuple[str, int]:
    with pytest.raises(PolicyInvalid) as found:
        parse(text if isinstance(text, bytes) else text.encode())
    return found.value.code, found.value.line


def test_a_policy_is_read_whole_and_comes_back_from_what_is_written():
    policy = parse(TWO_OF_THREE.encode())
    assert policy.log_keys(ORIGIN) == (LOG,)
    assert policy.logs[0].url == "https://log.invalid/"
    assert policy.statements == (STATEMENT,)
    assert [(w.name, w.url) for w in policy.witnesses][:2] == [
        ("hospital", "https://witness.hospital.invalid/"),
        ("auditor", None),
    ]
    assert (policy.groups, policy.quorum) == ((Group("watchers", 2, ("hospital", "auditor", "board")),), "watchers")
    assert parse(render(policy).encode()) == policy


def test_two_of_three_is_met_by_two_and_since_the_second_of_them():
    policy = parse(TWO_OF_THREE.encode())
    assert satisfied(cosigned(), policy) == Quorum(met=False, who=(), when=None, text="0 of 3")
    assert satisfied(cosigned((2, 900)), policy) == Quorum(met=False, who=("auditor",), when=None, text="1 of 3")
    assert satisfied(cosigned((2, 900), (1, 700)), policy) == Quorum(
        met=True, who=("hospital", "auditor"), when=900, text="2 of 3"
    )
    assert satisfied(cosigned((3, 800), (2, 900), (1, 700)), policy).when == 800


def test_a_stranger_counts_for_nothing_and_one_witness_counts_once():
    policy = parse(TWO_OF_THREE.encode())
    assert not satisfied(cosigned((4, 1), (5, 1), (6, 1)), policy).met
    assert not satisfied(cosigned((1, 700), (1, 701), (1, 702)), policy).met


def test_the_logs_own_signature_is_asked_for_where_the_policy_names_logs():
    policy = parse(TWO_OF_THREE.encode())
    by_another = notes.sign(TEXT, name=ORIGIN, key=SECRETS[7]) + cosigned((1, 1), (2, 1))[len(SIGNED) :]
    with pytest.raises(NoteInvalid, match="no-known-signature"):
        satisfied(by_another, policy)
    rotated = parse(f"log {NEXT_LOG}\n{TWO_OF_THREE}".encode())
    assert satisfied(by_another, rotated).met
    elsewhere = TWO_OF_THREE.replace(f"log {LOG}", f"log {VerifierKey('elsewhere.invalid', PUBLIC[0])}")
    with pytest.raises(NoteInvalid, match="no-known-signature"):
        satisfied(cosigned((1, 1), (2, 1)), parse(elsewhere.encode()))
    no_logs = "".join(line for line in TWO_OF_THREE.splitlines(keepends=True) if not line.startswith("log"))
    assert satisfied(by_another, parse(no_logs.encode())).met


def test_a_bad_cosignature_by_a_witness_of_the_policy_refuses_the_checkpoint():
    other = notes.cosign(TreeHead(ORIGIN, 8, bytes(32)).text(), name=W[1].name, key=SECRETS[1], at=5)
    with pytest.raises(NoteInvalid, match="bad-signature"):
        satisfied(cosigned((2, 1), (3, 1)) + other, parse(TWO_OF_THREE.encode()))


def test_no_quorum_asked_for_is_said_so():
    policy = parse(f"log {LOG}\nwitness w {W[1]}\nquorum none\n".encode())
    assert satisfied(SIGNED, policy) == Quorum(met=True, who=(), when=None, text="none asked for")
    assert policy.asked() == ()


def test_a_single_witness_can_be_the_quorum():
    policy = parse(f"witness w {W[1]}\nwitness x {W[2]}\nquorum w\n".encode())
    assert satisfied(cosigned((1, 9)), policy) == Quorum(met=True, who=("w",), when=9, text="1 of 1")
    assert not satisfied(cosigned((2, 9)), policy).met


def test_groups_of_groups_agree_with_a_plain_count_for_every_set_of_witnesses():
    lines = [f"witness X{n} {W[n]}" for n in (1, 2, 3)] + [f"witness Y{n} {W[n + 3]}" for n in (1, 2, 3)]
    lines += ["group X 2 X1 X2 X3", "group Y any Y1 Y2 Y3", "group both all X Y", "quorum both", ""]
    policy = parse("\n".join(lines).encode())
    met = 0
    for present in product((False, True), repeat=6):
        times = {W[n + 1]: 100 + n for n in range(6) if present[n]}
        expected = sum(present[:3]) >= 2 and any(present[3:])
        assert judged(times, policy).met == expected
        assert len(judged(times, policy).who) == sum(present)
        met += expected
    assert 0 < met < 64
    assert judged({W[1]: 5, W[3]: 9, W[6]: 7}, policy).when == 9
    assert judged({W[1]: 5, W[3]: 9, W[6]: 11}, policy).when == 11


HEADER = f"witness a {W[1]}\nwitness b {W[2]}\n"
REFUSED = {
    "quibble a\nquorum none": ("unknown-line", 1),
    f"Witness a {W[1]}\nquorum none": ("unknown-line", 1),
    f"log {LOG}\u00a0https://x\nquorum none": ("key", 1),
    f"log {LOG} https://x # inline\nquorum none": ("log", 1),
    "log\nquorum none": ("log", 1),
    "log garbage\nquorum none": ("key", 1),
    f"log {W[1]}\nquorum none": ("key", 1),
    f"log {LOG}\nlog {LOG} https://again/\nquorum none": ("key-twice", 2),
    f"log {LOG}\nlog {VerifierKey('renamed', PUBLIC[0])}\nquorum none": ("key-twice", 2),
    f"statement {W[1]}\nquorum none": ("key", 1),
    f"log {LOG}\nstatement {VerifierKey('s', PUBLIC[0])}\nquorum none": ("key-twice", 2),
    "witness a\nquorum none": ("witness", 1),
    f"witness a {LOG}\nquorum a": ("key", 1),
    f"witness a {str(W[1])[:-2]}\nquorum a": ("key", 1),
    f"witness none {W[1]}\nquorum none": ("name-taken", 1),
    f"witness a {W[1]}\nwitness a {W[2]}\nquorum a": ("name-taken", 2),
    f"witness a {W[1]}\nwitness b {W[1]}\nquorum a": ("key-twice", 2),
    f"witness a {W[1]}\nwitness b {WitnessKey('impostor', PUBLIC[1])}\nquorum a": ("key-twice", 2),
    f"log {LOG}\nwitness a {WitnessKey('w', PUBLIC[0])}\nquorum a": ("key-twice", 2),
    HEADER + "group a any b\nquorum a": ("name-taken", 3),
    HEADER + "group none any b\nquorum none": ("name-taken", 3),
    HEADER + "group g 1\nquorum g": ("group", 3),
    HEADER + "group g 0 a\nquorum g": ("threshold", 3),
    HEADER + "group g -1 a\nquorum g": ("threshold", 3),
    HEADER + "group g 01 a b\nquorum g": ("threshold", 3),
    HEADER + "group g 3 a b\nquorum g": ("threshold", 3),
    HEADER + "group g most a b\nquorum g": ("threshold", 3),
    HEADER + "group g ١ a b\nquorum g": ("threshold", 3),
    HEADER + "group g any c\nquorum g": ("unknown-name", 3),
    HEADER + "group g any g\nquorum g": ("unknown-name", 3),
    HEADER + "group g any none\nquorum g": ("unknown-name", 3),
    HEADER + "group g all a a\nquorum g": ("member-twice", 3),
    HEADER + "group g any a b\ngroup h any a\nquorum g": ("member-twice", 4),
    "group g any a\n" + HEADER + "quorum g": ("unknown-name", 1),
    "": ("one-quorum", 0),
    HEADER: ("one-quorum", 0),
    HEADER + "quorum a\nquorum a": ("one-quorum", 0),
    HEADER + "quorum a b": ("quorum", 3),
    "quorum": ("quorum", 1),
    "quorum nobody": ("unknown-name", 1),
    "quorum a\n" + HEADER: ("unknown-name", 1),
    "quorum none\r\n": ("control-character", 1),
    "quorum none\n\x00": ("control-character", 2),
    "# a bell \x07\nquorum none": ("control-character", 1),
    b"# \xff\nquorum none": ("not-utf8", 1),
    b"#" * 65_537: ("too-long", 0),
    "\n".join(f"log {VerifierKey('l', bytes([n]) * 32)}" for n in range(65)): ("too-many", 65),
}


@pytest.mark.parametrize(
    ("text", "named"), REFUSED.items(), ids=[f"{n}-{c}" for n, (c, _) in enumerate(REFUSED.values())]
)
def test_a_file_that_is_no_policy_is_refused_by_name_and_line(text, named):
    assert refused(text) == named


def test_every_refusal_of_the_reader_has_been_seen():
    source = Path(witness_policy.__file__).read_text(encoding="utf-8")
    named = set(re.findall(r'PolicyInvalid\("([a-z0-9-]+)"', source)) | {"log", "witness", "group", "quorum"}
    assert named == {code for code, _ in REFUSED.values()}


def test_words_of_the_file_are_names_like_others_and_other_scripts_are_allowed():
    text = f"witness all {W[1]}\nwitness Überwachung {W[2]}\ngroup group 2 all Überwachung\nquorum group"
    assert satisfied(cosigned((1, 1), (2, 2)), parse(text.encode())).who == ("all", "Überwachung")


@given(st.binary(max_size=400) | st.text(alphabet="logwitnessgroupquorum none any all 12#\t\n+=ab", max_size=200))
def test_no_bytes_break_the_reader(data):
    try:
        policy = parse(data if isinstance(data, bytes) else data.encode())
    except PolicyInvalid as err:
        event(err.code)
        return
    event("read")
    assert parse(render(policy).encode()) == policy


@given(st.integers(0, len(TWO_OF_THREE.encode()) * 8 - 1))
def test_a_flipped_bit_never_adds_a_witness_or_lowers_the_quorum(bit):
    bent = bytearray(TWO_OF_THREE.encode())
    bent[bit // 8] ^= 1 << bit % 8
    try:
        policy = parse(bytes(bent))
    except PolicyInvalid:
        return
    known = {key.public for key in (W[1], W[2], W[3])}
    assert {witness.key.public for witness in policy.witnesses} <= known
    assert isinstance(policy, Policy)
    assert policy.groups[0].threshold in {2, 3}
