// SPDX-License-Identifier: Apache-2.0

// The runtime's side of NRI, as containerd and CRI-O have it, against the plugin program that
// os.Args[1] names: what one tells, the other must have heard. Prints TAP.
package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
)

const (
	patience       = 20 * time.Second
	requestTimeout = 20 * time.Second
	shortTimeout   = 300 * time.Millisecond
)

// runtime is one life of a container runtime.
type runtime struct {
	*adaptation.Adaptation
	pods       []*api.PodSandbox
	containers []*api.Container

	mutex      sync.Mutex
	updates    []*api.ContainerUpdate
	plugins    int
	calls      map[string]int
	failures   []string
	deprecated []string
}

func (r *runtime) synchronize(ctx context.Context, tell adaptation.SyncCB) error {
	_, err := tell(ctx, r.pods, r.containers)
	return err
}

// update fails for containers whose name says so.
func (r *runtime) update(_ context.Context, updates []*api.ContainerUpdate) ([]*api.ContainerUpdate, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.updates = append(r.updates, updates...)
	var failed []*api.ContainerUpdate
	for _, u := range updates {
		if strings.HasPrefix(u.ContainerId, "failing") {
			failed = append(failed, u)
		}
	}
	return failed, nil
}

func (r *runtime) RecordPluginInvocation(_, operation string, err error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.calls[operation]++
	if err != nil {
		r.failures = append(r.failures, operation+": "+err.Error())
	}
}

func (r *runtime) RecordPluginLatency(string, string, time.Duration) {}

func (r *runtime) RecordPluginAdjustments(string, string, *api.ContainerAdjustment, int, int) {}

func (r *runtime) UpdatePluginCount(n int) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.plugins = n
}

// hasPlugin waits until events go to the plugin: that is a moment after it was synchronized.
func (r *runtime) hasPlugin() error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		r.mutex.Lock()
		n := r.plugins
		r.mutex.Unlock()
		if n == 1 {
			return nil
		}
	}
	return fmt.Errorf("the runtime has not taken the plugin in")
}

func (r *runtime) PluginWarning(_ context.Context, _ adaptation.Deprecation, plugin, details string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.deprecated = append(r.deprecated, plugin+" "+details)
}

func start(folder string, pods []*api.PodSandbox, containers []*api.Container) (*runtime, error) {
	r := &runtime{pods: pods, containers: containers, calls: map[string]int{}}
	a, err := adaptation.New("containerd", "v2.3.7", r.synchronize, r.update,
		adaptation.WithSocketPath(filepath.Join(folder, "nri.sock")),
		adaptation.WithPluginPath(filepath.Join(folder, "plugins")),
		adaptation.WithPluginConfigPath(filepath.Join(folder, "conf.d")),
		adaptation.WithMetrics(r), adaptation.WithDeprecationRecorder(r))
	if err != nil {
		return nil, err
	}
	r.Adaptation = a
	return r, a.Start()
}

// relay stands between plugin and runtime: it can cut the connection, as the end of a runtime's
// process does, and it hands bytes on in odd pieces.
type relay struct {
	net.Listener
	mutex sync.Mutex
	open  []net.Conn
}

func relayTo(folder string) (*relay, error) {
	l, err := net.Listen("unix", filepath.Join(folder, "relay.sock"))
	r := &relay{Listener: l}
	if err == nil {
		go r.accept(filepath.Join(folder, "nri.sock"))
	}
	return r, err
}

func (r *relay) accept(to string) {
	for {
		near, err := r.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("unix", to)
		if err != nil {
			near.Close()
			continue
		}
		r.mutex.Lock()
		r.open = append(r.open, near, far)
		r.mutex.Unlock()
		go carry(near, far)
		go carry(far, near)
	}
}

func carry(to, from net.Conn) {
	defer to.Close()
	piece := make([]byte, 1777)
	for {
		n, err := from.Read(piece)
		if err != nil {
			return
		}
		if _, err = to.Write(piece[:n]); err != nil {
			return
		}
	}
}

func (r *relay) cut() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, c := range r.open {
		c.Close()
	}
	r.open = nil
}

// plugin is the program under test; each line that it prints is something that it has heard.
type plugin struct {
	command *exec.Cmd
	lines   chan string
}

func launch(program, folder string) (*plugin, error) {
	p := &plugin{exec.Command(program, filepath.Join(folder, "relay.sock")), make(chan string, 65536)}
	p.command.Stderr = os.Stderr
	out, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	go func() {
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			p.lines <- lines.Text()
		}
		close(p.lines)
	}()
	return p, p.command.Start()
}

// expect reads lines until one is as wanted.
func (p *plugin) expect(wanted string) error {
	late := time.After(patience)
	var last string
	for {
		select {
		case line, open := <-p.lines:
			if line == wanted {
				return nil
			}
			if !open {
				return fmt.Errorf("the plugin ended before it said %q; its last word was %q", wanted, last)
			}
			last = line
		case <-late:
			return fmt.Errorf("the plugin did not say %q; its last word was %q", wanted, last)
		}
	}
}

func pod(n int) *api.PodSandbox {
	return &api.PodSandbox{
		Id: fmt.Sprintf("pod%d", n), Name: fmt.Sprintf("web-%d", n), Uid: fmt.Sprintf("uid-%d", n),
		Namespace: "default", Labels: map[string]string{"app": "web"},
		Annotations: map[string]string{"note": "not read"}, RuntimeHandler: "runc",
		Linux: &api.LinuxPodSandbox{
			CgroupParent: "/kubepods/pod-uid", PodResources: &api.LinuxResources{},
			Namespaces: []*api.LinuxNamespace{{Type: "network", Path: "/var/run/netns/x"}},
		},
		Pid: 4711, Ips: []string{"10.0.0.1"},
	}
}

func container(id string, p *api.PodSandbox, state api.ContainerState, env ...string) *api.Container {
	return &api.Container{
		Id: id, PodSandboxId: p.Id, Name: "name-of-" + id, State: state, Env: env,
		Labels: map[string]string{"a": "b"}, Args: []string{"sleep", "1"},
		Mounts: []*api.Mount{{Destination: "/data", Source: "/srv", Type: "bind"}},
		Linux: &api.LinuxContainer{
			Resources:   &api.LinuxResources{Cpu: &api.LinuxCPU{Cpus: "0-1", Shares: api.UInt64(512)}},
			CgroupsPath: "/kubepods/pod-uid/" + id,
		},
		Pid: 42, CDIDevices: []*api.CDIDevice{{Name: "rt.takt.dev/reservation=" + id}},
	}
}

// test is one line of TAP; all of them share the plugin and, until one restarts it, the runtime.
type test struct {
	sentence string
	run      func(*world) error
}

type world struct {
	folder  string
	runtime *runtime
	relay   *relay
	plugin  *plugin
	context context.Context
}

// ready reads lines until the last of them, when the plugin is told events too.
func (w *world) ready(lines ...string) error {
	for _, line := range lines {
		if err := w.plugin.expect(line); err != nil {
			return err
		}
	}
	return w.runtime.hasPlugin()
}

func (w *world) restart(pods []*api.PodSandbox, containers []*api.Container) error {
	w.runtime.Stop()
	w.relay.cut()
	r, err := start(w.folder, pods, containers)
	w.runtime = r
	return err
}

func (w *world) create(c *api.Container) (*api.ContainerAdjustment, error) {
	reply, err := w.runtime.CreateContainer(w.context, &api.CreateContainerRequest{Pod: pod(1), Container: c})
	if err != nil {
		return nil, err
	}
	return reply.GetAdjust(), nil
}

func registers(w *world) error {
	return w.ready(
		"configured containerd v2.3.7 v0.12.5 timeout=20000",
		"known pod pod1 web-1 uid-1 default /kubepods/pod-uid",
		"known container running pod1 name-of-running state=3 pid=42 cpus=0-1 "+
			"path=/kubepods/pod-uid/running env=2 cdi=rt.takt.dev/reservation=running",
		"synchronized 2 pods 2 containers")
}

func podEvents(w *world) error {
	ctx, p := w.context, pod(1)
	if err := w.runtime.RunPodSandbox(ctx, &api.RunPodSandboxRequest{Pod: p}); err != nil {
		return err
	}
	if err := w.plugin.expect("pod started pod1"); err != nil {
		return err
	}
	if _, err := w.runtime.UpdatePodSandbox(ctx, &api.UpdatePodSandboxRequest{Pod: p,
		OverheadLinuxResources: &api.LinuxResources{Unified: map[string]string{"a": "b"}}}); err != nil {
		return err
	}
	return w.plugin.expect("pod updating pod1")
}

func deadline(w *world) error {
	adjustment, err := w.create(container("c1", pod(1), api.ContainerState_CONTAINER_UNKNOWN, "A=1"))
	if err != nil {
		return err
	}
	s := adjustment.GetLinux().GetScheduler()
	if s.GetPolicy() != api.LinuxSchedulerPolicy_SCHED_DEADLINE || len(s.GetFlags()) != 1 ||
		s.GetFlags()[0] != api.LinuxSchedulerFlag_SCHED_FLAG_RESET_ON_FORK || s.GetRuntime() != 2000000 ||
		s.GetDeadline() != 10000000 || s.GetPeriod() != 10000000 {
		return fmt.Errorf("scheduler: %v", s)
	}
	if cpus := adjustment.GetLinux().GetResources().GetCpu().GetCpus(); cpus != "1" {
		return fmt.Errorf("cpus: %q", cpus)
	}
	env, devices, hooks := adjustment.GetEnv(), adjustment.GetCDIDevices(), adjustment.GetHooks().GetCreateRuntime()
	if len(env) != 1 || env[0].GetKey() != "TAKT_RESERVATION" || env[0].GetValue() != "c1" {
		return fmt.Errorf("env: %v", env)
	}
	if a := adjustment.GetAnnotations(); len(a) != 1 || a["rt.takt.dev/scheduler"] != "runtime" {
		return fmt.Errorf("annotations: %v", a)
	}
	if len(devices) != 1 || devices[0].GetName() != "rt.takt.dev/reservation=c1" {
		return fmt.Errorf("CDI devices: %v", devices)
	}
	if len(hooks) != 1 || hooks[0].GetPath() != "/usr/libexec/takt-hook" ||
		strings.Join(hooks[0].GetArgs(), " ") != "takt-hook bind" || hooks[0].GetTimeout().GetValue() != 5 {
		return fmt.Errorf("hooks: %v", hooks)
	}
	return nil
}

func life(w *world) error {
	ctx, p := w.context, pod(1)
	c := container("c1", p, api.ContainerState_CONTAINER_CREATED)
	r := w.runtime
	steps := []struct {
		line string
		call func() error
	}{
		{"container created c1", func() error {
			return r.PostCreateContainer(ctx, &api.PostCreateContainerRequest{Pod: p, Container: c})
		}},
		{"container starting c1", func() error {
			return r.StartContainer(ctx, &api.StartContainerRequest{Pod: p, Container: c})
		}},
		{"container started c1", func() error {
			return r.PostStartContainer(ctx, &api.PostStartContainerRequest{Pod: p, Container: c})
		}},
		{"container updating c1 to cpus=0", func() error {
			_, err := r.UpdateContainer(ctx, &api.UpdateContainerRequest{Pod: p, Container: c,
				LinuxResources: &api.LinuxResources{Cpu: &api.LinuxCPU{Cpus: "0"}}})
			return err
		}},
		{"container updated c1", func() error {
			return r.PostUpdateContainer(ctx, &api.PostUpdateContainerRequest{Pod: p, Container: c})
		}},
		{"container stopped c1", func() error {
			_, err := r.StopContainer(ctx, &api.StopContainerRequest{Pod: p, Container: c})
			return err
		}},
		{"container removed c1", func() error {
			return r.RemoveContainer(ctx, &api.RemoveContainerRequest{Pod: p, Container: c})
		}},
		{"pod stopped pod1", func() error {
			return r.StopPodSandbox(ctx, &api.StopPodSandboxRequest{Pod: p})
		}},
		{"pod removed pod1", func() error {
			return r.RemovePodSandbox(ctx, &api.RemovePodSandboxRequest{Pod: p})
		}},
	}
	for _, step := range steps {
		if err := step.call(); err != nil {
			return fmt.Errorf("%s: %w", step.line, err)
		}
		if err := w.plugin.expect(step.line); err != nil {
			return err
		}
	}
	return nil
}

func refusal(w *world) error {
	_, err := w.create(container("refused", pod(1), api.ContainerState_CONTAINER_UNKNOWN))
	if err == nil || !strings.Contains(err.Error(), "no reservation of that name") {
		return fmt.Errorf("the error is: %v", err)
	}
	return nil
}

func later(w *world) error {
	adjustment, err := w.create(container("later", pod(1), api.ContainerState_CONTAINER_UNKNOWN))
	if err != nil || adjustment.GetLinux().GetScheduler().GetRuntime() != 2000000 {
		return fmt.Errorf("adjustment %v, error %v", adjustment, err)
	}
	return nil
}

func never(w *world) error {
	adaptation.SetPluginRequestTimeout(shortTimeout)
	_, err := w.create(container("never", pod(1), api.ContainerState_CONTAINER_UNKNOWN))
	adaptation.SetPluginRequestTimeout(requestTimeout)
	if err == nil {
		return fmt.Errorf("the container was created without an answer of the plugin")
	}
	return deadline(w)
}

func bigEnvironment(w *world) error {
	env := make([]string, 1000)
	for i := range env {
		env[i] = fmt.Sprintf("VARIABLE_%03d=%s", i, strings.Repeat("x", 100))
	}
	_, err := w.create(container("big", pod(1), api.ContainerState_CONTAINER_UNKNOWN, env...))
	if err != nil {
		return err
	}
	return w.plugin.expect("create big env=1000 bytes=113000 last=VARIABLE_999")
}

func bigAnswer(w *world) error {
	adjustment, err := w.create(container("verbose", pod(1), api.ContainerState_CONTAINER_UNKNOWN))
	if err != nil {
		return err
	}
	if n := len(adjustment.GetEnv()); n != 1 || len(adjustment.GetEnv()[0].GetValue()) != 300000 {
		return fmt.Errorf("%d variables of %d bytes", n, len(adjustment.GetEnv()[0].GetValue()))
	}
	return nil
}

func ownUpdate(w *world) error {
	for _, id := range []string{"pinned", "failing"} {
		c := container(id, pod(1), api.ContainerState_CONTAINER_RUNNING)
		if err := w.runtime.PostStartContainer(w.context,
			&api.PostStartContainerRequest{Pod: pod(1), Container: c}); err != nil {
			return err
		}
		failed := 0
		if id == "failing" {
			failed = 1
		}
		if err := w.plugin.expect(fmt.Sprintf("update done, %d failed", failed)); err != nil {
			return err
		}
	}
	w.runtime.mutex.Lock()
	defer w.runtime.mutex.Unlock()
	u := w.runtime.updates
	if len(u) != 2 || u[0].GetContainerId() != "pinned" || u[0].GetLinux().GetResources().GetCpu().GetCpus() != "1" {
		return fmt.Errorf("the runtime was asked for %v", u)
	}
	return nil
}

func current(w *world) error {
	w.runtime.mutex.Lock()
	defer w.runtime.mutex.Unlock()
	if len(w.runtime.deprecated) > 0 {
		return fmt.Errorf("%v", w.runtime.deprecated)
	}
	return nil
}

func comesBack(w *world) error {
	if err := w.restart([]*api.PodSandbox{pod(1)}, nil); err != nil {
		return err
	}
	if err := w.ready("disconnected", "synchronized 1 pods 0 containers"); err != nil {
		return err
	}
	return deadline(w)
}

func many(w *world) error {
	var pods []*api.PodSandbox
	var containers []*api.Container
	for i := 0; i < 1000; i++ {
		pods = append(pods, pod(i))
	}
	for i := 0; i < 3000; i++ {
		containers = append(containers, container(fmt.Sprintf("c%d", i), pods[i%1000],
			api.ContainerState_CONTAINER_RUNNING, "LONG="+strings.Repeat("y", 2000)))
	}
	if err := w.restart(pods, containers); err != nil {
		return err
	}
	if err := w.ready("synchronized 1000 pods 3000 containers"); err != nil {
		return err
	}
	w.runtime.mutex.Lock()
	pieces := w.runtime.calls["Synchronize"] - len(w.runtime.failures)
	w.runtime.mutex.Unlock()
	if pieces < 2 {
		return fmt.Errorf("Synchronize came in %d pieces: the test wants more", pieces)
	}
	return deadline(w)
}

var tests = []test{
	{"a plugin registers and is told what is there", registers},
	{"events of a pod arrive", podEvents},
	{"a new container gets SCHED_DEADLINE and all else that was asked for", deadline},
	{"each step in the life of a container and its pod arrives", life},
	{"a refusal reaches the runtime with its sentence", refusal},
	{"an answer may come later", later},
	{"a container without an answer is not created, and the plugin stays", never},
	{"an environment of 100 KB arrives whole", bigEnvironment},
	{"an answer of 300 KB arrives whole", bigAnswer},
	{"the runtime carries out what the plugin asks for", ownUpdate},
	{"nothing deprecated is used", current},
	{"the plugin comes back after a restart of the runtime", comesBack},
	{"3000 containers are told in pieces", many},
}

func main() {
	folder, err := os.MkdirTemp("", "takt-nri-")
	if err != nil || len(os.Args) != 2 {
		fmt.Println("Bail out! usage: nri PLUGIN; ", err)
		os.Exit(1)
	}
	os.Exit(run(folder, os.Args[1]))
}

func run(folder, program string) int {
	defer os.RemoveAll(folder)
	adaptation.SetPluginRequestTimeout(requestTimeout)
	r, err := start(folder, []*api.PodSandbox{pod(1), pod(2)}, []*api.Container{
		container("running", pod(1), api.ContainerState_CONTAINER_RUNNING, "A=1", "B=2"),
		container("stopped", pod(2), api.ContainerState_CONTAINER_STOPPED),
	})
	if err != nil {
		fmt.Println("Bail out!", err)
		return 1
	}
	between, err := relayTo(folder)
	if err != nil {
		fmt.Println("Bail out!", err)
		return 1
	}
	p, err := launch(program, folder)
	if err != nil {
		fmt.Println("Bail out!", err)
		return 1
	}
	w := &world{folder, r, between, p, context.Background()}
	failed := 0
	fmt.Printf("1..%d\n", len(tests))
	for i, t := range tests {
		if err := t.run(w); err != nil {
			failed = 1
			fmt.Printf("not ok %d - %s\n# %v\n", i+1, t.sentence, err)
		} else {
			fmt.Printf("ok %d - %s\n", i+1, t.sentence)
		}
	}
	p.command.Process.Kill()
	p.command.Wait()
	w.runtime.Stop()
	return failed
}
