"""What `make bench` does, with tiny sizes: that it runs, and where its tables go."""

import pytest

from bench import h2load, page
from bench.__main__ import TOPICS
from bench.tables import QUICK, Table, percentile, spread

#: Of each kind one, as each takes a while: `make bench QUICK=1` tries them all.
TRIED = ("batches", "webhooks", "fan-out", "leaks")


@pytest.mark.parametrize("topic", TRIED)
async def test_a_topic_runs_and_fills_its_table(topic):
    table = await TOPICS[topic](QUICK)

    assert table.rows
    assert {len(row) for row in table.rows} == {len(table.columns)}
    assert any(character.isdecimal() for row in table.rows for cell in row for character in cell)


@pytest.mark.parametrize("topic", TOPICS)
def test_a_table_is_written_between_the_marks_of_its_topic(topic, tmp_path):
    copy = tmp_path / "performance.md"
    before = page.PAGE.read_text()
    copy.write_text(before)
    table = Table(columns=("a", "b"), rows=[("one", "1,234")], notes=["A note."])

    page.write(topic, table, copy)
    page.write(topic, table, copy)

    begin, end = page.marks(topic)
    written = copy.read_text()
    assert written.count("| one | 1,234 |") == 1
    assert "| one | 1,234 |" in written.partition(begin)[2].partition(end)[0]
    assert written.partition(begin)[0] == before.partition(begin)[0]
    assert written.partition(end)[2] == before.partition(end)[2]


def test_a_topic_without_marks_is_refused(tmp_path):
    copy = tmp_path / "performance.md"
    copy.write_text("Nothing.")

    with pytest.raises(ValueError, match="no marks of checks"):
        page.write("checks", Table(columns=("a",)), copy)

    assert copy.read_text() == "Nothing."


def test_figures_are_medians_with_their_spread_and_percentiles_are_of_the_values():
    assert spread([3, 1, 2]) == "2 (1 to 3)"
    assert percentile([5, 1, 4, 2, 3], 50) == 3
    assert percentile([5, 1, 4, 2, 3], 100) == 5
    assert percentile([7], 99) == 7


def test_the_log_of_h2load_is_read():
    run = h2load._read("1000\t200\t500\n2000\t200\t1500\n")

    assert (run.p50, run.p99) == (1.5, 1.5)
    assert run.calls_a_second == pytest.approx(2 / 0.0025)


def test_a_call_that_failed_is_no_figure():
    with pytest.raises(RuntimeError, match="failed"):
        h2load._read("1000\t200\t500\n2000\t-1\t1500\n")
