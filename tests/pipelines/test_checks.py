import dagster as dg

from pipelines.checks import Finding, check_results, markdown_table


def test_one_result_for_each_check_passed_when_it_passed_everywhere() -> None:
    """A check fails when it fails at a single place."""
    found = check_results(
        [
            Finding("schema", "a", True, "version 1"),
            Finding("rows", "a", True, "5 rows"),
            Finding("rows", "b", False, "0 rows"),
        ]
    )
    assert {each.check_name: each.passed for each in found} == {"schema": True, "rows": False}


def test_a_failure_names_the_place_and_what_was_found() -> None:
    """The description counts the failures and quotes the first; the table lists only what failed."""
    (found,) = check_results([Finding("rows", "good", True, "5 rows"), Finding("rows", "bad", False, "0 rows")])
    assert found.description == "1 of 2 failed: bad: 0 rows"
    table = str(found.metadata["findings"].value)
    assert "| bad | **no** | 0 rows |" in table
    assert "good" not in table


def test_only_warnings_make_a_warning() -> None:
    """A failed finding that blocks outweighs any number that warn."""
    warned = Finding("rows", "a", False, "few", warn_only=True)
    blocked = Finding("rows", "b", False, "none")
    assert check_results([warned])[0].severity is dg.AssetCheckSeverity.WARN
    assert check_results([warned, blocked])[0].severity is dg.AssetCheckSeverity.ERROR


def test_no_finding_gives_no_result() -> None:
    """Nothing asked, nothing said."""
    assert check_results([]) == []


def test_a_long_table_is_cut_and_says_so() -> None:
    """A year of partitions must not fill the page."""
    table = markdown_table([Finding("rows", f"p{n}", True, "ok") for n in range(45)])
    assert table.count("| yes |") == 40
    assert table.endswith("5 more")
