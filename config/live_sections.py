"""The sections of app.yml that the live services read: every knob with its default, unit, bounds and what it does."""

from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import quote, urlencode

from pydantic import model_validator

from config.knobs import Anchored, Section, knob
from monitoring import thresholds

if TYPE_CHECKING:
    from evaluation.clean_windows import WindowShape


class Exchange(Section):
    """Where orders go."""

    mode: Literal["paper", "real"] = knob("paper", "paper fills against the live book; real sends orders to the venue.")
    venue: Literal["binance", "bybit"] = knob("binance", "The venue of real orders: Binance USD-M or Bybit v5 linear.")
    sandbox: bool = knob(False, "Whether real orders go to the venue's test network.")
    rest_url: str = knob("", "Another address for the venue's REST interface; empty is the venue's own.")
    timeout_seconds: float = knob(5.0, "A venue call that takes longer has an unknown outcome.", "seconds", gt=0, le=60)
    poll_seconds: float = knob(
        1.0, "Between two looks at orders that stand: how fills are found.", "seconds", gt=0, le=60
    )
    keep_alive_seconds: float = knob(
        30.0,
        "The venue cancels every order of ours when we are silent for so long; 0 switches that off. Binance alone: "
        "Bybit's counts from the end of a private socket, which we do not have; a WARN says so at the start.",
        "seconds",
        ge=0,
        le=600,
    )  # fmt: skip


class Paper(Section):
    """The paper exchange: queue, latency, money."""

    queue_model: Literal["risk_averse", "power_0.5", "power_1", "power_3"] = knob(
        "risk_averse", "How a place in the queue moves when depth is canceled; the others are reported beside it."
    )
    entry_latency_ms: float = knob(7.0, "From us to the venue.", "milliseconds", ge=0, le=10_000)
    response_latency_ms: float = knob(6.0, "From the venue to us.", "milliseconds", ge=0, le=10_000)
    feed_latency_ms: float = knob(
        5.0, "Least time of market data from the venue to us; what it lags beyond is the clocks' difference.",
        "milliseconds", ge=0, le=10_000,
    )  # fmt: skip
    balance: float = knob(10_000.0, "Free balance at the start.", "quote units", gt=0, le=1e12)


class Feed(Section):
    """What the collector listens to."""

    kind: Literal["simulator", "capture", "lake", "binance", "bybit"] = knob(
        "simulator", "simulator, capture and lake replay; binance and bybit are the venues' sockets."
    )
    path: Anchored | None = knob(None, "File or folder of recorded frames; read when kind is capture.")
    speed: float = knob(1.0, "Of a replay, times the original; 0 is as fast as it can be handled.", ge=0, le=10_000)
    ws_url: str = knob("", "Another address for the venue's sockets; empty is the venue's own.")
    rest_url: str = knob("", "Another address for the venue's snapshots; empty is the venue's own.")
    start: str = knob(
        "now",
        "First moment of the simulator or of the lake's replay, UTC (2026-01-07T00:00:00), or now.",
        pattern=r"^(now|\d{4}-\d\d-\d\dT.+)$",
    )
    minutes: float = knob(0.0, "Length of a replay; 0 does not end it.", "minutes", ge=0, le=100_000)
    silence_seconds: float = knob(10.0, "A symbol without an update for so long is stale.", "seconds", gt=0, le=600)
    reconnect_seconds: float = knob(
        0.25, "First wait before a socket is opened again; doubles.", "seconds", gt=0, le=60
    )
    reconnect_max_seconds: float = knob(30.0, "Longest wait before a socket is opened again.", "seconds", gt=0, le=600)
    planned_reconnect_hours: float = knob(23.0, "A socket is replaced after this long.", "hours", gt=0, le=24)
    max_frame_bytes: int = knob(4_194_304, "A larger frame is refused.", "bytes", ge=1_024, le=2**30)

    @model_validator(mode="after")
    def _captures_have_a_place(self) -> Self:
        if self.kind == "capture" and self.path is None:
            raise ValueError("feed.path must name a file or folder when feed.kind is capture, was empty")
        return self


class Redis(Section):
    """The server of the streams."""

    url: str = knob("", "redis://, rediss:// or unix:// address; empty starts a server of our own under paths.var.")
    username: str = knob(
        "", "User on that server, one a service; its password is REDIS_PASSWORD, or in the file REDIS_PASSWORD_FILE."
    )
    ca_file: Anchored | None = knob(None, "Certificates that sign the server's, PEM; empty trusts the system's.")
    cert_file: Anchored | None = knob(None, "Our own certificate, PEM, where the server asks for one.")
    key_file: Anchored | None = knob(None, "The private key of cert_file, PEM; a file that only we can read.")
    market_urls: tuple[str, ...] = knob(
        (), "Servers of market data, a symbol's by the hash of its name; empty keeps everything on redis.url."
    )
    market_minutes: float = knob(10.0, "How long market data stays on its streams.", "minutes", gt=0, le=10_000)
    durable_minutes: float = knob(
        60.0, "How long everything else stays once every reader has it.", "minutes", ge=0, le=100_000
    )
    claim_seconds: float = knob(5.0, "A message not acknowledged for so long is taken over.", "seconds", gt=0, le=600)
    max_deliveries: int = knob(3, "A message that failed so often is set aside.", ge=1, le=100)
    outage_seconds: float = knob(
        5.0, "A server away for so long calls CRIT in the executor's process.", "seconds", gt=0, le=3_600
    )

    @model_validator(mode="after")
    def _certificates_are_for_tls(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("redis.cert_file and redis.key_file belong together; give both or neither")
        files = [name for name in ("ca_file", "cert_file") if getattr(self, name) is not None]
        if files and not self.url.startswith("rediss://"):
            raise ValueError(f"redis.{files[0]} is for TLS; let redis.url begin with rediss://, or leave it empty")
        return self

    def completed(self, url: str, password: str) -> str:
        """Return an address of these streams with our user, password and certificates in it, as the bus takes it.

        One that names a user keeps it, and a socket gets none: the folder's rights guard that.
        """
        scheme, slashes, rest = url.partition("://")
        if scheme not in ("redis", "rediss"):
            return url
        place = rest.partition("/")[0].partition("?")[0]
        if (self.username or password) and "@" not in place:
            rest = f"{quote(self.username, safe='')}:{quote(password, safe='')}@{rest}"
        files = {"ssl_ca_certs": self.ca_file, "ssl_certfile": self.cert_file, "ssl_keyfile": self.key_file}
        options = urlencode({name: str(path) for name, path in files.items() if path is not None})
        if scheme == "redis" or not options:
            return f"{scheme}{slashes}{rest}"
        return f"{scheme}{slashes}{rest}{'&' if '?' in rest else '?'}{options}"


class Recorder(Section):
    """How live writes the lake."""

    segment_seconds: float = knob(5.0, "Rows become durable at least this often.", "seconds", gt=0, le=600)
    compact_minutes: float = knob(
        60.0, "Segments become a partition of the lake this often.", "minutes", gt=0, le=1_440
    )


class Signals(Section):
    """From candidates to approvals."""

    ttl_ms: int = knob(
        1_500, "A candidate or an approval older than this is not acted on.", "milliseconds", ge=1, le=600_000
    )
    shadow: bool = knob(True, "Whether the shadow version is scored beside the active one.")


class Rollout(Section):
    """The most a canary may get; guards and promotions may give it less."""

    mode: Literal["disabled", "canary", "full"] = knob(
        "disabled", "disabled: all paper; canary: a share on the venue, the rest paper; full: everything on the venue."
    )
    canary_fraction: float = knob(0.1, "Share of signals decided by the shadow version.", "share", ge=0, le=1)
    seed: str = knob("tidegate", "Salt of the hash that picks them.", min_length=1)
    judge_silence_seconds: float = knob(
        15.0,
        "A canary of which risk says no verdict for so long has no share until it does.",
        "seconds",
        ge=6,
        le=3_600,
    )


class ModelSync(Section):
    """How the mirror follows the registry."""

    poll_seconds: float = knob(1.0, "Between two looks at the registry's aliases.", "seconds", gt=0, le=600)
    stale_seconds: float = knob(
        thresholds.REGISTRY_SILENT_SECONDS, "A registry silent for so long is told of.", "seconds", gt=0, le=86_400
    )


class Warmup(Section):
    """What must hold before the first order."""

    seconds: float = knob(
        thresholds.WARMUP_SECONDS, "A symbol's book must have been live for so long.", "seconds", ge=0, le=86_400
    )
    recover_seconds: float = knob(
        thresholds.WARMUP_RECOVER_SECONDS,
        "After depth was gone or the market stale: normal depth for so long.",
        "seconds",
        ge=0,
        le=86_400,
    )


class Gates(Section):
    """When an approval is not acted on."""

    stale_book_ms: int = knob(
        round(thresholds.STALE_BOOK_SECONDS * 1_000), "A book older than this.", "milliseconds", ge=1, le=600_000
    )
    stale_cancel_ms: int = knob(10_000, "So old that resting orders are canceled.", "milliseconds", ge=1, le=600_000)
    liquidity_alpha: float = knob(3.0, "liquidity_by_side: depth must be this many times our order.", ge=0, le=1_000)
    liquidity_levels: int = knob(5, "liquidity_by_side: levels that count as depth.", "levels", ge=1, le=10)
    near_liq_bps: float = knob(
        thresholds.NEAR_LIQUIDATION_BPS,
        "near_liq_guard: least distance of the mark to liquidation.",
        "bps",
        ge=0,
        le=10_000,
    )
    max_spread_bps: float = knob(thresholds.SPREAD_BPS, "A wider spread.", "bps", gt=0, le=10_000)
    max_volatility_bps: float = knob(25.0, "More deviation of one-second moves.", "bps", gt=0, le=10_000)
    max_symbol_notional: float = knob(2_000.0, "Position and open entries of a symbol.", "quote units", gt=0, le=1e12)
    max_total_notional: float = knob(4_000.0, "The same over all symbols.", "quote units", gt=0, le=1e12)
    max_open_orders: int = knob(8, "Entry orders that rest at the same time.", "orders", ge=1, le=1_000)
    fat_finger_bps: float = knob(50.0, "A price farther from mid or mark.", "bps", gt=0, le=10_000)
    flip_cooldown_seconds: float = knob(
        5.0, "Between a position's end and one the other way.", "seconds", ge=0, le=86_400
    )
    daily_loss_cap: float = knob(
        200.0, "Loss of a UTC day after which nothing new is opened.", "quote units", gt=0, le=1e12
    )
    loss_streak: int = knob(20, "Losses in a row after which entries pause.", "round trips", ge=1, le=10_000)
    loss_streak_pause_seconds: float = knob(900.0, "Length of that pause.", "seconds", ge=0, le=86_400)


class Sizing(Section):
    """How much an order buys: floor(min(cap, free balance * leverage) / price / lot) lots."""

    cap_notional: float = knob(500.0, "Most an approval may buy.", "quote units", gt=0, le=1e12)
    leverage: float = knob(3.0, "Of the free balance.", "times", gt=0, le=125)


class Ladder(Section):
    """How an entry is laid out."""

    rungs: int = knob(2, "Orders an entry is split into, one a price.", "orders", ge=1, le=10)
    step_ticks: int = knob(1, "Between two rungs, away from the touch.", "ticks", ge=1, le=1_000)
    life_ms: int = knob(
        4_000, "An entry that has not filled is canceled after this long.", "milliseconds", ge=1, le=600_000
    )
    max_reprices: int = knob(1, "How often an entry that would have crossed is sent again.", ge=0, le=10)
    low_fill_share: float = knob(0.3, "A chance to fill below it is bucket low.", "share", gt=0, lt=1)
    high_fill_share: float = knob(0.6, "A chance to fill above it is bucket high.", "share", gt=0, lt=1)


class Backpressure(Section):
    """What happens when approvals come faster than they are acted on."""

    max_queue_len: int = knob(
        thresholds.QUEUE_LENGTH,
        "Approvals waiting at which it begins; half of it ends it.",
        "messages",
        ge=1,
        le=1e7,
    )
    drop_mode: Literal["halt", "degrade"] = knob(
        "degrade", "degrade: canary share to 0, then the oldest go; halt: nothing new until the queue is short."
    )
    resume_seconds: float = knob(5.0, "How long the queue must be short.", "seconds", ge=0, le=3_600)


class FailSafe(Section):
    """The fall back to paper."""

    cooldown_seconds: float = knob(
        thresholds.FAIL_SAFE_COOLDOWN_SECONDS, "Real orders are not sent again before.", "seconds", ge=0, le=604_800
    )
    flatten: bool = knob(True, "Whether open real positions are closed, reduce-only.")
    max_restarts: int = knob(3, "More starts than this within the window begin in paper.", ge=1, le=1_000)
    restart_window_seconds: float = knob(600.0, "Of the starts that count.", "seconds", gt=0, le=86_400)


class Risk(Section):
    """What risk watches, and when it calls CRIT."""

    window: int = knob(1_000, "Newest outcomes of a route that rolling figures look at.", "rows", ge=10, le=1_000_000)
    min_samples: int = knob(500, "Fewest outcomes for a rolling figure to act on.", "rows", ge=1, le=1_000_000)
    precision_floor: float = knob(thresholds.PRECISION_FLOOR, "Precision under it halts.", "share", ge=0, le=1)
    volatility_halt_bps: float = knob(
        thresholds.VOLATILITY_HALT_BPS, "Deviation of one-second moves over it halts.", "bps", gt=0, le=10_000
    )
    volatility_debounce_seconds: float = knob(3.0, "For how long it must be over.", "seconds", ge=0, le=3_600)
    volatility_resume_seconds: float = knob(
        120.0, "For how long it must be under before trading resumes.", "seconds", ge=0, le=86_400
    )
    max_trades_per_hour: float = knob(3_000.0, "More entries than this in an hour halt.", "entries", gt=0, le=1e7)
    max_loss: float = knob(300.0, "Loss of a UTC day that calls CRIT.", "quote units", gt=0, le=1e12)
    max_drawdown: float = knob(300.0, "Fall from the day's best that calls CRIT.", "quote units", gt=0, le=1e12)
    stale_market_seconds: float = knob(
        thresholds.STALE_MARKET_SECONDS, "A market silent for so long calls CRIT.", "seconds", gt=0, le=3_600
    )
    normal_depth_share: float = knob(
        0.5, "Depth under this share of its hourly median is not normal.", "share", gt=0, le=1
    )
    drift_rows: int = knob(2_000, "Rows drawn from the span whose drift is measured.", "rows", ge=100, le=100_000)
    drift_hours: float = knob(24.0, "Span they are drawn from; a day shows every hour once.", "hours", ge=0.01, le=720)
    drift_look_seconds: float = knob(30.0, "Between two looks at the drift.", "seconds", ge=0.2, le=3_600)
    exchange_info: Anchored | None = knob(
        None, "Saved exchangeInfo or instruments-info answer; empty asks the venue when there is one."
    )
    gap_scan_minutes: float = knob(15.0, "Between two gap scans of the lake's newest day.", "minutes", gt=0, le=1_440)
    reference_check_minutes: float = knob(
        thresholds.REFERENCE_CHECK_MINUTES,
        "Between two comparisons with the venue's filters.",
        "minutes",
        gt=0,
        le=1_440,
    )

    def drift_window(self) -> "WindowShape":
        """Return how the rows are drawn whose drift is measured."""
        from evaluation.clean_windows import WindowShape

        return WindowShape(self.drift_rows, self.drift_hours * 3_600.0)


class Serving(Section):
    """What every service shows of itself."""

    metrics_port: int = knob(9100, "First /metrics port; each service has its own behind it.", ge=0, le=65_000)
    host: str = knob("127.0.0.1", "Address /metrics listens on.")
    log_format: Literal["auto", "json", "text"] = knob("auto", "auto: text on a terminal, json elsewhere.")
    log_level: Literal["debug", "info", "warning", "error"] = knob("info", "Least severe line that is written.")
