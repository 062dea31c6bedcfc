/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base64 as the *-data fields of a kubeconfig carry it. Used by config.c.
 */
#pragma once

#include <stddef.h>

/*
 * RFC 4648, section 4; white space between the letters is skipped, as YAML may fold lines. *ret
 * has a NUL behind it; free() it. -EINVAL: this is not base64. -ENOMEM.
 */
int kube_base64_decode(const char *text, char **ret, size_t *ret_len);
