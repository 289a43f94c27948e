"""The operator's verbs about versions: promote, rollback, rollout, release, compare, and audit with its own four."""

import getpass
from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer()
audit = typer.Typer(no_args_is_help=True, help="The journal of every move: whether it is whole, who did what and why.")
app.add_typer(audit, name="audit")

VersionArgument = Annotated[str, typer.Argument(metavar="ID", help="A model id, a version's number, or a slot.")]
ByOption = Annotated[str, typer.Option("--by", default_factory=getpass.getuser, help="Your name in the journal.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
UrlOption = Annotated[str, typer.Option("--redis-url", help="Streams to tell, instead of redis.url.")]


@app.command()
def promote(
    which: VersionArgument,
    by: ByOption,
    to: Annotated[
        Literal["candidate", "shadow", "canary", "active"],
        typer.Option("--to", help="candidate takes back a rejection or a withdrawal."),
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why; the journal keeps it.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Without evidence, before its time; needs --reason.")] = False,
    yes: YesOption = False,
    redis_url: UrlOption = "",
) -> None:
    """Move a version up, or an earlier active one back. Shows what will change, then asks."""
    from config.settings import load
    from tidegate.releasing import Order, run

    if (force or to == "candidate") and not reason:
        raise typer.BadParameter("say why", param_hint="--reason")
    order = Order(to, by, reason or f"promoted to {to} by hand", which, force)
    raise typer.Exit(run(load(), order, is_sure=yes, bus_url=redis_url))


@app.command()
def rollback(
    by: ByOption,
    reason: Annotated[str, typer.Option("--reason", help="Why; the journal keeps it.")] = "rolled back by hand",
    subject: Annotated[
        Literal["canary", "active"] | None,
        typer.Option("--subject", help="Which; without it the canary if one runs, else the active version."),
    ] = None,
    yes: YesOption = False,
    redis_url: UrlOption = "",
) -> None:
    """Withdraw the canary, or go back to the version before; needs no registry and waits for no cooldown."""
    from config.settings import load
    from tidegate.releasing import Order, run

    raise typer.Exit(run(load(), Order("rollback", by, reason, subject=subject), is_sure=yes, bus_url=redis_url))


@app.command()
def rollout(
    what: Annotated[
        Literal["enable", "disable"],
        typer.Argument(metavar="enable|disable", help="Give the rollout back, or take it away."),
    ],
    by: ByOption,
    reason: Annotated[str, typer.Option("--reason", help="Why; the journal keeps it.")],
    force: Annotated[bool, typer.Option("--force", help="enable: without clean verdicts.")] = False,
    yes: YesOption = False,
    redis_url: UrlOption = "",
) -> None:
    """Send everything to paper, or allow what the configuration allows again."""
    from config.settings import load
    from tidegate.releasing import Order, run

    raise typer.Exit(run(load(), Order(what, by, reason, force=force), is_sure=yes, bus_url=redis_url))


@app.command()
def release(
    by: ByOption,
    shadow_id: Annotated[str, typer.Option("--shadow-id", metavar="ID", help="The version to release.")],
    disable_rollout: Annotated[bool, typer.Option("--disable-rollout", help="No canary: all paper.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; the journal keeps it.")] = "released",
    redis_url: UrlOption = "",
) -> None:
    """Bring a version into shadow and, with evidence enough, to canary. scripts/release.sh validates first."""
    from config.settings import load
    from tidegate.releasing import release as bring

    raise typer.Exit(bring(load(), shadow_id, by, reason, disable_rollout=disable_rollout, bus_url=redis_url))


@app.command()
def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A model id, a version's number, or a slot.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The other one.")],
    as_json: JsonOption = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write one page that needs no network.")
    ] = None,
    redis_url: UrlOption = "",
) -> None:
    """Show two versions side by side: what they learned from, what was measured, what live says of them."""
    from config.settings import load
    from tidegate.compare import run

    raise typer.Exit(run(load(), first, second, as_json=as_json, bus_url=redis_url, html=html))


@audit.command()
def verify(as_json: JsonOption = False) -> None:
    """Check the journal line by line, and every evidence file; exit 1 names the first that is not as it was written."""
    from config.settings import load
    from tidegate.audit import show_verified

    raise typer.Exit(show_verified(load(), as_json=as_json))


@audit.command()
def log(
    last: Annotated[int, typer.Option("-n", "--last", min=1, help="Newest moves to show.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Show who moved what, when and why, the newest last."""
    from config.settings import load
    from tidegate.audit import show_log

    raise typer.Exit(show_log(load(), last, as_json=as_json))


@audit.command(name="why-changed")
def why_changed(
    first: Annotated[str, typer.Argument(metavar="A", help="A version's number, id or slot, or `lake`.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The other one.")],
    as_json: JsonOption = False,
) -> None:
    """Name the partitions in which what two versions learned from differs, and no other."""
    from config.settings import load
    from tidegate.audit import show_why_changed

    raise typer.Exit(show_why_changed(load(), first, second, as_json=as_json))


@audit.command()
def replay(
    policy: Annotated[Path, typer.Option("--policy", help="YAML with the knobs of section release to try.")],
    as_json: JsonOption = False,
) -> None:
    """Judge every recorded trial again under other limits: which verdicts turn, how many good ones fall, how late."""
    from config.settings import load
    from tidegate.policy_report import run

    raise typer.Exit(run(load(), policy, as_json=as_json))
