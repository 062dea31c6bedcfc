// SPDX-License-Identifier: Apache-2.0
/*
 * A program that puts one of its own threads under a reservation: 2 ms of work every 10 ms.
 *
 *     cc -o attach attach.c $(pkg-config --cflags --libs takt) -pthread
 *
 *     takt reserve loop -q 2.5ms -p 10ms -t attach
 *     podman run --device rt.takt.dev/reservation=loop ... attach      in its container
 *     attach loop                                                      without one, as root
 *
 * Only the worker is under the reservation: the main thread, which prints, stays where it was.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <takt/takt.h>

#define JOBS 300
#define WORK_NS 2000000LL
#define PERIOD_NS 10000000LL
#define NS_PER_SEC 1000000000LL

struct worker {
	const char *name; /* of the reservation; NULL: this container's */
	int failed;
	long long response_ns[JOBS];
};

static long long now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

static void sleep_until(long long at_ns)
{
	struct timespec t = { at_ns / NS_PER_SEC, at_ns % NS_PER_SEC };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0)
		;
}

/* So much CPU time of its own, however long that takes. */
static void work(void)
{
	long long end_ns = now_ns(CLOCK_THREAD_CPUTIME_ID) + WORK_NS;

	while (now_ns(CLOCK_THREAD_CPUTIME_ID) < end_ns)
		;
}

/* The thread attaches itself: neither its id nor a name is needed in a container. */
static int attach_me(const char *name)
{
	struct takt *takt;
	int r = takt_open(&takt, NULL);

	if (r < 0) {
		fprintf(stderr, "attach: %s\n", strerror(-r));
		return r;
	}
	r = takt_attach(takt, name, 0);
	if (r < 0)
		fprintf(stderr, "attach: %s\n", takt_error(takt));
	takt_close(takt);
	return r;
}

static void *run_worker(void *data)
{
	struct worker *w = data;
	long long release_ns;

	w->failed = attach_me(w->name) < 0;
	if (w->failed)
		return NULL;
	release_ns = now_ns(CLOCK_MONOTONIC) + PERIOD_NS;
	for (int i = 0; i < JOBS; i++, release_ns += PERIOD_NS) {
		sleep_until(release_ns);
		work();
		w->response_ns[i] = now_ns(CLOCK_MONOTONIC) - release_ns;
	}
	return NULL;
}

static int by_size(const void *x, const void *y)
{
	const long long *a = x, *b = y;

	return (*a > *b) - (*a < *b);
}

static void print(struct worker *w)
{
	int missed = 0;

	for (int i = 0; i < JOBS; i++) {
		printf("job %3d: %7.3f ms\n", i, (double)w->response_ns[i] / 1e6);
		missed += w->response_ns[i] > PERIOD_NS;
	}
	qsort(w->response_ns, JOBS, sizeof(w->response_ns[0]), by_size);
	printf("%d jobs, median %.3f ms, worst %.3f ms, %d missed\n", JOBS,
		(double)w->response_ns[JOBS / 2] / 1e6, (double)w->response_ns[JOBS - 1] / 1e6,
		missed);
}

int main(int argc, char **argv)
{
	struct worker w = { .name = argc > 1 ? argv[1] : NULL };
	pthread_t thread;

	if (pthread_create(&thread, NULL, run_worker, &w) != 0) {
		fprintf(stderr, "attach: cannot make a thread\n");
		return EXIT_FAILURE;
	}
	pthread_join(thread, NULL);
	if (w.failed)
		return EXIT_FAILURE;
	print(&w);
	return EXIT_SUCCESS;
}
