/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The documents of a file, checked as a whole. Used by the verbs that take -f.
 */
#pragma once

#include "client/cli/cli.h"
#include "core/document/document.h"

/*
 * Reads FILE, or standard input where it is "-". Returns 0 and at least one request, or the exit
 * status after a sentence for each mistake.
 */
int documents_load(const char *file, struct document_set *ret);
