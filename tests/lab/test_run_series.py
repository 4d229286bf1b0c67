import json
import random

import pytest

from engine.record import rows
from lab.runs import Series
from lab.runs.series import series_of


def course(seed):
    """Lines of a run that was resumed, killed in the middle of lines, and resumed again."""
    draw, step = random.Random(seed), 0
    for _ in range(200):
        chance = draw.random()
        if chance < 0.05 and step:
            step = draw.randrange(step)
            yield json.dumps({"resume": step}) + "\n"
        elif chance < 0.1:
            yield '{"step": 7, "lo\n'
        else:
            step += draw.random() < 0.8
            yield json.dumps({"step": step, "time": 0.1, draw.choice("abc"): draw.random()}) + "\n"


@pytest.mark.parametrize("seed", range(5))
def test_reading_as_it_grows_is_reading_it_whole(tmp_path, seed):
    whole = "".join(course(seed)).encode()
    series, cut = Series(tmp_path), random.Random(seed)
    assert series.read() == []
    at = 0
    while at < len(whole):
        at += cut.randrange(1, 500)
        (tmp_path / "metrics.jsonl").write_bytes(whole[:at])
        complete = whole[:at].rpartition(b"\n")[0] + b"\n"
        found = series.read()
        (tmp_path / "metrics.jsonl").write_bytes(complete)
        assert found == rows(tmp_path)
        (tmp_path / "metrics.jsonl").write_bytes(whole[:at])
    assert [row["step"] for row in series.read()] == sorted(row["step"] for row in series.read())


def test_only_what_is_new_is_read(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps({"step": i, "loss": 1.0}) + "\n" for i in range(1000)))
    series = Series(tmp_path)
    series.read()
    parsed = []
    monkeypatch.setattr(json, "loads", lambda text, loads=json.loads: parsed.append(text) or loads(text))
    with open(path, "a") as file:
        file.write('{"step": 1000, "loss": 0.5}\n')
    assert series.read()[-1] == {"step": 1000, "loss": 0.5}
    assert len(parsed) == 1


@pytest.mark.parametrize("seed", range(5))
def test_the_points_of_a_number_are_those_of_all_rows_however_it_grew(tmp_path, seed):
    whole = "".join(course(seed)).encode()
    series, cut, at = Series(tmp_path), random.Random(seed), 0
    while at < len(whole):
        at += cut.randrange(1, 500)
        (tmp_path / "metrics.jsonl").write_bytes(whole[:at])
        told = series.read()
        for name in "abc":
            known = [[row["step"], row[name]] for row in told if name in row]
            assert series.points(name).tolist() == known
    assert series.points("nobody reports this").shape == (0, 2)


def test_another_file_under_the_name_is_read_anew(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 1.0}\n{"step": 2, "loss": 2.0}\n')
    series = Series(tmp_path)
    assert len(series.read()) == 2
    assert len(series.points("loss")) == 2
    path.write_text('{"step": 1, "loss": 9.0}\n')
    assert series.read() == [{"step": 1, "loss": 9.0}]
    assert series.points("loss").tolist() == [[1, 9.0]]


def test_all_visitors_of_a_process_share_what_was_read(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 1.0}\n')
    assert series_of(tmp_path) is series_of(tmp_path)
    assert series_of(tmp_path).read() is series_of(tmp_path).read()
