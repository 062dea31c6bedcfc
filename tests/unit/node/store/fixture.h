/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A state folder of its own, and what is in the store as text that can be compared. For the
 * tests of this folder.
 */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/store/store.h"

#define FIXTURE_TEXT_MAX (64 << 10)

static char fixture_top[64], fixture_dir[256];

static inline int fixture_unlink(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

__attribute__((destructor)) static inline void fixture_remove(void)
{
	if (fixture_top[0])
		nftw(fixture_top, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
	fixture_top[0] = '\0';
}

/*
 * A path for a state folder that is not there yet; what was there is removed. In memory where
 * that can be had: some tests commit ten thousand times.
 */
static inline const char *fixture_new(void)
{
	fixture_remove();
	snprintf(fixture_top, sizeof(fixture_top), "%s/takt-store-XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(fixture_top))
		abort();
	snprintf(fixture_dir, sizeof(fixture_dir), "%s/state", fixture_top);
	return fixture_dir;
}

static inline const char *fixture_path(const char *file)
{
	static char path[900];

	snprintf(path, sizeof(path), "%s/%s", fixture_dir, file);
	return path;
}

/* Opens it, or ends the test with the sentence. */
static inline struct store *fixture_open(struct store_opened *report)
{
	struct err err = ERR_NULL;
	struct store_opened unused;
	struct store *s = NULL;

	if (store_open(fixture_dir, "boot-1", &s, report ?: &unused, &err) < 0)
		fail_msg("%s", err.text);
	return s;
}

static inline struct store_resv fixture_resv(const char *name)
{
	struct store_resv resv = {
		.document = "{\"kind\":\"Reservation\"}",
		.placement = PLACEMENT_SHARED,
		.test = "gfb",
		.reason = "it fits",
		.has_bound = true,
		.bound_ns = 20000000,
		.created_ms = 1700000000123,
	};

	snprintf(resv.name, sizeof(resv.name), "%s", name);
	return resv;
}

static inline struct change fixture_change(const char *name, const char *what)
{
	return (struct change){ .at_ms = 1, .name = name, .what = what, .why = "a test" };
}

static inline int fixture_reserve(struct store *s, const char *name, struct err *err)
{
	struct store_resv resv = fixture_resv(name);
	struct change change = fixture_change(name, "reserved");

	return store_reserve(s, &resv, &change, err);
}

static inline int fixture_each(void *ctx, const struct store_resv *r)
{
	char *text = ctx, *at = text + strlen(text);

	snprintf(at, FIXTURE_TEXT_MAX - (at - text), "%s%s%s ", r->name, r->transient ? "~" : "",
		r->shareable ? "+" : "");
	return 0;
}

static inline int fixture_each_binding(void *ctx, const char *name, const struct store_binding *b)
{
	char *text = ctx, *at = text + strlen(text);

	snprintf(at, FIXTURE_TEXT_MAX - (at - text), "%s@%s!%d ", name, b->container ?: "",
		(int)b->pid);
	return 0;
}

static inline int fixture_each_thread(void *ctx, const struct store_thread *t)
{
	char *text = ctx, *at = text + strlen(text);

	snprintf(at, FIXTURE_TEXT_MAX - (at - text), "%s:%d/%llu ", t->name, (int)t->tid,
		(unsigned long long)t->start);
	return 0;
}

/* "NAME[~][+] ... NAME@CONTAINER!PID ... NAME:TID/START ... ": '~' is transient, '+' shareable. */
static inline const char *fixture_content(struct store *s)
{
	static const struct store_reader reader = { fixture_each, fixture_each_binding,
		fixture_each_thread };
	static char text[FIXTURE_TEXT_MAX];
	struct err err = ERR_NULL;

	text[0] = '\0';
	if (store_load(s, &reader, text, &err) != 0)
		fail_msg("%s", err.text);
	return text;
}

static inline int fixture_each_change(void *ctx, const struct change *change)
{
	char *text = ctx, *at = text + strlen(text);

	snprintf(at, FIXTURE_TEXT_MAX - (at - text), "%s ", change->what);
	return 0;
}

static inline const char *fixture_history(struct store *s, const char *name)
{
	static char text[FIXTURE_TEXT_MAX];
	struct err err = ERR_NULL;

	text[0] = '\0';
	if (store_history(s, name, fixture_each_change, text, &err) != 0)
		fail_msg("%s", err.text);
	return text;
}
