#!/bin/sh
# Installs the Debian packages named that are missing. SPDX-License-Identifier: Apache-2.0
set -eu
there=" $(dpkg-query -W -f='${Status} ${Package} ' "$@" 2>/dev/null | tr '\n' ' ')"
missing=
for p in "$@"; do
    case "$there" in *" install ok installed $p "*) ;; *) missing="$missing $p" ;; esac
done
[ -n "$missing" ] || exit 0
echo "installing:$missing" >&2
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
