"""The plot: well-formed, a bar for each row with a ratio, readable on a light and on a dark page."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

import plot
from test_figures import failed, records
from test_report import whole_run

SVG = "{http://www.w3.org/2000/svg}"


def drawn(**by_kind):
    return ElementTree.fromstring(plot.svg(whole_run(**by_kind)))


def bars_of(root):
    return [bar for bar in root.findall(f"{SVG}rect") if bar.get("height") == str(plot.BAR)]


def right_edge(bar):
    return float(bar.get("x")) + float(bar.get("width"))


def words_of(root):
    return [element.text for element in root.iter(f"{SVG}text")]


def test_bar_is_as_long_as_the_ratio():
    root = drawn(finback=records(46), nginx=records(50), haproxy=records(92))
    bar, = bars_of(root)
    assert right_edge(bar) == pytest.approx(plot.across(0.92), abs=0.1)
    assert "0.92" in words_of(root)


@pytest.mark.parametrize("own, kind", ((46, "met"), (47, "missed")))
def test_bar_says_whether_the_goal_is_met(own, kind):
    assert bars_of(drawn(finback=records(own), nginx=records(50)))[0].get("class") == kind


def test_a_bar_that_is_too_long_ends_at_the_edge_and_has_its_figure():
    root = drawn(finback=records(500), nginx=records(50))
    assert right_edge(bars_of(root)[0]) == pytest.approx(plot.across(plot.MOST), abs=0.1)
    assert "10.00" in words_of(root)


def test_marks_of_sound_peers_alone():
    root = drawn(finback=records(46), nginx=records(50), haproxy=records(92), proxyd=[failed()])
    in_rows = [element for element in root.findall(f"{SVG}g")
               if float(element.get("transform").split()[1].strip(")")) < plot.TOP + plot.ROW]
    assert len(in_rows) == 2


def test_no_bar_without_a_peer():
    assert bars_of(drawn(finback=records(46))) == []


def test_names_are_escaped():
    root = drawn(**{"finback": records(46), "a<b>&c": records(50)})
    assert "a<b>&c" in words_of(root)


def test_every_colour_has_one_for_dark_pages():
    light, dark = plot.STYLE.split("@media (prefers-color-scheme: dark)")
    classes = set(re.findall(r"^(\.?\w+) \{[^}]*(?:fill|stroke): #", light, re.M))
    assert classes and classes == set(re.findall(r"^(\.?\w+) \{[^}]*(?:fill|stroke): #", dark,
                                                 re.M))


def test_every_class_has_a_style():
    text = plot.svg(whole_run(finback=records(46), nginx=records(50), haproxy=records(92)))
    for kind in set(re.findall(r'class="(\w+)"', text)):
        assert f".{kind} {{" in plot.STYLE
