"""What a run needs besides Python: a compiler, Node, certificates. What is missing is named, not fatal."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import trustme

HERE = Path(__file__).parent
ROOT = HERE.parent
NODEMAILER = "nodemailer@10"


@dataclass(frozen=True)
class Tools:
    """What was found and made.

    Attributes:
        folder: Where the programs and the certificates lie.
        missing: What a full table would need besides, each with its reason.
        programs: The sink and the proxy are there.
        node: Nodemailer is there.
        compiled: Where our packages lie as machine code; None where they do not.
    """

    folder: Path
    missing: tuple[str, ...]
    programs: bool
    node: bool
    compiled: Path | None = None

    @property
    def ca_file(self) -> Path:
        """The authority of the sink's certificate."""
        return self.folder / "ca.pem"

    @property
    def bundle(self) -> Path:
        """The system's authorities and this one: Django's backend has no option for its own."""
        return self.folder / "bundle.pem"


def gather(folder: Path, *, node: bool = True, compiled: bool = True) -> Tools:
    """Compile the C programs and mailbridge, fetch Nodemailer, make certificates; each only once."""
    folder.mkdir(parents=True, exist_ok=True)
    _certify(folder)
    complaints = [complaint for name in ("sink", "proxy") if (complaint := _compile(folder, name))]
    wanted = _fetch_nodemailer(folder) if node else "Nodemailer was not asked for"
    unmade = _compile_ourselves() if compiled else ""
    missing = (*dict.fromkeys(complaints), *([wanted] if wanted and node else []), *([unmade] if unmade else []))
    made = ROOT / "build" / "machine-code" if compiled and not unmade else None
    return Tools(folder, missing, programs=not complaints, node=not wanted, compiled=made)


def _compile(folder: Path, name: str) -> str:
    source, program = HERE / "c" / f"{name}.c", folder / name
    if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
        return ""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if not compiler:
        return "a C compiler (cc): nothing can be measured without it"
    libraries = ["-lssl", "-lcrypto"] if name == "sink" else []
    command = [compiler, "-O3", "-o", str(program), str(source), *libraries]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own sources
    if not done.returncode:
        return ""
    return f"{name}.c does not compile here (Linux and OpenSSL's headers, libssl-dev, are needed): {done.stderr[:300]}"


def _compile_ourselves() -> str:
    command = [str(ROOT / "scripts" / "machine-code"), sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own script
    return f"mailbridge as machine code: {done.stderr.strip()[-300:]}" if done.returncode else ""


def _fetch_nodemailer(folder: Path) -> str:
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return "node and npm: no figures for Nodemailer"
    if (folder / "node_modules" / "nodemailer").exists():
        return ""
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), NODEMAILER]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603 - no input
    return "nodemailer: npm could not install it" if done.returncode else ""


def _certify(folder: Path) -> None:
    if (folder / "bundle.pem").exists():
        return
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    for index, pem in enumerate(certificate.cert_chain_pems):
        pem.write_to_path(folder / "cert.pem", append=index > 0)
    system = ssl.get_default_verify_paths().cafile
    known = Path(system).read_bytes() if system and Path(system).exists() else _debian()
    (folder / "bundle.pem").write_bytes(known + authority.cert_pem.bytes())


def _debian() -> bytes:
    usual = Path("/etc/ssl/certs/ca-certificates.crt")
    return usual.read_bytes() if usual.exists() else b""
