// SPDX-License-Identifier: Apache-2.0
/*
 * A placeholder sleeps for ever, so it never competes; only its bandwidth counts. With a period
 * of 2^20 us, a runtime of N us is exactly N / 2^20 of a CPU in the kernel's to_ratio()
 * (kernel/sched/core.c), so nothing is lost to rounding.
 */
#include "node/kernel/holder.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "node/kernel/limit.h"
#include "node/kernel/sched.h"

#define HOLDER_PERIOD_NS ((1ull << 20) * NSEC_PER_USEC)
#define HOLDER_LEAST_Q20 2 /* the kernel's least runtime, 1024 ns, rounded up to the unit */
#define HOLDER_STACK (64 * 1024)

struct holder_thread {
	pthread_t thread;
	pid_t tid;
	sem_t ready, stop;
	uint64_t q20;
};

struct holder {
	unsigned n;
	struct holder_thread threads[];
};

static void *holder_sleep(void *arg)
{
	struct holder_thread *t = arg;

	t->tid = gettid();
	sem_post(&t->ready);
	while (sem_wait(&t->stop) < 0)
		;
	return NULL;
}

static int thread_start(struct holder_thread *t)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int r;

	sem_init(&t->ready, 0, 0);
	sem_init(&t->stop, 0, 0);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, HOLDER_STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&t->thread, &attr, holder_sleep, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (r)
		return -r;
	pthread_setname_np(t->thread, "takt-hold");
	while (sem_wait(&t->ready) < 0)
		;
	return 0;
}

int holder_create(struct holder **ret, unsigned n_cpus, struct err *err)
{
	struct holder *h = calloc(1, sizeof(*h) + n_cpus * sizeof(h->threads[0]));

	if (!h)
		return err_set(err, -ENOMEM, "out of memory");
	while (h->n < n_cpus) {
		int r = thread_start(&h->threads[h->n]);

		if (r < 0) {
			holder_destroy(h);
			return err_set_errno(err, r, "start a placeholder thread");
		}
		h->n++;
	}
	*ret = h;
	return 0;
}

static int thread_set(struct holder_thread *t, uint64_t q20)
{
	struct dl_params p = { q20 * NSEC_PER_USEC, HOLDER_PERIOD_NS, HOLDER_PERIOD_NS };
	int r = sched_set_deadline(t->tid, &p, false);

	/* Less is refused where the sum is wrong. */
	if (r == -EBUSY && q20 < t->q20) {
		limit_read();
		r = sched_set_deadline(t->tid, &p, false);
	}
	return r;
}

static int thread_hold(struct holder_thread *t, uint64_t q20)
{
	int r;

	if (q20 == t->q20)
		return 0;
	fault_point("holder.move");
	r = q20 ? thread_set(t, q20) : sched_set_normal_asleep(t->tid);
	if (r == 0)
		t->q20 = q20;
	fault_point("holder.moved");
	return r;
}

void holder_destroy(struct holder *h)
{
	if (!h)
		return;
	for (unsigned i = 0; i < h->n; i++) {
		thread_hold(&h->threads[i], 0);
		sem_post(&h->threads[i].stop);
		pthread_join(h->threads[i].thread, NULL);
		sem_destroy(&h->threads[i].ready);
		sem_destroy(&h->threads[i].stop);
	}
	free(h);
}

/* The share of thread i when the threads are filled one after the other. */
static uint64_t share(uint64_t total, unsigned i)
{
	uint64_t before = i * BW_ONE_CPU;

	if (total <= before)
		return 0;
	total -= before;
	if (total > BW_ONE_CPU)
		return BW_ONE_CPU;
	return total < HOLDER_LEAST_Q20 ? HOLDER_LEAST_Q20 : total;
}

int holder_set(struct holder *h, bw_t total)
{
	bw_t before = holder_held(h);

	if (total.q20 > h->n * BW_ONE_CPU)
		return -EBUSY;
	for (unsigned i = 0; i < h->n; i++) {
		int r = thread_hold(&h->threads[i], share(total.q20, i));

		if (r < 0) {
			while (i-- > 0)
				thread_hold(&h->threads[i], share(before.q20, i));
			return r;
		}
	}
	return 0;
}

bw_t holder_held(const struct holder *h)
{
	bw_t sum = { 0 };

	for (unsigned i = 0; i < h->n; i++)
		sum.q20 += h->threads[i].q20;
	return sum;
}

bw_t holder_limit(struct holder *h)
{
	uint64_t held = holder_held(h).q20, low = held, high = h->n * BW_ONE_CPU;

	while (low < high) {
		uint64_t middle = low + (high - low + 1) / 2;

		if (holder_set(h, (bw_t){ middle }) == 0)
			low = middle;
		else
			high = middle - 1;
	}
	holder_set(h, (bw_t){ held });
	return (bw_t){ low };
}
