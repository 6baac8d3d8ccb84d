"""A key depends on settings, inputs and versions, and on nothing else."""

import hashlib
import json

import pytest

from ikpaper.identity import Identity, digest, file_digest, provenance, source_digest

ROW = Identity("row", {"dof": 6, "sigma": (0.2, 0.2)}, {"weights": "ab"}, {"metrics": 1})


def test_a_digest_is_that_of_the_values_as_json():
    expected = hashlib.sha256(b'{"a": [1, 2.5], "b": null}\0"x"\0').hexdigest()[:24]
    assert digest({"b": None, "a": (1, 2.5)}, "x") == expected


def test_values_that_json_cannot_hold_are_refused():
    with pytest.raises(TypeError, match="expected what JSON can hold, got set"):
        digest({"names": {"a"}})


def test_a_file_has_the_digest_that_sha256sum_prints(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    assert file_digest(path).startswith("ba7816bf8f01cfea414140de5dae2223b00361a3")


@pytest.mark.parametrize(
    "other",
    [
        Identity("study", ROW.settings, ROW.inputs, ROW.versions),
        Identity("row", {**ROW.settings, "dof": 8}, ROW.inputs, ROW.versions),
        Identity("row", ROW.settings, {"weights": "cd"}, ROW.versions),
        Identity("row", ROW.settings, ROW.inputs, {"metrics": 2}),
        Identity("row", ROW.settings, ROW.inputs, {**ROW.versions, "scoring": 1}),
    ],
)
def test_each_part_decides_the_key(other):
    assert other.key != ROW.key


def test_the_order_of_names_and_the_type_of_a_sequence_do_not():
    same = Identity("row", {"sigma": [0.2, 0.2], "dof": 6}, {"weights": "ab"}, {"metrics": 1})
    assert same.key == ROW.key


def test_a_record_outlives_json_and_agrees_with_its_identity():
    recorded = json.loads(json.dumps(ROW.record()))
    assert recorded["key"] == ROW.key
    assert ROW.differs(recorded) == []


def test_what_differs_is_named_with_both_values():
    now = Identity("row", {"dof": 8, "sigma": (0.2, 0.2)}, {}, {"metrics": 2})
    assert now.differs(ROW.record()) == [
        "setting dof: 6 -> 8",
        'input weights: "ab" -> none',
        "version of metrics: 1 -> 2",
    ]


def test_a_result_without_an_identity_has_none_on_record():
    assert ROW.differs({"key": "123"}) == ["no identity on record"]


def test_the_source_is_provenance_alone(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    before = source_digest(tmp_path)
    (tmp_path / "a.py").write_text("x = 1  # one\n")
    assert source_digest(tmp_path) != before
    made = provenance()
    assert set(made) == {"python", "machine", "cpu_threads", "packages", "source", "revision"}
    assert made["packages"]["torch"]
