"""Run live services in one process, until Ctrl-C or SIGTERM.

services, in the order of their /metrics ports:
  collector      listens to the market, publishes books and prints, records the lake
  signal_engine  finds candidates, each with its row of features
  ai_scorer      scores them by the models of the mirror, routes and approves
  executor       gates, orders, positions; on paper unless exchange.mode is real
  risk           judges every candidate by what the market did, calls halts
  model_sync     keeps the mirror in step with the registry
  all            every one but model_sync, which asks MLflow and has a process of its own

Services named together share a process and hand messages on directly. What they do: docs/live.md.

exit status: 0 stopped in order, 1 could not start or had to end (the last line says why), 2 wrong use
"""

import argparse
import gc
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bus.client import RedisBus, open_bus
from bus.errors import BusError, BusUnavailable
from bus.heartbeats import SILENT_SECONDS, read
from bus.protocol import Bus
from bus.server import serve, shut_down
from bus.sharded import ShardedBus
from bus.wake import Wake
from config.errors import SettingsError
from config.secrets import known_values
from config.settings import Settings, load
from live import logs
from live.claims import claimed
from live.clock import SystemClock
from live.errors import LiveError
from live.host import Host
from live.shards import Shards
from live.wiring import ALL, SERVICES, Surroundings, build, symbols_of
from market.events import MarketError
from market.feature_spec import FEATURE_NAMES
from monitoring.metrics import Metrics, process_metrics
from registry.errors import RegistryError


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Run what the command line asks for until SIGTERM or SIGINT; returns the exit status."""
    asked = _parser().parse_args(arguments)
    names = _names(asked.services)
    url = ""
    try:
        settings = load(asked.config, _overridden(environ, asked))
        url = settings.redis.url
        return run(names, settings, environ)
    except BusUnavailable as error:
        hint = "; start that server, or leave redis.url empty and one of our own is started" if url else ""
        _tell(names, f"{str(error).rstrip('.')}{hint}" if hint else str(error))
    except (LiveError, BusError, SettingsError, MarketError, RegistryError) as error:
        _tell(names, str(error))
    except OSError as error:
        _tell(names, f"{error}; is the folder there, and ours to write?")
    return 1


def run(names: Sequence[str], settings: Settings, environ: Mapping[str, str]) -> int:
    """Open the bus and /metrics, run the services, close everything.

    An empty redis.url means a server of our own below paths.var: whoever comes first starts it, the last one to stop
    ends it. Raises LiveError, BusError, SettingsError, MarketError, RegistryError and OSError, with what to do.
    """
    with claimed(Path(settings.paths.var) / "live", [Shards.of(settings).instance(name) for name in names]):
        return _run_claimed(names, settings, environ)


def _run_claimed(names: Sequence[str], settings: Settings, environ: Mapping[str, str]) -> int:
    log = logs.configure("host", settings.serving.log_format, settings.serving.log_level, secrets=known_values(environ))
    metrics = process_metrics()
    metrics.touch(settings.market.symbols, FEATURE_NAMES)
    port = _serve_metrics(names, settings, metrics)
    server = serve(Path(settings.paths.var) / "redis", settings.redis.url)
    is_ours = not settings.redis.url
    with open_bus(server.url) as home, _spread(home, names, settings) as bus, Wake() as waker:
        for text in bus.checks():
            log.warning("bus_check", text=text)
        around = Surroundings(settings, bus, metrics, lambda name: log.bind(service=name), environ, waker, port)
        try:
            host = build(names, around)
            _end_by_signals(host)
            folder = Path(settings.paths.var) / "live"
            _run(host, [folder / f"{Shards.of(settings).instance(name)}.json" for name in names], port)
        finally:
            if is_ours and _is_last(bus):
                shut_down(Path(settings.paths.var) / "redis")
    log.info("stopped", services=list(names))
    return 0


def _spread(home: RedisBus, names: Sequence[str], settings: Settings) -> RedisBus | ShardedBus:
    """The bus over all servers of the market data that these services touch; home itself when it holds that too."""
    symbols, shards = symbols_of(settings), Shards.of(settings)
    touched = {symbol for name in names for symbol in shards.symbols(name, symbols)}
    urls = settings.redis.market_urls
    return ShardedBus(home, urls, touched) if urls else home


def _run(host: Host, files: Sequence[Path], port: int) -> None:
    try:
        for file in files:
            file.write_text(json.dumps({"pid": os.getpid(), "metrics_port": port}) + "\n", encoding="utf-8")
        host.start()
        # What is there now lives as long as the process: the collector of garbage need not look at it again.
        gc.collect()
        gc.freeze()
        host.run()
    finally:
        host.stop()
        for file in files:
            file.unlink(missing_ok=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m live", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("services", nargs="+", choices=[*SERVICES, "all"], metavar="SERVICE", help="what to run")
    parser.add_argument("--config", type=Path, metavar="FILE", help="instead of config/app.yml")
    parser.add_argument("--redis-url", metavar="URL", help="instead of redis.url")
    parser.add_argument(
        "--metrics-port", type=int, metavar="PORT", help="port of /metrics for the first service; 0 takes a free one"
    )
    return parser


def _tell(names: Sequence[str], text: str) -> None:
    sys.stderr.write(f"live {' '.join(names)}: {text}\n")


def _names(asked: Sequence[str]) -> list[str]:
    wanted = {*asked, *(ALL if "all" in asked else ())}
    return [name for name in SERVICES if name in wanted]


def _overridden(environ: Mapping[str, str], asked: argparse.Namespace) -> Mapping[str, str]:
    found = dict(environ)
    if asked.redis_url is not None:
        found["REDIS_URL"] = asked.redis_url
    if asked.metrics_port is not None:
        found["SERVING_METRICS_PORT"] = str(asked.metrics_port)
    return found


def _serve_metrics(names: Sequence[str], settings: Settings, metrics: Metrics) -> int:
    """Serve /metrics: each service has a place behind the first port, a process that of its first one."""
    first = settings.serving.metrics_port
    port = first + SERVICES.index(names[0]) if first else 0
    try:
        return metrics.serve(port, settings.serving.host)
    except OSError as error:
        raise LiveError(
            f"/metrics cannot be served on {settings.serving.host}:{port} ({error.strerror}); is {names[0]} running "
            "already? choose another port with --metrics-port, 0 takes a free one"
        ) from error


def _end_by_signals(host: Host) -> None:
    """Let SIGTERM and Ctrl-C end the loop after the message at hand; a second one ends the process at once."""

    def end(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        host.end()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


def _is_last(bus: Bus) -> bool:
    """Whether no other process of ours speaks on the bus."""
    now_ns = SystemClock().wall_ns()
    with suppress(BusUnavailable):
        return not any(
            each.state == "running" and each.pid != os.getpid() and now_ns - each.at_ns < SILENT_SECONDS * 1e9
            for each in read(bus).values()
        )
    return False


if __name__ == "__main__":
    sys.exit(main())
