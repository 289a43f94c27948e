"""What risk has looked at on a schedule, and what it says when something is wrong there."""

from pathlib import Path

from live.drift_watch import SAVE_SECONDS, DriftWatch
from live.schedules import (
    Alert,
    Found,
    Job,
    Planned,
    Schedules,
    Worker,
    fetched_info,
    longest_gaps,
    reference_differences,
)
from live.service import Parts
from registry.errors import FileError

_SYNC_SECONDS = 1.0
_FIRST_GAP_SCAN_SECONDS = 20.0
_FIRST_REFERENCE_SECONDS = 5.0


class Inspections:
    """Gap scan of the lake, comparison with the venue's filters, drift of the features."""

    def __init__(self, parts: Parts, worker: Worker, drift: DriftWatch, alert: Alert) -> None:
        self._parts, self._drift, self._alert = parts, drift, alert
        self._schedules = Schedules(worker)
        self._known: set[str] = set()

    def start(self, sync: Planned) -> None:
        """Plan the looks, and the journal's fsync."""
        risk, now_ns = self._parts.settings.risk, self._parts.clock.mono_ns()
        every = self._schedules.every
        every("gaps", risk.gap_scan_minutes * 60, _FIRST_GAP_SCAN_SECONDS, now_ns, self._gap_job)
        every("reference", risk.reference_check_minutes * 60, _FIRST_REFERENCE_SECONDS, now_ns, self._reference_job)
        every("sync", _SYNC_SECONDS, _SYNC_SECONDS, now_ns, sync)
        every("drift", risk.drift_look_seconds, risk.drift_look_seconds, now_ns, self._drift.look)
        every("drift_save", SAVE_SECONDS, SAVE_SECONDS, now_ns, self._drift.save)

    def tick(self, now_ns: int) -> None:
        """Start what is due and carry over what was found."""
        for found in self._schedules.tick(now_ns):
            if found.error is not None:
                if found.name == "sync":
                    self._alert("journal_error", "", f"risk.journal: {found.error}")
                self._parts.log.warning("inspection_failed", inspection=found.name, text=str(found.error))
            else:
                self._carry(found)

    def stop(self) -> None:
        """End the worker, with what the drift window holds on disk."""
        self._schedules.worker.close()
        try:
            if (save := self._drift.save()) is not None:
                save()
        except (OSError, FileError) as refused:
            self._parts.log.warning("inspection_failed", inspection="drift_save", text=str(refused))

    def _gap_job(self) -> Job:
        settings = self._parts.settings
        root, threshold = str(settings.paths.lake), settings.ingest.gap_threshold_seconds
        symbols = list(self._parts.symbols)
        return lambda: longest_gaps(root, symbols, threshold)

    def _reference_job(self) -> Job | None:
        settings, symbols = self._parts.settings, self._parts.symbols
        saved = settings.risk.exchange_info
        if saved is not None:
            return lambda: reference_differences(symbols, saved)
        feed, exchange = settings.feed, settings.exchange
        if feed.kind in ("binance", "bybit"):
            venue, url = feed.kind, feed.rest_url
        elif exchange.mode == "real":
            venue, url = exchange.venue, exchange.rest_url
        else:
            return None
        into: Path = self._parts.var / "exchange_info.json"
        timeout = exchange.timeout_seconds
        return lambda: reference_differences(symbols, fetched_info(venue, url, into, timeout))

    def _carry(self, found: Found) -> None:
        metrics = self._parts.metrics
        if found.name == "gaps":
            for symbol, seconds in found.result.items():
                metrics.parquet_gap_detected_ms.labels(symbol).set(seconds * 1e3)
                metrics.parquet_gap_detected_seconds.labels(symbol).set(seconds)
        elif found.name == "drift":
            self._drift.carry(found.result, self._alert)
        elif found.name == "reference":
            self._tell_differences(found.result)

    def _tell_differences(self, lines: list[str]) -> None:
        """Count and tell each difference when it appears; one that is mended and comes back is told again."""
        for line in sorted(set(lines) - self._known):
            symbol = line.partition(":")[0]
            self._parts.metrics.exchange_reference_mismatch_total.labels(symbol).inc()
            self._alert("venue_error", symbol, line)
        self._known = set(lines)
