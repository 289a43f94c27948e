"""Findings of single partitions, gathered into Dagster's check results: one a check, with a table of what failed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import dagster as dg


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found at one place; `place` is a partition key or an asset's name."""

    check: str
    place: str
    passed: bool
    detail: str
    warn_only: bool = False


def check_results(findings: Iterable[Finding]) -> list[dg.AssetCheckResult]:
    """One result for each check named in the findings: passed when it passed everywhere."""
    by_check: dict[str, list[Finding]] = {}
    for finding in findings:
        by_check.setdefault(finding.check, []).append(finding)
    return [_result(check, found) for check, found in by_check.items()]


def _result(check: str, found: Sequence[Finding]) -> dg.AssetCheckResult:
    failed = [finding for finding in found if not finding.passed]
    only_warnings = all(finding.warn_only for finding in failed or found)
    return dg.AssetCheckResult(
        check_name=check,
        passed=not failed,
        severity=dg.AssetCheckSeverity.WARN if only_warnings else dg.AssetCheckSeverity.ERROR,
        description=f"{len(failed)} of {len(found)} failed: {failed[0].place}: {failed[0].detail}" if failed else None,
        metadata={"findings": dg.MetadataValue.md(markdown_table(failed or found))},
    )


def markdown_table(findings: Sequence[Finding], most: int = 40) -> str:
    """The findings as a Markdown table; those beyond `most` are only counted."""
    rows = [f"| {f.place} | {'yes' if f.passed else '**no**'} | {f.detail} |" for f in findings[:most]]
    left = len(findings) - most
    return "\n".join(["| where | passed | found |", "|---|---|---|", *rows, *([f"\n{left} more"] if left > 0 else [])])
