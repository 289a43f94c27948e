"""The panels as a dashboard of Grafana, built by its own SDK, which is imported here alone and only to write the file.

A row for each question, panels from the left, each with its limits as dashed lines and a link to its section of the
runbook. The runbook is a dashboard of its own, so that the link leads somewhere without a network: where the runbook
has an address on the web, panels link to that instead.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from monitoring.panel import GRID_WIDTH, QUESTIONS, Limit, Panel, Query, Unit
from monitoring.panels import ANNOTATIONS, DASHBOARD, number_of, row_number_of
from monitoring.runbook import BOARD, SECTIONS, section_address, section_number

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders import common as common_builders
    from grafana_foundation_sdk.builders import dashboard, heatmap, prometheus, timeseries
    from grafana_foundation_sdk.models import common
    from grafana_foundation_sdk.models.dashboard import DynamicConfigValue, GridPos, Threshold

    AnyPanel = timeseries.Panel | heatmap.Panel

_HEIGHT: Final = 8
_SECTION_HEIGHT: Final = 14
_REFRESH: Final = "10s"
_UNITS: Final[dict[Unit, str]] = {
    "share": "percentunit",
    "score": "none",
    "bps": "none",
    "seconds": "s",
    "per_second": "cps",
    "per_hour": "none",
    "count": "short",
    "quote": "short",
    "state": "none",
}
"""Grafana's names of the units; a unit it has no name for stands on the axis."""
_AXES: Final[dict[Unit, str]] = {"bps": "bps", "per_hour": "in an hour", "quote": "quote units"}


def dashboard_json(panels: Sequence[Panel], runbook: str) -> str:
    """The dashboard as the file that Grafana provisions; `runbook` is the page that sections are anchors of."""
    return _encoded(_board(panels, runbook))


def runbook_json(sections: Mapping[str, str]) -> str:
    """The runbook as a dashboard: a panel for each section, by its anchor, with the section's Markdown."""
    from grafana_foundation_sdk.builders import dashboard, text  # noqa: PLC0415 - a tool of development
    from grafana_foundation_sdk.models.dashboard import GridPos  # noqa: PLC0415
    from grafana_foundation_sdk.models.text import TextMode  # noqa: PLC0415

    board = (
        dashboard.Dashboard("tidegate runbook")
        .uid(BOARD)
        .description("What to look at and what to type: docs/runbook.md.")
        .tags(["tidegate", "generated"])
        .readonly()
    )
    for place, (anchor, title) in enumerate(SECTIONS.items()):
        board = board.with_panel(
            text.Panel().id(section_number(anchor)).title(title).mode(TextMode.MARKDOWN).content(sections[anchor])
            .grid_pos(GridPos(_SECTION_HEIGHT, GRID_WIDTH, 0, place * _SECTION_HEIGHT))
        )  # fmt: skip
    return _encoded(board)


def _encoded(board: "dashboard.Dashboard") -> str:
    from grafana_foundation_sdk.cog.encoder import JSONEncoder  # noqa: PLC0415

    made = JSONEncoder(sort_keys=True, indent=2).encode(board.build())
    # Through plain JSON once: the encoder leaves the order of nested objects to itself.
    return json.dumps(json.loads(made), indent=2, sort_keys=True) + "\n"


def _board(panels: Sequence[Panel], runbook: str) -> "dashboard.Dashboard":
    from grafana_foundation_sdk.builders import dashboard  # noqa: PLC0415
    from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DashboardLinkType, GridPos  # noqa: PLC0415

    board = (
        dashboard.Dashboard("tidegate")
        .uid(DASHBOARD)
        .description("One live trading model: its quality, its execution, its guards, its platform.")
        .tags(["tidegate", "generated"])
        .timezone("utc")
        .refresh(_REFRESH)
        .time("now-1h", "now")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .link(
            dashboard.DashboardLink("Runbook")
            .type(DashboardLinkType.LINK)
            .icon("doc")
            .url(runbook if "://" in runbook else f"/d/{BOARD}/{BOARD}")
            .target_blank(True)
        )
    )
    for variable in _variables():
        board = board.with_variable(variable)
    for annotation in _annotations():
        board = board.annotation(annotation)
    y = 0
    for question, text in QUESTIONS.items():
        board = board.with_row(dashboard.Row(text).id(row_number_of(question)).grid_pos(GridPos(1, GRID_WIDTH, 0, y)))
        y += 1
        placed = list(_placed([panel for panel in panels if panel.question == question], y))
        for panel, position in placed:
            board = board.with_panel(_panel(panel, runbook).grid_pos(position))
        y = max((position.y + position.h for _, position in placed), default=y)
    return board


def _placed(panels: Iterable[Panel], y: int) -> "Iterator[tuple[Panel, GridPos]]":
    """From the left, and into a new line where one does not fit any more."""
    from grafana_foundation_sdk.models.dashboard import GridPos  # noqa: PLC0415

    x = 0
    for panel in panels:
        if x + panel.width > GRID_WIDTH:
            x, y = 0, y + _HEIGHT
        yield panel, GridPos(_HEIGHT, panel.width, x, y)
        x += panel.width


def _panel(panel: Panel, runbook: str) -> "AnyPanel":
    from grafana_foundation_sdk.builders import dashboard  # noqa: PLC0415

    made: AnyPanel = _heatmap() if panel.kind == "heatmap" else _lines(panel)
    link = dashboard.DashboardLink("Runbook").url(section_address(runbook, panel.runbook)).target_blank(True)
    made = (
        made.id(number_of(panel.id)).title(panel.title).description(panel.description).datasource(_source())
        .unit(_UNITS[panel.unit]).links([link])
    )  # fmt: skip
    for number, query in enumerate(panel.queries):
        made = made.with_target(_target(query, chr(ord("A") + number), panel))
    return made


def _lines(panel: Panel) -> "timeseries.Panel":
    from grafana_foundation_sdk.builders import common, timeseries  # noqa: PLC0415
    from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig  # noqa: PLC0415
    from grafana_foundation_sdk.models import common as kinds  # noqa: PLC0415
    from grafana_foundation_sdk.models.dashboard import FieldColorModeId, ThresholdsMode  # noqa: PLC0415

    shape = kinds.LineInterpolation.STEP_AFTER if panel.kind == "steps" else kinds.LineInterpolation.LINEAR
    made = (
        timeseries.Panel()
        .line_width(1.5)
        .line_interpolation(shape)
        .show_points(kinds.VisibilityMode.NEVER)
        .color_scheme(FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
        .legend(_legend(panel))
        .tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING))
        .thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(_steps(panel.limits)))
    )
    if panel.unit in _AXES:
        made = made.axis_label(_AXES[panel.unit])
    if panel.limits:
        made = made.thresholds_style(common.GraphThresholdsStyleConfig().mode(kinds.GraphThresholdsStyleMode.DASHED))
    for number, query in enumerate(panel.queries):
        if query.is_limit:
            made = made.override_by_query(chr(ord("A") + number), _as_limit())
    return made


def _legend(panel: Panel) -> "common_builders.VizLegendOptions":
    from grafana_foundation_sdk.builders import common  # noqa: PLC0415
    from grafana_foundation_sdk.models import common as kinds  # noqa: PLC0415

    is_long = any(query.labels for query in panel.queries) and panel.kind == "lines"
    mode = kinds.LegendDisplayMode.TABLE if is_long else kinds.LegendDisplayMode.LIST
    legend = common.VizLegendOptions().display_mode(mode).placement(kinds.LegendPlacement.BOTTOM).show_legend(True)
    return legend.calcs(["lastNotNull", "max"]) if is_long else legend


def _as_limit() -> "list[DynamicConfigValue]":
    """A limit that moves looks as one that does not: red and dashed."""
    from grafana_foundation_sdk.models.dashboard import DynamicConfigValue  # noqa: PLC0415

    return [
        DynamicConfigValue("custom.lineStyle", {"dash": [10, 10], "fill": "dash"}),
        DynamicConfigValue("color", {"fixedColor": "red", "mode": "fixed"}),
    ]


def _steps(limits: Sequence[Limit]) -> "list[Threshold]":
    """Colours by value: the outermost limit is red, one before it orange, the rest green."""
    from grafana_foundation_sdk.models.dashboard import Threshold  # noqa: PLC0415

    values = sorted(limit.value for limit in limits)
    if not values:
        return [Threshold(value=None, color="green")]
    colors = ["green", *("orange" for _ in values[1:]), "red"]
    if limits[0].trouble == "below":
        colors.reverse()
    return [Threshold(value, color) for value, color in zip([None, *values], colors, strict=True)]


def _heatmap() -> "heatmap.Panel":
    from grafana_foundation_sdk.builders import heatmap  # noqa: PLC0415
    from grafana_foundation_sdk.models.heatmap import HeatmapColorMode  # noqa: PLC0415

    color = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Blues").steps(32)
    return heatmap.Panel().calculate(False).color(color).hide_legend()


def _target(query: Query, ref_id: str, panel: Panel) -> "prometheus.Dataquery":
    from grafana_foundation_sdk.builders import prometheus  # noqa: PLC0415
    from grafana_foundation_sdk.models.prometheus import PromQueryFormat  # noqa: PLC0415

    made = prometheus.Dataquery().ref_id(ref_id).expr(query.expression).legend_format(query.legend).range()
    return made.format(PromQueryFormat.HEATMAP) if panel.kind == "heatmap" else made


def _source() -> "common.DataSourceRef":
    from grafana_foundation_sdk.models.common import DataSourceRef  # noqa: PLC0415

    return DataSourceRef(type_val="prometheus", uid="${datasource}")


def _variables() -> "list[dashboard.QueryVariable | dashboard.DatasourceVariable]":
    from grafana_foundation_sdk.builders import dashboard  # noqa: PLC0415
    from grafana_foundation_sdk.models.dashboard import VariableRefresh, VariableSort  # noqa: PLC0415

    chosen = [
        dashboard.QueryVariable(name)
        .label(name)
        .datasource(_source())
        .query(f"label_values(approvals_total, {name})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        for name in ("route", "symbol")
    ]
    return [dashboard.DatasourceVariable("datasource").label("data source").type("prometheus"), *chosen]


def _annotations() -> "list[dashboard.AnnotationQuery]":
    from grafana_foundation_sdk.builders import dashboard  # noqa: PLC0415

    return [
        dashboard.AnnotationQuery()
        .name(each.name)
        .datasource(_source())
        .enable(True)
        .icon_color(each.color)
        .expr(each.expression)
        .step("60s")
        .title_format(each.text)
        for each in ANNOTATIONS
    ]
