# ${NAME}, ${NAME:-default}, --set and the environment. SPDX-License-Identifier: Apache-2.0

if begin "variables: set, environment, default, none"; then
    laminar -c 'SELECT ${A} AS a, ${B:-2} AS b' --set A=1
    status_is 0
    prints_lines "a	b" "1	2"
    A=7 laminar -c 'SELECT ${A} AS a'
    prints_lines a 7
    A=7 laminar -c 'SELECT ${A} AS a' --set A=1
    prints_lines a 1
    laminar -c 'SELECT ${NOT_SET_ANYWHERE}'
    refused 0003 "NOT_SET_ANYWHERE" "command:1:8:" 'hint:' ':-default'
    laminar -c 'SELECT ${A' --set A=1
    refused 1000 '${NAME}'
    laminar -c 'SELECT ${A}' --set 'A=1 +'
    refused 1000 "end of statement"
    laminar -c "SELECT '\${A}' AS a" --set "A=it''s"
    status_is 0
fi
