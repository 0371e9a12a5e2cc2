#!/bin/sh
# Makes sure of Chromium and its driver, for the tests of the chat widget: installs them where we are root and have apt,
# else says what to install.
set -eu

have_both() {
    command -v chromedriver >/dev/null &&
        { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null
}

install_both() {
    echo "The widget's tests need Chromium: installing it with apt-get, which takes a minute."
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq || return 1
    apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null
}

have_both && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && install_both && have_both; then
    exit 0
fi
echo "The widget's tests need Chromium and chromedriver: install them (Debian: apt-get install chromium chromium-driver)." >&2
exit 1
