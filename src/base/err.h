/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An error is a negative errno for the program and one sentence for the person. Everybody uses
 * it: the origin writes the sentence, each caller that knows more puts one fact in front.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#define ERR_TEXT_MAX 512

/* Owned by the caller, never allocates; every function takes NULL for "no sentence wanted". */
struct err {
	int code; /* negative errno; 0: nothing happened yet */
	char text[ERR_TEXT_MAX];
};

#define ERR_NULL ((struct err){ 0 })

/*
 * Writes the sentence and returns the code, which is made negative (and -EIO where it was 0), so
 * that `return err_set(...)` never reports success. When the code is one that strerror(3) knows
 * and the format ends in "%m"-like wording is not wanted, use err_set_errno instead.
 */
int err_set(struct err *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As err_set, and appends ": " and strerror(code). */
int err_set_errno(struct err *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "PREFIX: " in front of the sentence that is there; returns err's code or `code`. */
int err_wrap(struct err *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
