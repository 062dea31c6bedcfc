/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owning locals: each carries a cleanup attribute and is initialised where it is declared;
 * ownership leaves by TAKE(). Everybody uses it.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <dirent.h>
#include <jansson.h>

/* The value of an owning variable, which is empty afterwards. */
#define TAKE(ptr)                               \
	({                                      \
		__auto_type take_value = (ptr); \
		(ptr) = NULL;                   \
		take_value;                     \
	})

/* The same for a file descriptor: unset is -1. */
#define TAKE_FD(fd)                    \
	({                             \
		int take_value = (fd); \
		(fd) = -1;             \
		take_value;            \
	})

/* Makes NAME##_p for __attribute__((cleanup)), given a destructor that accepts NULL. */
#define CLEANUP_DEFINE(type, destructor)           \
	static inline void destructor##_p(type *p) \
	{                                          \
		if (*p)                            \
			destructor(*p);            \
	}

static inline void cleanup_free_p(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

CLEANUP_DEFINE(FILE *, fclose)
CLEANUP_DEFINE(DIR *, closedir)
CLEANUP_DEFINE(json_t *, json_decref)

#define cleanup_free __attribute__((cleanup(cleanup_free_p)))
#define cleanup_fd __attribute__((cleanup(cleanup_close_p)))
#define cleanup_file __attribute__((cleanup(fclose_p)))
#define cleanup_dir __attribute__((cleanup(closedir_p)))
#define cleanup_json __attribute__((cleanup(json_decref_p)))

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
