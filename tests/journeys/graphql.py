"""What a person does in Dagster's web page, as the GraphQL requests the page itself would send."""

import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_CODE = {"repositoryName": "__repository__", "repositoryLocationName": "tidegate"}
_WRONG = "... on PythonError { message }"
_ENDED = {"SUCCESS", "FAILURE", "CANCELED"}

_RUN = """
query Run($id: ID!) {
  runOrError(runId: $id) {
    __typename
    ... on Run {
      status
      eventConnection(limit: 1000) {
        events {
          __typename
          ... on MaterializationEvent { assetKey { path } partition }
          ... on AssetCheckEvaluationEvent { evaluation { checkName success severity } }
          ... on ExecutionStepFailureEvent { stepKey error { message } }
        }
      }
    }
  }
}"""

_RUNS = """
query Runs($tags: [ExecutionTag!]) {
  runsOrError(filter: {tags: $tags}) { __typename ... on Runs { results { runId } } }
}"""

_METADATA = """
query Metadata($id: ID!) {
  runOrError(runId: $id) {
    __typename
    ... on Run {
      eventConnection(limit: 1000) {
        events {
          __typename
          ... on MaterializationEvent {
            metadataEntries {
              label
              ... on TextMetadataEntry { text }
              ... on MarkdownMetadataEntry { mdStr }
            }
          }
        }
      }
    }
  }
}"""

_TICKS = f"""
query Ticks($sensor: SensorSelector!) {{
  sensorOrError(sensorSelector: $sensor) {{
    __typename
    ... on Sensor {{ sensorState {{ ticks(limit: 5) {{ status skipReason runIds error {{ message }} }} }} }}
    {_WRONG}
  }}
}}"""


@dataclass(frozen=True, slots=True)
class Run:
    """A run that has ended: (asset, partition) made, severity of each failed check, message of each failed step."""

    succeeded: bool
    materialized: list[tuple[str, str]]
    failed_checks: dict[str, str]
    failures: dict[str, str]


@dataclass(frozen=True, slots=True)
class Webserver:
    """A running webserver, spoken to over GraphQL."""

    url: str

    def ended_run(self, run_id: str) -> Run | None:
        """Return the run once it has ended, until then None."""
        found = self._ask(_RUN, id=run_id)
        return _run(found) if found["status"] in _ENDED else None

    def runs_with(self, tags: Mapping[str, str]) -> list[str]:
        """Return the ids of the runs that have all these tags."""
        return [each["runId"] for each in self._ask(_RUNS, tags=_tags(tags))["results"]]

    def metadata(self, run_id: str) -> dict[str, str]:
        """Return what the materializations of a run show as text, by label."""
        events = self._ask(_METADATA, id=run_id)["eventConnection"]["events"]
        entries = [entry for event in events for entry in event.get("metadataEntries", [])]
        return {entry["label"]: entry.get("text") or entry.get("mdStr") or "" for entry in entries}

    def finished_tick(self, sensor: str) -> dict[str, Any] | None:
        """Return the sensor's newest finished tick, until there is one None."""
        found = self._ask(_TICKS, sensor=_CODE | {"sensorName": sensor})
        finished = [tick for tick in found["sensorState"]["ticks"] if tick["status"] != "STARTED"]
        return finished[0] if finished else None

    def _ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Send one request that asks for one thing, and return that."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            answer = json.load(reply)
        assert not answer.get("errors"), f"GraphQL refused {next(iter(variables.values()))}: {answer['errors']}"
        ((_, found),) = answer["data"].items()
        assert "message" not in found, f"{found['__typename']}: {found['message']}"
        return dict(found)


def _run(found: Mapping[str, Any]) -> Run:
    events = found["eventConnection"]["events"]
    by_kind = {kind: [e for e in events if e["__typename"] == kind] for kind in {e["__typename"] for e in events}}
    checks = [event["evaluation"] for event in by_kind.get("AssetCheckEvaluationEvent", [])]
    return Run(
        succeeded=found["status"] == "SUCCESS",
        materialized=sorted(
            (e["assetKey"]["path"][0], e["partition"]) for e in by_kind.get("MaterializationEvent", [])
        ),
        failed_checks={check["checkName"]: check["severity"] for check in checks if not check["success"]},
        failures={e["stepKey"]: e["error"]["message"] for e in by_kind.get("ExecutionStepFailureEvent", [])},
    )


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]
