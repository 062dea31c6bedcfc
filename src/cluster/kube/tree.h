/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A YAML document as a tree of JSON values: maps, lists, and text; a plain true or false is a
 * boolean, a plain null is null, all other scalars stay text. Used by config.c.
 */
#pragma once

#include <jansson.h>

#include "base/bytes.h"
#include "base/err.h"

#define KUBE_TREE_DEPTH_MAX 32
#define KUBE_TREE_VALUES_MAX 20000

/*
 * The first document of `text`; json_decref() it. -EINVAL: not YAML, or something in it that a
 * kubeconfig does not need (anchors, aliases, tags, keys that are not text, a key twice, more
 * than the limits above); the sentence begins with the line. -ENOMEM.
 */
int kube_tree_parse(struct bytes text, json_t **ret, struct err *err);
