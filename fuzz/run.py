"""Coverage-guided fuzzing of everything that reads what others write, and a guard on how long it takes.

    python fuzz/run.py [--seconds 20] [--runs N] [--targets NAME ...] [--jobs 1] [--no-guard] [--list]
    python fuzz/run.py --input FILE --targets NAME                                         the same input once more

Every target runs in processes of its own: first its seeds and the time guard (`fuzz/timing.py`), then atheris for
*seconds*, or for *runs* inputs. The first failure of a target is told with the file that holds the input. Exit code 1
says that there was one, 2 that nothing could be run.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import io
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from targets import Target

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))

HANG_SECONDS = 10
MEMORY_MB = 2048
SELF_TEST = "self-test"
"""A target with a fault, to show that faults are found. Never run unless it is asked for."""


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=20, help="for each target")
    parser.add_argument("--runs", type=int, default=0, help="inputs for each target, whatever time it takes")
    parser.add_argument("--targets", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--guard", action=argparse.BooleanOptionalAction, default=True, help="the time guard")
    parser.add_argument("--jobs", type=int, default=1, help="targets at a time")
    parser.add_argument("--artifacts", type=Path, default=Path(tempfile.gettempdir()), help="where inputs that fail go")
    parser.add_argument("--input", type=Path, help="run only this input, in the only target")
    parser.add_argument("--list", action="store_true", help="say which targets there are")
    parser.add_argument("--phase", choices=["guard", "fuzz"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed: there are wheels for Linux and Python 3.11 to 3.13 only", file=sys.stderr)
        return 2
    if args.phase:
        return (guard if args.phase == "guard" else fuzz)(args.targets[0], args)
    from targets import targets

    names = list(targets())
    if args.list:
        print("\n".join(names))
        return 0
    unknown = set(args.targets) - {*names, SELF_TEST}
    if unknown or (args.input is not None and len(args.targets) != 1):
        print(f"no target {', '.join(sorted(unknown)) or 'given'}; there are {', '.join(names)}", file=sys.stderr)
        return 2
    with ThreadPoolExecutor(max(args.jobs, 1)) as pool:
        results = list(pool.map(lambda name: run(name, args), args.targets or names))
    print(f"{results.count(True)} of {len(results)} targets without a fault")
    return 0 if all(results) else 1


def run(name: str, args: argparse.Namespace) -> bool:
    """Fuzz one target in children; whether there was no fault. Says how it went."""
    folder = args.artifacts / f"fuzz-{name.replace(':', '-')}"
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, __file__, "--targets", name, "--artifacts", str(folder)]
    command += ["--seconds", str(args.seconds), "--runs", str(args.runs)]
    command += ["--input", str(args.input)] if args.input is not None else []
    for phase in ("guard",) if args.input is not None else ("guard", "fuzz") if args.guard else ("fuzz",):
        done = subprocess.run(
            [*command, "--phase", phase], capture_output=True, text=True, errors="replace", check=False
        )
        output = (done.stdout + done.stderr).splitlines()
        if done.returncode != 0:
            print(f"{name:28} FAULT ({phase}, exit code {done.returncode})", *output[-40:], sep="\n    ", flush=True)
            return False
    last = next((line for line in reversed(output) if line.startswith("Done ")), "input read")
    print(f"{name:28} ok    {last}", flush=True)
    return True


def guard(name: str, args: argparse.Namespace) -> int:
    """The seeds as they are, and grown to what may take long; with an input only that."""
    from timing import slow_input

    target = target_of(name)
    if args.input is not None:
        target.run(args.input.read_bytes())
        return 0
    seeds = list(dict.fromkeys(target.seeds()))

    def run(data: bytes) -> None:
        try:
            target.run(data)
        except Exception:
            print(f"input: {keep(data, args.artifacts, 'crash')}")
            raise

    for seed in seeds:
        run(seed)
    found = slow_input(run, seeds)
    if found is None:
        return 0
    why, data = found
    print(f"time grows faster than the input: {why}; input: {keep(data, args.artifacts, 'slow')}")
    return 1


def fuzz(name: str, args: argparse.Namespace) -> int:
    """Fuzz in this process: it ends in atheris, or with the first fault."""
    import atheris

    with contextlib.redirect_stderr(io.StringIO()), atheris.instrument_imports(include=["logrouter"]):
        target = target_of(name)
    with tempfile.TemporaryDirectory() as corpus:
        for seed in target.seeds():
            keep(seed, Path(corpus), "seed")
        limit = f"-runs={args.runs}" if args.runs else f"-max_total_time={args.seconds}"
        options = [limit, f"-timeout={HANG_SECONDS}", f"-rss_limit_mb={MEMORY_MB}", "-max_len=65536"]
        atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={args.artifacts}/", corpus], target.run)
        atheris.Fuzz()
    return 0


def target_of(name: str) -> Target:
    """The target of this name."""
    from targets import Target, targets

    if name == SELF_TEST:
        return Target(SELF_TEST, faulty, lambda: iter([b"!"]))
    return targets()[name]


def faulty(data: bytes) -> None:
    """What no reader should do."""
    if data[:2] == b"!?":
        raise ZeroDivisionError


def keep(data: bytes, folder: Path, kind: str) -> Path:
    """The input in a file of its own."""
    file = folder / f"{kind}-{hashlib.sha256(data).hexdigest()[:16]}"
    file.write_bytes(data)
    return file


if __name__ == "__main__":
    sys.exit(main())
