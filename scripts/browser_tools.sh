# Installs what drives a browser, where it is not there; sets tools to its folder.
# Sourced by scripts/browser.sh and scripts/screenshots.sh, after venv.sh.
tools=.venv.browser
wanted=$(cat requirements-browser.txt "$PYTHON" | cksum)
if [ "$(cat "$tools/installed" 2>/dev/null)" != "$wanted" ]; then
    echo "Preparing $tools (once) ..." >&2
    rm -rf "$tools"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --require-hashes \
        --target "$tools" -r requirements-browser.txt
    echo "$wanted" >"$tools/installed"
fi
