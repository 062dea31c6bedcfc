// SPDX-License-Identifier: Apache-2.0
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int as_error(int code)
{
	if (code == 0)
		return -EIO;
	return code < 0 ? code : -code;
}

int err_set(struct err *err, int code, const char *format, ...)
{
	va_list ap;

	code = as_error(code);
	if (!err)
		return code;
	err->code = code;
	va_start(ap, format);
	vsnprintf(err->text, sizeof(err->text), format, ap);
	va_end(ap);
	return code;
}

int err_set_errno(struct err *err, int code, const char *format, ...)
{
	va_list ap;
	size_t used;

	code = as_error(code);
	if (!err)
		return code;
	err->code = code;
	va_start(ap, format);
	vsnprintf(err->text, sizeof(err->text), format, ap);
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror(-code));
	return code;
}

int err_wrap(struct err *err, int code, const char *format, ...)
{
	char old[ERR_TEXT_MAX];
	va_list ap;
	size_t used;

	code = as_error(code);
	if (!err)
		return code;
	if (!err->code)
		err->code = code;
	memcpy(old, err->text, sizeof(old));
	va_start(ap, format);
	vsnprintf(err->text, sizeof(err->text), format, ap);
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", old);
	return code;
}
