"""Files and simulated devices by command: what became of every reading is said, and twice changes nothing."""

import json
import stat
from io import StringIO
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command
from django.utils import timezone

from care_loops.models import Alert, BloodPressure, Patient
from edge_wearables.models import Device, DeviceAssignment, DeviceKey, RefusedReading
from edge_wearables.signatures import enrolment_bytes, pack, public_of, sign
from tests.edge_wearables.entrance import ENROL, Sender, new_patient, pressure
from tests.governance.people import founded, now

pytestmark = pytest.mark.django_db(transaction=True)

HEADER = "Date,Time,Systolic (mmHg),Diastolic (mmHg),Pulse (bpm),Symptoms,Consumed,TruRead,Notes\n"


def ingest(path, patient, *options):
    out = StringIO()
    try:
        call_command("ingest_readings", str(path), "--patient", str(patient.pk), "--json", *options, stdout=out)
        code = 0
    except CommandError as err:
        code = err.returncode
    said = out.getvalue()
    return code, json.loads(said) if said else None


def omron(tmp_path, *rows):
    path = tmp_path / "export.csv"
    path.write_text(HEADER + "".join(f"{row},,,,\n" for row in rows), "utf-8")
    return path


def test_an_export_is_taken_in_once_and_its_bad_row_named(tmp_path):
    patient = new_patient()
    path = omron(
        tmp_path,
        "Jan 12 2025,08:12,131,84,66",
        "Jan 12 2025,08:12,131,84,66",
        "Jan 12 2025,20:12,11,84,66",
        "x,y,1,2,3",
    )
    options = ("--format", "omron_csv", "--zone", "Europe/Berlin", "--method", "upper_arm_cuff", "--validated")
    code, said = ingest(path, patient, *options)
    assert code == 3
    assert said["readings"] == {"stored": 1, "duplicate": 1, "conflict": 0, "quarantined": 1, "rejected": 1}
    assert said["refused"] == {"bad_time": 1}
    good = BloodPressure.objects.get(patient=patient, quarantined="")
    assert (good.systolic, good.method, good.device_validated, good.zone) == (
        131,
        "upper_arm_cuff",
        True,
        "Europe/Berlin",
    )
    code, again = ingest(path, patient, *options)
    assert again["readings"] == {"stored": 0, "duplicate": 3, "conflict": 0, "quarantined": 0, "rejected": 1}
    assert BloodPressure.objects.exclude(quarantined="partly_read").count() == 2
    assert BloodPressure.objects.get(quarantined="partly_read").systolic == 1, "refused, and looked at all the same"
    assert RefusedReading.objects.count() == 1


def test_how_it_was_measured_is_never_guessed(tmp_path):
    patient = new_patient()
    path = omron(tmp_path, "Jan 12 2025,08:12,131,84,66")
    code, _ = ingest(path, patient, "--format", "omron_csv", "--zone", "Europe/Berlin")
    assert code == 0
    row = BloodPressure.objects.get()
    assert (row.method, row.setting, row.device_validated) == ("unknown", "unknown", False)


def test_a_crisis_of_today_in_a_file_raises_an_alert_and_one_of_last_year_does_not(tmp_path):
    patient, now = new_patient(), timezone.now()
    own = {"kind": "blood_pressure", "zone": "UTC", "unit": "mmHg", "systolic": 204, "diastolic": 122}
    path = tmp_path / "own.json"
    path.write_text(json.dumps({"readings": [own | {"taken_at": "2025-01-01T08:00:00Z"}]}), "utf-8")
    assert ingest(path, patient, "--format", "clinaiops/readings/v1")[1]["readings"]["stored"] == 1
    assert not Alert.objects.exists()
    path.write_text(json.dumps({"readings": [own | {"taken_at": now.isoformat()}]}), "utf-8")
    assert ingest(path, patient, "--format", "clinaiops/readings/v1")[1]["alerts"] >= 1
    assert Alert.objects.filter(patient=patient, kind="crisis").exists()


def test_the_profile_s_example_is_taken_in_by_file(tmp_path, data_set):
    patient = new_patient()
    path = data_set("fhir_smbp_ig") / "Observation-SelfMeasuredBloodPressure-example.json"
    code, said = ingest(path, patient, "--format", "hl7_smbp", "--zone", "America/Anchorage")
    assert (code, said["readings"]["stored"]) == (0, 1)
    assert BloodPressure.objects.get().setting == "home"


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        (b"nothing", ("--format", "fhir"), "not_json"),
        (b"a,b\n", ("--format", "omron_csv"), "unknown_header"),
        (b"{}", ("--format", "fhir", "--zone", "Mars"), "unknown_zone"),
        (b"[]", ("--format", "fhir", "--now", "noon"), "not an instant"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_one_sentence(tmp_path, content, options, words):
    path = tmp_path / "f"
    path.write_bytes(content)
    with pytest.raises(CommandError, match=words):
        call_command("ingest_readings", str(path), "--patient", str(new_patient().pk), *options)
    assert not BloodPressure.objects.exists()


def test_an_unknown_patient_and_a_missing_file_are_refused(tmp_path):
    path = omron(tmp_path)
    nobody = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(CommandError, match="not_found"):
        call_command("ingest_readings", str(path), "--patient", nobody, "--format", "omron_csv")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("ingest_readings", str(tmp_path / "no"), "--patient", nobody, "--format", "omron_csv")


def test_simulated_devices_drive_the_real_api_until_everything_is_acknowledged(live_server, tmp_path):
    out, keys = StringIO(), tmp_path / "keys.json"
    options = ("--server", live_server.url, "--seed", "3", "--days", "3", "--json")
    faults = ("--offline-share", "0.3", "--duplicate-share", "0.2", "--crash", "0.02")
    call_command("simulate_devices", "--patients", "2", "--write-keys", str(keys), *options, *faults, stdout=out)
    said = json.loads(out.getvalue())
    assert said["devices"] == 2
    assert said["recorded"] > 8
    assert (said["waiting"], said["refused"], said["rejected"]) == (0, 0, 0)
    assert BloodPressure.objects.count() == said["recorded"]
    assert Patient.objects.filter(synthetic=True).count() == 2
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    out = StringIO()
    call_command("simulate_devices", "--keys", str(keys), *options, stdout=out)
    assert json.loads(out.getvalue())["devices"] == 2
    assert DeviceKey.objects.count() == 2


def test_simulated_devices_say_when_the_server_is_not_there():
    with pytest.raises(CommandError, match="cannot be reached"):
        call_command("simulate_devices", "--server", "http://127.0.0.1:9", "--patients", "1")


def test_a_site_adds_a_device_passes_it_on_and_revokes_it(client, capsys):
    admin, first, second = founded(now()).username, new_patient("A"), new_patient("B")

    def device(*words: object) -> dict:
        call_command("device", *map(str, words), "--by", admin, "--json")
        return json.loads(capsys.readouterr().out)

    how = ("--kind", "blood_pressure_cuff", "--method", "upper_arm_cuff", "--setting", "home", "--validated")
    added = device("add", "--model", "Cuff 7", *how, "--zone", "Europe/Berlin", "--patient", first.pk)
    private = Ed25519PrivateKey.generate().private_bytes_raw()
    public = public_of(private)
    proof = sign(private, enrolment_bytes(added["code"].replace("-", ""), public))
    claim = {"code": added["code"], "public_key": pack(public), "proof": pack(proof)}
    assert client.post(ENROL, claim, "application/json").json()["device_id"] == added["device"]
    sender = Sender(UUID(added["device"]), private)
    said = sender.send(pressure(1, taken_at=timezone.now().isoformat())).json()
    assert said["accepted"] == [1], said
    assert BloodPressure.objects.get().patient == first
    assert device("assign", added["device"], "--patient", second.pk)["patient"] == str(second.pk)
    assert DeviceAssignment.objects.get(until__isnull=True).patient == second
    assert device("unassign", added["device"])["patient"] == "nobody"
    assert not DeviceAssignment.objects.filter(until__isnull=True).exists()
    assert device("code", added["device"])["code"] != added["code"]
    assert device("revoke", added["device"], "--reason", "lost")["keys_revoked"] == 1
    assert sender.send(pressure(2, taken_at=timezone.now().isoformat())).json()["code"] == "key_revoked"


def test_what_a_device_cannot_be_is_said_and_nothing_of_it_is_kept():
    admin, patient = founded(now()).username, new_patient()
    watch = ("--model", "Watch", "--kind", "cuffless", "--method", "cuffless", "--setting", "home", "--by", admin)
    with pytest.raises(CommandError, match="bad_input"):
        call_command("device", "add", *watch, "--validated", "--patient", str(patient.pk))
    with pytest.raises(CommandError, match="not_found"):
        call_command("device", "add", *watch, "--patient", str(uuid4()))
    assert not Device.objects.exists()
    with pytest.raises(CommandError, match="not_found"):
        call_command("device", "revoke", str(uuid4()), "--reason", "lost", "--by", admin)
