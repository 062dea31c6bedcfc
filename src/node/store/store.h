/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What we promised, on disk: reservations, what is bound to them, and their history, in SQLite.
 * Used by the agent alone, from one thread at a time; every call may wait for the disk.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "core/model/info.h"
#include "core/model/resv.h"

#define STORE_FILE "takt.db"
#define STORE_HISTORY_MAX 10000 /* changes kept, the newest */
#define STORE_HISTORY_NAME_MAX 1000 /* of them, of one reservation */

struct store;

/* Who holds a reservation; of a shareable one there may be several. */
struct store_binding {
	const char *container; /* NULL: none; so the next */
	const char *cgroup;
	pid_t pid;
	uint64_t pid_start; /* clock ticks since boot: starttime in /proc/PID/stat, proc(5) */
	uint64_t program; /* a number for what pid ran when it was bound */
	bool by_attach; /* it came by threads put in by hand */
	enum bind_via via;
};

/* Points to memory of the caller, or, in a callback, to memory that lives as long as the call. */
struct store_resv {
	char name[RESV_NAME_MAX + 1];
	const char *document; /* JSON text */
	enum placement placement; /* PLACEMENT_NONE on load: one that this version does not know */
	const char *test; /* the admission test that decided; may be NULL */
	const char *reason; /* its sentence; may be NULL */
	bool has_bound;
	nsec_t bound_ns;
	bool transient; /* ends with what holds it, see rt.takt.varlink */
	bool shareable; /* several may hold it */
	int64_t created_ms; /* since the epoch */
	const char *cpus; /* those of its servers, in the list format of cpus.h; NULL: none */
};

/* A thread put in by hand. */
struct store_thread {
	char name[RESV_NAME_MAX + 1]; /* of the reservation */
	pid_t tid;
	uint64_t start; /* as pid_start */
};

/* What store_open() found. */
struct store_opened {
	bool created; /* there was none, or none that could be read */
	bool rebooted; /* bindings, threads and probes of the earlier boot were dropped */
	char set_aside[NAME_MAX + 1]; /* new name of a damaged or foreign file; "": none */
	char why[256]; /* what was wrong with it */
};

/*
 * Opens DIR/takt.db, and makes both where they are missing (mode 0700 and 0600). What is there
 * and cannot be our database is renamed to takt.db.damaged-TIME and a new one begun.
 *
 * -EAGAIN: another agent uses the folder. -EBUSY: another program has the database open.
 * -EPROTONOSUPPORT: a newer Takt wrote it; it is left as it is. -EPERM: others may write to the
 * folder. -EROFS, -ENOSPC, -EIO, -ENOMEM as they say.
 */
int store_open(const char *dir, const char *boot_id, struct store **ret,
	struct store_opened *ret_report, struct err *err);
void store_close(struct store *s); /* accepts NULL */

/*
 * To be called between two calls, once the first is answered: copies the log into the database if it is
 * long, which costs two fsync(2). Left out, one of the next calls does it.
 */
void store_tidy(struct store *s);

/*
 * For an agent that store_open() told -EAGAIN and that waits: takt-hook remove now sees that somebody
 * stands by. *ret_fd is for store_wait().
 */
int store_stand_by(const char *dir, int *ret_fd, struct err *err);

/*
 * Returns when no other agent uses the folder, however long that takes. From then on it is this
 * process's, for store_open() too, as long as fd is open: closing it ends all of a process's locks
 * of a file (fcntl(2)). -EINTR: a signal's handler was run.
 */
int store_wait(int fd);

/*
 * Each of these is one transaction with its history row `change` (NULL: none). Promises are on
 * disk when the call returns 0; what ends with the boot (bind, unbind, attach, detach) is then
 * safe from a crash of the program, not of the machine. When it returns an error nothing has
 * changed, and the next call may work; only what the disk refused to sync (-EIO) may be found again
 * by a start before that call.
 * -ENOENT: no such reservation. -ENOSPC: no room. -EROFS: read-only disk. -EIO, -ENOMEM.
 * -EBADMSG: the file was damaged while in use. -EMSGSIZE: a text is longer than 1 MiB.
 */
int store_reserve(struct store *s, const struct store_resv *resv, const struct change *change,
	struct err *err); /* also -EEXIST */
/* Of a process that is bound already it changes the container's name and the way. */
int store_bind(struct store *s, const char *name, const struct store_binding *binding,
	const struct change *change, struct err *err);
/* The one with that first process; with the last one go its threads. */
int store_unbind(struct store *s, const char *name, pid_t pid, uint64_t pid_start,
	const struct change *change, struct err *err);
/* Its threads go with it; its history stays. */
/* lazy: it is not waited for the disk, as if it ended with the boot. */
int store_release(
	struct store *s, const char *name, bool lazy, const struct change *change, struct err *err);
/* A thread is in one reservation: the last one it was put in. */
int store_attach(struct store *s, const char *name, pid_t tid, uint64_t start,
	const struct change *change, struct err *err);
/* A thread that is not there is no error. */
int store_detach(
	struct store *s, const char *name, pid_t tid, const struct change *change, struct err *err);
int store_change(struct store *s, const struct change *change, struct err *err);

struct store_reader {
	int (*resv)(void *ctx, const struct store_resv *resv);
	int (*binding)(void *ctx, const char *name, const struct store_binding *binding);
	int (*thread)(void *ctx, const struct store_thread *thread);
};

/*
 * All reservations, then all bindings, then all threads, in the order in which they were made. A
 * callback that returns non-zero ends the walk, and its value is returned; it must not call the
 * store.
 */
int store_load(struct store *s, const struct store_reader *reader, void *ctx, struct err *err);
/* Oldest first. */
int store_history(struct store *s, const char *name,
	int (*each)(void *ctx, const struct change *change), void *ctx, struct err *err);

/* What was found out in this boot. *ret is the caller's to free; NULL: not known. */
int store_probe_get(struct store *s, const char *key, char **ret, struct err *err);
int store_probe_put(struct store *s, const char *key, const char *value, struct err *err);
