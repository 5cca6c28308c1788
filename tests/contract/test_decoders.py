"""JSON is read as a type only by `contracts.schemas`: there one thread at a time makes what reads it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

TOGETHER = """
import sys, threading
from dataclasses import make_dataclass
from contracts.schemas import decode

sys.setswitchinterval(1e-6)
classes = []
for n in range(1000):
    inner = make_dataclass(f"Inner{n}", [(f"i{k}", int, 0) for k in range(20)])
    classes.append(make_dataclass(f"Outer{n}", [("inner", inner, None), *((f"o{k}", int, 0) for k in range(20))]))
together = threading.Barrier(4)
right = [0] * 4

def meet(number):
    for cls in classes:
        together.wait()
        right[number] += decode(cls, b'{"o19": 1}').o19

threads = [threading.Thread(target=meet, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(right)
"""


def test_threads_that_meet_a_class_for_the_first_time_together_all_read_it() -> None:
    """Without the lock the process ends with a segmentation fault: a worker did, at its start."""
    done = subprocess.run([sys.executable, "-c", TOGETHER], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[1000, 1000, 1000, 1000]\n"), done.stderr


def typed(call: ast.Call) -> bool:
    named = any(keyword.arg == "type" for keyword in call.keywords)
    return {"msgspec.json.decode": named, "msgspec.json.Decoder": named or bool(call.args)}.get(
        ast.unparse(call.func), ast.unparse(call.func).startswith(("msgspec.convert", "msgspec.msgpack."))
    )


def test_nobody_else_makes_a_typed_decoder() -> None:
    made = {
        path.relative_to(ROOT).as_posix(): [ast.unparse(call) for call in calls]
        for top in ("chassis", "contracts", "services", "deploy")
        for path in sorted((ROOT / top).rglob("*.py"))
        if (calls := [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call) and typed(n)])
    }
    assert list(made) == ["contracts/schemas.py"], made
