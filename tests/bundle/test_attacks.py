"""What a stranger may do to a bundle: it is refused with its reason, or read as it was; nothing else ever happens."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bundle.attacks import ATTACKS, BACKBONE, BUNDLES, FEATURES, IMAGES, MANIFEST, MODEL, SAMPLES
from making import PROVE
from tagfit.bundle.read import read_bundle
from tagfit.errors import BundleError

#: megabytes by which the most memory may grow that a process took: what torch keeps of its own accord
MOST_GROWN = 64

#: every byte in the long form
STRIDE = 1 if PROVE else 17


def run(*command):
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def bundle(tmp_path):
    """A copy that a test may damage."""
    return Path(shutil.copytree(BUNDLES / FEATURES, tmp_path / "bundle"))


def test_every_attack_is_refused_for_its_reason_and_takes_no_memory():
    refusals = [json.loads(line) for line in run(Path(__file__).with_name("attacks.py")).splitlines()]
    if PROVE:
        print(f"\nthe longest: {max(one['seconds'] for one in refusals)} s")
    assert len(refusals) == len(ATTACKS) >= 40
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)
    told = {one["name"]: "\n".join(one["faults"]) for one in refusals}
    assert [attack for attack in ATTACKS if not re.search(re.escape(attack.reason), told[attack.name])] == []
    assert [one for one in refusals if one["grown"] > MOST_GROWN] == []


def test_all_faults_are_told_together(bundle):
    (bundle / "evil.py").write_text("")
    (bundle / SAMPLES).unlink()
    manifest = json.loads((bundle / MANIFEST).read_text())
    manifest |= {"lock": "", "tagfit": 0, "label_names": ["a", 1]}
    (bundle / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BundleError) as caught:
        read_bundle(bundle)
    predictions = str(caught.value)
    assert all(word in predictions for word in ("evil.py", SAMPLES, "lock must", "tagfit must", "label_names[1] must"))


def test_what_file_managers_leave_behind_is_passed_over(bundle):
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", f"._{MODEL}"):
        (bundle / name).write_bytes(b"\0")
    assert read_bundle(bundle).label_names


@pytest.mark.parametrize("name", [MODEL, SAMPLES])
def test_every_byte_of_tensors_counts(bundle, name):
    content = (bundle / name).read_bytes()
    for place in sorted({*range(0, len(content), STRIDE), 7, 8, len(content) - 1}):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        (bundle / name).write_bytes(changed)
        with pytest.raises(BundleError):
            read_bundle(bundle)


def test_a_manifest_with_another_byte_is_refused_or_describes_the_same_network(bundle):
    content = (bundle / MANIFEST).read_bytes()
    then = read_bundle(bundle).network.state_dict()
    for place in range(0, len(content), STRIDE):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 7
        (bundle / MANIFEST).write_bytes(changed)
        try:
            now = read_bundle(bundle).network.state_dict()
        except BundleError:
            continue
        assert all((now[name] == tensor).all() for name, tensor in then.items())


@pytest.mark.parametrize("name", [MANIFEST, MODEL, SAMPLES])
def test_what_is_cut_off_is_refused(bundle, name):
    content = (bundle / name).read_bytes()
    for length in sorted({*range(0, len(content), STRIDE), len(content) - 1}):
        (bundle / name).write_bytes(content[:length])
        with pytest.raises(BundleError):
            read_bundle(bundle)


WATCHED = """
import sys
from pathlib import Path
import torch.utils._device  # which torch imports when it is first told a device
from tagfit.bundle.read import read_bundle

FORBIDDEN = ("import", "exec", "compile", "code.__new__", "pickle.find_class", "marshal.loads", "ctypes.dlopen")
seen, watching = [], False

def watch(event, arguments):
    if not watching:
        return
    if event in FORBIDDEN or event.startswith(("socket.", "subprocess.", "os.", "shutil.", "urllib.", "http.")):
        seen.append((event, str(arguments)[:200]))
    if event == "open" and (any(sign in str(arguments[1]) for sign in "wax+") or arguments[2] & 3):
        seen.append((event, str(arguments)[:200]))

sys.addaudithook(watch)
*plain, seeing = map(Path, sys.argv[1:])
for bundle in plain:
    read_bundle(bundle)  # the annotations of our own records are evaluated when the first of each is read
    watching = True
    read_bundle(bundle)
    watching = False
read_bundle(seeing)  # transformers imports what it needs when it is first used
watching = True
read_bundle(seeing)
watching = False
print(*seen, sep="\\n")
"""


def test_reading_imports_nothing_runs_nothing_and_writes_nothing():
    told = run("-c", WATCHED, *(BUNDLES / name for name in (FEATURES, IMAGES, BACKBONE))).splitlines()
    assert len(told) == 3  # it lists each bundle's folder
    assert [line for line in told if not line.startswith("('os.scandir'")] == []
