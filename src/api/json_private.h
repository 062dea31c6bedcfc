/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON in and out with the limits of the door. Used by the files of this folder.
 */
#pragma once

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"

#define API_DEPTH_MAX 32

/*
 * *ret is an object. The text is counted before it is parsed, so that neither depth nor a flood of
 * tiny values can cost more than `values_max` of jansson's: -EBADMSG. Out of memory is -ENOMEM, or
 * -EBADMSG where jansson calls it a syntax error, as it does in the middle of a string.
 */
int api_json_load(struct bytes text, size_t values_max, json_t **ret, struct err *err);

/* *ret is compact text with its NUL, counted by *ret_len. -EMSGSIZE: longer than max; -ENOMEM. */
int api_json_dump(const json_t *value, size_t max, char **ret, size_t *ret_len, struct err *err);

/* Any bytes as a JSON string; those above 127 become '?' where they are not UTF-8. */
json_t *api_json_text(const char *text);
