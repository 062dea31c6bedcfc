// SPDX-License-Identifier: Apache-2.0
#include "core/document/document_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void reader_fini(struct reader *rd)
{
	for (size_t i = 0; i < rd->n_faults; i++)
		free(rd->faults[i].text);
	free(rd->faults);
	rd->faults = NULL;
	rd->n_faults = rd->room = 0;
}

static int faults_grow(struct reader *rd)
{
	size_t room = rd->room ? rd->room * 2 : 8;
	struct fault *grown;

	if (rd->n_faults < rd->room)
		return 0;
	grown = realloc(rd->faults, room * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	rd->faults = grown;
	rd->room = room;
	return 0;
}

/* "ORIGIN:LINE: " with the parts that there are. */
static int print_place(char *buf, size_t size, const char *origin, unsigned line)
{
	if (!origin)
		return 0;
	if (line)
		return snprintf(buf, size, "%s:%u: ", origin, line);
	return snprintf(buf, size, "%s: ", origin);
}

static int fault_keep(struct reader *rd, unsigned line, const char *sentence)
{
	size_t size = (rd->origin ? strlen(rd->origin) + 16 : 0) + strlen(sentence) + 1;
	char *text;
	int n;

	if (faults_grow(rd) < 0)
		return -ENOMEM;
	text = malloc(size);
	if (!text)
		return -ENOMEM;
	n = print_place(text, size, rd->origin, line);
	snprintf(text + n, size - n, "%s", sentence);
	rd->faults[rd->n_faults++] = (struct fault){ line, text };
	return 0;
}

int reader_fault(struct reader *rd, unsigned line, const char *format, ...)
{
	char sentence[ERR_TEXT_MAX];
	va_list ap;
	int r;

	if (rd->n_faults > DOCUMENT_FAULTS_MAX)
		return -ECANCELED;
	if (rd->n_faults == DOCUMENT_FAULTS_MAX) {
		snprintf(sentence, sizeof(sentence),
			"there are more than %d mistakes; reading stopped here",
			DOCUMENT_FAULTS_MAX);
		r = fault_keep(rd, line, sentence);
		return r < 0 ? r : -ECANCELED;
	}
	va_start(ap, format);
	vsnprintf(sentence, sizeof(sentence), format, ap);
	va_end(ap);
	return fault_keep(rd, line, sentence);
}

/* By line; what is of no line first. Equal ones keep their order. */
static void faults_sort(struct fault *faults, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct fault f = faults[i];
		size_t to = i;

		for (; to > 0 && faults[to - 1].line > f.line; to--)
			faults[to] = faults[to - 1];
		faults[to] = f;
	}
}

int reader_finish(struct reader *rd, struct document_faults *ret, struct err *err)
{
	char **text;
	size_t n = rd->n_faults;

	if (n == 0)
		return 0;
	text = calloc(n, sizeof(*text));
	if (!text)
		return err_set(err, -ENOMEM, "out of memory");
	faults_sort(rd->faults, n);
	for (size_t i = 0; i < n; i++)
		text[i] = TAKE(rd->faults[i].text);
	*ret = (struct document_faults){ text, n };
	if (n == 1)
		return err_set(err, -EINVAL, "%s", text[0]);
	return err_set(err, -EINVAL, "%s (and %zu more)", text[0], n - 1);
}
