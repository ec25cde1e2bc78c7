#!/bin/sh
# Puts libduckdb.so, the peer of the benches, into DIR by npm; says so and succeeds when npm does not provide it.
#     peer.sh DIR
# SPDX-License-Identifier: Apache-2.0
set -eu
package=@duckdb/node-bindings-linux-x64@1.5.6-r.1
dir=$1
[ -e "$dir/libduckdb.so" ] && exit 0
mkdir -p "$dir"
skip() { echo "peer.sh: no DuckDB to compare with: $1" >&2; exit 0; }
command -v npm >/dev/null || skip "npm is not installed"
npm install --silent --no-audit --no-fund --no-save --prefix "$dir" "$package" >&2 || skip "npm does not provide $package"
lib=$(find "$dir" -name libduckdb.so | head -n 1)
[ -n "$lib" ] || skip "$package has no libduckdb.so"
ln -f "$lib" "$dir/libduckdb.so"
