# Sourced by the other scripts, from the repository's root: makes .venv and sets PYTHON to its
# Python. Does nothing, quietly, when .venv already has what requirements-dev.txt asks for.

venv_find_python() {
    # A working .venv decides, so that it is not rebuilt when another Python is installed.
    for candidate in "${PYTHON:-}" .venv/bin/python python3.13 python3.12 python3.11 python3; do
        [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 || continue
        version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) ||
            continue
        case "$version" in
            3.11 | 3.12 | 3.13) PYTHON=$candidate && return 0 ;;
            *) found="$found $candidate is Python $version;" ;;
        esac
    done
    echo "Python 3.11, 3.12 or 3.13 is needed; found:${found:- none}" >&2
    echo "Install one, or name it: PYTHON=/path/to/python3.12 $0" >&2
    return 1
}

found=
venv_find_python || exit 1
"$PYTHON" - <<'END' || exit 1
import fcntl, hashlib, importlib.util, os, pathlib, subprocess, sys, time

venv, stamp = pathlib.Path(".venv"), pathlib.Path(".venv/requirements-are-installed")
python = venv / "bin" / "python"
wanted = hashlib.sha256(pathlib.Path("requirements-dev.txt").read_bytes()).hexdigest()
wanted += " %d.%d" % sys.version_info[:2]


def say(text):
    print(text, file=sys.stderr, flush=True)


def works(*command):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        return subprocess.run([python, *command], **quiet).returncode == 0
    except OSError:
        return False


def version_of_venv():
    ask = "import sys; sys.exit(sys.version_info[:2] != %r)" % (sys.version_info[:2],)
    return works("-c", ask)


def is_installed():
    try:
        return stamp.exists() and stamp.read_text() == wanted and python.exists()
    except PermissionError:
        return False


def check_access():
    # Before pip, which would say it in thirty lines.
    home = pathlib.Path(os.path.dirname(os.path.realpath(venv)))
    for folder in (home, venv) if venv.exists() else (home,):
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(0, "", str(folder))


def lock():
    # One at a time. pip and venv are handed the lock too: it lasts as long as any of them does,
    # also when this process is killed and they go on.
    folder = os.open(os.path.dirname(os.path.realpath(venv)), os.O_RDONLY)
    patience = time.monotonic() + 2
    while time.monotonic() < patience:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return folder
        except BlockingIOError:
            time.sleep(0.05)
    say("Another start is preparing .venv; waiting for it to end ...")
    fcntl.flock(folder, fcntl.LOCK_EX)
    return folder


def make(held):
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            name = "python%d.%d-venv" % sys.version_info[:2]
            sys.exit("%s has no module %s. On Debian or Ubuntu: sudo apt install %s"
                     % (sys.executable, module, name))
    base = getattr(sys, "_base_executable", None) or sys.executable
    if subprocess.run([base, "-m", "venv", "--clear", venv], pass_fds=[held]).returncode:
        sys.exit("%s could not make %s" % (base, venv.resolve()))


def install(held):
    say("Preparing .venv (once; about a minute) ...")
    stamp.unlink(missing_ok=True)
    if not (version_of_venv() and works("-m", "pip", "--version")):
        make(held)
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
               "--require-hashes", "-r", "requirements-dev.txt"]
    environ = dict(os.environ, PIP_ROOT_USER_ACTION="ignore")
    if subprocess.run(command, env=environ, pass_fds=[held]).returncode:
        sys.exit("The packages could not be installed; the lines above say why.")
    # Last, so that an interrupted installation is finished next time.
    stamp.write_text(wanted)
    say(".venv is ready.")


def main():
    if is_installed():
        return
    check_access()
    held = lock()
    try:
        if not is_installed():
            install(held)
    finally:
        os.close(held)


try:
    main()
except KeyboardInterrupt:
    sys.exit(130)
except PermissionError as error:
    sys.exit("%s cannot be read and written by this account; make it yours: sudo chown -R $USER %s"
             % (error.filename, error.filename))
except OSError as error:
    sys.exit(".venv cannot be prepared: %s" % error)
END
PYTHON=$PWD/.venv/bin/python
