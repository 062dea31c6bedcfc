// SPDX-License-Identifier: Apache-2.0
#include "client/cli/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "client/cli/options.h"
#include "client/cli/number.h"

struct resv_request request_default(void)
{
	return (struct resv_request){
		.cores = 1,
		.guarantee = GUARANTEE_HARD,
		.placement = PLACEMENT_AUTO,
		.threads = THREADS_MAIN,
	};
}

static int set_cores(struct resv_request *q, const char *value, struct err *err)
{
	uint64_t n;
	int r = number_parse(value, 1, RESV_CORES_MAX, &n, err);

	if (r < 0)
		return err_wrap(err, r, "--cores");
	q->cores = (unsigned)n;
	return 0;
}

static int set_guarantee(struct resv_request *q, const char *value, struct err *err)
{
	q->guarantee = guarantee_parse(value);
	if (q->guarantee == GUARANTEE_NONE)
		return err_set(
			err, -EINVAL, "--guarantee: \"%.32s\" is neither hard nor soft", value);
	return 0;
}

static int set_placement(struct resv_request *q, const char *value, struct err *err)
{
	q->placement = placement_parse(value);
	if (q->placement == PLACEMENT_NONE)
		return err_set(err, -EINVAL,
			"--placement: \"%.32s\" is not one of auto, shared, exclusive, group, pinned",
			value);
	return 0;
}

static int add_pattern(struct resv_request *q, const char *at, size_t len, struct err *err)
{
	if (len == 0 || len >= THREAD_NAME_LEN)
		return err_set(err, -EINVAL,
			"--threads: a pattern has 1 to %d characters, as the name of a thread",
			THREAD_NAME_LEN - 1);
	if (q->n_patterns == RESV_PATTERNS_MAX)
		return err_set(err, -EINVAL, "--threads: more than %d patterns", RESV_PATTERNS_MAX);
	memcpy(q->patterns[q->n_patterns], at, len);
	q->patterns[q->n_patterns++][len] = '\0';
	return 0;
}

static int set_patterns(struct resv_request *q, const char *list, struct err *err)
{
	q->threads = THREADS_MATCH;
	for (;;) {
		size_t len = strcspn(list, ",");
		int r = add_pattern(q, list, len, err);

		if (r < 0 || !list[len])
			return r;
		list += len + 1;
	}
}

static int set_threads(struct resv_request *q, const char *value, struct err *err)
{
	static const enum thread_rule plain[] = { THREADS_MAIN, THREADS_ATTACH, THREADS_ALL };
	static const char match[] = "match=";

	memset(q->patterns, 0, sizeof(q->patterns));
	q->n_patterns = 0;
	if (strncmp(value, match, strlen(match)) == 0)
		return set_patterns(q, value + strlen(match), err);
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		if (strcmp(value, thread_rule_name(plain[i])) != 0)
			continue;
		q->threads = plain[i];
		return 0;
	}
	return err_set(err, -EINVAL,
		"--threads: \"%.32s\" is not one of main, attach, all, match=PATTERN", value);
}

static bool has_label(const struct resv_request *q, const char *key, size_t len)
{
	for (size_t i = 0; i < q->n_labels; i++)
		if (strlen(q->labels[i].key) == len && memcmp(q->labels[i].key, key, len) == 0)
			return true;
	return false;
}

static int label_check(
	const struct resv_request *q, const char *text, size_t key_len, struct err *err)
{
	if (text[key_len] != '=' || key_len == 0)
		return err_set(err, -EINVAL, "--label: \"%.32s\" is not KEY=VALUE", text);
	if (key_len > RESV_LABEL_KEY_MAX || strlen(text + key_len + 1) > RESV_LABEL_VALUE_MAX)
		return err_set(err, -EINVAL,
			"--label: a key has up to %d bytes and a value up to %d",
			RESV_LABEL_KEY_MAX, RESV_LABEL_VALUE_MAX);
	if (has_label(q, text, key_len))
		return err_set(
			err, -EINVAL, "--label: \"%.*s\" is given twice", (int)key_len, text);
	if (q->n_labels == RESV_LABELS_MAX)
		return err_set(err, -EINVAL, "--label: more than %d labels", RESV_LABELS_MAX);
	return 0;
}

static int add_label(struct resv_request *q, const char *text, struct err *err)
{
	size_t key_len = strcspn(text, "=");
	struct resv_label *labels;
	int r = label_check(q, text, key_len, err);

	if (r < 0)
		return r;
	labels = reallocarray(q->labels, q->n_labels + 1, sizeof(*labels));
	if (!labels)
		return err_set(err, -ENOMEM, "out of memory");
	q->labels = labels;
	labels[q->n_labels] = (struct resv_label){ 0 };
	memcpy(labels[q->n_labels].key, text, key_len);
	strcpy(labels[q->n_labels].value, text + key_len + 1);
	q->n_labels++;
	return 0;
}

static int set_time(nsec_t *ret, const char *option, const char *value, struct err *err)
{
	uint64_t ns;
	int r = duration_parse(value, &ns, err);

	if (r < 0)
		return err_wrap(err, r, "--%s", option);
	*ret = ns;
	return 0;
}

static int set_option(struct resv_request *q, int key, const char *value, struct err *err)
{
	switch (key) {
	case 'q':
		return set_time(&q->dl.runtime_ns, "runtime", value, err);
	case 'p':
		return set_time(&q->dl.period_ns, "period", value, err);
	case 'd':
		return set_time(&q->dl.deadline_ns, "deadline", value, err);
	case 'c':
		return set_cores(q, value, err);
	case 'g':
		return set_guarantee(q, value, err);
	case 't':
		return set_threads(q, value, err);
	case 'l':
		return add_label(q, value, err);
	case OPTION_PLACEMENT:
		return set_placement(q, value, err);
	case OPTION_RECLAIM:
		q->reclaim = true;
		return 0;
	default:
		return -ENOENT;
	}
}

int request_option(struct resv_request *q, int key, const char *value, struct err *err)
{
	int r = set_option(q, key, value, err);

	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : 1;
}

static int by_key(const void *x, const void *y)
{
	const struct resv_label *a = x, *b = y;

	return strcmp(a->key, b->key);
}

int request_finish(struct resv_request *q, const char *name, struct err *err)
{
	if (strlen(name) > RESV_NAME_MAX)
		return err_set(err, -EINVAL, "a name has at most %d characters", RESV_NAME_MAX);
	strcpy(q->name, name);
	if (!q->dl.runtime_ns)
		return err_set(err, -EINVAL, "the runtime is missing: -q 4ms");
	if (!q->dl.period_ns)
		return err_set(err, -EINVAL, "the period is missing: -p 20ms");
	if (q->n_labels)
		qsort(q->labels, q->n_labels, sizeof(*q->labels), by_key);
	if (!q->dl.deadline_ns)
		q->dl.deadline_ns = q->dl.period_ns;
	return resv_request_check(q, err);
}
