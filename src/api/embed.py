# SPDX-License-Identifier: Apache-2.0
"""Writes a text file as a C string: embed.py IN OUT NAME."""

import sys

source, target, name = sys.argv[1:]
with open(source, encoding="utf-8") as f:
    lines = f.read().splitlines()
with open(target, "w", encoding="utf-8") as f:
    f.write(f'#include "api/service.h"\n\nconst char {name}[] =\n')
    for line in lines:
        escaped = line.replace("\\", "\\\\").replace('"', '\\"')
        f.write(f'\t"{escaped}\\n"\n')
    f.write(";\n")
