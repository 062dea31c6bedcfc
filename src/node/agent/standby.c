// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel lets go of a lock however its process ends, and wakes who waits for it: there is nothing
 * to poll. The wait is a thread's, so that the loop hears of signals.
 */
#include "node/agent/standby.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/cleanup.h"
#include "node/agent/agent.h"

#define INTERRUPT SIGUSR1

static void *wait_for_lock(void *arg)
{
	struct standby *s = arg;

	s->result = store_wait(s->fd);
	uv_async_send(&s->over);
	return NULL;
}

static void on_over(uv_async_t *over)
{
	struct agent *a = container_of(over, struct agent, standby.over);

	a->standby.is_over = true;
	uv_stop(&a->loop);
}

void standby_init(struct agent *a)
{
	a->standby.fd = -EBADF;
	uv_async_init(&a->loop, &a->standby.over, on_over);
}

void standby_fini(struct agent *a)
{
	cleanup_close_p(&a->standby.fd);
}

static void ignore_signal(int number)
{
}

/* All signals but the one that ends its wait are the loop's. */
static int thread_start(struct standby *s, pthread_t *ret)
{
	struct sigaction interrupt = { .sa_handler = ignore_signal }; /* without SA_RESTART */
	sigset_t all, old;
	int r;

	sigaction(INTERRUPT, &interrupt, NULL);
	sigfillset(&all);
	sigdelset(&all, INTERRUPT);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(ret, NULL, wait_for_lock, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -r;
}

/*
 * Not by pthread_cancel(3), for which glibc loads libgcc_s: that is not in the image. A signal before
 * the thread waits would be lost, so it comes again.
 */
static void thread_end(pthread_t thread)
{
	static const struct timespec pause = { .tv_nsec = NSEC_PER_MSEC };

	while (pthread_tryjoin_np(thread, NULL) != 0) {
		pthread_kill(thread, INTERRUPT);
		nanosleep(&pause, NULL);
	}
}

static int wait_in_loop(struct agent *a, struct err *err)
{
	struct standby *s = &a->standby;
	pthread_t thread;
	int r = thread_start(s, &thread);

	if (r < 0)
		return err_set_errno(err, r, "start the thread that waits for the store");
	s->is_over = false;
	while (!s->is_over && !a->told_to_end)
		uv_run(&a->loop, UV_RUN_DEFAULT);
	thread_end(thread);
	if (a->told_to_end)
		return 1;
	return s->result < 0 ? err_set_errno(err, s->result, "wait for the store") : 0;
}

int standby_wait(struct agent *a, struct err *err)
{
	int r = store_stand_by(a->config.state_dir, &a->standby.fd, err);

	return r < 0 ? r : wait_in_loop(a, err);
}
