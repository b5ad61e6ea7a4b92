"""Papers and their days, forms and their gaps, health for a monitor, logs without values, rules blind to traits."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
import yaml
from force import PARAMS, ROOT, Force, record, tables

from provenance import declaring, governing, health, params
from provenance.errors import Malformed, Refused
from provenance.web import logs, metrics

CUT = "2026-01-10T23:00:00Z"
PAPERS = ("technical_report", "dpia", "legal_approval", "accuracy_evaluation", "ethics_advice", "policy_document",
          "algo_care")  # fmt: skip


def rows() -> list[dict]:
    return [record(f"RC-{n}", f"ZN-{n}", f"ZN-{n + 1}", f"ZN-{n + 2}:victim") for n in range(8)]


def people(shift: int = 0) -> list[dict[str, str]]:
    sexes, groups = ("M", "F", "X"), ("W1", "A2", "B1")
    return [
        {"nominal_id": f"ZN-{n}", "name": f"QUILLFEATHER{n}", "born": f"{1960 + (7 * (n + shift)) % 50}-06-01",
         "sex": sexes[(n + shift) % 3], "ethnicity": groups[(n + shift) % 3], "is_child": str((n + shift) % 2)}
        for n in range(10)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def force(tmp_path_factory) -> Force:
    made = Force(tmp_path_factory.mktemp("oversight"))
    made.receive(*rows(), cut_off=CUT, nominals=people())
    made.build(CUT)
    yield made
    made.archive.close()


# ---- papers ----------------------------------------------------------------------------------------------------------


def with_papers(lapsed: str | None = None, **days: str) -> params.Params:
    """Every paper is supplied; the DPIA holds on these days."""
    said = PARAMS.model_dump()
    for name in PAPERS:
        said["governance"][name] |= {"version": "1", "sha256": "a" * 64}
    said["governance"]["dpia"] |= days
    said["governance"]["lapsed"] = lapsed
    return params.Params.model_validate(said)


@pytest.mark.parametrize(
    ("day", "state"),
    [("2026-01-01", "not yet in force"), ("2026-01-02", "in force"), ("2026-03-31", "in force"),
     ("2026-04-01", "lapsed")],
)  # fmt: skip
def test_a_paper_holds_from_its_first_day_to_its_last(day, state):
    rules = with_papers(first_day="2026-01-02", last_day="2026-03-31")
    assert governing.state(rules.governance.dpia, day) == state
    assert governing.state(PARAMS.governance.dpia, day) == "not supplied"
    assert list(governing.papers(rules.governance)) == list(PAPERS)


def test_a_build_is_refused_or_made_and_flagged_where_a_paper_has_lapsed(tmp_path):
    force = Force(tmp_path)
    force.receive(*rows(), cut_off=CUT)
    with pytest.raises(Refused, match="2026-W02 is blocked by its papers, on 2026-01-10: dpia has lapsed"):
        force.build(CUT, rules=with_papers("block", last_day="2026-01-09"))
    assert [failed.reason for failed in force.archive.history.failures] == ["refused"]
    assert governing.faults(with_papers().governance, "2026-01-10") == []
    flagged = with_papers("flag", last_day="2026-01-09")
    built = force.build(CUT, rules=flagged).built
    statement = force.archive.stated(built)
    standing = governing.standing(statement, params.stated(statement.params.decode()), "2026-01-10")
    assert {p["name"]: p["state"] for p in standing} == dict.fromkeys(PAPERS, "in force") | {"dpia": "lapsed"}
    assert governing.check(with_papers("block").governance, "2026-W02", "2026-01-10") == []
    force.archive.close()


def test_days_of_a_paper_are_days_in_order():
    with pytest.raises(ValueError, match="first_day is not after last_day"):
        with_papers(first_day="2026-02-01", last_day="2026-01-01")


# ---- nobody is linked by what they are -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("links", "sex_percents", {"M": 100}), ("networks", "same_ethnicity", True),
     ("links", "statuses_left_out", ["age under 18"]), ("harm", "by", "race"), ("grading", "child", 1)],
)  # fmt: skip
def test_params_in_which_a_protected_characteristic_decides_are_refused(tmp_path, section, key, value):
    said = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    said[section][key] = value
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(said))
    with pytest.raises(Refused, match=rf"protected characteristic decide: params.yaml: {section}\.{key} names"):
        params.read(path)
    del said[section][key]
    said[section]["colour"] = 1  # any other key that is not known is refused too, as a slip
    path.write_text(yaml.safe_dump(said))
    with pytest.raises(Malformed, match=f"{section}.colour: found a whole number; wanted: no such key"):
        params.read(path)


def test_no_word_that_decisive_params_may_hold_names_a_protected_characteristic():
    schema = json.dumps(
        [params.Params.model_json_schema()["$defs"][name] for name in ("Grades", "Links", "Networks", "Harm")]
    )
    words = set(re.split(r"[^a-z]+", schema.lower()))
    assert "offending" in words
    assert not words & params.PROTECTED


def test_other_people_in_the_same_records_are_linked_and_grouped_the_same(force, tmp_path):
    other = Force(tmp_path)
    other.receive(*rows(), cut_off=CUT, nominals=people(shift=1))
    other.build(CUT)
    one, two = tables(force.as_of(CUT)), tables(other.as_of(CUT))
    assert not one["person"].equals(two["person"])
    for name in ("link", "nominal", "network"):
        columns = [column for column in one[name].column_names if column not in ("links_root", "influence")]  # salted
        assert one[name].num_rows
        assert one[name].select(columns).equals(two[name].select(columns)), name
    other.archive.close()


# ---- forms -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", declaring.FORMS)
def test_a_form_says_what_is_known_where_from_and_what_is_missing_and_names_nobody(force, form):
    said = declaring.filled(force.archive, form, on="2026-02-01T09:00:00Z")
    text = declaring.markdown(said)
    for each in said["answers"]:
        assert each["known"] or each["gap"]
        assert bool(each["known"]) == bool(each["source"])
        assert each["field"] in text
    gaps = [each for each in said["answers"] if each["gap"]]
    assert len(said["gaps"]) == len(gaps) > 3
    assert text.count("> To be answered by the force:") == len(gaps)
    assert f"{len(gaps)} of {len(said['answers'])} fields" in text
    assert "same-record/1" in text
    assert "CONNECT: crime, custody, intelligence" in text
    assert not re.search(r"QUILLFEATHER|ZN-\d|RC-\d", text + json.dumps(said))


def test_the_eight_questions_are_all_asked(force):
    said = declaring.filled(force.archive, "algo-care", on="2026-02-01T09:00:00Z")
    assert list(dict.fromkeys(each["section"] for each in said["answers"])) == [
        "Advisory", "Lawful", "Granularity", "Ownership", "Challengeable", "Accuracy", "Responsible", "Explainable",
    ]  # fmt: skip


# ---- health ----------------------------------------------------------------------------------------------------------


def test_health_is_figures_of_the_moment_and_faults_in_words(force):
    found = health.health(force.archive, on="2026-01-22T23:00:00Z", verified=True)
    assert (found.build, found.builds, found.build_age_seconds, found.verified) == ("2026-W02", 1, 12 * 86_400, 1)
    assert found.feeds == (health.Feed("CONNECT", 12 * 86_400),)
    assert found.entries == force.archive.log.size
    assert found.faults(stale_days=30) == ["last build is 12 days old", "no witness outside is named in log/policy"]
    worse = replace(found, verified=0, holds_overdue=2, witnesses=(health.Witness("w", 4),))
    assert worse.faults(stale_days=10) == [
        "build 2026-W02 does not verify", "last build is 12 days old", "source CONNECT is 12 days behind",
        "2 holds are overdue for review",
    ]  # fmt: skip


def test_metrics_are_the_same_figures_as_prometheus_reads_them(force):
    from prometheus_client.parser import text_string_to_metric_families

    found = health.health(force.archive, on="2026-01-22T23:00:00Z", verified=None)
    found = replace(found, witnesses=(health.Witness('odd "name"', 4),))
    read = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics.text(found).decode())
        for sample in family.samples
    }
    assert read["provenance_verified",] == -1
    assert read["provenance_build_age_seconds",] == 12 * 86_400
    assert read["provenance_feed_age_seconds", "CONNECT"] == 12 * 86_400
    assert read["provenance_witness_lag_entries", 'odd "name"'] == 4
    plain = {name.removeprefix("provenance_") for (name, *labels) in read if not labels}
    assert plain == {*metrics._PLAIN, "looked_at_seconds"}


def asking(host: str = "127.0.0.1", **headers: str):
    return SimpleNamespace(client=SimpleNamespace(host=host), headers=headers)


HERE = "http://localhost:8000"


def test_figures_are_for_this_machine_alone_without_a_token(tmp_path):
    metrics.admit(asking(), tmp_path, HERE)
    metrics.admit(asking("::1"), tmp_path, HERE)
    for request, origin in (
        (asking("10.0.0.7"), HERE),
        (asking(), "https://archive.example"),  # a proxy here would make everybody look as if they were
        (asking(**{"x-forwarded-for": "10.0.0.7"}), HERE),
    ):
        with pytest.raises(Refused, match="for this machine alone without key file"):
            metrics.admit(request, tmp_path, origin)


def test_with_a_token_it_is_wanted_of_all(tmp_path):
    (tmp_path / "metrics.token").write_text("t" * 40 + "\n")
    metrics.admit(asking("10.0.0.7", authorization="Bearer " + "t" * 40), tmp_path, "https://archive.example")
    for brought in ({}, {"authorization": "Bearer " + "t" * 39}, {"authorization": "t"}):
        with pytest.raises(Refused, match="brings the token of key file"):
            metrics.admit(asking(**brought), tmp_path, HERE)
    (tmp_path / "metrics.token").write_text("short")
    with pytest.raises(Refused, match="brings the token"):
        metrics.admit(asking(authorization="Bearer short"), tmp_path, HERE)


def test_a_line_of_the_log_has_no_value_in_it():
    def fails(name: str) -> None:
        raise ValueError(f"no such person: {name}")

    try:
        fails("QUILLFEATHER")
    except ValueError as error:
        said = logging.LogRecord("provenance.web", 40, __file__, 1, "request failed: %s", ("/nominal?id=ZN-7",),
                                 (ValueError, error, error.__traceback__))  # fmt: skip
    said.created = 1_767_225_600.5
    line = json.loads(logs.Line().format(said))
    assert line["at"] == "2026-01-01T00:00:00Z"
    assert (line["level"], line["event"], line["kind"]) == ("error", "request failed: %s", "ValueError")
    assert line["came_through"][-1].endswith(" fails")
    assert "QUILLFEATHER" not in json.dumps(line)
    assert "ZN-7" not in json.dumps(line)
