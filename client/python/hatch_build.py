"""Makes the messages of the protocol from its proto files, wherever the package is built.

In the repository they lie in ``../../proto``; a source distribution carries them in ``proto``.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FILES = ("breaker", "alerts", "service", "admin")
# The generated modules know each other as `breaker.v1`; nothing of that name is to be importable.
IMPORT = re.compile(r"^from breaker\.v1 import", re.MULTILINE)
# Generated code refuses a runtime older than the compiler. What is generated here (proto3 and the
# builder) is the same since protobuf 4, so that the runtime of the application decides.
VERSION_CHECK = re.compile(
    r"^_runtime_version\.ValidateProtobufRuntimeVersion\(.*?^\)\n"
    r"|^from google\.protobuf import runtime_version as _runtime_version\n",
    re.MULTILINE | re.DOTALL,
)


class ProtocolBuildHook(BuildHookInterface[Any]):
    """Generates ``breakerd._proto.breaker.v1``, or puts the proto files into an sdist."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        protos = root / "proto"
        license_file = root / "LICENSE"
        if not protos.is_dir():
            protos = root.parent.parent / "proto"
            license_file = root.parent.parent / "LICENSE"
        if self.target_name == "sdist":
            for name in FILES:
                path = f"breaker/v1/{name}.proto"
                build_data["force_include"][str(protos / path)] = f"proto/{path}"
            build_data["force_include"][str(license_file)] = "LICENSE"
            return
        generate(protos, root / "src" / "breakerd" / "_proto")


def generate(protos: Path, package: Path) -> None:
    """Generates the modules of the protocol into a package."""
    import grpc_tools
    from grpc_tools import protoc

    well_known = Path(grpc_tools.__file__).parent / "_proto"
    sources = [str(protos / "breaker" / "v1" / f"{name}.proto") for name in FILES]
    package.mkdir(parents=True, exist_ok=True)
    includes = (f"-I{protos}", f"-I{well_known}")
    outputs = (f"--python_out={package}", f"--pyi_out={package}")
    status = protoc.main(["protoc", *includes, *outputs, *sources])
    if status:
        sys.exit(f"protoc ended with {status}")
    folder = package / "breaker" / "v1"
    for path in folder.glob("*_pb2.py*"):
        text = VERSION_CHECK.sub("", path.read_text())
        path.write_text(IMPORT.sub("from breakerd._proto.breaker.v1 import", text))
    for init in (package / "breaker" / "__init__.py", folder / "__init__.py"):
        init.write_text("")
