"""Zero liquidity and a stale book: depth all but vanishes for twelve seconds, then the feed is silent for fifteen."""

from market.simulator_defects import Defect
from tidegate.drills.drill import Drill
from tidegate.drills.knobs import SYMBOL
from tidegate.drills.market import SECOND_NS, after
from tidegate.drills.scene import Scene

_LEVELS = 5
_THIN = Defect("drifted_feature", after(24.0), 12 * SECOND_NS, feature="depth", factor=0.0005)
_SILENCE = Defect("gap", after(45.0), 15 * SECOND_NS)


def run(scene: Scene) -> None:
    """No entry into a thin book, none into an old one; a silent market is CRIT, and depth must be normal again."""
    line = scene.timeline
    scene.entered(proof="healthy")
    usual = sum(scene.images()[-1].bid_lots[:_LEVELS])
    thin = scene.image(lambda image: sum(image.bid_lots[:_LEVELS]) < usual / 50, 40, "a book without depth")
    line.trouble(f"depth of {SYMBOL} falls to {sum(thin.bid_lots[:_LEVELS])} lots of {usual}", thin.local_ns)
    scene.dropped("liquidity_by_side")
    scene.metric("collector", "liquidity_by_side", lambda depth: depth < 100_000, symbol=SYMBOL, side="bid")
    scene.metric("collector", "book_age_seconds", lambda age: age > 2.5, 40, symbol=SYMBOL, what="the feed is silent")
    scene.dropped("stale_book")
    scene.event("HALT", "stale_market", severity="CRIT")
    scene.metric("executor", "fail_safe_trigger_total", bool, proof="protection", reason="stale_market")
    scene.metric("executor", "halted", bool, proof="protection", reason="stale_market")
    scene.journalled("HALT", "stale_market")
    resume = scene.event("RESUME", "stale_market", 40, proof="recovery")
    scene.metric("executor", "fail_safe_cooldown_seconds", lambda left: left == 0.0, proof="recovery")
    scene.command("python scripts/control.py resume")
    scene.entered(after_ns=resume.at_ns)


DRILL = Drill(
    "stale-book", "zero-liquidity--stale-book", "a book without depth, then a feed that falls silent", run,
    seconds=90.0, defects=(_THIN, _SILENCE),
    knobs={
        "RISK_STALE_MARKET_SECONDS": "6", "FEED_SILENCE_SECONDS": "9", "WARMUP_RECOVER_SECONDS": "4",
        "RISK_NORMAL_DEPTH_SHARE": "0.2",
    },
)  # fmt: skip
