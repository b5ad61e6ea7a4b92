"""Drawings: the same bytes for the same values, hostile text as text, nothing a strict policy would stop, nothing told
by colour alone; and in a real browser, marks that are links with names.
"""

from __future__ import annotations

import itertools
import re
import shutil
from datetime import date
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance import charts, diagrams, layouts, maps, scales, shapes
from provenance.charts import Bar, Series
from provenance.diagrams import Link, Person, Role
from provenance.errors import Malformed
from provenance.geography import Boundaries

HOSTILE = "\"><script>alert(1)</script>&'\x00\u202egnihton]]>"
DAYS = [date(2026, 1, 4), date(2026, 1, 11), date(2026, 1, 18), date(2026, 1, 25)]
SAID = {"title": "A drawing", "said": "What is on it", "prefix": "d"}
SVG = "{http://www.w3.org/2000/svg}"


def people(count: int, label: str = "Person", **more) -> list[Person]:
    roles = list(Role)
    return [
        Person(f"{label} {i}", f"/nominal/{i}", roles[i % 5], i % 5 + 1, key=max(4 - i, 0), withheld=i % 7 == 3, **more)
        for i in range(count)
    ]


def small(label: str = "Person", count: int = 12, **more) -> str:
    links = [Link(i, i + 1, f"/link/{i}", i % 5 + 1, **more) for i in range(count - 1)]
    at = layouts.place(np.array([(link.a, link.b) for link in links]), np.ones(len(links), int), count)
    return diagrams.network(people(count, label, **more), links, at, **SAID)


def squares(name: str = "Ward") -> Boundaries:
    """Six squares in two rows, near Birmingham; the fifth has a hole, the sixth is too small to see."""
    shapes = []
    for i in range(6):
        x, y, side = -2 + 0.1 * (i % 3), 52 + 0.06 * (i // 3), 0.00001 if i == 5 else 0.1
        ring = [(x, y), (x + side, y), (x + side, y + side * 0.6), (x, y + side * 0.6), (x, y)]
        hole = [(x + 0.02, y + 0.02), (x + 0.02, y + 0.03), (x + 0.03, y + 0.03), (x + 0.02, y + 0.02)]
        shapes.append({"type": "Polygon", "coordinates": [ring, hole] if i == 4 else [ring]})
    return Boundaries(
        "", tuple(f"E0{i}" for i in range(6)), tuple(f"{name} {i}" for i in range(6)), tuple(shapes), name
    )


COUNTS = {"E00": 4, "E01": 0, "E02": None, "E04": 900, "E99": 3}


def drawn(label: str) -> dict[str, str]:
    """Every kind of drawing, with a label in each place that takes one."""
    said = {"title": label, "said": label, "prefix": "d"}
    series = [Series(label, (3, None, 5, -2), frozenset({1})), Series("Other", (None, 1, None, 4))]
    return {
        "network": small(label),
        "lines": charts.lines(DAYS, [label] * 4, series, changes={2: label}, unit=label, **said).svg,
        "small lines": charts.lines(DAYS, [label] * 4, series, width=280, steps=True, unit=label, **said).svg,
        "causes": charts.causes([Bar(label, {label: 5, "other": -7})], unit=label, **said).svg,
        "histogram": charts.histogram(scales.bins([1, 5, 9]), unit=label, **said).svg,
        "map": maps.areas(
            maps.outlined(squares(label), 300), COUNTS, unit=label, hrefs={"E00": "/area/E00"}, **said
        ).svg,
    }


PLAIN = drawn("Somebody")


# -- what a page may hold ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PLAIN)
def test_hostile_text_is_text_wherever_it_stands(kind):
    plain, hostile = ElementTree.fromstring(PLAIN[kind]), ElementTree.fromstring(drawn(HOSTILE)[kind])
    assert {node.tag for node in hostile.iter()} == {node.tag for node in plain.iter()}
    assert {name for node in hostile.iter() for name in node.attrib} == {
        name for node in plain.iter() for name in node.attrib
    }
    assert "<script>alert(1)" in "".join(hostile.itertext())
    assert not re.search("[\x00-\x08\u202a-\u202e]", drawn(HOSTILE)[kind])


@pytest.mark.parametrize("kind", PLAIN)
def test_a_drawing_holds_nothing_that_a_strict_policy_stops_and_asks_for_nothing(kind):
    root = ElementTree.fromstring(PLAIN[kind])
    allowed = {"svg", "title", "desc", "g", "a", "path", "circle", "rect", "text", "defs", "pattern"}
    assert {node.tag.removeprefix(SVG) for node in root.iter()} <= allowed
    for node in root.iter():
        for name, value in node.items():
            assert name != "style"
            assert not name.startswith("on")
            assert "url(" not in value or re.fullmatch(r"url\(#d-[a-z0-9-]+\)", value)
            assert name != "href" or value.startswith("/")


@pytest.mark.parametrize("kind", PLAIN)
def test_a_drawing_has_a_name_a_description_and_ids_under_its_prefix(kind):
    root = ElementTree.fromstring(PLAIN[kind])
    ids = [node.get("id") for node in root.iter() if node.get("id")]
    assert len(ids) == len(set(ids))
    assert all(name == "d" or name.startswith("d-") for name in ids)
    assert {root.get("aria-labelledby"), root.get("aria-describedby")} <= set(ids)
    assert root.get("role") == ("group" if root.iter(f"{SVG}a") and root.find(f".//{SVG}a") is not None else "img")
    assert root.find(f"{SVG}title").text


@pytest.mark.parametrize("kind", PLAIN)
def test_the_same_values_give_the_same_bytes(kind):
    assert drawn("Somebody")[kind] == PLAIN[kind]


@pytest.mark.parametrize(
    "href", ["javascript:alert(1)", "//elsewhere.example/", "https://elsewhere.example", "/\\x", "/a b", "/a\n", ""]
)
def test_an_address_that_leads_elsewhere_is_refused_and_not_repeated(href):
    with pytest.raises(Malformed, match="address in a drawing leads elsewhere") as refused:
        shapes.address(href)
    assert not href or href not in str(refused.value)


@pytest.mark.parametrize("prefix", ["", "1", "a b", 'a"', "a#"])
def test_a_prefix_is_one_word(prefix):
    with pytest.raises(Malformed, match="prefix of a drawing is not one word"):
        charts.histogram([], title="t", said="s", prefix=prefix)


def test_class_names_are_words():
    assert 'class="soc grade-b"' in small(extra="soc grade-b")
    with pytest.raises(Malformed, match="class names of a drawing are not words"):
        small(extra='x" onclick="y')


# -- networks ----------------------------------------------------------------------------------------------------------


def test_people_and_links_lead_to_their_pages_and_say_who_they_are():
    root = ElementTree.fromstring(small())
    said = {node.get("href"): node.find(f"{SVG}title").text for node in root.iter(f"{SVG}a")}
    assert said["/nominal/0"] == "Person 0: offending, key player 4, links very weak"
    assert said["/nominal/3"] == "Person 3: witness, key player 1, figures withheld"
    assert said["/link/4"] == "Person 4 and Person 5: very strong link"
    assert len(said) == 12 + 11


def test_tab_meets_people_only_and_key_players_first():
    anchors = list(ElementTree.fromstring(small()).iter(f"{SVG}a"))
    stops = [node.get("href") for node in anchors if node.get("tabindex") != "-1"]
    assert stops[:4] == ["/nominal/3", "/nominal/2", "/nominal/1", "/nominal/0"]
    assert sorted(stops) == sorted(f"/nominal/{i}" for i in range(12))


def test_a_victim_is_a_square_and_is_called_one():
    root = ElementTree.fromstring(small())
    for node in root.iter(f"{SVG}a"):
        square = node.find(f"{SVG}rect") is not None
        assert square == ("victim" in node.get("class", "")), node.get("href")
    labels = [node.text for node in root.iter(f"{SVG}text") if node.text.startswith("Person")]
    assert "Person 1 · victim" in labels
    assert all(label.endswith("· victim") == (int(label.split()[1]) % 5 in (1, 2)) for label in labels)


def test_withheld_figures_are_dashed():
    root = ElementTree.fromstring(small())
    dashed = {node.get("href") for node in root.iter(f"{SVG}a") if node[1].get("stroke-dasharray")}
    assert dashed == {"/nominal/3", "/nominal/10"}


def test_labels_do_not_overlap_and_key_players_have_theirs():
    chance = np.random.default_rng(3)
    links = np.unique(np.sort(chance.integers(0, 300, (700, 2)), axis=1), axis=0)
    links = links[links[:, 0] != links[:, 1]]
    at = layouts.place(links, np.ones(len(links), int), 300)
    root = ElementTree.fromstring(diagrams.network(people(300), [], at, **SAID))
    boxes = []
    for node in root.iter(f"{SVG}text"):
        if not node.text.startswith("Person"):
            continue
        bold, long = node.get("font-weight") == "bold", shapes.wide(node.text, 12 + (node.get("font-weight") == "bold"))
        x, y = int(node.get("x")), int(node.get("y"))
        left = {"end": x - long, "middle": x - long // 2}.get(node.get("text-anchor"), x)
        boxes.append((left, y - 10, left + long, y + 2, bold))
    assert sum(bold for *_, bold in boxes) == 4
    assert len(boxes) > 30
    for i, (left, top, right, bottom, _) in enumerate(boxes):
        for other in boxes[:i]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top


def test_marks_do_not_overlap_and_stronger_ones_are_larger():
    root = ElementTree.fromstring(small(count=40))
    circles = {
        node.get("href"): node.find(f"{SVG}circle")
        for node in root.iter(f"{SVG}a")
        if "offending" in node.get("class", "").split()
    }
    assert circles
    at = np.array([[float(c.get("cx")), float(c.get("cy"))] for c in circles.values()])
    radius = np.array([float(c.get("r")) for c in circles.values()])
    for i in range(len(at)):
        for j in range(i):
            assert np.hypot(*(at[i] - at[j])) > radius[i] + radius[j]


def test_an_empty_network_and_one_person_can_be_drawn():
    nobody = diagrams.network([], [], np.zeros((0, 2), int), **SAID)
    assert 'role="img"' in nobody
    alone = diagrams.network(people(1), [], layouts.place(np.zeros((0, 2), int), np.zeros(0, int), 1), **SAID)
    assert "/nominal/0" in alone


@pytest.mark.parametrize("strength", [0, 6])
def test_a_strength_is_one_of_five(strength):
    with pytest.raises(Malformed, match=f"strength class of a link is none: found {strength}, wanted 1 to 5"):
        Link(0, 1, "/", strength)


# -- scales: each against its definition -------------------------------------------------------------------------------


@given(st.integers(-(10**9), 10**9), st.integers(0, 10**9), st.integers(2, 9))
def test_ticks_are_the_finest_round_steps_that_hold_both_ends(low, more, most):
    high = low + more
    found = scales.ticks(low, high, most)
    step = found[1] - found[0]
    assert found == list(range(found[0], found[-1] + 1, step))
    assert found[0] <= low
    assert found[-1] >= high
    assert len(found) <= most + 1
    rounds = [factor * 10**power for power in range(12) for factor in (1, 2, 5)]
    assert step in rounds
    finer = [other for other in rounds if other < step and -(-high // other) - low // other <= most]
    assert not finer


@given(st.dates(date(1990, 1, 1), date(2030, 1, 1)), st.integers(0, 8000), st.integers(1, 8))
def test_months_are_first_days_within_and_evenly_apart(first, days, most):
    last = date.fromordinal(first.toordinal() + days)
    found = scales.months(first, last, most)
    assert len(found) <= most + 1
    assert all(first <= day <= last and day.day == 1 for day in found)
    steps = {(b.year - a.year) * 12 + b.month - a.month for a, b in itertools.pairwise(found)}
    assert len(steps) <= 1


@given(st.lists(st.integers(0, 50)), st.integers(1, 6))
def test_classes_hold_every_value_once_and_the_same_values_together(values, most):
    bounds = scales.classes(values, most)
    assert bounds == sorted(set(bounds))
    assert len(bounds) <= most
    assert set(bounds) <= set(values)
    for value in values:
        slow = next((at for at, bound in enumerate(bounds, 1) if value <= bound), 0) if value > 0 else 0
        assert scales.class_of(value, bounds) == slow


def test_classes_are_equally_filled_where_values_differ():
    bounds = scales.classes(range(1, 101))
    assert bounds == [20, 40, 60, 80, 100]


@given(st.lists(st.integers(-1000, 1000), min_size=1))
def test_bins_count_every_value_once(values):
    found = scales.bins(values)
    assert sum(count for _, _, count in found) == len(values)
    for low, high, count in found:
        assert count == sum(low <= value < high for value in values)


# -- charts ------------------------------------------------------------------------------------------------------------


def test_a_withheld_figure_is_a_gap_and_never_a_zero():
    chart = charts.lines(
        DAYS,
        list("ABCD"),
        [Series("Points", (3, None, 5, 6), frozenset({1})), Series("Days", (1, None, 2, 3))],
        changes={2: "new table"},
        **SAID,
    )
    assert chart.columns == ("Build", "Date", "Points", "Days", "Method")
    assert chart.rows[1] == ("B", "2026-01-11", "withheld", "none", "")
    assert chart.rows[2] == ("C", "2026-01-18", "5", "2", "new table")
    lines = re.findall(r'<path d="([^"]+)" stroke-width="2.5"', chart.svg)
    assert [line.count("M") for line in lines] == [2, 2]  # each broken once
    assert "Points, B: withheld" in chart.svg
    assert "Days, B" not in chart.svg
    assert "1  new table (from C)" in chart.svg


@pytest.mark.parametrize("most", [5, 68_610, 484_090])
def test_the_months_under_a_line_do_not_run_into_each_other(most):
    days = [date(2016, 9, 26), date(2016, 11, 28), date(2017, 1, 30), date(2018, 3, 26), date(2022, 9, 26)]
    svg = charts.lines(days, list("ABCDE"), [Series("Serious and organised crime", (most,) * 5)], **SAID).svg
    labels = re.findall(r'<text x="(\d+)" y="\d+" text-anchor="(\w+)">(Jan 20\d\d)<', svg)
    assert len(labels) >= 5
    before = 0
    for at, anchor, label in labels:
        begins = int(at) - {"start": 0, "middle": shapes.wide(label, 13) // 2, "end": shapes.wide(label, 13)}[anchor]
        assert begins >= before, label
        before = begins + shapes.wide(label, 13)


def test_series_differ_by_their_dashes():
    many = [Series(f"S{i}", (i, i + 1, i + 2, i + 3)) for i in range(6)]
    svg = charts.lines(DAYS, list("ABCD"), many, **SAID).svg
    dashes = re.findall(r'stroke-width="2.5"(?: stroke-dasharray="([^"]+)")?', svg)
    assert len(set(dashes)) == 6
    with pytest.raises(Malformed, match="chart has too many series: found 7, wanted at most 6"):
        charts.lines(DAYS, list("ABCD"), [*many, many[0]], **SAID)


def test_names_at_the_ends_do_not_overlap():
    for ends in ([100, 100, 100], [20, 22, 250, 252, 254], [256, 256, 256]):
        found = [y for y, _ in charts._apart([(y, at) for at, y in enumerate(ends)], 17, 24, 256)]
        assert all(b - a >= 17 for a, b in itertools.pairwise(found)), ends
        assert found[-1] <= 256
        assert len(found) == len(ends)


def test_a_step_holds_a_figure_until_the_next_build():
    svg = charts.lines(DAYS, list("ABCD"), [Series("Points", (1, 2, 3, 4))], steps=True, **SAID).svg
    assert re.search(r'd="M\d+ \d+(H\d+V\d+){3}"', svg)


def test_causes_add_up_in_the_table_and_lie_on_their_side():
    chart = charts.causes([Bar("A and B", {"new records": 1200, "disposals": -2000, "params": 0})], **SAID)
    assert chart.columns == ("Change", "new records", "disposals", "params", "In all")
    assert chart.rows == (("A and B", "+1,200", "\u22122,000", "0", "\u2212800"),)
    boxes = re.findall(r'<rect x="(\d+)" y="\d+" width="(\d+)" height="24"', chart.svg)
    (right, _), (left, wide) = ((int(x), int(w)) for x, w in boxes)
    assert left + wide == right
    assert len(set(re.findall(r"url\(#d-cause-\d\)", chart.svg))) == 3


def test_a_histogram_without_gaps_only():
    with pytest.raises(Malformed, match="bins of a histogram do not touch"):
        charts.histogram([(0, 5, 1), (6, 9, 1)], **SAID)


# -- maps --------------------------------------------------------------------------------------------------------------


def test_suppressed_nothing_and_no_data_look_different_and_say_so():
    chart = maps.areas(maps.outlined(squares(), 300), COUNTS, unit="Records", **SAID)
    told = {row[0]: row[2] for row in chart.rows}
    assert told == {
        "E00": "4",
        "E01": "0",
        "E02": "suppressed",
        "E03": "no data",
        "E04": "900",
        "E05": "no data",
        "E99": "3",
    }
    fills = [
        node.find(f"{SVG}path").get("fill")
        for node in ElementTree.fromstring(chart.svg).find(f"{SVG}g[@class='areas']")
    ]
    assert fills[1] == "#ffffff"
    assert (fills[2], fills[3]) == ("url(#d-suppressed)", "url(#d-none)")
    assert len({fills[i] for i in (0, 1, 2, 3, 4)}) == 5
    legend = [
        node.text for node in ElementTree.fromstring(chart.svg).find(f"{SVG}g[@class='legend']").iter(f"{SVG}text")
    ]
    assert legend == ["Records", "0", "1 to 3", "4", "5 to 900", "suppressed", "no data", "Ward"]


def test_an_area_too_small_to_see_is_still_there():
    outline = maps.outlined(squares(), 300)
    assert outline.paths[5].count(" ") >= 3


def test_neighbours_share_their_border_to_the_pixel():
    outline = maps.outlined(squares(), 300)
    corners = []
    for path in outline.paths[:2]:
        start, steps = path[1:-1].split("l")
        at = np.array([int(v) for v in start.split()])
        moves = np.array([int(v) for v in steps.split()]).reshape(-1, 2)
        corners.append({tuple(p) for p in np.vstack([at, at + np.cumsum(moves, axis=0)]).tolist()})
    assert len(corners[0] & corners[1]) == 2


def test_points_on_a_straight_line_go_and_corners_stay():
    ring = np.array([(0, 0), (5, 0), (5, 0), (9, 0), (9, 4), (9, 9), (0, 9), (0, 0)])
    assert maps._straightened(ring).tolist() == [[0, 0], [9, 0], [9, 9], [0, 9]]
    assert maps._straightened(np.array([(0, 0), (5, 0), (9, 0), (0, 0)])).tolist() == []


def test_a_number_stands_inside_its_area_and_outside_its_hole():
    outline = maps.outlined(squares(), 300)
    assert outline.centres[4][2] > 5
    assert maps._centre([np.array([(0, 0), (30, 0), (30, 30), (0, 30)])])[:2] == (15, 15)


@pytest.mark.parametrize("shade", range(6))
def test_a_number_can_be_read_upon_every_tint(shade):
    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((light(maps._TINTS[shade]), light(maps._INKS[shade])))
    assert (high + 0.05) / (low + 0.05) >= 4.5


def test_a_count_below_nothing_is_refused():
    with pytest.raises(Malformed, match="count of an area is below nothing"):
        maps.areas(maps.outlined(squares(), 300), {"E00": -1}, unit="Records", **SAID)


# -- in a browser ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page():
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not here: drawings are tested in it (`apt-get install chromium`)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not here")
    flags = "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update"
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=flags.split())
        page = browser.new_context(offline=True).new_page()
        page.said = []
        page.on("console", lambda message: page.said.append(message.text))
        policy = "default-src 'none'; style-src 'none'; script-src 'none'"
        body = "".join(
            drawing.replace("d-", f"d{i}-").replace('id="d"', f'id="d{i}"')
            for i, drawing in enumerate(drawn(HOSTILE).values())
        )
        page.set_content(
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
            f'content="{policy}"><title>Drawings</title></head><body><main>{body}</main></body></html>'
        )
        yield page
        browser.close()


def test_a_browser_under_the_strictest_policy_draws_all_and_complains_of_nothing(page):
    assert page.said == []
    assert page.locator("svg").count() == len(PLAIN)
    assert page.locator("script").count() == 0


def test_the_keyboard_goes_from_key_player_to_key_player(page):
    names = []
    for _ in range(2):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.getAttribute('href')"))
    assert names == ["/nominal/3", "/nominal/2"]


def test_a_mark_is_a_link_with_its_name_for_those_who_listen(page):
    assert page.get_by_role("link", name=re.compile("script.*: witness, key player 1, figures withheld")).count() == 1
    assert page.get_by_role("img").count() == 4
