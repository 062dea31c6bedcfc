// SPDX-License-Identifier: Apache-2.0
#include "node/monitor/proc.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "test.h"

/* Fields 4 to 22 of proc(5): ppid 7, session 9, 3 threads, start 6000000000. */
#define REST "7 8 9 0 -1 4194304 101 0 0 0 1 2 0 0 20 0 3 0 6000000000 3133440 416"

static struct bytes text(const char *t)
{
	return (struct bytes){ t, strlen(t) };
}

static struct proc_stat stat_of(const char *line)
{
	struct proc_stat s;

	CHECK_EQ(proc_parse_stat(text(line), &s), 0);
	return s;
}

static void refused(const char *line)
{
	struct proc_stat s = { .pid = 5 };

	CHECK_EQ(proc_parse_stat(text(line), &s), -EINVAL);
	CHECK_EQ(s.pid, 5);
}

TEST(a_stat_line_is_read_by_its_fields)
{
	struct proc_stat s = stat_of("4953 (cat) R " REST "\n");

	CHECK_EQ(s.pid, 4953);
	CHECK_TEXT(s.comm, "cat");
	CHECK_EQ(s.state, 'R');
	CHECK_EQ(s.ppid, 7);
	CHECK_EQ(s.session, 9);
	CHECK_EQ(s.threads, 3);
	CHECK_EQ(s.start, 6000000000);
}

TEST(a_name_may_look_like_the_rest_of_the_line)
{
	static const char *const names[] = { "", " ", ")", "(", "))((", ") S\n", ") S 1 1 1 0",
		"a b", "(sd-pam)", "\n", ") Z 1 2 3 4 5" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char line[256];
		struct proc_stat s;

		snprintf(line, sizeof(line), "12 (%s) S " REST "\n", names[i]);
		s = stat_of(line);
		CHECK_TEXT(s.comm, names[i]);
		CHECK_EQ(s.state, 'S');
		CHECK_EQ(s.ppid, 7);
		CHECK_EQ(s.start, 6000000000);
	}
}

TEST(a_longer_name_of_a_kernel_thread_is_cut)
{
	CHECK_TEXT(stat_of("9 (kworker/u8:0-events_unbound) I " REST).comm, "kworker/u8:0-ev");
}

TEST(what_is_no_whole_stat_line_is_refused)
{
	refused("");
	refused("12");
	refused("12 (cat");
	refused("12 cat) S " REST);
	refused("12 )cat( S " REST);
	refused("12 (cat)S " REST);
	refused("12 (cat)");
	refused("x (cat) S " REST);
	refused("12 (cat) S x " REST);
	refused("12 (cat) S 7 8 9 0 -1 4194304 101 0 0 0 1 2 0 0 20 0 3 0");
}

static const char *cgroup_of(const char *file)
{
	static char path[PROC_CGROUP_MAX];
	int r = proc_parse_cgroup(text(file), path);

	CHECK(r == 0 || r == -ENOENT);
	return r == 0 ? path : "none";
}

TEST(the_cgroup_of_the_v2_hierarchy_counts)
{
	CHECK_TEXT(cgroup_of("0::/kubepods.slice/pod1/c1\n"), "/kubepods.slice/pod1/c1");
	CHECK_TEXT(cgroup_of("0::/a b:c (deleted)"), "/a b:c (deleted)");
	CHECK_TEXT(cgroup_of("3:cpu:/other\n2:pids:/third\n0::/c1\n"), "/c1");
	CHECK_TEXT(cgroup_of("0::/c1\n3:cpu:/other\n"), "/c1");
}

TEST(where_v2_says_the_root_the_v1_cpu_controller_counts_and_then_pids)
{
	CHECK_TEXT(cgroup_of("8:pids:/p\n3:cpu,cpuacct:/c\n0::/\n"), "/c");
	CHECK_TEXT(cgroup_of("3:cpuacct,cpu:/c\n8:pids:/p\n"), "/c");
	CHECK_TEXT(cgroup_of("8:pids:/p\n3:cpu:/\n0::/\n"), "/p");
}

TEST(other_controllers_and_the_root_name_no_container)
{
	CHECK_TEXT(cgroup_of(""), "none");
	CHECK_TEXT(cgroup_of("0::/\n"), "none");
	CHECK_TEXT(cgroup_of("3:cpu:/\n8:pids:/\n0::/\n"), "none");
	CHECK_TEXT(
		cgroup_of("4:memory:/m\n5:cpuset:/s\n6:cpuacct:/a\n1:name=systemd:/n\n"), "none");
	CHECK_TEXT(cgroup_of("0:/c1\n::\nc1\n0::c1\n"), "none");
}

static int nspid_of(const char *file, pid_t *ret)
{
	return proc_parse_nspid(text(file), ret);
}

TEST(the_innermost_number_is_the_last_of_nspid)
{
	pid_t pid;

	CHECK_EQ(nspid_of("Name:\tcat\nNSpid:\t4953\nNSpgid:\t1\n", &pid), 0);
	CHECK_EQ(pid, 4953);
	CHECK_EQ(nspid_of("NStgid:\t5\t6\nNSpid:\t4953\t70\t1\nNSsid:\t8\n", &pid), 0);
	CHECK_EQ(pid, 1);
	CHECK_EQ(nspid_of("Name:\tNSpid:\t9\nNSpid:\t4953", &pid), 0);
	CHECK_EQ(pid, 4953);
}

TEST(without_a_good_nspid_there_is_no_number)
{
	pid_t pid;

	CHECK_EQ(nspid_of("", &pid), -ENOENT);
	CHECK_EQ(nspid_of("Name:\tcat\nPid:\t4953\n", &pid), -ENOENT);
	CHECK_EQ(nspid_of("NSpid:\t\n", &pid), -EINVAL);
	CHECK_EQ(nspid_of("NSpid:\t4953\t0\n", &pid), -EINVAL);
	CHECK_EQ(nspid_of("NSpid: 4953\n", &pid), -EINVAL);
}

/* A child that sleeps under that name. */
static pid_t start_child(const char *name)
{
	int ready[2];
	pid_t pid;
	char c;

	CHECK_EQ(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, name);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	CHECK(pid > 0);
	CHECK_EQ(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

TEST(a_process_is_known_until_it_has_ended)
{
	pid_t pid = start_child(") S\n");
	struct proc_stat s;
	siginfo_t info;

	CHECK_EQ(proc_stat(pid, &s), 0);
	CHECK_EQ(s.pid, pid);
	CHECK_EQ(s.ppid, getpid());
	CHECK_EQ(s.threads, 1);
	CHECK_TEXT(s.comm, ") S\n");
	CHECK(!proc_gone(pid, s.start));
	CHECK(proc_gone(pid, s.start + 1));
	CHECK(!proc_thread_gone(pid, pid));

	kill(pid, SIGKILL);
	CHECK_EQ(waitid(P_PID, pid, &info, WEXITED | WNOWAIT), 0);
	CHECK(proc_gone(pid, s.start));
	CHECK(proc_thread_gone(pid, pid));
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	CHECK_EQ(proc_stat(pid, &s), -ESRCH);
	CHECK(proc_gone(pid, s.start));
}

TEST(a_process_starts_between_the_looks_at_the_clock_around_it)
{
	uint64_t before = proc_now();
	pid_t pid = start_child("now");
	struct proc_stat s;

	CHECK_EQ(proc_stat(pid, &s), 0);
	CHECK(before <= s.start);
	CHECK(s.start <= proc_now());
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

static void *wait_for_the_end(void *arg)
{
	pause();
	return NULL;
}

/* A child of which only a second thread is left. */
static pid_t start_without_leader(void)
{
	pid_t pid = fork();
	pthread_t thread;

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pthread_create(&thread, NULL, wait_for_the_end, NULL);
		pthread_exit(NULL);
	}
	CHECK(pid > 0);
	return pid;
}

TEST(a_process_whose_first_thread_has_ended_goes_on)
{
	pid_t pid = start_without_leader();
	struct proc_stat s;

	do
		CHECK_EQ(proc_stat(pid, &s), 0);
	while (s.state != 'Z');
	CHECK_EQ(s.threads, 2);
	CHECK(!proc_gone(pid, s.start));
	CHECK(proc_thread_gone(pid, pid));
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
}
