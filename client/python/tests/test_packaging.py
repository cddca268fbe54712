"""What is installed: the messages lie within the package, and nowhere else."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent


def test_nothing_but_breakerd_is_importable() -> None:
    code = "import breakerd._proto.breaker.v1.admin_pb2, sys; assert 'breaker' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert importlib.util.find_spec("breaker") is None


def test_a_source_distribution_holds_the_protocol_and_builds_a_wheel(tmp_path: Path) -> None:
    arguments = ["--no-isolation", "--outdir", str(tmp_path), str(HERE)]
    subprocess.run(
        [sys.executable, "-m", "build", *arguments], check=True, stdout=subprocess.DEVNULL
    )
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        files = {name.split("/", 1)[1] for name in archive.getnames()}
    assert {"proto/breaker/v1/service.proto", "LICENSE", "README.md", "hatch_build.py"} <= files
    assert not any("_pb2" in name for name in files)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "breakerd/_proto/breaker/v1/service_pb2.py" in names
    assert "breakerd/py.typed" in names
    roots = {name.split("/")[0] for name in names}
    assert roots == {"breakerd", "breakerd-0.1.0.dist-info"}
