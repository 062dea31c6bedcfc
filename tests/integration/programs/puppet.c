// SPDX-License-Identifier: Apache-2.0
/*
 * A program that does as it is told, for tests: puppet SOCKET connects there (SOCK_SEQPACKET), says
 * "hello", and obeys one command a packet, each answered by "ok ..." or "error SENTENCE":
 *
 *   start NAME             a thread of that name begins (in the first thread: "main")
 *   do THREAD VERB [WORD]  that thread does it:
 *     rename NAME          takes another name for the kernel; it keeps NAME's place here
 *     end                  ends; ending "main" leaves the process to the others
 *     fork / daemon        a child / an orphaned grandchild connects by itself and obeys
 *     exec [PROGRAM]       becomes this program, or a copy of it, anew on the same connection:
 *                          "hello" again
 *     policy               tells its scheduling policy, as it sees it itself
 *     attach / detach      puts itself in and out by libtakt, as the container's own
 *     call METHOD [JSON]   any call by libtakt; tells the reply
 *     burn                 never yields from now on
 *   quit STATUS            the process exits
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <takt/takt.h>
#include <unistd.h>

#define THREADS_MAX 64
#define NAME_LEN 16
#define PACKET_MAX 8192
#define FD_VARIABLE "PUPPET_FD"

struct actor {
	char name[NAME_LEN];
	pthread_cond_t wake;
	char *order; /* what it shall do; NULL: nothing */
	bool used;
};

static struct actor actors[THREADS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *stage;
static char *self;
static int connection = -1;

__attribute__((format(printf, 1, 2))) static void answer(const char *format, ...)
{
	char text[PACKET_MAX];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (n >= (int)sizeof(text))
		n = sizeof(text) - 1;
	if (send(connection, text, n, MSG_NOSIGNAL) != n)
		_exit(3);
}

static void join_stage(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	connection = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", stage);
	if (connection < 0 ||
		connect(connection, (struct sockaddr *)&address, sizeof(address)) < 0) {
		perror(stage);
		_exit(2);
	}
	answer("hello");
}

static void obey(void);

/* The child of a thread is a process of one thread, "main". */
static void be_child(void)
{
	close(connection);
	memset(actors, 0, sizeof(actors));
	pthread_mutex_init(&lock, NULL);
	join_stage();
	obey();
}

static void do_fork(bool twice)
{
	pid_t pid = fork();

	if (pid == 0 && (!twice || fork() == 0))
		be_child();
	if (pid == 0)
		_exit(0);
	if (pid > 0 && twice)
		waitpid(pid, NULL, 0);
	if (pid < 0)
		answer("error fork: %s", strerror(errno));
	else
		answer("ok %d", pid);
}

static void do_exec(char *program)
{
	char number[16];
	char *argv[] = { program, (char *)stage, NULL };

	snprintf(number, sizeof(number), "%d", connection);
	setenv(FD_VARIABLE, number, 1);
	execv(program, argv);
	answer("error exec: %s", strerror(errno));
}

static int policy(void)
{
	return sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
}

static void do_thread(bool on)
{
	struct takt *t;
	int r = takt_open(&t, NULL);

	if (r == 0)
		r = on ? takt_attach(t, NULL, 0) : takt_detach(t, NULL, 0);
	if (r < 0)
		answer("error %s %s", strerrorname_np(-r), takt_error(t));
	else
		answer("ok %d", policy());
	takt_close(t);
}

static void do_call(char *words)
{
	char *method = strsep(&words, " ");
	struct takt *t;
	char *reply = NULL;
	int r = takt_open(&t, NULL);

	if (r == 0)
		r = takt_call(t, method, words, &reply);
	if (r < 0)
		answer("error %s %s", takt_error_name(t), takt_error(t));
	else
		answer("ok %s", reply);
	free(reply);
	takt_close(t);
}

static void end_thread(struct actor *a)
{
	pthread_mutex_lock(&lock);
	a->used = false;
	pthread_mutex_unlock(&lock);
	answer("ok");
	pthread_exit(NULL);
}

static void burn(void)
{
	answer("ok");
	for (;;)
		;
}

static void act(struct actor *a, char *order)
{
	char *verb = strsep(&order, " ");

	if (strcmp(verb, "rename") == 0 && order) {
		prctl(PR_SET_NAME, order);
		answer("ok");
	} else if (strcmp(verb, "end") == 0) {
		end_thread(a);
	} else if (strcmp(verb, "fork") == 0 || strcmp(verb, "daemon") == 0) {
		do_fork(*verb == 'd');
	} else if (strcmp(verb, "exec") == 0) {
		do_exec(order ? order : self);
	} else if (strcmp(verb, "policy") == 0) {
		answer("ok %d", policy());
	} else if (strcmp(verb, "attach") == 0 || strcmp(verb, "detach") == 0) {
		do_thread(*verb == 'a');
	} else if (strcmp(verb, "call") == 0 && order) {
		do_call(order);
	} else if (strcmp(verb, "burn") == 0) {
		burn();
	} else {
		answer("error no such verb");
	}
}

static void *play(void *arg)
{
	struct actor *a = arg;

	for (;;) {
		char *order;

		pthread_mutex_lock(&lock);
		while (!a->order)
			pthread_cond_wait(&a->wake, &lock);
		order = a->order;
		a->order = NULL;
		pthread_mutex_unlock(&lock);
		act(a, order);
		free(order);
	}
	return NULL;
}

static void *begin(void *arg)
{
	struct actor *a = arg;

	prctl(PR_SET_NAME, a->name);
	answer("ok");
	return play(a);
}

static void *read_on(void *arg)
{
	prctl(PR_SET_NAME, "reader");
	obey();
	return arg;
}

static struct actor *find(const char *name)
{
	for (int i = 0; i < THREADS_MAX; i++)
		if (actors[i].used && strcmp(actors[i].name, name) == 0)
			return &actors[i];
	return NULL;
}

static void start(const char *name)
{
	struct actor *a = NULL;
	pthread_t thread;

	for (int i = 0; i < THREADS_MAX && !a; i++)
		if (!actors[i].used)
			a = &actors[i];
	if (!a) {
		answer("error too many threads");
		return;
	}
	*a = (struct actor){ .used = true, .wake = PTHREAD_COND_INITIALIZER };
	snprintf(a->name, sizeof(a->name), "%s", name);
	if (pthread_create(&thread, NULL, begin, a) != 0)
		answer("error cannot start a thread");
	else
		pthread_detach(thread);
}

/* The first thread reads the orders, so that it must leave a reader behind. */
static void end_main(void)
{
	pthread_t thread;

	answer("ok");
	pthread_create(&thread, NULL, read_on, NULL);
	pthread_exit(NULL);
}

static void give(char *words)
{
	char *name = strsep(&words, " ");
	struct actor *a = find(name);

	if (!words) {
		answer("error do what?");
	} else if (strcmp(name, "main") == 0 && strcmp(words, "end") == 0) {
		end_main();
	} else if (strcmp(name, "main") == 0) {
		act(NULL, words);
	} else if (!a) {
		answer("error no such thread");
	} else {
		pthread_mutex_lock(&lock);
		a->order = strdup(words);
		pthread_cond_signal(&a->wake);
		pthread_mutex_unlock(&lock);
	}
}

static void obey(void)
{
	for (;;) {
		char packet[PACKET_MAX], *words = packet, *verb;
		ssize_t n = recv(connection, packet, sizeof(packet) - 1, 0);

		if (n <= 0)
			_exit(0);
		packet[n] = '\0';
		verb = strsep(&words, " ");
		if (strcmp(verb, "start") == 0 && words)
			start(words);
		else if (strcmp(verb, "do") == 0 && words)
			give(words);
		else if (strcmp(verb, "quit") == 0)
			_exit(words ? atoi(words) : 0);
		else
			answer("error no such command");
	}
}

int main(int argc, char **argv)
{
	const char *inherited = getenv(FD_VARIABLE);

	if (argc != 2) {
		fprintf(stderr, "usage: puppet SOCKET\n");
		return 64;
	}
	self = argv[0];
	stage = argv[1];
	if (inherited) {
		connection = atoi(inherited);
		answer("hello");
	} else {
		join_stage();
	}
	obey();
}
