/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libtakt: a client of the Takt agent's control socket. Programs use it to reserve CPU time, and
 * to put their own threads under the reservation of the container that they run in.
 *
 * Calls block until the agent answers or the time-out of the handle has passed. They return 0 or
 * a negative errno; takt_error() then has one sentence for people. A handle is for one thread at a
 * time, any number of handles can be used at once. The manual is libtakt(3).
 */
#ifndef TAKT_TAKT_H
#define TAKT_TAKT_H

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TAKT_SOCKET_DEFAULT "/run/takt/takt.sock"
#define TAKT_TIMEOUT_DEFAULT_MS 10000

struct takt;

/*
 * A handle for the agent at this path; NULL means $TAKT_SOCKET, or TAKT_SOCKET_DEFAULT where that
 * is unset or empty. It only makes the handle: the first call connects, as does the next one after
 * the connection broke. -EINVAL: the path is longer than a socket's may be (unix(7)); -ENOMEM.
 */
int takt_open(struct takt **ret, const char *socket);

/* Accepts NULL. */
void takt_close(struct takt *t);

/* How long a call may take in all, in milliseconds; negative: for ever. */
void takt_set_timeout(struct takt *t, int timeout_ms);

/* The path that the handle connects to. */
const char *takt_socket(const struct takt *t);

/* Why the last call on this handle failed, in one sentence, without a newline; "" if it did not. */
const char *takt_error(const struct takt *t);

/* The agent's own name for it, "rt.takt.DoesNotFit"; "" if the error was not the agent's. */
const char *takt_error_name(const struct takt *t);

/*
 * Any call of the interface rt.takt, as rt.takt.varlink describes it: `method` with the
 * interface in front, "rt.takt.List"; `parameters` is the text of a JSON object or NULL for none.
 * *ret_reply is the reply's parameters as text, to be freed by free(); NULL if it is not wanted.
 *
 * What the agent refuses becomes -ENOSPC (DoesNotFit), -ESRCH (NoSuchReservation), -EEXIST
 * (Exists), -EBUSY (Busy), -EINVAL (BadDocument, BadArgument), -EPERM (NotPermitted), -EOPNOTSUPP
 * (NotApplicable), -EIO (Failed) or -ENOSYS (it does not know the call). An agent that cannot be
 * reached is -ENOENT or -ECONNREFUSED, one that may not be -EACCES, one that goes away during
 * the call -ECONNRESET, one that does not answer -ETIMEDOUT, one that breaks the protocol -EPROTO.
 */
int takt_call(struct takt *t, const char *method, const char *parameters, char **ret_reply);

/*
 * As takt_call() for a call with many replies ("rt.takt.Watch"): each goes to `each`, whose value
 * other than 0 ends the call and is returned. The time-out is for the first reply only. 0: the
 * agent said that there is no more.
 */
typedef int takt_each_fn(const char *reply, void *data);
int takt_call_more(
	struct takt *t, const char *method, const char *parameters, takt_each_fn *each, void *data);

/*
 * Promises what the document asks for: the text of takt-reservation(5) as JSON. *ret_device is
 * the CDI device name of the promise, to be freed by free(); NULL if it is not wanted.
 */
int takt_reserve(struct takt *t, const char *document, char **ret_device);

/* Ends the promise of that name. */
int takt_release(struct takt *t, const char *name);

/*
 * Puts a thread under a reservation; when it returns 0, the thread runs under SCHED_DEADLINE.
 * `name` NULL: the container's own, by the socket that is mounted in it. `tid` 0: the thread that
 * calls. takt_detach() takes it out again.
 */
int takt_attach(struct takt *t, const char *name, pid_t tid);
int takt_detach(struct takt *t, const char *name, pid_t tid);

#ifdef __cplusplus
}
#endif

#endif
