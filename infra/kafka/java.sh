#!/bin/sh
# Makes sure of Java 17 or newer and of Maven: installs them where we are root and have apt, else says what to install.
set -eu

java_fits() {
    command -v "${JAVA_HOME:+$JAVA_HOME/bin/}java" >/dev/null || return 1
    version=$("${JAVA_HOME:+$JAVA_HOME/bin/}java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
    [ "${version:-0}" -ge 17 ]
}

have_both() { java_fits && command -v mvn >/dev/null; }

install_both() {
    echo "Kafka needs Java 17 and Maven: installing them with apt-get, which takes a minute."
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq || return 1
    java=$(apt-cache pkgnames openjdk- | grep -xE 'openjdk-(17|21|25)-jre-headless' | sort | head -n 1)
    apt-get install -y -qq --no-install-recommends "${java:-default-jre-headless}" maven >/dev/null
}

have_both && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && install_both && have_both; then
    exit 0
fi
echo "Kafka needs Java 17 or newer and Maven: install them (Debian: apt-get install default-jre-headless maven)." >&2
exit 1
