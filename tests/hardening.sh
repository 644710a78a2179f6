#!/usr/bin/env bash
# Holds every program of a build against what hardens it: position-independent, all addresses resolved at the start and read-only from then on
# (full RELRO), stacks guarded and not executable, buffers of known size checked (FORTIFY), libraries looked for in the system's folders alone.
# Prints "ok PROGRAM" or "not ok PROGRAM: what it lacks", a line each. Programs built on purpose without one of the flags prove that each is
# missed.
# usage: tests/hardening.sh FOLDER     of programs, as build/release/bin
set -euo pipefail
export LC_ALL=C
folder=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

lacks() {  # PROGRAM: what it lacks, a word each
  local headers dynamic symbols
  headers=$(readelf -hlW "$1") dynamic=$(readelf -dW "$1") symbols=$(readelf -W --dyn-syms "$1")
  grep -q '^ *Type: *DYN' <<<"$headers" && grep -q 'FLAGS_1.*\bPIE\b' <<<"$dynamic" || echo PIE
  grep -q '^ *GNU_RELRO ' <<<"$headers" || echo RELRO
  grep -Eq 'BIND_NOW|FLAGS_1.*\bNOW\b' <<<"$dynamic" || echo BIND_NOW
  grep -Eq '^ *GNU_STACK .* RW +0x' <<<"$headers" || echo NX
  grep -q ' __stack_chk_fail@' <<<"$symbols" || echo STACK_PROTECTOR
  grep -Eq ' __[a-z]+_chk@' <<<"$symbols" || echo FORTIFY
  ! grep -Eq '\((RPATH|RUNPATH)\)' <<<"$dynamic" || echo RPATH
  ! grep -q '(TEXTREL)' <<<"$dynamic" || echo TEXTREL
}

# A program with all of it, and each of those without one.
hard=(-O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE -pie -z relro -z now)
cat >"$work/program.c" <<'EOT'
#include <string.h>
int main(int count, char **arguments) {
    char text[64];
    (void)count;
    strcpy(text, arguments[0]);
    return text[63];
}
EOT
proves() {  # WHAT FLAGS...: it is missed, and nothing else is
  local what=$1 found
  shift
  gcc -w "${hard[@]}" "$@" -o "$work/program" "$work/program.c"
  found=$(lacks "$work/program" | tr '\n' ' ')
  if [ "${found% }" = "$what" ]; then echo "ok a program without ${what:-nothing}"; else
    echo "not ok a program without ${what:-nothing}: found ${found:-nothing}"
    return 1
  fi
}
failed=0
proves "" || failed=1
proves PIE -fno-PIE -no-pie || failed=1
proves RELRO -z norelro || failed=1
proves BIND_NOW -z lazy || failed=1
proves NX -z execstack || failed=1
proves STACK_PROTECTOR -fno-stack-protector || failed=1
proves FORTIFY -U_FORTIFY_SOURCE || failed=1
proves RPATH -Wl,-rpath=/tmp || failed=1

count=0
for program in "$folder"/*; do
  [ -f "$program" ] && [ -x "$program" ] || continue
  count=$((count + 1))
  found=$(lacks "$program" | tr '\n' ' ')
  if [ -z "$found" ]; then echo "ok ${program##*/}"; else echo "not ok ${program##*/}: without ${found% }" && failed=1; fi
done
[ "$count" -gt 0 ] || { echo "not ok no program in $folder"; failed=1; }
exit "$failed"
