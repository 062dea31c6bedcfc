// SPDX-License-Identifier: Apache-2.0
/*
 * The real takt-hook against a real socket, whose other end answers in every wrong way: the
 * container must not start unless the agent said yes.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATE "{\"ociVersion\":\"1.0.2\",\"id\":\"c1\",\"status\":\"creating\",\"pid\":4711}"
#define YES "{\"parameters\":{\"reservation\":{\"name\":\"camera\"}}}"
#define PATIENT "20s" /* for who answers, however busy the machine is */
#define HASTY "300ms" /* for who never does */

enum manner {
	ANSWER, /* `text` and its NUL */
	HALF, /* `text` without a NUL, then hangs up */
	SILENT, /* reads, says nothing */
	DEAF, /* does not even accept */
	HANG_UP, /* at once */
	TRICKLE, /* a byte now and then, for ever */
	HUGE_REPLY, /* more than any reply may be, without a NUL */
	PIECES, /* the whole answer, byte by byte */
};

struct server {
	enum manner manner;
	const char *text;
	int fd;
	char asked[8192];
	pthread_t thread;
};

struct run {
	int status; /* exit code, -signal */
	char said[2048];
};

static char folder[64], socket_path[96];
static const char *program; /* which is started; NULL: the built one */
static uid_t user; /* whom the hook runs as; 0: as this program does */

static void folder_remove(void)
{
	unlink(socket_path);
	rmdir(folder);
}

static void folder_make(void)
{
	if (folder[0])
		return;
	strcpy(folder, "/tmp/takt-hook-XXXXXX");
	CHECK(mkdtemp(folder));
	snprintf(socket_path, sizeof(socket_path), "%s/takt.sock", folder);
	atexit(folder_remove);
}

static void serve_reply(struct server *s, int fd)
{
	static const char block[4096] = { 'x', [1 ... 4095] = 'x' };

	switch (s->manner) {
	case ANSWER:
		send(fd, s->text, strlen(s->text) + 1, MSG_NOSIGNAL);
		break;
	case HALF:
		send(fd, s->text, strlen(s->text), MSG_NOSIGNAL);
		break;
	case PIECES:
		for (size_t i = 0; i <= strlen(s->text); i++)
			send(fd, s->text + i, 1, MSG_NOSIGNAL);
		break;
	case TRICKLE:
		while (send(fd, " ", 1, MSG_NOSIGNAL) == 1)
			usleep(20000);
		return;
	case HUGE_REPLY:
		while (send(fd, block, sizeof(block), MSG_NOSIGNAL) > 0)
			;
		return;
	default:
		break;
	}
	shutdown(fd, s->manner == SILENT ? SHUT_RD : SHUT_WR);
}

static void *serve(void *arg)
{
	struct server *s = arg;
	char byte;
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return NULL;
	if (s->manner == HANG_UP) {
		close(fd);
		return NULL;
	}
	for (size_t len = 0; len < sizeof(s->asked);) {
		ssize_t n = recv(fd, s->asked + len, sizeof(s->asked) - len, 0);

		if (n <= 0)
			break;
		len += (size_t)n;
		if (!s->asked[len - 1])
			break;
	}
	serve_reply(s, fd);
	while (recv(fd, &byte, 1, 0) > 0)
		;
	if (s->manner == SILENT)
		poll(&(struct pollfd){ .fd = fd, .events = POLLHUP }, 1, 10000);
	close(fd);
	return NULL;
}

static void server_start(struct server *s)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	folder_make();
	unlink(socket_path);
	strcpy(addr.sun_path, socket_path);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(s->fd >= 0);
	CHECK(bind(s->fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	CHECK(listen(s->fd, 0) == 0);
	if (s->manner != DEAF)
		CHECK(pthread_create(&s->thread, NULL, serve, s) == 0);
}

static void server_stop(struct server *s)
{
	if (s->manner != DEAF) {
		shutdown(s->fd, SHUT_RDWR);
		CHECK(pthread_join(s->thread, NULL) == 0);
	}
	close(s->fd);
	unlink(socket_path);
}

/* In the child; `user` may not be able to find the program by its path. */
static void exec_hook(int input, int output, const char *const *args)
{
	const char *built = getenv("TAKT_HOOK") ?: "src/client/hook/takt-hook";
	int fd = open(program ?: built, O_RDONLY | O_CLOEXEC);

	dup2(input, 0);
	dup2(output, 2);
	if (fd >= 0 && (user == 0 || setresuid(user, user, user) == 0))
		fexecve(fd, (char *const *)args, environ);
	_exit(126);
}

static struct run run_args(const char *const *args, const char *input, size_t len)
{
	struct run run = { 0 };
	int in[2], err[2], status;
	size_t at = 0;
	ssize_t n;
	pid_t child;

	signal(SIGPIPE, SIG_IGN);
	CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
	child = fork();
	if (child == 0)
		exec_hook(in[0], err[1], args);
	close(in[0]);
	close(err[1]);
	while (len > 0 && (n = write(in[1], input, len)) > 0) {
		input += n;
		len -= (size_t)n;
	}
	close(in[1]);
	while (at < sizeof(run.said) - 1 &&
		(n = read(err[0], run.said + at, sizeof(run.said) - 1 - at)) > 0)
		at += (size_t)n;
	close(err[0]);
	CHECK(waitpid(child, &status, 0) == child);
	run.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	return run;
}

static struct run run_hook(const char *input, const char *timeout)
{
	const char *const args[] = { "takt-hook", "bind", "--socket", socket_path, "--reservation",
		"camera", "--timeout", timeout, NULL };

	return run_args(args, input, strlen(input));
}

static struct run run_against(enum manner manner, const char *text)
{
	struct server s = { .manner = manner, .text = text };
	struct run run;

	server_start(&s);
	run = run_hook(STATE, manner == SILENT || manner == TRICKLE ? HASTY : PATIENT);
	server_stop(&s);
	return run;
}

/* One line that begins as every sentence of the house does. */
static void check_sentence(const struct run *run, int status, const char *part)
{
	size_t len = strlen(run->said);

	if (run->status != status || !strstr(run->said, part))
		fail_msg("exit %d: %s", run->status, run->said);
	CHECK(strncmp(run->said, "takt: ", 6) == 0);
	CHECK(strchr(run->said, '\n') == run->said + len - 1);
}

TEST(a_yes_lets_the_container_start_and_says_nothing)
{
	struct server s = { .manner = ANSWER, .text = YES };
	struct run run;

	server_start(&s);
	run = run_hook(STATE, PATIENT);
	server_stop(&s);
	CHECK_EQ(run.status, 0);
	CHECK_TEXT(run.said, "");
	CHECK_TEXT(s.asked, "{\"method\":\"rt.takt.Bind\",\"parameters\":{\"pid\":4711,"
			    "\"name\":\"camera\",\"container\":\"c1\",\"via\":\"hook\"}}");
}

TEST(a_yes_in_pieces_is_a_yes)
{
	struct run run = run_against(PIECES, YES);

	CHECK_EQ(run.status, 0);
}

TEST(a_refusal_is_shown_in_the_agents_words)
{
	struct run run = run_against(ANSWER,
		"{\"error\":\"rt.takt.Busy\",\"parameters\":{\"name\":\"camera\",\"reason\":"
		"\"container c0 holds it: stop that one first\"}}");

	check_sentence(&run, 75, "takt: camera: container c0 holds it: stop that one first\n");
	run = run_against(ANSWER, "{\"error\":\"rt.takt.NoSuchReservation\",\"parameters\":"
				  "{\"reason\":\"no such reservation\"}}");
	check_sentence(&run, 70, "takt: camera: no such reservation\n");
	run = run_against(
		ANSWER, "{\"error\":\"rt.takt.NotPermitted\",\"parameters\":{\"reason\":\"no\"}}");
	check_sentence(&run, 77, "takt: camera: no\n");
}

TEST(an_agent_that_is_not_there_fails_the_start)
{
	struct server s = { .manner = DEAF };
	struct run run;

	server_start(&s);
	server_stop(&s);
	run = run_hook(STATE, HASTY);
	check_sentence(&run, 69, "takt: camera: taktd is not running at /tmp/takt-hook-");
	CHECK(strstr(run.said, "systemctl start taktd"));
}

TEST(a_socket_that_nobody_listens_to_fails_the_start)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct run run;

	strcpy(addr.sun_path, socket_path);
	CHECK(bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	run = run_hook(STATE, HASTY);
	close(fd);
	unlink(socket_path);
	check_sentence(&run, 69, "taktd is not running at ");
}

static void *start_later(void *arg)
{
	usleep(100000);
	server_start(arg);
	return NULL;
}

TEST(an_agent_that_comes_a_moment_later_is_waited_for)
{
	struct server s = { .manner = ANSWER, .text = YES };
	struct run run;
	pthread_t later;

	CHECK(pthread_create(&later, NULL, start_later, &s) == 0);
	run = run_hook(STATE, PATIENT);
	CHECK(pthread_join(later, NULL) == 0);
	server_stop(&s);
	CHECK_EQ(run.status, 0);
	CHECK_TEXT(run.said, "");
}

TEST(an_agent_that_says_nothing_fails_the_start)
{
	struct run run = run_against(SILENT, "");

	check_sentence(&run, 69, "does not answer in time");
}

TEST(an_agent_that_says_a_little_for_ever_fails_the_start)
{
	struct run run = run_against(TRICKLE, "");

	check_sentence(&run, 69, "does not answer in time");
}

TEST(an_agent_that_hangs_up_fails_the_start)
{
	struct run run = run_against(HANG_UP, "");

	check_sentence(&run, 69, "hung up without an answer");
}

TEST(an_agent_whose_queue_is_full_fails_the_start)
{
	struct server s = { .manner = DEAF };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct run run;
	int fds[8], n = 0;

	server_start(&s);
	strcpy(addr.sun_path, socket_path);
	do {
		fds[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		CHECK(fds[n] >= 0);
	} while (connect(fds[n++], (struct sockaddr *)&addr, sizeof(addr)) == 0 && n < 8);
	CHECK(n < 8);
	run = run_hook(STATE, HASTY);
	while (n > 0)
		close(fds[--n]);
	server_stop(&s);
	check_sentence(&run, 69, "does not answer in time");
}

TEST(half_an_answer_is_none)
{
	for (size_t len = 0; len <= strlen(YES); len++) {
		char part[sizeof(YES)];
		struct run run;

		snprintf(part, sizeof(part), "%.*s", (int)len, YES);
		run = run_against(HALF, part);
		check_sentence(&run, 69, "hung up without an answer");
	}
}

TEST(an_answer_cut_short_by_its_own_nul_is_none)
{
	for (size_t len = 0; len < strlen(YES); len++) {
		char part[sizeof(YES)];
		struct run run;

		snprintf(part, sizeof(part), "%.*s", (int)len, YES);
		run = run_against(ANSWER, part);
		check_sentence(&run, 70, "does not speak rt.takt");
	}
}

TEST(a_huge_answer_is_none)
{
	struct run run = run_against(HUGE_REPLY, "");

	check_sentence(&run, 69, "cannot speak to taktd at ");
}

TEST(garbage_is_no_answer)
{
	static const char *const garbage[] = { "HTTP/1.1 200 OK\r\n\r\n", "yes", "[]", "0",
		"{\"parameters\":{}}", "\x80\x81\x82", "{\"parameters\":{\"reservation\":true}}" };

	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		struct run run = run_against(ANSWER, garbage[i]);

		check_sentence(&run, 70, "does not speak rt.takt");
	}
}

TEST(a_state_that_is_none_fails_before_the_agent_is_asked)
{
	static const char *const bad[] = { "", "{", "null", "hello", "{\"id\":\"c1\"}",
		"{\"pid\":1}", "{\"id\":\"c1\",\"pid\":0}" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct server s = { .manner = ANSWER, .text = YES };
		struct run run;

		server_start(&s);
		run = run_hook(bad[i], PATIENT);
		server_stop(&s);
		check_sentence(&run, 64, "takt: camera: ");
		CHECK_TEXT(s.asked, "");
	}
}

TEST(a_state_that_is_too_long_is_refused)
{
	const char *const args[] = { "takt-hook", "bind", "--socket", "/nowhere", "--reservation",
		"camera", NULL };
	char *text = malloc(1 << 20);
	struct run run;

	CHECK(text);
	memset(text, ' ', 1 << 20);
	run = run_args(args, text, 1 << 20);
	free(text);
	check_sentence(&run, 64, "longer than");
}

TEST(a_state_that_never_ends_is_refused)
{
	const char *const args[] = { "takt-hook", "bind", "--socket", "/nowhere", "--reservation",
		"camera", "--timeout", "100ms", NULL };
	int in[2], out = open("/dev/null", O_WRONLY | O_CLOEXEC), status;
	pid_t child;

	CHECK(pipe2(in, O_CLOEXEC) == 0);
	child = fork();
	if (child == 0)
		exec_hook(in[0], out, args);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 64);
	close(in[0]);
	close(in[1]);
	close(out);
}

TEST(a_socket_without_permission_is_said)
{
	const char *const args[] = { "takt-hook", "bind", "--socket", socket_path, "--reservation",
		"camera", NULL };
	struct server s = { .manner = DEAF };
	struct run run;

	if (geteuid() != 0)
		SKIP("needs root, to become nobody");
	server_start(&s);
	CHECK(chmod(folder, 0755) == 0 && chmod(socket_path, 0600) == 0);
	user = 65534;
	run = run_args(args, STATE, strlen(STATE));
	user = 0;
	server_stop(&s);
	check_sentence(&run, 77, "no permission to speak to taktd");
}

TEST(wrong_usage_is_said_and_asks_nobody)
{
	static const char *const wrong[][8] = {
		{ "takt-hook", NULL },
		{ "takt-hook", "bind", NULL },
		{ "takt-hook", "bind", "--reservation", "camera", NULL },
		{ "takt-hook", "bind", "--socket", "/s", NULL },
		{ "takt-hook", "bind", "--socket", "/s", "--reservation", "", NULL },
		{ "takt-hook", "bind", "bind", "--socket", "/s", "--reservation", "c", NULL },
		{ "takt-hook", "unbind", "--socket", "/s", "--reservation", "c", NULL },
		{ "takt-hook", "bind", "--timeout", "5", "--socket", "/s", NULL },
		{ "takt-hook", "bind", "--timeout", "9999s", NULL },
		{ "takt-hook", "--what", NULL },
		{ "takt-hook", "bind", "--socket", NULL },
		{ "takt-hook", "install", NULL },
		{ "takt-hook", "remove", "--path", "/h", NULL },
		{ "takt-hook", "remove", "--cdi-dir", "/cdi", NULL },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct run run = run_args(wrong[i], STATE, strlen(STATE));

		check_sentence(&run, 64, "takt: ");
	}
}

TEST(a_socket_path_that_is_too_long_is_said)
{
	char path[200] = "/", *at;
	const char *const args[] = { "takt-hook", "bind", "--socket", path, "--reservation",
		"camera", NULL };
	struct run run;

	at = path + 1;
	memset(at, 'p', sizeof(path) - 2);
	run = run_args(args, STATE, strlen(STATE));
	check_sentence(&run, 69, "File name too long");
}

TEST(help_and_version_need_nothing)
{
	const char *const help[] = { "takt-hook", "--help", NULL };
	const char *const version[] = { "takt-hook", "--version", NULL };
	struct run run = run_args(help, "", 0);

	CHECK_EQ(run.status, 0);
	CHECK_TEXT(run.said, "");
	run = run_args(version, "", 0);
	CHECK_EQ(run.status, 0);
}

/* In the folder of the test: bin/takt-hook, and cdi as the folder of CDI files. */
struct placed {
	char bin[96], path[112], cdi[96], file[160];
};

static struct placed place(void)
{
	struct placed p;

	folder_make();
	snprintf(p.bin, sizeof(p.bin), "%s/bin", folder);
	snprintf(p.path, sizeof(p.path), "%s/takt-hook", p.bin);
	snprintf(p.cdi, sizeof(p.cdi), "%s/cdi", folder);
	snprintf(p.file, sizeof(p.file), "%s/rt.takt.dev-reservation_a.json", p.cdi);
	CHECK(mkdir(p.cdi, 0755) == 0);
	return p;
}

static struct run install(const struct placed *p)
{
	const char *const args[] = { "takt-hook", "install", "--path", p->path, NULL };

	return run_args(args, "", 0);
}

static struct run take_away(const struct placed *p)
{
	const char *const args[] = { "takt-hook", "remove", "--path", p->path, "--cdi-dir", p->cdi,
		"--state-dir", folder, NULL };

	return run_args(args, "", 0);
}

TEST(it_puts_itself_where_it_is_told_also_over_what_runs_there)
{
	struct placed p = place();
	struct stat st;

	CHECK_EQ(install(&p).status, 0);
	CHECK(stat(p.path, &st) == 0 && (st.st_mode & 07777) == 0755);
	CHECK_EQ(install(&p).status, 0);
	program = p.path;
	CHECK_EQ(install(&p).status, 0);
	program = NULL;
	CHECK_EQ(take_away(&p).status, 0);
	CHECK(access(p.bin, F_OK) < 0 && errno == ENOENT);
	CHECK(rmdir(p.cdi) == 0);
}

TEST(it_stays_while_a_cdi_file_names_it)
{
	struct placed p = place();
	struct run run;

	CHECK_EQ(install(&p).status, 0);
	close(open(p.file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	run = take_away(&p);
	check_sentence(&run, 0, "stays");
	CHECK(access(p.path, X_OK) == 0);
	CHECK(unlink(p.file) == 0 && rmdir(p.cdi) == 0);
	CHECK_EQ(take_away(&p).status, 0);
	/* Nothing there is nothing to do. */
	CHECK_EQ(take_away(&p).status, 0);
	CHECK(access(p.bin, F_OK) < 0);
}

TEST(it_stays_while_another_taktd_stands_by_to_take_over)
{
	struct flock stands_by = { .l_type = F_RDLCK, .l_start = 1, .l_len = 1 };
	struct flock has_it = { .l_type = F_WRLCK, .l_len = 1 };
	struct placed p = place();
	struct run run;
	char lock[112];
	int fd;

	snprintf(lock, sizeof(lock), "%s/takt.lock", folder);
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fcntl(fd, F_SETLK, &has_it) == 0 && fcntl(fd, F_SETLK, &stands_by) == 0);
	CHECK_EQ(install(&p).status, 0);
	run = take_away(&p);
	check_sentence(&run, 0, "another taktd takes over");
	CHECK(access(p.path, X_OK) == 0);
	stands_by.l_type = F_UNLCK;
	CHECK(fcntl(fd, F_SETLK, &stands_by) == 0);
	CHECK_EQ(take_away(&p).status, 0);
	CHECK(access(p.bin, F_OK) < 0);
	close(fd);
	CHECK(unlink(lock) == 0 && rmdir(p.cdi) == 0);
}

TEST(a_place_that_cannot_be_is_said)
{
	const char *const relative[] = { "takt-hook", "install", "--path", "bin/takt-hook", NULL };
	const char *const missing[] = { "takt-hook", "install", "--path", "/not/there/takt-hook",
		NULL };
	struct run run = run_args(relative, "", 0);

	check_sentence(&run, 70, "not the absolute path");
	run = run_args(missing, "", 0);
	check_sentence(&run, 70, "/not/there");
}
