"""Fuzz every decoder: `make fuzz`, or `python -m tests.fuzz [DECODER ...] [--share 0.1]`.

Each decoder has a process of its own, in which atheris (libFuzzer) changes valid inputs and follows the code they
reach; where atheris is not there, inputs are changed at random. One line a decoder: cases, seconds, what was found. A
case that breaks a decoder stays in var/fuzz. Exit status: 0 nothing was found, 1 something was, 2 usage.
"""

import argparse
import importlib.util
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from tests.fuzz import decoders
from tests.fuzz.changing import changed

_FOUND = Path("var/fuzz")
_INSTRUMENTED = ["bus", "registry", "config", "live.exchange", "archive.sources", "market.wire"]
_LONGEST = 8_192


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [each.name for each in decoders.DECODERS]
    parser.add_argument("names", nargs="*", choices=[*names, []], metavar="DECODER", help=", ".join(names))
    parser.add_argument("--share", type=float, default=1.0, help="of the cases of make fuzz")
    parser.add_argument("--seed", type=int, default=7, help="another seed finds other cases")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        (name,) = asked.names
        return _inside(next(each for each in decoders.DECODERS if each.name == name), asked.share, asked.seed)
    _FOUND.mkdir(parents=True, exist_ok=True)
    total, broken = 0, []
    for each in decoders.DECODERS:
        if asked.names and each.name not in asked.names:
            continue
        runs = max(1, round(each.runs * asked.share))
        began = time.monotonic()
        command = [sys.executable, "-m", "tests.fuzz", each.name, "--inside", "--share", str(asked.share)]
        place = {**os.environ, decoders.PLACE: str(decoders.folder())}
        found = subprocess.run(
            [*command, "--seed", str(asked.seed)], capture_output=True, text=True, check=False, env=place
        )
        decoders.clean()
        is_well = found.returncode == 0
        total += runs if is_well else 0
        verdict = "none broke it" if is_well else "BROKEN"
        sys.stdout.write(f"{each.name:18} {runs:>9,} cases {time.monotonic() - began:7.1f} s  {verdict}\n")
        if not is_well:
            broken.append(each.name)
            (_FOUND / f"{each.name}.log").write_text(found.stdout + found.stderr)
            sys.stdout.write("\n".join((found.stdout + found.stderr).splitlines()[-25:]) + "\n")
        sys.stdout.flush()
    sys.stdout.write(f"{total:,} cases; {'nothing found' if not broken else 'broken: ' + ', '.join(broken)}\n")
    return 1 if broken else 0


def _inside(decoder: decoders.Decoder, share: float, seed: int) -> int:
    runs = max(1, round(decoder.runs * share))
    try:
        if importlib.util.find_spec("atheris") is None:
            return _at_random(decoder, runs, seed)
        return _with_atheris(decoder, runs, seed)
    finally:
        decoders.clean()


def _at_random(decoder: decoders.Decoder, runs: int, seed: int) -> int:
    chance = random.Random(seed)
    seeds = decoder.seeds()
    for _ in range(runs):
        decoder.try_on(changed(chance.choice(seeds), chance))
    return 0


def _with_atheris(decoder: decoders.Decoder, runs: int, seed: int) -> int:
    import atheris  # noqa: PLC0415 - not on every platform

    for name in [
        name for name in sys.modules if any(name == each or name.startswith(f"{each}.") for each in _INSTRUMENTED)
    ]:
        module = sys.modules[name]
        for attribute, value in list(vars(module).items()):
            if callable(value) and getattr(value, "__module__", "") == name and hasattr(value, "__code__"):
                setattr(module, attribute, atheris.instrument_func(value))
    corpus = decoders.folder() / "corpus"
    corpus.mkdir()
    for number, content in enumerate(decoder.seeds()):
        (corpus / f"{number:04}").write_bytes(content)

    def one(content: bytes) -> None:
        decoder.try_on(content)

    options = [f"-runs={runs}", f"-seed={seed}", f"-max_len={_LONGEST}", "-rss_limit_mb=4096", "-timeout=60"]
    atheris.Setup(
        [decoder.name, *options, f"-artifact_prefix={_FOUND}/{decoder.name}-", "-verbosity=0", str(corpus)], one
    )
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
