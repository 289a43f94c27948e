"""The messages: one frozen record a kind, and the header every one of them travels under.

On the wire a message is one msgpack array [version, kind, writer, epoch, seq, exchange_ns, received_ns, published_ns,
id, body], body an array too. The version comes first, so that a message from the future is set aside and not guessed
at. All times are nanoseconds since the epoch, UTC; prices are ticks, sizes lots.
"""

from typing import Literal, NamedTuple

from msgspec import Struct

VERSION = 1

Route = Literal["canary", "paper", "full"]
"""Decided once, by ai_scorer: `canary` trades by the shadow version, the other two by the active one."""
ModelSlot = Literal["active", "shadow", "canary"]
Severity = Literal["INFO", "WARN", "CRIT"]
ControlKind = Literal["MODE_SWITCH", "ROLLBACK", "PROMOTION", "HALT", "RESUME", "ALERT"]
ReportKind = Literal[
    "dropped", "accepted", "refused", "unknown", "resolved", "partial", "filled", "canceled", "expired", "closed"
]
Leg = Literal["entry", "exit"]
Trial = Literal["shadow", "canary", "active"]
Decision = Literal["promote", "hold", "roll_back"]


class Body(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What every message body is."""


class BookImage(Body, frozen=True):
    """The best ten levels a side after one update: exactly the row the lake stores, level 0 is the touch.

    `flags` are market.columns.BOOK_*; a level that is not there has NO_BID_TICKS or NO_ASK_TICKS and 0 lots.
    BOOK_RESET on the first image behind a break or a (re)start: whoever keeps windows forgets them.
    """

    symbol: str
    exchange_ns: int
    local_ns: int
    sequence: int
    flags: int
    bid_ticks: list[int]
    bid_lots: list[int]
    ask_ticks: list[int]
    ask_lots: list[int]


class BookStatus(Body, frozen=True):
    """The book of a symbol changed its state; while it is not live nothing may be traded on it.

    `expected` and `seen` are the update ids around a break (0 where there is none).
    """

    symbol: str
    state: Literal["syncing", "live", "gap", "stale", "halted"]
    reason: str
    expected: int
    seen: int
    local_ns: int


class MarketTrade(Body, frozen=True):
    """One print; `aggressor` +1 the taker bought, -1 the taker sold, 0 unknown."""

    symbol: str
    trade_id: int
    exchange_ns: int
    local_ns: int
    price_ticks: int
    size_lots: int
    aggressor: int


class MarkPrice(Body, frozen=True):
    """The venue's mark price (a float: it does not lie on the tick grid) and the next funding."""

    symbol: str
    exchange_ns: int
    local_ns: int
    price: float
    funding_rate: float
    next_funding_ns: int


class Candidate(Body, frozen=True):
    """A moment that fits the candidate rule, with the row the kernel made of it.

    `id` is symbol-t_ns: the same market gives the same ids. `row` is float32 little-endian [N_COLUMNS], as the kernel
    left it (not oriented). `session_ns` is the local_ns of the image the engine's windows began at: from there a
    replay of the lake gives the same bits.
    """

    id: str
    symbol: str
    t_ns: int
    local_ns: int
    side: int
    rule_id: str
    schema_hash: str
    book_sequence: int
    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int
    row: bytes
    session_ns: int


class Judgement(Body, frozen=True):
    """What one model said of a candidate. `tau` is its tau_entry."""

    slot: ModelSlot
    model_id: str
    version: int
    margin: float
    probability: float
    tau: float


class Score(Body, frozen=True):
    """Every judgement of one candidate, and the very row that was scored (as in Candidate).

    `canary_fraction` is the share the canary had of such signals when this one was routed (0 without a canary), `salt`
    the one it was drawn by: both belong to the rollout of that moment, so a canary's evidence can be told from that of
    another one.
    """

    candidate_id: str
    symbol: str
    t_ns: int
    local_ns: int
    side: int
    route: Route
    canary_fraction: float
    approved: bool
    judgements: list[Judgement]
    bid_ticks: int
    ask_ticks: int
    schema_hash: str
    session_ns: int
    row: bytes
    salt: str = ""


class Approval(Body, frozen=True):
    """Leave to trade a candidate on a route, until `expires_ns`.

    tp_pct, sl_pct and horizon_ns are the label's of the model that decided: the position is closed by the rule the
    model was trained on.
    """

    id: str
    candidate_id: str
    symbol: str
    side: int
    route: Route
    model_id: str
    version: int
    probability: float
    tau: float
    t_ns: int
    local_ns: int
    expires_ns: int
    bid_ticks: int
    ask_ticks: int
    tp_pct: float
    sl_pct: float
    horizon_ns: int


class Report(Body, frozen=True):
    """What became of an approval or of an order; `id` is client_id and a running number, so that it is told once.

    `dropped` names the gate in `reason` and has no order. `closed` ends a round trip: `net_quote` is its profit after
    fees and `net_bps` the same on the entry notional. Markouts are risk's to measure.
    """

    id: str
    kind: ReportKind
    approval_id: str
    client_id: str
    symbol: str
    route: Route
    is_real: bool
    model_id: str
    leg: Leg
    rung: int
    side: int
    price_ticks: int
    size_lots: int
    filled_lots: int
    leaves_lots: int
    is_maker: bool
    fee_quote: float
    net_quote: float
    net_bps: float
    bucket: str
    reason: str
    exchange_ns: int
    local_ns: int


class Outcome(Body, frozen=True):
    """How a candidate ended by the triple barrier, traded or not; `outcome` is market.labels' TARGET, STOP, TIMEOUT.

    `canary_fraction` and `salt` are those of its score.
    `gross_bps` and `net_bps` as in market.labels, at the touch of the candidate. `markouts_bps` are the mid's moves in
    the candidate's direction after 100, 500 and 1,000 ms (NaN where the book was not live).
    """

    candidate_id: str
    symbol: str
    side: int
    route: Route
    approved: bool
    t_ns: int
    outcome: int
    exit_ns: int
    gross_bps: float
    net_bps: float
    markouts_bps: list[float]
    judgements: list[Judgement]
    canary_fraction: float = 0.0
    salt: str = ""


class Breach(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One limit that the evidence is beyond. `reason` is one of monitoring.metrics.ROLLBACK_REASONS, or such a one with
    a feature's name behind it (psi_feature_NAME)."""

    reason: str
    value: float
    limit: float
    text: str


class Verdict(Body, frozen=True):
    """What the evidence of one trial says at a moment: risk says it when it changes, and every few seconds.

    A trial is a shadow beside the active version (`shadow`), a canary (`canary`), or the active version itself, watched
    after its promotion and for as long as it trades (`active`). `version` is the one on trial, `against` the one it is
    held against, 0 without one. `observed` are breaches of gates that only watch. `numbers` and `limits` hold what was
    compared, by name; `budget_used` is the share of the false-rollback budget spent so far. `since_ns` is when the
    trial began, `salt` its canary's, `epoch` that of the rollout seen by risk. `signal_ns` is the time of the message
    that led to this decision.
    """

    trial: Trial
    decision: Decision
    version: int
    model_id: str
    against: int
    epoch: int
    salt: str
    breaches: list[Breach]
    observed: list[Breach]
    numbers: dict[str, float]
    limits: dict[str, float]
    budget_used: float
    since_ns: int
    signal_ns: int
    at_ns: int


class ControlEvent(Body, frozen=True):
    """Something every service must know. MODE_SWITCH has `source` and `target` modes; `reason` is a metric label."""

    event: ControlKind
    severity: Severity
    source: str
    target: str
    reason: str
    by: str
    at_ns: int
    symbol: str
    route: str
    text: str


Message = (
    BookImage | BookStatus | MarketTrade | MarkPrice | Candidate | Score | Approval | Report | Outcome | Verdict
    | ControlEvent
)  # fmt: skip

KINDS: dict[str, type[Body]] = {
    "book": BookImage,
    "book_status": BookStatus,
    "trade": MarketTrade,
    "mark": MarkPrice,
    "candidate": Candidate,
    "score": Score,
    "approval": Approval,
    "report": Report,
    "outcome": Outcome,
    "verdict": Verdict,
    "control": ControlEvent,
}
"""The name of every kind on the wire."""


class Header(NamedTuple):
    """What a message travels under.

    `seq` counts a writer's messages without a hole: for market data over both streams of a symbol together (writer
    `collector:SYMBOL`), so that whoever reads them can put them back into one order; else over one stream.
    """

    version: int
    kind: str
    writer: str
    epoch: int
    seq: int
    exchange_ns: int
    received_ns: int
    published_ns: int
    id: str


class Received(NamedTuple):
    """A message as a consumer gets it. `deliveries` is 1 at first, more when it was claimed after a crash."""

    stream: str
    entry_id: str
    header: Header
    body: Message
    deliveries: int
